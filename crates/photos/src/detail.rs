//! A photo at 64 × 64 pixels: enough to tell things apart that lie on the same ground. In: a photo. Out: plain data, six
//! kilobytes per photo.

use crate::pixels::pillow::grey_of;
use crate::thumbnail::{read_bytes, write_bytes};
use image::imageops;
use sciurus_data::RgbImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Sides of the grey values.
pub(crate) const SIDE: usize = 64;

/// Sides of the colours: people and JPEG see them coarser, too.
pub(crate) const COLOUR_SIDE: usize = 32;

const LUMA: usize = SIDE * SIDE;
const CHROMA: usize = COLOUR_SIDE * COLOUR_SIDE;
const BYTES: usize = LUMA + 2 * CHROMA;

/// The whole photo, squeezed to a square: 64 × 64 grey values, then 32 × 32 differences of blue and green, and of red and
/// green, each halved and with 128 for none. In JSON it's base64 text.
#[derive(Clone, PartialEq, Eq)]
pub struct Detail(Box<[u8; BYTES]>);

impl Detail {
    pub(crate) fn of(image: &RgbImage) -> Self {
        let mut bytes = Box::new([0; BYTES]);
        let small = imageops::thumbnail(image, SIDE as u32, SIDE as u32);
        for (byte, pixel) in bytes.iter_mut().zip(small.pixels()) {
            *byte = grey_of(pixel.0);
        }
        let coarse = imageops::thumbnail(&small, COLOUR_SIDE as u32, COLOUR_SIDE as u32);
        let half = |a: u8, b: u8| ((256 + i32::from(a) - i32::from(b)) / 2) as u8;
        for (place, pixel) in coarse.pixels().enumerate() {
            let [red, green, blue] = pixel.0;
            bytes[LUMA + place] = half(blue, green);
            bytes[LUMA + CHROMA + place] = half(red, green);
        }
        Self(bytes)
    }

    /// Grey values, row by row, 0..=255.
    pub(crate) fn luma(&self) -> &[u8] {
        &self.0[..LUMA]
    }

    /// Whether it has no colours at all.
    pub(crate) fn is_grey(&self) -> bool {
        self.0[LUMA..].iter().all(|difference| difference.abs_diff(128) <= 1)
    }

    /// Two planes of colour differences, row by row, with 128 for none.
    pub(crate) fn chroma(&self) -> [&[u8]; 2] {
        let (blue, red) = self.0[LUMA..].split_at(CHROMA);
        [blue, red]
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_bytes(&self.0[..], serializer)
    }
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_bytes(deserializer).map(Self)
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detail(64 x 64)")
    }
}
