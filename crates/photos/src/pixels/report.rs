//! Everything that a photo's pixels show, as plain data that can be cached. In: a file's bytes. Out: a [`PixelReport`],
//! the same for the same bytes wherever they are.

use crate::detail::Detail;
use crate::duplicates::phash::{PerceptualHash, all_turns, small_grey};
use crate::pixels::animation::is_animated;
use crate::pixels::measure::{Channels, PixelMeasures, grey};
use crate::pixels::style::Style;
use crate::thumbnail::Thumbnail;
use image::{ImageFormat, RgbImage};
use sciurus_data::{ContentHash, DecodeLimits, Facts, SkipReason, decode_with_facts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What one decode of a file shows. It depends only on the file's bytes, so it can be cached under
/// [`PixelReport::content`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelReport {
    /// Fingerprint of the file's bytes.
    pub content: ContentHash,
    /// Fingerprint of the upright RGB pixels with their width and height.
    pub pixels: ContentHash,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The format of the content.
    pub format: FileFormat,
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// What the file stores for each pixel.
    pub channels: Channels,
    /// Whether some pixel isn't opaque.
    pub transparent: bool,
    /// Whether the EXIF orientation asks viewers to turn or mirror the picture.
    pub turned: bool,
    /// Whether the file is an animation.
    pub animated: bool,
    /// When the photo was taken, by its camera's clock: `2019-05-04T12:30:00`, which sorts by time.
    pub taken: Option<String>,
    /// How it looks, in numbers.
    pub measures: PixelMeasures,
    /// How it is made up: whether it was drawn or photographed.
    pub style: Style,
    /// Its perceptual hash in each orientation, in the order of [`Turn::ALL`](crate::Turn::ALL); the upright one first.
    pub hashes: [PerceptualHash; 8],
    /// Its grey values at 32 × 32 pixels.
    pub thumbnail: Thumbnail,
    /// Itself at 64 × 64 pixels.
    pub detail: Detail,
}

impl PixelReport {
    /// Decodes a file once and computes everything from its pixels.
    ///
    /// # Errors
    /// The reason why the bytes can't be used.
    pub fn of(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, SkipReason> {
        Self::with_pixels(bytes, limits).map(|(report, _)| report)
    }

    /// The same, with the upright pixels, for whoever has more to do with them.
    ///
    /// # Errors
    /// The reason why the bytes can't be used.
    pub fn with_pixels(bytes: &[u8], limits: &DecodeLimits) -> Result<(Self, RgbImage), SkipReason> {
        let (image, facts) = decode_with_facts(bytes, limits)?;
        let grey = grey(&image);
        let small = small_grey(&grey);
        let channels = if facts.one_channel { Channels::Grey } else { Channels::Colour };
        let report = Self {
            content: ContentHash::of(bytes),
            pixels: hash_pixels(&image),
            bytes: bytes.len() as u64,
            format: FileFormat::of(facts.format),
            width: image.width(),
            height: image.height(),
            channels,
            transparent: facts.transparent,
            turned: facts.turned,
            animated: is_animated(bytes, facts.format),
            taken: taken(&facts),
            measures: PixelMeasures::of(&image, &grey, channels),
            style: Style::of(&image),
            hashes: all_turns(&small),
            thumbnail: Thumbnail(small),
            detail: Detail::of(&image),
        };
        Ok((report, image))
    }
}

/// The fingerprint of pixels, width and height.
fn hash_pixels(image: &RgbImage) -> ContentHash {
    ContentHash::of_parts(&[&image.width().to_le_bytes(), &image.height().to_le_bytes(), image.as_raw()])
}

/// When the shutter opened, from the EXIF block; `None` if there is none, or if the camera has no clock.
fn taken(facts: &Facts) -> Option<String> {
    let exif = exif::Reader::new().read_raw(facts.exif.clone()?).ok()?;
    let tags = [exif::Tag::DateTimeOriginal, exif::Tag::DateTimeDigitized, exif::Tag::DateTime];
    tags.into_iter().find_map(|tag| {
        let exif::Value::Ascii(texts) = &exif.get_field(tag, exif::In::PRIMARY)?.value else { return None };
        let time = exif::DateTime::from_ascii(texts.first()?).ok()?;
        let known = time.year > 0 && (1..=12).contains(&time.month) && (1..=31).contains(&time.day);
        let (hour, minute, second) = (time.hour, time.minute, time.second);
        known.then(|| {
            format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}", time.year, time.month, time.day)
        })
    })
}

/// The formats that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileFormat {
    /// JPEG.
    Jpeg,
    /// PNG, including animated PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// PNM: PPM, PGM, PBM or PAM.
    Pnm,
}

impl FileFormat {
    const ALL: [Self; 7] = [Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Bmp, Self::Tiff, Self::Pnm];

    pub(crate) fn of(format: ImageFormat) -> Self {
        match format {
            ImageFormat::Png => Self::Png,
            ImageFormat::WebP => Self::WebP,
            ImageFormat::Gif => Self::Gif,
            ImageFormat::Bmp => Self::Bmp,
            ImageFormat::Tiff => Self::Tiff,
            ImageFormat::Pnm => Self::Pnm,
            // Can't happen: nothing else is recognised as a format that can be decoded.
            _ => Self::Jpeg,
        }
    }

    /// The lower-case file name extensions of this format.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Png => &["png", "apng"],
            Self::WebP => &["webp"],
            Self::Gif => &["gif"],
            Self::Bmp => &["bmp", "dib"],
            Self::Tiff => &["tif", "tiff"],
            Self::Pnm => &["ppm", "pgm", "pbm", "pnm", "pam"],
        }
    }

    /// Whether a file is named like a picture of any of these formats.
    #[must_use]
    pub fn is_in_name(path: &Path) -> bool {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let mut known = Self::ALL.into_iter().flat_map(Self::extensions);
        known.any(|known| ending.eq_ignore_ascii_case(known))
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        })
    }
}
