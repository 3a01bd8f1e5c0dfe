//! From a file's bytes to pixels. In: bytes, and limits that a hostile file can't exceed. Out: an upright 8-bit RGB
//! image, or the reason why there is none.

use super::format::recognise;
use super::limits::DecodeLimits;
use super::outline::{Jpeg, MOST_BESIDE, MOST_EXIF, Metered, memory_needed, outline, tiff_kind};
use super::reduced;
use crate::fs;
use crate::skip::SkipReason;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use image::RgbImage;

/// Decodes an image, recognised by its content: JPEG (including CMYK), PNG, WebP, GIF (its first frame), BMP, TIFF, or PNM (PPM,
/// PGM, PBM, PAM).
///
/// The EXIF orientation is applied, transparency is blended over white, and 16 bits are rounded to 8. An animation
/// gives its first frame. Bytes after the end of the image are ignored. A JPEG with more pixels than
/// [`DecodeLimits::max_pixels`] comes at a half of its size or less.
///
/// # Errors
/// The reason why the bytes can't be used. A file that is cut short gives [`SkipReason::Truncated`], never half a
/// photo.
///
/// ```
/// use sciurus_data::{DecodeLimits, decode};
///
/// // The smallest BMP: one red pixel, 24 bits.
/// let mut bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
/// bmp.extend([0; 24]);
/// bmp.extend([0, 0, 255, 0]);
/// let image = decode(&bmp, &DecodeLimits::default())?;
/// assert_eq!(image.get_pixel(0, 0).0, [255, 0, 0]);
/// # Ok::<(), sciurus_data::SkipReason>(())
/// ```
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, SkipReason> {
    decode_with_facts(bytes, limits).map(|(image, _)| image)
}

/// Like [`decode`], for a small picture whose longer side has `side` pixels: a JPEG may come at a half, a quarter or an eighth of
/// its size, with at least twice as many pixels along its longer side as asked for, so that shrinking still smooths.
/// A photo of 12 megapixels takes less than half as long.
///
/// # Errors
/// As for [`decode`].
pub fn decode_small(bytes: &[u8], limits: &DecodeLimits, side: u32) -> Result<RgbImage, SkipReason> {
    match decode_to(bytes, limits, Some(side.saturating_mul(2))) {
        // The decoder for reduced sizes knows fewer kinds of JPEG.
        Err(SkipReason::UnsupportedFormat { .. } | SkipReason::Corrupt { .. }) => decode(bytes, limits),
        result => result.map(|(image, _)| image),
    }
}

/// What a file says about itself, besides its pixels.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The format of its bytes, whatever its name says.
    pub format: ImageFormat,
    /// Whether the file stores only brightness, without colour.
    pub one_channel: bool,
    /// Whether any pixel isn't opaque.
    pub transparent: bool,
    /// Whether its EXIF orientation asks viewers to turn or mirror it.
    pub turned: bool,
    /// The EXIF block.
    pub exif: Option<Vec<u8>>,
}

/// Images that need more memory than this are decoded one at a time. Otherwise a folder of huge ones would need each
/// thread's maximum at once.
const LARGE: u64 = 256 << 20;

static TURN: Mutex<()> = Mutex::new(());

/// Like [`decode`], with what the file says about itself.
pub fn decode_with_facts(bytes: &[u8], limits: &DecodeLimits) -> Result<(RgbImage, Facts), SkipReason> {
    decode_to(bytes, limits, None)
}

/// Decodes an image whole, or a JPEG so far reduced that its longer side keeps this many pixels.
fn decode_to(
    bytes: &[u8],
    limits: &DecodeLimits,
    side: Option<u32>,
) -> Result<(RgbImage, Facts), SkipReason> {
    match decode_ended(bytes, limits, side) {
        Err(SkipReason::Truncated) => decode_ended(&ended(bytes, limits)?, limits, side),
        result => result,
    }
}

/// Decodes a file that has an end.
fn decode_ended(
    bytes: &[u8],
    limits: &DecodeLimits,
    side: Option<u32>,
) -> Result<(RgbImage, Facts), SkipReason> {
    guarded(|| {
        let (mut decoder, header) = open(bytes, limits)?;
        let turn = || TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = (header.memory > LARGE).then(turn);
        // A photo isn't lost to a broken EXIF block, and a huge one isn't read at all.
        let exif = if header.short_exif { decoder.exif_metadata().ok().flatten() } else { None };
        let exif = exif.filter(|exif| exif.len() <= MOST_EXIF);
        let format = recognise(bytes)?;
        let side = side.filter(|_| format == ImageFormat::Jpeg);
        let enough = side.map_or(1, |side| reduced::keeping(decoder.dimensions(), side));
        let image = match header.reduced.max(enough) {
            1 => {
                let left = limits.max_memory_bytes.saturating_sub(decoder.total_bytes() + bytes.len() as u64);
                let failed = |error: ImageError| reason(&error, bytes, limits);
                decoder.set_limits(at_most(left)).map_err(failed)?;
                DynamicImage::from_decoder(decoder).map_err(failed)?
            }
            by => {
                let size = decoder.dimensions();
                drop(decoder);
                reduced::decode(bytes, size, by)?
            }
        };
        let facts = Facts {
            format,
            one_channel: !image.color().has_color(),
            transparent: is_transparent(&image),
            turned: header.orientation != Orientation::NoTransforms,
            exif,
        };
        // Turned last, when a pixel has the fewest bytes.
        let mut image = DynamicImage::ImageRgb8(over_white(image));
        image.apply_orientation(header.orientation);
        Ok((image.into_rgb8(), facts))
    })
}

