//! What decoding a file would cost, judged from its structure before a decoder sees it. In: a file's bytes. Out: the
//! part with the image and its size, as far as the structure shows them; or the reason not to try.
//!
//! Decoders are written for well-meant files: they read whatever comes before the image, as often as it's there.
//! Walking from length to length is cheap, and shows which files would keep a decoder busy.

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
pub(crate) use tiff::kind as tiff_kind;

/// Most bytes besides the pixels (profiles, previews, texts).
pub(crate) const MOST_BESIDE: usize = 64 << 20;

/// Largest EXIF block that is read. Cameras write less than 64 kB, which is all that a JPEG has room for.
pub(crate) const MOST_EXIF: usize = 1 << 20;

/// What is known about a file without decoding it.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// The file up to the end of its image: in a phone's photo, a video may follow.
    pub(crate) picture: &'a [u8],
    /// Width and height in pixels as the header says, if they were found without a decoder.
    pub(crate) size: Option<(u32, u32)>,
    /// More, for a JPEG.
    pub(crate) jpeg: Option<Jpeg>,
    /// Whether its EXIF block, if there is one, is short enough to be read.
    pub(crate) short_exif: bool,
}

/// Walks through the structure of a file. The time grows with the file's bytes only.
///
/// # Errors
/// It has more besides its image than any photo does.
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

/// Refuses what no photo needs.
fn too_costly(detail: impl Into<String>) -> SkipReason {
    SkipReason::TooCostly { detail: detail.into() }
}
