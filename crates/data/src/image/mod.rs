//! From a file's bytes to upright RGB pixels. A file's structure is checked before it's decoded.

mod decode;
mod format;
mod outline;

pub use decode::{DecodeLimits, Facts, RgbImage, decode, decode_file, decode_with_facts, read_file};
pub(crate) use decode::{read_header, read_patiently};
pub(crate) use format::recognise;
