//! The blocks of a GIF up to the end of its first frame, the only one that is decoded. In: bytes. Out: whether there
//! are more blocks than a photo may have, and the size that the file claims.
//!
//! Source: the GIF89a specification, sections 15 to 26.

use super::{MOST_BESIDE, too_costly};
use crate::skip::SkipReason;

/// Most blocks, of up to 255 bytes each: four times the data of 100 million pixels.
const MOST_BLOCKS: usize = 2_000_000;

/// Most bytes of image data per pixel: a 12-bit code, and a clear code just as often.
const BYTES_PER_PIXEL: u64 = 3;

/// Checks the blocks. Returns the size in pixels that the file claims, if it has a header.
pub(super) fn check(bytes: &[u8]) -> Result<Option<(u32, u32)>, SkipReason> {
    let number = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let Some(&flags) = bytes.get(10) else { return Ok(None) };
    let mut walk = Walk { bytes, at: 13 + colour_table(flags), blocks: 0 };
    while bytes.get(walk.at) == Some(&0x21) {
        walk.at += 2;
        walk.pass_blocks()?;
        if walk.at > MOST_BESIDE {
            return Err(too_costly(format!("it has more than {MOST_BESIDE} bytes besides its image")));
        }
    }
    if let (Some(0x2c), Some(flags)) = (bytes.get(walk.at), bytes.get(walk.at + 9)) {
        let pixels = number(walk.at + 5).zip(number(walk.at + 7));
        let pixels = pixels.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
        walk.at += 11 + colour_table(*flags);
        let start = walk.at;
        walk.pass_blocks()?;
        if (walk.at - start) as u64 > pixels * BYTES_PER_PIXEL + (1 << 16) {
            return Err(too_costly("its image data have more bytes than its pixels can need"));
        }
    }
    Ok(number(6).zip(number(8)).map(|(width, height)| (width.into(), height.into())))
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    blocks: usize,
}

impl Walk<'_> {
    /// Skips a row of blocks, which ends with an empty one.
    fn pass_blocks(&mut self) -> Result<(), SkipReason> {
        while let Some(&length) = self.bytes.get(self.at) {
            self.at += 1 + usize::from(length);
            self.blocks += 1;
            if self.blocks > MOST_BLOCKS {
                return Err(too_costly(format!("it has more than {MOST_BLOCKS} blocks")));
            }
            if length == 0 {
                break;
            }
        }
        Ok(())
    }
}

fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}
