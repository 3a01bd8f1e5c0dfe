//! Why a file is left out of a data set or a batch, in words that a photographer understands. In: what the scan or the
//! decoder found. Out: [`Skipped`] with a [`SkipReason`], plain data to count and show.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file that was not used, and why. One bad image never stops a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Path relative to the data set's root.
    pub path: PathBuf,
    /// Why the file was not used.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", one_line(&self.path.to_string_lossy()), self.reason)
    }
}

/// Text for a terminal: names of files and folders may contain line breaks and terminal commands, which are escaped
/// here as in source code.
///
/// ```
/// use sciurus_data::one_line;
///
/// assert_eq!(one_line("red/a\n\u{1b}[2Jb.jpg"), "red/a\\n\\u{1b}[2Jb.jpg");
/// ```
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Whether a terminal would act on a character instead of showing it: control characters of both sets, line separators,
/// and marks that change the writing direction.
#[must_use]
pub fn steers(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    c.is_control() || turns
}

/// A path as an argument of a command that somebody may paste into a shell.
///
/// ```
/// use sciurus_data::argument;
///
/// assert_eq!(argument("my photos".as_ref()), "'my photos'");
/// assert_eq!(argument("-rf".as_ref()), "./-rf");
/// ```
#[must_use]
pub fn argument(path: &Path) -> String {
    let path = path.to_string_lossy();
    // What begins with a dash would be read as an option.
    let path = if path.starts_with('-') { format!("./{path}") } else { path.into_owned() };
    shlex::try_quote(&path).map_or_else(|_| path.clone(), std::borrow::Cow::into_owned)
}

/// Why a file was not used. `Display` is meant for the user.
///
/// ```
/// use sciurus_data::{DecodeLimits, SkipReason, decode};
///
/// let reason = decode(b"<!DOCTYPE html><title>404</title>", &DecodeLimits::default()).unwrap_err();
/// assert_eq!(reason, SkipReason::WebPage);
/// assert_eq!(
///     reason.to_string(),
///     "not an image: it looks like a web page (HTML); download the photo itself"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The file has no bytes.
    #[error("empty file (0 bytes)")]
    Empty,
    /// HTML saved under an image's name, as a failed download often is.
    #[error("not an image: it looks like a web page (HTML); download the photo itself")]
    WebPage,
    /// Readable text.
    #[error("text, not an image")]
    Text,
    /// An image or document in a format that is recognised but can't be decoded.
    #[error("{format} cannot be read; save the photo as JPEG or PNG")]
    UnsupportedFormat {
        /// Name of the format, such as `HEIC`.
        format: String,
    },
    /// The content isn't in any known image format.
    #[error("not an image, or in an unknown format; JPEG, PNG, WebP, GIF, BMP, TIFF and PNM can be read")]
    UnknownFormat,
    /// The file ends before its image does.
    #[error("the file is cut short: its picture data ends early; download or copy it again")]
    Truncated,
    /// The decoder rejected the file.
    #[error("the image is damaged: {detail}")]
    Corrupt {
        /// The decoder's message.
        detail: String,
    },
    /// The decoder crashed; the run goes on.
    #[error("the image is damaged: it made the decoder fail ({detail})")]
    DecoderFailed {
        /// The decoder's message.
        detail: String,
    },
    /// More pixels than [`DecodeLimits::max_pixels`](crate::DecodeLimits::max_pixels).
    #[error(
        "too many pixels: {width} x {height} is above the limit of {} million; shrink the image", limit / 1_000_000
    )]
    TooManyPixels {
        /// Width in pixels, as the header says.
        width: u32,
        /// Height in pixels, as the header says.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },
    /// A side is longer than [`DecodeLimits::max_side`](crate::DecodeLimits::max_side).
    #[error(
        "too long: {width} x {height} pixels, but a side may have at most {limit}; crop or shrink the image"
    )]
    SideTooLong {
        /// Width in pixels, as the header says.
        width: u32,
        /// Height in pixels, as the header says.
        height: u32,
        /// The limit in pixels.
        limit: u32,
    },
    /// More besides its pixels than any photo has, so decoding would take very long.
    #[error("decoding the image would cost too much: {detail}; save it again with another program")]
    TooCostly {
        /// What there is too much of.
        detail: String,
    },
    /// More bytes than [`DecodeLimits::max_file_bytes`](crate::DecodeLimits::max_file_bytes).
    #[error("the file is too large: {bytes} bytes is above the limit of {limit} bytes")]
    TooManyBytes {
        /// Size of the file in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Decoding needs more than [`DecodeLimits::max_memory_bytes`](crate::DecodeLimits::max_memory_bytes).
    #[error("decoding the image needs more memory than the limit of {limit} bytes")]
    TooMuchMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The operating system doesn't let this user read the file.
    #[error("permission denied; give your user permission to read the file")]
    PermissionDenied,
    /// The file is gone, or is a link that leads nowhere.
    #[error("file not found: it was moved or deleted, or it is a link that leads nowhere")]
    NotFound,
    /// A link, or a path through one, leads to a file that is also listed under another name.
    #[error("the same file as {}, through a link; it counts only once", one_line(&of.to_string_lossy()))]
    SameFile {
        /// The name under which it counts.
        of: PathBuf,
    },
    /// A pipe, socket or device.
    #[error("not a regular file")]
    NotAFile,
    /// Any other failure to read.
    #[error("the file could not be read: {detail}")]
    Unreadable {
        /// The operating system's error.
        detail: String,
    },
    /// The machine has run out of a resource, which says nothing about the file.
    #[error("this machine cannot read any more files at the moment: {detail}")]
    OutOfResources {
        /// The operating system's error.
        detail: String,
    },
    /// A path in a table leads out of the data set's folder.
    #[error(
        "the path leads out of the data set's folder; move the image into it, or choose a folder that contains both"
    )]
    OutsideFolder,
    /// The name isn't valid Unicode, so it can't be written to a report or plan.
    #[error("the file's name is not valid text (UTF-8); rename the file")]
    NameNotText,
    /// An image next to the class folders, so without a label.
    #[error("the image is not in a class folder, so it has no label; move it into one")]
    OutsideClassFolder,
    /// The name doesn't match the pattern that finds labels.
    #[error(
        "the file's name does not match the pattern that finds labels; rename the file or change the pattern"
    )]
    NameWithoutLabel,
    /// The user decided so.
    #[error("left out, as the plan says")]
    LeftOut,
    /// The content isn't the one that was listed when the data set was built.
    #[error("the file was changed after the data set was listed; start again to use it")]
    Changed,
}

impl SkipReason {
    /// Whether the machine is to blame and not the file. Results from the remaining files would then be wrong as a
    /// whole.
    #[must_use]
    pub fn is_machine_fault(&self) -> bool {
        matches!(self, Self::OutOfResources { .. })
    }
}

impl From<&io::Error> for SkipReason {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_machine_fault(error) => Self::OutOfResources { detail: error.to_string() },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Unreadable { detail: error.to_string() },
        }
    }
}

/// Whether an error means that the process or the machine has run out of file handles or memory.
#[cfg(unix)]
fn is_machine_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
        || error.kind() == io::ErrorKind::OutOfMemory
}

/// Whether an error means that the process or the machine has run out of file handles or memory.
#[cfg(not(unix))]
fn is_machine_fault(error: &io::Error) -> bool {
    // Windows: too many open files, not enough memory, no system resources.
    matches!(error.raw_os_error(), Some(4 | 8 | 14 | 1450)) || error.kind() == io::ErrorKind::OutOfMemory
}
