//! Deterministic resizing. In: an image of any size. Out: one of the size asked for, filtered like Pillow's antialiased
//! bilinear filter, with fastai's arithmetic for where to crop and pad.

use super::Transform;
use crate::image::RgbImage;
use crate::seed::Rng;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::imageops;
use serde::{Deserialize, Serialize};

/// How an image becomes a square.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ResizeMethod {
    /// Crops the longer side around the centre: right proportions, but edges are lost.
    #[default]
    Crop,
    /// Squeezes the image: everything is there, but proportions change.
    Squish,
    /// Mirrors the image at its edges: everything is there in the right proportions, but smaller.
    Pad,
}

/// fastai's `Resize` for validation images: to a square of `size` pixels.
///
/// ```
/// use sciurus_data::{Resize, ResizeMethod, RgbImage, Seed, Transform};
///
/// let photo = RgbImage::new(640, 480);
/// let resize = Resize { size: 224, method: ResizeMethod::Crop };
/// assert_eq!(resize.apply(photo, &mut Seed(0).rng(&[])).dimensions(), (224, 224));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// Width and height of the result in pixels.
    pub size: usize,
    /// How the image becomes a square.
    pub method: ResizeMethod,
}

impl Transform for Resize {
    fn apply(&self, image: RgbImage, _: &mut Rng) -> RgbImage {
        let size = self.size as u32;
        let square = match self.method {
            ResizeMethod::Squish => image,
            ResizeMethod::Crop => crop_to_square(image, size),
            ResizeMethod::Pad => pad_to_square(image, size),
        };
        resized(square, size, size)
    }

    fn name(&self) -> String {
        let how = match self.method {
            ResizeMethod::Crop => "crop to a square and resize it",
            ResizeMethod::Squish => "squeeze into a square",
            ResizeMethod::Pad => "pad to a square with mirrored borders and resize it",
        };
        format!("{how}, to {} pixels", self.size)
    }
}

/// Crops the largest centred square, with fastai's rounding.
fn crop_to_square(image: RgbImage, size: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let side = square_side(width.min(height), size);
    let offset = |length: u32| (0.5 * (f64::from(length) - f64::from(side))) as u32;
    cropped(image, offset(width), offset(height), side, side)
}

/// Pads the image to a square with its mirror image, with fastai's rounding: of 125 missing rows, 62 are added above
/// and 63 below.
fn pad_to_square(image: RgbImage, size: u32) -> RgbImage {
    // A very long image would need a huge square, so it's shrunk first. Ordinary photos never get here.
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    let area = u64::from(width) * u64::from(height);
    let huge = u64::from(longer).pow(2) > area.saturating_mul(4).max(64_000_000);
    let image = if huge && longer > size {
        let scaled =
            |length: u32| (f64::from(length) * f64::from(size) / f64::from(longer)).round().max(1.0) as u32;
        resized(image, scaled(width), scaled(height))
    } else {
        image
    };
    let (width, height) = image.dimensions();
    let side = square_side(width.max(height), size);
    // `as i64` truncates toward zero, as Python's int() does.
    let offset = |length: u32| (0.5 * (f64::from(length) - f64::from(side))) as i64;
    reflected(&image, offset(width), offset(height), side)
}

/// fastai's `int(m * size)` with `m = length / size`: the length, or by rounding one pixel less.
fn square_side(length: u32, size: u32) -> u32 {
    let ratio = f64::from(length) / f64::from(size.max(1));
    ((ratio * f64::from(size)) as u32).max(1)
}

/// A square window with its corner at (`left`, `top`), which may be negative; beyond its edges the image is mirrored.
fn reflected(image: &RgbImage, left: i64, top: i64, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let columns: Vec<u32> = (0..i64::from(side)).map(|x| reflect(x + left, width)).collect();
    let mut pixels = Vec::with_capacity(side as usize * side as usize * 3);
    for y in 0..i64::from(side) {
        let row = reflect(y + top, height) as usize * width as usize;
        for &column in &columns {
            let at = (row + column as usize) * 3;
            pixels.extend_from_slice(&image.as_raw()[at..at + 3]);
        }
    }
    RgbImage::from_raw(side, side, pixels).unwrap_or_default()
}

/// The position inside `0..length` that a position outside mirrors; the edge itself isn't repeated.
pub(crate) fn reflect(place: i64, length: u32) -> u32 {
    let last = i64::from(length) - 1;
    if last <= 0 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    place.min(2 * last - place) as u32
}

/// A part of an image, or the image itself if the part is all of it.
pub(crate) fn cropped(image: RgbImage, left: u32, top: u32, width: u32, height: u32) -> RgbImage {
    if (left, top, width, height) == (0, 0, image.width(), image.height()) {
        return image;
    }
    imageops::crop_imm(&image, left, top, width, height).to_image()
}

