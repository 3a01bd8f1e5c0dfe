//! What a file is, judged by its content and never by its name. In: a file's bytes. Out: an image format that can be
//! decoded, or the reason why not. Also tells whether a JPEG ends before its picture does.

use crate::skip::SkipReason;
use image::ImageFormat;

/// How many bytes at the beginning of a file are looked at to tell text from pictures.
const LOOKED_AT: usize = 1024;

/// Pictures and documents that people have among their photos and that we cannot decode: bytes, offset, name.
const UNSUPPORTED: [(&[u8], usize, &str); 12] = [
    (b"ftypheic", 4, "HEIC (an iPhone photo)"),
    (b"ftypheix", 4, "HEIC (an iPhone photo)"),
    (b"ftypmif1", 4, "HEIF"),
    (b"ftypavif", 4, "AVIF"),
    (b"ftyp", 4, "a video"),
    (b"\x1a\x45\xdf\xa3", 0, "a video"),
    (b"%PDF", 0, "a PDF document"),
    (b"PK\x03\x04", 0, "a ZIP archive"),
    (b"8BPS", 0, "a Photoshop file"),
    (b"\x00\x00\x01\x00", 0, "an icon (ICO)"),
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", 0, "JPEG XL"),
];

/// The format of a file that can be decoded.
pub(crate) fn recognise(bytes: &[u8]) -> Result<ImageFormat, SkipReason> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Gif | Bmp | Tiff)) => Ok(format),
        _ => Err(why_not(bytes)),
    }
}

fn why_not(bytes: &[u8]) -> SkipReason {
    if bytes.is_empty() {
        return SkipReason::Empty;
    }
    let starts = |magic: &[u8], at: usize| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, name)) = UNSUPPORTED.iter().find(|(magic, at, _)| starts(magic, *at)) {
        return SkipReason::UnsupportedFormat { format: (*name).to_owned() };
    }
    let Some(text) = readable(&bytes[..bytes.len().min(LOOKED_AT)]) else {
        return SkipReason::UnknownFormat;
    };
    let text = text.to_lowercase();
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| text.contains(tag)) {
        SkipReason::WebPage
    } else if text.contains("<svg") {
        SkipReason::UnsupportedFormat { format: "SVG (a drawing)".to_owned() }
    } else {
        SkipReason::Text
    }
}

/// The bytes as text, if they are text: UTF-8 (its last character may be cut) without control characters.
fn readable(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c');
    (!text.chars().any(control)).then_some(text)
}

/// Whether a JPEG has its end-of-image marker after its last scan. Decoders fill what is missing with grey, so a photo
/// cut short would otherwise be learned from. Anything after the marker is harmless.
///
/// A file may also have its marker and yet far too few bytes for the size that it claims: of the components, the one with
/// the most columns has a block for every 8 × 32 pixels or fewer (sampling factors are 4 at most), and each block takes a
/// bit at the very least. That is a byte for 2048 pixels; even a white page has six.
///
/// Source: ITU-T T.81, annexes A.1.1, B and F.1.2.
pub(crate) fn jpeg_is_complete(bytes: &[u8], (width, height): (u32, u32)) -> bool {
    if (bytes.len() as u64) < u64::from(width) * u64::from(height) / 2048 {
        return false;
    }
    let mut at = 2; // After the start-of-image marker.
    loop {
        let Some(marker) = next_marker(bytes, at) else { return false };
        at = marker + 2;
        match bytes[marker + 1] {
            0xd9 => return true,
            // Restart markers and the like stand alone.
            0x01 | 0xd0..=0xd8 => {}
            // Every other segment says its length, which includes the two bytes that say it.
            _ => match bytes.get(at..at + 2) {
                Some(&[high, low]) => at += usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return false,
            },
        }
    }
}

/// The place of the next `0xff` that is followed by a marker: not by a stuffed zero and not by fill bytes.
fn next_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        match bytes.get(at + 1)? {
            0x00 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_images_are_named() {
        let name = |bytes: &[u8]| recognise(bytes).unwrap_err().to_string();
        assert_eq!(name(b""), "empty file (0 bytes)");
        assert!(name(b"\n <!DOCTYPE HTML><html>").contains("web page"));
        assert!(name(b"http://a.b/c.jpg\nhttp://d").contains("text"));
        assert!(name("caf\u{e9}".as_bytes()).contains("text"));
        assert!(name(b"<?xml version='1.0'?><svg width='3'>").contains("SVG"));
        assert!(name(b"\0\0\0\x18ftypheic\0\0").contains("HEIC"));
        assert!(name(b"%PDF-1.4").contains("PDF"));
        assert!(name(&[7, 200, 3, 0, 9]).contains("unknown format"));
    }

    #[test]
    fn a_cut_multibyte_character_is_still_text() {
        let long = "é".repeat(600);
        assert_eq!(recognise(&long.as_bytes()[..1025]), Err(SkipReason::Text));
    }

    #[test]
    fn a_jpeg_needs_its_end_marker() {
        let whole = [0xff, 0xd8, 0xff, 0xda, 0, 2, 1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd9];
        assert!(jpeg_is_complete(&whole, (64, 64)));
        assert!(jpeg_is_complete(&[&whole[..], b"junk"].concat(), (64, 64)));
        for cut in 0..whole.len() {
            assert!(!jpeg_is_complete(&whole[..cut], (64, 64)), "{cut}");
        }
        assert!(jpeg_is_complete(&whole, (2048, whole.len() as u32)));
        assert!(!jpeg_is_complete(&whole, (2048, whole.len() as u32 + 1)));
    }
}
