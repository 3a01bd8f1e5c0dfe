//! The segments of a JPEG: what comes before and between its scans, and where its image ends. In: bytes. Out: counts
//! that show whether the file is whole and what decoding it would cost.
//!
//! Source: ITU-T T.81, annexes A.1.1, B and F.1.2.

use super::{MOST_BESIDE, too_costly};
use crate::skip::SkipReason;

/// Most bytes of tables (DQT, DHT, DRI and rarer ones). A scan with its own tables has some hundred, a photo about ten
/// scans.
const MOST_TABLES: usize = 1 << 20;

/// Most segments besides scans. A profile or depth map of 16 MB needs 256.
const MOST_SEGMENTS: usize = 4096;

/// Most bytes between segments, where there should be none.
const MOST_LOOSE: usize = 1 << 16;

/// Most scans. Real files have one to four, progressive ones about ten.
const MOST_SCANS: usize = 100;

/// Most pixels that all scans visit, counting each component separately. libjpeg's ten scans over 100 million pixels of
/// three components without subsampling visit 1.4 billion.
const MOST_VISITS: u64 = 1_500_000_000;

/// Most bytes of image data per visit. A coefficient takes at most 27 bits, and with stuffing twice that.
const BYTES_PER_VISIT: u64 = 16;

/// The size and components that a frame header claims.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    count: usize,
    /// Horizontal and vertical sampling factors.
    sampling: [(u8, u8); 4],
}

/// What walking over a JPEG's segments finds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jpeg {
    pub(crate) frame: Option<Frame>,
    /// The position after the end-of-image marker.
    pub(crate) end: Option<usize>,
    scans: usize,
    /// Components in the first scan, and in all scans.
    first_components: u64,
    components: u64,
    scan_bytes: u64,
    tables: usize,
    beside: usize,
    segments: usize,
    loose: usize,
}

impl Jpeg {
    /// Follows the segments to the end of the image, or of the bytes.
    ///
    /// # Errors
    /// There is more besides the image than any photo has, or a marker where it isn't allowed: decoders disagree about
    /// what follows it.
    pub(crate) fn walk(bytes: &[u8]) -> Result<Self, SkipReason> {
        let mut found = Self::default();
        let mut at = 2; // After the start-of-image marker.
        while let Some(marker) = next_marker(bytes, at) {
            found.pass(marker - at)?;
            at = marker + 2;
            match bytes[marker + 1] {
                0xd9 => {
                    found.end = Some(at);
                    break;
                }
                // Restart markers have no length, and are only allowed in scans.
                0xd0..=0xd7 if found.scans > 0 => found.scan_bytes += 2,
                kind @ (0x01 | 0xd0..=0xd8) => return Err(stray(kind)),
                kind => {
                    let Some(segment) = segment(bytes, at) else { break };
                    found.take(kind, segment)?;
                    at += 2 + segment.len();
                }
            }
        }
        Ok(found)
    }

    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        self.frame.map(|frame| (u32::from(frame.width), u32::from(frame.height)))
    }

    /// Checks that the image is complete, and that its pixels are what decoding it costs.
    ///
    /// Decoders fill missing parts with grey, so a photo that is cut short would otherwise end up in training. A file
    /// may also have its end marker and yet far too few bytes for the size it claims. Its component with the most
    /// columns has a block for every 8 × 32 pixels or fewer (sampling factors are 4 at most), and each block takes at
    /// least one bit. That makes a byte per 2048 pixels; even a white page has six.
    ///
    /// # Errors
    /// [`SkipReason::Truncated`], or too many scans or too much image data.
    pub(crate) fn check(&self) -> Result<(), SkipReason> {
        let (Some(end), Some(frame)) = (self.end, self.frame) else { return Err(SkipReason::Truncated) };
        if (end as u64) < u64::from(frame.width) * u64::from(frame.height) / 2048 {
            return Err(SkipReason::Truncated);
        }
        let visits = frame.padded().saturating_mul(self.components);
        if self.scans > MOST_SCANS || visits > MOST_VISITS {
            return Err(too_costly(format!("its image is split into {} scans", self.scans)));
        }
        if self.scan_bytes > (visits * BYTES_PER_VISIT).saturating_add(1 << 16) {
            let detail =
                format!("its image data have {} bytes, more than its pixels can need", self.scan_bytes);
            return Err(too_costly(detail));
        }
        Ok(())
    }

    /// Bytes for coefficients that a decoder must keep until it has read all scans: two for each.
    pub(crate) fn kept_coefficients(&self) -> u64 {
        let Some(frame) = self.frame else { return 0 };
        let whole = !frame.progressive && self.first_components == frame.count as u64;
        if whole { 0 } else { 2 * frame.samples() }
    }

    /// Counts the bytes between one segment and the next.
    fn pass(&mut self, bytes: usize) -> Result<(), SkipReason> {
        if self.scans > 0 {
            self.scan_bytes += bytes as u64;
            return Ok(());
        }
        self.loose += bytes;
        if self.loose > MOST_LOOSE {
            return Err(SkipReason::Corrupt { detail: "there is garbage before its image data".to_owned() });
        }
        Ok(())
    }

    fn take(&mut self, kind: u8, segment: &[u8]) -> Result<(), SkipReason> {
        match kind {
            0xda => {
                let components = segment.first().copied().map_or(0, u64::from).min(4);
                self.scans += 1;
                self.components += components;
                self.first_components = if self.scans == 1 { components } else { self.first_components };
                return Ok(());
            }
            // With a length of 6, zune-jpeg 0.5 reads one byte too many, and then finds other segments than the file
            // has.
            0xe0 if segment.len() == 4 => return Err(stray(kind)),
            0xe0..=0xef | 0xfe => self.beside += segment.len(),
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                self.frame = self.frame.or_else(|| Frame::of(kind, segment));
                self.tables += segment.len();
            }
            _ => self.tables += segment.len(),
        }
        self.segments += 1;
        if self.tables > MOST_TABLES {
            return Err(too_costly(format!("its tables have more than {MOST_TABLES} bytes")));
        }
        if self.beside > MOST_BESIDE {
            return Err(too_costly(format!("it has more than {MOST_BESIDE} bytes besides its image")));
        }
        if self.segments > MOST_SEGMENTS {
            return Err(too_costly(format!("it has more than {MOST_SEGMENTS} segments")));
        }
        Ok(())
    }
}