/// An image of another size, through the antialiased bilinear filter. It doesn't keep proportions: that's up to the
/// caller.
pub fn resized(image: RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image;
    }
    // `filtered` fails for an image without pixels and for sizes that overflow. Pillow's filter is slower, but never
    // fails.
    filtered(&image, width, height)
        .unwrap_or_else(|| imageops::resize(&image, width, height, imageops::FilterType::Triangle))
}

/// With more pixels than this, a strip is first made shorter, then wider.
const LARGE: u64 = 1 << 20;

fn filtered(image: &RgbImage, width: u32, height: u32) -> Option<RgbImage> {
    // Rows are resized first. With one column and 65,000 rows, that step would have many times the pixels of image and
    // result.
    let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let most = area(image.width(), image.height()).max(area(width, height));
    if area(width, image.height()) > 2 * most + LARGE {
        return filtered(&filtered(image, image.width(), height)?, width, height);
    }
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw()).ok()?;
    let mut pixels = RgbImage::new(width, height);
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut pixels).ok()?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // `resize` chooses the kind of pixel at run time, so the program would hold the code of all fifteen.
    Resizer::new().resize_typed(&source, &mut target, &options).ok()?;
    Some(pixels)
}

/// Makes the shorter side `size` pixels and keeps the proportions: the image in memory that epochs crop from
/// ("presizing").
///
/// The longer side is limited to eight times the shorter; beyond that it's cropped around the centre, so that a strip
/// of 50,000 × 10 pixels can't fill the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeShorter {
    /// Length of the shorter side in pixels.
    pub size: usize,
    /// Whether smaller images are enlarged to that size; otherwise they stay as they are.
    pub enlarge: bool,
}

impl ResizeShorter {
    const LONGEST: u32 = 8;
}

impl Transform for ResizeShorter {
    fn apply(&self, image: RgbImage, _: &mut Rng) -> RgbImage {
        let (width, height) = image.dimensions();
        let longest = width.min(height).saturating_mul(Self::LONGEST).max(1);
        let (kept_width, kept_height) = (width.min(longest), height.min(longest));
        let (left, top) = ((width - kept_width) / 2, (height - kept_height) / 2);
        let image = cropped(image, left, top, kept_width, kept_height);

        let (size, shorter) = (self.size as u32, kept_width.min(kept_height));
        if shorter == size || (shorter < size && !self.enlarge) {
            return image;
        }
        let scale = f64::from(size) / f64::from(shorter.max(1));
        let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
        resized(image, scaled(kept_width), scaled(kept_height))
    }

    fn name(&self) -> String {
        format!("resize the shorter side to {} pixels", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]))
    }

    #[test]
    fn padding_mirrors_without_repeating_the_edge() {
        let places: Vec<u32> = (-4..8).map(|place| reflect(place, 3)).collect();
        assert_eq!(places, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!((reflect(5, 1), reflect(-7, 2)), (0, 1));

        let padded = pad_to_square(gradient(500, 375), 500);
        assert_eq!(padded.get_pixel(0, 62), &image::Rgb([0, 0, 0]));
        assert_eq!(padded.get_pixel(0, 61).0[1], 1);
        assert_eq!(padded.get_pixel(0, 62 + 374).0[1], (374_u32 % 256) as u8);
        assert_eq!(padded.get_pixel(0, 62 + 375).0[1], (373_u32 % 256) as u8);
    }

    #[test]
    fn a_very_long_strip_stays_small() {
        let rng = &mut Seed(0).rng(&[]);
        let strip = RgbImage::new(60_000, 3);
        assert_eq!(
            ResizeShorter { size: 20, enlarge: true }.apply(strip.clone(), rng).dimensions(),
            (160, 20)
        );
        for method in [ResizeMethod::Crop, ResizeMethod::Squish, ResizeMethod::Pad] {
            assert_eq!(Resize { size: 20, method }.apply(strip.clone(), rng).dimensions(), (20, 20));
        }
    }

    proptest! {
        #[test]
        fn sizes_are_as_asked(width in 1_u32..300, height in 1_u32..300, size in 1_usize..120) {
            let rng = &mut Seed(0).rng(&[]);
            for method in [ResizeMethod::Crop, ResizeMethod::Squish, ResizeMethod::Pad] {
                let image = Resize { size, method }.apply(gradient(width, height), rng);
                prop_assert_eq!(image.dimensions(), (size as u32, size as u32));
            }
            let shorter = |enlarge| {
                let image = ResizeShorter { size, enlarge }.apply(gradient(width, height), &mut Seed(0).rng(&[]));
                image.width().min(image.height()) as usize
            };
            prop_assert_eq!(shorter(true), size);
            prop_assert_eq!(shorter(false), size.min(width.min(height) as usize));
        }
    }
}