/// Most pixels of a JPEG without an end that is tried, and most bytes.
const MOST_TRIED: u64 = 50_000_000;
const MOST_TRIED_BYTES: usize = 64 << 20;

/// A JPEG whose end marker is missing, with one. Cameras and recovery tools leave zeros in its place.
///
/// Whether its pixels are all there is tried: they are decoded twice, with different bits where the file ends. If any pixel
/// depends on these bits, the file was cut short.
fn ended(bytes: &[u8], limits: &DecodeLimits) -> Result<Vec<u8>, SkipReason> {
    let jpeg = match recognise(bytes) {
        Ok(ImageFormat::Jpeg) if bytes.len() <= MOST_TRIED_BYTES => Jpeg::walk(bytes)?,
        _ => return Err(SkipReason::Truncated),
    };
    // A progressive one that was cut between two scans is whole, but coarse.
    let size = jpeg.size().map_or(0, |(width, height)| u64::from(width) * u64::from(height));
    if jpeg.end.is_some() || jpeg.kept_coefficients() > 0 || size > MOST_TRIED {
        return Err(SkipReason::Truncated);
    }
    let data = &bytes[..bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)];
    let with = |fill: u8| [data, &[fill; 64], &[0xff, 0xd9]].concat();
    let [one, other] = [0x00, 0xa5].map(with);
    let pixels = |bytes: &[u8]| decode_ended(bytes, limits, None).map(|(image, _)| image);
    if pixels(&one)? == pixels(&other)? { Ok(one) } else { Err(SkipReason::Truncated) }
}

fn is_transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel.0[1] != u8::MAX),
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel.0[3] != u8::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel.0[1] != u16::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel.0[3] != u16::MAX),
        DynamicImage::ImageRgba32F(image) => image.pixels().any(|pixel| pixel.0[3] < 1.0),
        _ => false,
    }
}

/// Reads and decodes a file; see [`decode`].
///
/// # Errors
/// As for [`decode`]. Also if the file can't be read or is larger than the limit.
pub fn decode_file(path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<RgbImage, SkipReason> {
    decode(&read_file(path.as_ref(), limits)?, limits)
}

/// Reads a regular file within the limits.
pub fn read_file(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, SkipReason> {
    read_patiently(path, limits.max_file_bytes)
}

/// How often to try a file while the process has no file handles left, with a pause between tries. Other threads hold
/// theirs only for moments.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Whether waiting for file handles didn't help the last time. Then the next files are tried only once; otherwise a
/// folder of many thousands would take a second per file to give up.
static IN_VAIN: AtomicBool = AtomicBool::new(false);

/// The bytes of a regular file of at most `limit` bytes; waits a moment for file handles.
pub(crate) fn read_patiently(path: &Path, limit: u64) -> Result<Vec<u8>, SkipReason> {
    let mut tries = if IN_VAIN.load(Ordering::Relaxed) { 1 } else { TRIES };
    loop {
        tries -= 1;
        match try_to_read(path, limit) {
            Err(reason) if reason.is_machine_fault() && tries > 0 => std::thread::sleep(PAUSE),
            result => {
                let in_vain = result.as_ref().is_err_and(SkipReason::is_machine_fault);
                IN_VAIN.store(in_vain, Ordering::Relaxed);
                return result;
            }
        }
    }
}

fn try_to_read(path: &Path, limit: u64) -> Result<Vec<u8>, SkipReason> {
    fs::read_regular(path, limit).map_err(|error| match error.kind() {
        // Reading a regular file never has to wait.
        io::ErrorKind::WouldBlock | io::ErrorKind::InvalidInput => SkipReason::NotAFile,
        io::ErrorKind::FileTooLarge => {
            let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            SkipReason::TooManyBytes { bytes: bytes.max(limit + 1), limit }
        }
        _ => SkipReason::from(&error),
    })
}

/// What a file's header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// Width and height in pixels, upright.
    pub(crate) size: (u32, u32),
    orientation: Orientation,
    short_exif: bool,
    /// Bytes that decoding needs at most.
    memory: u64,
    /// What each side is divided by.
    reduced: u32,
}

/// Reads the header and checks it against the limits, without decoding any pixel.
pub(crate) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<Header, SkipReason> {
    let read = |bytes: &[u8]| guarded(|| open(bytes, limits).map(|(_, header)| header));
    match read(bytes) {
        Err(SkipReason::Truncated) => read(&ended(bytes, limits)?),
        header => header,
    }
}

/// A decoder that has read its header and found it within the limits.
fn open<'a>(
    bytes: &'a [u8],
    limits: &DecodeLimits,
) -> Result<(Box<dyn ImageDecoder + 'a>, Header), SkipReason> {
    let format = recognise(bytes)?;
    let outline = outline(bytes, format)?;
    outline.size.map_or(Ok(1), |size| check_size(size, format, limits))?;
    outline.jpeg.as_ref().map_or(Ok(()), Jpeg::check)?;
    let mut reader = ImageReader::with_format(Metered::new(outline.picture), format);
    reader.limits(at_most(limits.max_memory_bytes.min(MOST_BESIDE as u64)));
    let mut decoder = reader.into_decoder().map_err(|error| reason(&error, bytes, limits))?;
    let (width, height) = decoder.dimensions();
    let reduced = check_size((width, height), format, limits)?;
    let memory = match (&outline.jpeg, reduced) {
        (Some(jpeg), 2..) => reduced::memory_needed(jpeg, (width, height), reduced, bytes.len()),
        _ => memory_needed(&outline, format, &decoder),
    };
    if memory > limits.max_memory_bytes {
        return Err(SkipReason::TooMuchMemory { limit: limits.max_memory_bytes });
    }
    // A TIFF file is laid out like an EXIF block. A broken EXIF block isn't a reason to lose the photo.
    let orientation = match format {
        ImageFormat::Tiff => Orientation::from_exif_chunk(bytes),
        _ if outline.short_exif => decoder.orientation().ok(),
        _ => None,
    };
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let size = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    let header = Header { size, orientation, short_exif: outline.short_exif, memory, reduced };
    Ok((Box::new(decoder), header))
}

