//! Results written to a file that the user named. In: the path. Out: whether it may be written: never over a different
//! kind of file, unless the user says so.

use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{FileError, read_regular, write_whole};

/// Most bytes of a file that is read to find out its kind; a larger one can't be ours.
const LARGEST: u64 = 1 << 30;

/// What kind of file a result is.
#[derive(Debug, Clone, Copy)]
pub struct OutputKind {
    /// What people call it, such as `a page of Sciurus`.
    pub what: &'static str,
    /// Whether a file with these bytes may be replaced: the program wrote it and nobody changed it since.
    pub is_ours: fn(&[u8]) -> bool,
}

/// What a result may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// An earlier result of the same kind.
    Results,
    /// Any file, because the user said so.
    AnyFile,
}

impl Replace {
    /// Any file if the user forces it.
    #[must_use]
    #[allow(clippy::fn_params_excessive_bools, reason = "a switch of the command line")]
    pub fn forced(force: bool) -> Self {
        if force { Self::AnyFile } else { Self::Results }
    }
}

impl OutputKind {
    /// A file that [`write_output`] writes: a plan, a page, a picture.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, is_ours: is_untouched }
    }
}

/// Writes a whole result, followed by its hash, which distinguishes it from files that were edited or made elsewhere.
/// Browsers and image decoders ignore what comes after the end.
///
/// # Errors
/// It can't be written; an earlier version is untouched.
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_whole(path, |file| {
        file.write_all(bytes)?;
        file.write_all(trailer(bytes).as_bytes())
    })
}

const BEFORE: &str = "\n<!-- written by Sciurus, blake3 ";
const AFTER: &str = " -->\n";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 2 * blake3::OUT_LEN;

fn trailer(bytes: &[u8]) -> String {
    format!("{BEFORE}{}{AFTER}", blake3::hash(bytes).to_hex())
}

/// Whether a file ends with its own hash. Anybody can make such a file: the hash shows whether it was edited, not who
/// wrote it.
fn is_untouched(bytes: &[u8]) -> bool {
    let body = bytes.len().checked_sub(BEFORE.len() + DIGITS + AFTER.len()).map(|end| bytes.split_at(end));
    body.is_some_and(|(body, end)| end == trailer(body).as_bytes())
}

/// Checks that a result may be written: the file doesn't exist, is an earlier result of the same kind, or `replace`
/// allows it.
///
/// Only regular files are ever replaced. Check before you start minutes of work, and write with
/// [`write_whole`](super::write_whole).
///
/// # Errors
/// Something else is there; nothing was changed.
pub fn check_output(path: &Path, kind: OutputKind, replace: Replace) -> Result<(), FileError> {
    let in_the_way = |found: &str| FileError::InTheWay { path: path.to_owned(), found: found.to_owned() };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(FileError::write(path, source)),
        Ok(metadata) if !metadata.is_file() => {
            let found = "is a link, a folder or a device, which is never replaced";
            return Err(FileError::NotOurs { path: path.to_owned(), found: found.to_owned() });
        }
        Ok(_) if replace == Replace::AnyFile => return Ok(()),
        Ok(_) => {}
    }
    match read_regular(path, LARGEST) {
        Ok(bytes) if (kind.is_ours)(&bytes) => Ok(()),
        Ok(_) | Err(_) => Err(in_the_way(&format!("is not {} as Sciurus wrote it", kind.what))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_edited_is_not_taken_for_ours() {
        let mut page = b"<html></html>".to_vec();
        let end = trailer(&page);
        page.extend(end.bytes());
        assert!(is_untouched(&page) && !is_untouched(b"") && !is_untouched(end.as_bytes()));
        page[2] = b'H';
        assert!(!is_untouched(&page));
    }
}
