//! How much memory a decoder needs at its peak. In: a file's outline, and what its decoder has read from the header.
//! Out: bytes, rather too many than too few.

use super::Outline;
use image::{ColorType, ImageDecoder, ImageFormat};

/// Bytes that decoding needs at most, including the file itself: the decoder's buffers, and the pixels either as they
/// are in the file with their 8-bit copy, or as RGB with the turned copy.
pub(crate) fn memory_needed(outline: &Outline<'_>, format: ImageFormat, decoder: &impl ImageDecoder) -> u64 {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let total = decoder.total_bytes();
    let copy = match decoder.color_type() {
        ColorType::Rgb8 | ColorType::Rgba8 => 0,
        color if color.has_alpha() => 4 * pixels,
        _ => 3 * pixels,
    };
    let buffers = match format {
        // The decoder copies the file.
        ImageFormat::Jpeg => {
            let coefficients = outline.jpeg.as_ref().map_or(0, super::Jpeg::kept_coefficients);
            outline.picture.len() as u64 + coefficients
        }
        // Pixels are first stored as they are in the file: CMYK has four values where RGB has three.
        ImageFormat::Tiff => total.saturating_add(total / 3),
        ImageFormat::WebP => webp_buffers(outline.picture, pixels),
        _ => 0,
    };
    let pixels = total.saturating_add(copy.max(buffers)).max(6 * pixels);
    pixels.saturating_add(outline.picture.len() as u64)
}

/// What a WebP decoder keeps besides the result. It depends on the kind of file: brightness and colours; four values
/// per pixel; both with a plane of transparency; or the canvas and a frame of an animation.
fn webp_buffers(bytes: &[u8], pixels: u64) -> u64 {
    let flags = bytes.get(20).copied().unwrap_or_default();
    match bytes.get(12..16) {
        Some(b"VP8 ") => 2 * pixels,
        Some(b"VP8X") if flags & 2 != 0 => 11 * pixels,
        Some(b"VP8X") if flags & 16 != 0 => 7 * pixels,
        _ => 4 * pixels,
    }
}