impl Frame {
    fn of(kind: u8, segment: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?]));
        let mut frame = Self { height: number(1)?, width: number(3)?, ..Self::default() };
        frame.progressive = matches!(kind, 0xc2 | 0xc6 | 0xca | 0xce);
        frame.count = usize::from(*segment.get(5)?).min(4);
        for (component, sampling) in frame.sampling.iter_mut().take(frame.count).enumerate() {
            let factors = *segment.get(7 + 3 * component)?;
            *sampling = ((factors >> 4).clamp(1, 4), (factors & 15).clamp(1, 4));
        }
        Some(frame)
    }

    /// Pixels, with both sides rounded up to whole units of the largest size: four blocks.
    fn padded(&self) -> u64 {
        u64::from(self.width).next_multiple_of(32) * u64::from(self.height).next_multiple_of(32)
    }

    /// Values of all components, in whole blocks.
    fn samples(&self) -> u64 {
        let used = &self.sampling[..self.count];
        let most = |factor: fn(&(u8, u8)) -> u8| u64::from(used.iter().map(factor).max().unwrap_or(1).max(1));
        let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
        let blocks = u64::from(self.width).div_ceil(8 * across) * u64::from(self.height).div_ceil(8 * down);
        let each: u64 = used.iter().map(|factors| u64::from(factors.0) * u64::from(factors.1)).sum();
        64 * blocks * each
    }
}

fn stray(kind: u8) -> SkipReason {
    SkipReason::Corrupt { detail: format!("the marker ff{kind:02x} is not allowed where it is") }
}

/// The contents of a segment. The length field before them counts its own two bytes. `None` if the length is cut off.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let &[high, low] = bytes.get(at..at + 2)? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low])).max(2);
    let end = (at + length).min(bytes.len());
    bytes.get(at + 2..end)
}

/// The position of the next `0xff` that starts a marker, not followed by a stuffed zero or fill bytes.
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

    /// A frame of `width` × `height` with one component, a scan of three bytes with a stuffed zero, a restart marker
    /// and fill bytes, and the end.
    fn whole(width: u16, height: u16) -> Vec<u8> {
        let [w, h] = [width, height].map(u16::to_be_bytes);
        let frame = [0xff, 0xc0, 0, 11, 8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0];
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd9];
        [&[0xff, 0xd8][..], &frame, &scan].concat()
    }

    fn check(bytes: &[u8]) -> Result<(), SkipReason> {
        Jpeg::walk(bytes)?.check()
    }

    #[test]
    fn a_jpeg_needs_its_end_marker() {
        let file = whole(64, 64);
        assert_eq!(check(&file), Ok(()));
        assert_eq!(check(&[&file[..], b"junk"].concat()), Ok(()));
        assert_eq!(Jpeg::walk(&[&file[..], b"junk"].concat()).unwrap().end, Some(file.len()));
        for cut in 0..file.len() {
            assert_eq!(check(&file[..cut]), Err(SkipReason::Truncated), "{cut}");
        }
        let length = file.len() as u16;
        assert_eq!(check(&whole(2048, length)), Ok(()));
        assert_eq!(check(&whole(2048, length + 1)), Err(SkipReason::Truncated));
    }

    #[test]
    fn coefficients_are_kept_for_frames_in_several_scans() {
        let kept = |bytes: &[u8]| Jpeg::walk(bytes).unwrap().kept_coefficients();
        let mut file = whole(60, 70);
        assert_eq!(kept(&file), 0);
        file[3] = 0xc2;
        assert_eq!(kept(&file), 2 * 64 * 72);
    }

    #[test]
    fn markers_that_decoders_disagree_about_are_refused() {
        let file = whole(64, 64);
        for stray in [[0xff, 0x01], [0xff, 0xd8], [0xff, 0xd3]] {
            assert!(Jpeg::walk(&[&file[..2], &stray, &file[2..]].concat()).is_err(), "{stray:x?}");
        }
    }
}
