//! JPEGs at a half, a quarter or an eighth of their size. In: bytes and limits. Out: pixels, computed from a part of each
//! block's coefficients, so that neither the time nor the memory for all pixels is needed.

use super::limits::DecodeLimits;
use super::outline::Jpeg;
use crate::skip::SkipReason;
use image::{DynamicImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

/// How many times as many pixels as [`DecodeLimits::max_pixels`] a JPEG may have that is read at a reduced size. The largest
/// photos of phones have twice as many.
const MOST: u64 = 4;

/// By how much each side of a JPEG of this size is reduced, so that its pixels are within the limit. 1: it is read whole. `None`:
/// it is too large even so.
pub(super) fn reduction((width, height): (u32, u32), limits: &DecodeLimits) -> Option<u32> {
    let pixels = u64::from(width) * u64::from(height);
    match pixels {
        _ if pixels <= limits.max_pixels => Some(1),
        _ if pixels > limits.max_pixels.saturating_mul(MOST) => None,
        _ => [2, 4, 8]
            .into_iter()
            .find(|by| u64::from(width.div_ceil(*by)) * u64::from(height.div_ceil(*by)) <= limits.max_pixels),
    }
}

/// By how much each side of a JPEG may be reduced so that its longer side keeps `side` pixels.
pub(super) fn keeping((width, height): (u32, u32), side: u32) -> u32 {
    [8, 4, 2].into_iter().find(|by| width.max(height) / by >= side).unwrap_or(1)
}

/// Bytes that decoding needs at most: the components, the pixels made of them, the same turned upright, the file, and
/// coefficients, if they must be kept.
pub(super) fn memory_needed(jpeg: &Jpeg, (width, height): (u32, u32), by: u32, bytes: usize) -> u64 {
    let pixels = u64::from(width.div_ceil(by) + 8) * u64::from(height.div_ceil(by) + 8);
    (9 * pixels).saturating_add(jpeg.kept_coefficients()).saturating_add(2 * bytes as u64)
}

/// Decodes a JPEG with its sides divided by `by`.
pub(super) fn decode(bytes: &[u8], (width, height): (u32, u32), by: u32) -> Result<DynamicImage, SkipReason> {
    let failed = |error: jpeg_decoder::Error| SkipReason::Corrupt { detail: error.to_string() };
    let unsupported =
        || SkipReason::UnsupportedFormat { format: "a JPEG of this size and kind of colours".to_owned() };
    let mut decoder = Decoder::new(bytes);
    let side = |side: u32| u16::try_from(side.div_ceil(by)).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(width), side(height)).map_err(failed)?;
    let (width, height) = (u32::from(width), u32::from(height));
    let format = decoder.info().map(|info| info.pixel_format);
    if !matches!(format, Some(PixelFormat::RGB24 | PixelFormat::L8)) {
        return Err(unsupported());
    }
    let pixels = decoder.decode().map_err(failed)?;
    let image = match format {
        Some(PixelFormat::L8) => {
            image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
        }
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(unsupported)
}
