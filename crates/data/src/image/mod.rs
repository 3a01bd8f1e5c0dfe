//! From a file's bytes to upright RGB pixels. A file's structure is checked before it's decoded.

mod decode;
mod format;
mod limits;
mod outline;
mod reduced;

pub use decode::{Facts, RgbImage, decode, decode_file, decode_small, decode_with_facts, read_file};
pub(crate) use decode::{read_header, read_patiently};
pub use format::begins_like_picture;

pub use limits::DecodeLimits;
