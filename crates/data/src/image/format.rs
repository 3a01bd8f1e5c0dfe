//! What a file is, judged by its content and never by its name. In: a file's bytes. Out: a format that can be decoded,
//! or the reason why it can't.

use crate::skip::SkipReason;
use image::ImageFormat;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How many bytes at the beginning of a file are checked to tell text from images.
const LOOKED_AT: usize = 1024;

/// Images and documents that people keep among their photos but we can't decode: bytes, offset, name.
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
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Gif | Bmp | Tiff)) => Ok(format),
        Ok(Pnm) if is_pnm(bytes) => Ok(Pnm),
        _ => Err(why_not(bytes)),
    }
}

/// Whether a file begins like a picture that can be decoded; nothing more of it is read. A missing file doesn't.
pub fn begins_like_picture(path: &Path) -> bool {
    let mut start = Vec::new();
    path.is_file()
        && File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).is_ok()
        && recognise(&start).is_ok()
}

/// Whether a file that begins with P and a digit is an image, and not a text that does: a comment, a number or the name of a field
/// follows on the next line.
fn is_pnm(bytes: &[u8]) -> bool {
    let rest = bytes.get(2..).unwrap_or_default();
    let next =
        rest.iter().position(|byte| !byte.is_ascii_whitespace()).filter(|&at| at > 0).map(|at| &rest[at..]);
    next.is_some_and(|next| next[0].is_ascii_digit() || next[0] == b'#' || next.starts_with(b"WIDTH"))
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
}
