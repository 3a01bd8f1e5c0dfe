//! Whether a file is an animation, judged from its structure without decoding it. In: bytes and their format. Out: yes
//! or no; no if the structure can't be followed.

use image::ImageFormat;

/// Whether a GIF has a second frame, or a PNG or WebP says that it's animated.
pub(crate) fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => gif_frames(bytes, 2) >= 2,
        ImageFormat::Png => png_says_so(bytes).unwrap_or(false),
        // The extended header's flags (RFC 9649, section 2.7).
        ImageFormat::WebP => {
            bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
        }
        _ => false,
    }
}

/// In an animated PNG, an `acTL` chunk comes before the pixels.
fn png_says_so(bytes: &[u8]) -> Option<bool> {
    let mut at = 8;
    loop {
        let kind = bytes.get(at + 4..at + 8)?;
        if kind == b"acTL" || kind == b"IDAT" {
            return Some(kind == b"acTL");
        }
        let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at = at.checked_add(length as usize)?.checked_add(12)?;
    }
}

/// Counts images, at most `enough`. Source: the GIF89a specification, sections 18 to 26.
fn gif_frames(bytes: &[u8], enough: usize) -> usize {
    let mut frames = 0;
    let mut place = bytes.get(10).map(|&flags| 13 + colour_table(flags));
    while let Some(at) = place {
        place = match bytes.get(at) {
            Some(0x21) => after_blocks(bytes, at + 2),
            Some(0x2c) => {
                frames += 1;
                let flags = bytes.get(at + 9).copied();
                flags.and_then(|flags| after_blocks(bytes, at + 11 + colour_table(flags)))
            }
            _ => None,
        };
        if frames == enough {
            break;
        }
    }
    frames
}

fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The position after a row of data blocks, which ends with an empty one.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::gif::GifEncoder;
    use image::{Delay, Frame, Rgba, RgbaImage};

    fn gif(frames: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for level in 0..frames {
            let picture = RgbaImage::from_fn(30, 20, |x, _| Rgba([level * 40, x as u8, 9, 255]));
            let frame = Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(100, 1));
            encoder.encode_frame(frame).unwrap();
        }
        drop(encoder);
        bytes
    }

    #[test]
    fn a_gif_moves_from_its_second_frame_on() {
        assert!(!is_animated(&gif(1), ImageFormat::Gif));
        assert!(is_animated(&gif(2), ImageFormat::Gif));
        let three = gif(3);
        for cut in 0..three.len() {
            is_animated(&three[..cut], ImageFormat::Gif);
        }
    }

    #[test]
    fn png_and_webp_say_so_in_their_header() {
        let chunk = |kind: &[u8]| [&3_u32.to_be_bytes()[..], kind, b"abc", b"crc!"].concat();
        let png = |kinds: &[&[u8]]| {
            let chunks: Vec<u8> = kinds.iter().flat_map(|kind| chunk(kind)).collect();
            [&[0; 8][..], &chunks].concat()
        };
        assert!(is_animated(&png(&[b"IHDR", b"acTL", b"IDAT"]), ImageFormat::Png));
        assert!(!is_animated(&png(&[b"IHDR", b"IDAT", b"acTL"]), ImageFormat::Png));
        assert!(!is_animated(&png(&[b"IHDR"]), ImageFormat::Png));
        let webp = |flags: u8| [&b"RIFF....WEBPVP8X...."[..], &[flags]].concat();
        assert!(is_animated(&webp(0x12), ImageFormat::WebP) && !is_animated(&webp(0x10), ImageFormat::WebP));
    }
}
