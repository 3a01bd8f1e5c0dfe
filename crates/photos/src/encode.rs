//! Encodes images as small JPEG files, for pages and reports. In: an image. Out: the bytes of a JPEG file.

use jpeg_encoder::{ColorType, Encoder};

use sciurus_data::RgbImage;
use sciurus_data::resized;

/// An image as a JPEG file of this quality (1..=100), or `None` if it has no pixels or more than 65,535 along a side.
///
/// ```
/// use sciurus_data::RgbImage;
/// use sciurus_photos::jpeg;
///
/// let file = jpeg(&RgbImage::new(20, 10), 80).unwrap_or_default();
/// assert!(file.starts_with(&[0xff, 0xd8]));
/// assert!(jpeg(&RgbImage::new(0, 10), 80).is_none());
/// ```
#[must_use]
pub fn jpeg(image: &RgbImage, quality: u8) -> Option<Vec<u8>> {
    let side = |side: u32| u16::try_from(side).ok();
    let (width, height) = (side(image.width())?, side(image.height())?);
    let mut file = Vec::new();
    let encoder = Encoder::new(&mut file, quality.clamp(1, 100));
    encoder.encode(image.as_raw(), width, height, ColorType::Rgb).ok()?;
    Some(file)
}

/// An image as a JPEG file, shrunk so that its longer side has at most `side` pixels; `None` if it has no pixels.
pub fn small_jpeg(image: RgbImage, side: u32, quality: u8) -> Option<Vec<u8>> {
    let (width, height) = image.dimensions();
    let shrink = f64::from(side) / f64::from(width.max(height).max(1));
    let small = |side: u32| ((f64::from(side) * shrink).round() as u32).max(1);
    jpeg(&if shrink < 1.0 { resized(image, small(width), small(height)) } else { image }, quality)
}
