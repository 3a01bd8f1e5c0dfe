//! Formats that are a sequence of chunks: PNG and WebP. In: bytes. Out: whether there are more chunks than a photo may
//! have, and the size that a PNG claims.
//!
//! Sources: the PNG specification, section 5.3; RFC 9649, section 2.3.

use super::{MOST_BESIDE, MOST_EXIF, too_costly};
use crate::skip::SkipReason;

/// Most chunks of a file. At 8 kB each, as libpng writes them, they hold 800 MB; an animation of an hour has 90,000
/// frames.
const MOST_CHUNKS: usize = 100_000;

/// Checks the chunks of a PNG: their number, and the bytes of those before the image, which a decoder keeps in memory.
/// Returns the size in pixels that the file claims, if it has a header.
pub(super) fn png(bytes: &[u8]) -> Result<Option<(u32, u32)>, SkipReason> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut beside, mut before) = (8, 0_usize, true);
    for count in 0.. {
        let (Some(length), Some(kind)) = (number(at), bytes.get(at + 4..at + 8)) else { break };
        if kind == b"IEND" {
            break;
        }
        before &= kind != b"IDAT";
        beside = beside.saturating_add(if before { length as usize } else { 0 });
        check(count, beside)?;
        at = at.saturating_add(length as usize).saturating_add(12);
    }
    let header = bytes.get(12..16) == Some(b"IHDR");
    Ok(number(16).zip(number(20)).filter(|_| header))
}

/// Checks the number of chunks of a WebP. Returns whether its EXIF block, if it has one, is short enough to be read.
pub(super) fn webp(bytes: &[u8]) -> Result<bool, SkipReason> {
    let (mut at, mut short) = (12_usize, true);
    for count in 0.. {
        let Some(&[a, b, c, d, e, f, g, h]) = at.checked_add(8).and_then(|end| bytes.get(at..end)) else {
            break;
        };
        check(count, 0)?;
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        short &= [a, b, c, d] != *b"EXIF" || length <= MOST_EXIF;
        // A chunk of odd length is padded with a byte.
        at = at.saturating_add(8).saturating_add(length).saturating_add(length & 1);
    }
    Ok(short)
}

fn check(count: usize, beside: usize) -> Result<(), SkipReason> {
    if count > MOST_CHUNKS {
        return Err(too_costly(format!("it has more than {MOST_CHUNKS} chunks")));
    }
    if beside > MOST_BESIDE {
        return Err(too_costly(format!("it has more than {MOST_BESIDE} bytes besides its image")));
    }
    Ok(())
}