/// Checks a size. Returns what each side must be divided by to keep it.
fn check_size(
    (width, height): (u32, u32),
    format: ImageFormat,
    limits: &DecodeLimits,
) -> Result<u32, SkipReason> {
    let limit = limits.max_pixels;
    let by = match format {
        ImageFormat::Jpeg => reduced::reduction((width, height), limits),
        _ => (u64::from(width) * u64::from(height) <= limit).then_some(1),
    };
    let Some(by) = by else { return Err(SkipReason::TooManyPixels { width, height, limit }) };
    if width.max(height) > limits.max_side {
        return Err(SkipReason::SideTooLong { width, height, limit: limits.max_side });
    }
    if width == 0 || height == 0 {
        return Err(SkipReason::Corrupt { detail: format!("it claims to be {width} x {height} pixels") });
    }
    Ok(by)
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Limits for a decoder's own buffers. They're tight until the pixels are decoded: a PNG of a few megabytes may have a
/// colour profile, which we don't use, that unpacks to gigabytes.
fn at_most(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// Runs a decoder, and turns its panic into a reason to skip the file.
///
/// Decoders parse hostile bytes and aren't our code; one that trips over an index must not end a run of many hours.
/// This is the only place that catches a panic. Nothing of the decoder is used afterwards, so no broken state survives.
fn guarded<T>(work: impl FnOnce() -> Result<T, SkipReason>) -> Result<T, SkipReason> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(SkipReason::DecoderFailed { detail: text.unwrap_or_else(|| "no message".to_owned()) })
    })
}

fn reason(error: &ImageError, bytes: &[u8], limits: &DecodeLimits) -> SkipReason {
    if ends_early(error) {
        return SkipReason::Truncated;
    }
    match error {
        ImageError::Limits(_) => SkipReason::TooMuchMemory { limit: limits.max_memory_bytes },
        ImageError::Unsupported(error) => {
            let kind = match recognise(bytes) {
                Ok(ImageFormat::Tiff) => tiff_kind(bytes),
                Ok(format) => format!("a kind of {} ({error})", name(format)),
                Err(_) => error.to_string(),
            };
            SkipReason::UnsupportedFormat { format: kind }
        }
        other => SkipReason::Corrupt { detail: other.to_string() },
    }
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Pnm => "PNM",
        _ => "image",
    }
}

/// Whether a decoder ran out of bytes: it says so itself, or somewhere in its chain of causes.
fn ends_early(error: &ImageError) -> bool {
    let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    if let ImageError::IoError(error) = error {
        return is_end(error);
    }
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_end)
}

/// Blends transparency over white, as a browser shows it. Colours hidden under full transparency stay hidden.
fn over_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let (width, height) = image.dimensions();
    let blend = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    // Blended pixels have fewer bytes, so they fit in front of those still to come: no second image is needed.
    let mut values = image.into_raw();
    let pixels = values.len() / 4;
    for pixel in 0..pixels {
        let from = 4 * pixel;
        let (colours, alpha) = ([values[from], values[from + 1], values[from + 2]], values[from + 3]);
        let blended = match alpha {
            255 => colours,
            0 => [255; 3],
            _ => colours.map(|colour| blend(colour, alpha)),
        };
        values[3 * pixel..3 * pixel + 3].copy_from_slice(&blended);
    }
    values.truncate(3 * pixels);
    values.shrink_to_fit();
    RgbImage::from_raw(width, height, values).unwrap_or_default()
}
