//! What a single file may cost.

use serde::{Deserialize, Serialize};

/// How much a single file may cost. A small file can claim to be a huge image (a "decompression bomb").
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `max_pixels` | 150,000,000 | width × height that the header may claim; a JPEG may have four times as many, and is read at a half or less of its size |
/// | `max_side` | 65,535 | width or height that the header may claim: the most that a JPEG can have |
/// | `max_file_bytes` | 256 MiB | size of the file |
/// | `max_memory_bytes` | 950 MB | memory that the file and its pixels may need while they are decoded, converted to 8-bit RGB and turned upright, including the decoder's own buffers |
///
/// A file may also have too much besides its pixels: more than 64 MiB of profiles, previews and texts before them, more
/// than 1 MiB of JPEG tables, more than 100 scans, 100,000 chunks or 65,536 strips; see [`SkipReason::TooCostly`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecodeLimits {
    /// Most pixels (width × height).
    pub max_pixels: u64,
    /// Longest side, in pixels.
    pub max_side: u32,
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
    /// Most memory that decoding may need, in bytes.
    pub max_memory_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_pixels: 150_000_000,
            max_side: 65_535,
            max_file_bytes: 256 << 20,
            max_memory_bytes: 950_000_000,
        }
    }
}
