//! Files that may be hostile, and files that must not be lost. Every crate reads and writes state through this module.
//!
//! In: paths that people named, and paths that came from a file. Out: handles, bytes and locks that keep three
//! promises.
//!
//! - **Nothing outside the folder is touched.** A path that came from a file is an [`InsidePath`]. It's opened from the
//!   handle of its [`Root`], one component at a time, never through a link.
//! - **State that somebody else wrote is told from ours** by a [`seal`](is_sealed), made with a key that only this
//!   user's account on this machine has.
//! - **A file is there whole or not at all.** It has one writer at a time, and the next writer cleans up whatever a
//!   killed one left behind.

mod error;
mod inside;
mod lines;
mod lock;
mod output;
mod part;
mod private;
mod random;
mod records;
mod regular;
mod root;
mod seal;

pub use error::FileError;
pub use inside::{InsidePath, NotInside};
pub use lines::{LineFormat, Lines};
pub use lock::Lock;
pub use output::{OutputKind, Replace, check_output, write_output};
pub use private::{forget_private, keep_private, read_private};
pub use records::Records;
pub use regular::{open_regular, read_regular};
pub use root::{Kind, Root, write_whole};
pub use seal::{is_sealed, sealed};
