//! What a file would cost, told from its structure before a decoder sees it. In: a file's bytes. Out: the part of them
//! that holds the picture and its size, as far as the structure says them; or the reason why decoding is not worth trying.
//!
//! Decoders are made for files that mean well: they read whatever stands before the picture, as often as it stands there.
//! Walking from length to length is cheap, and a file that would keep a decoder busy shows it there.

mod chunks;
mod gif;
mod jpeg;
mod memory;
mod metered;
mod tiff;

use crate::skip::SkipReason;
use image::ImageFormat;

pub(crate) use jpeg::Jpeg;
pub(crate) use memory::memory_needed;
pub(crate) use metered::Metered;

/// What stands beside the pixels (profiles, previews, texts) may have this many bytes in all.
pub(crate) const MOST_BESIDE: usize = 64 << 20;

/// Largest EXIF block that is looked at; cameras write less than 64 kB, which is all that a JPEG has room for.
pub(crate) const MOST_EXIF: usize = 1 << 20;

/// What is known of a file without decoding it.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// The file up to the end of its picture: a video may follow the photo of a phone.
    pub(crate) picture: &'a [u8],
    /// Width and height in pixels as the header says, if it is found without the decoder.
    pub(crate) size: Option<(u32, u32)>,
    /// More about a JPEG.
    pub(crate) jpeg: Option<Jpeg>,
    /// Whether its EXIF block, if there is one, is short enough to be looked at.
    pub(crate) short_exif: bool,
}

/// Looks at the structure of a file. What this costs is in proportion to the file's bytes.
///
/// # Errors
///
/// When it holds more beside its picture than any photo does.
pub(crate) fn outline(bytes: &[u8], format: ImageFormat) -> Result<Outline<'_>, SkipReason> {
    let plain = |size| Outline { picture: bytes, size, jpeg: None, short_exif: true };
    Ok(match format {
        ImageFormat::Jpeg => {
            let jpeg = Jpeg::walk(bytes)?;
            let picture = jpeg.end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
            Outline { picture, size: jpeg.size(), jpeg: Some(jpeg), ..plain(None) }
        }
        ImageFormat::Png => plain(chunks::png(bytes)?),
        ImageFormat::WebP => Outline { short_exif: chunks::webp(bytes)?, ..plain(None) },
        ImageFormat::Gif => plain(gif::check(bytes)?),
        ImageFormat::Tiff => plain(tiff::check(bytes)?),
        _ => plain(None),
    })
}

/// A refusal for what no photo needs.
fn too_costly(detail: impl Into<String>) -> SkipReason {
    SkipReason::TooCostly { detail: detail.into() }
}
