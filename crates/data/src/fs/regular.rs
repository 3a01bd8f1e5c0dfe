//! Reading files that somebody else named. In: a path. Out: a regular file's handle or bytes. Never waits for a pipe,
//! never reads an endless device, and never reads more bytes than asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file, or a link to one, and returns its size in bytes too.
///
/// The type is checked twice: before opening, since opening some devices has side effects, and again through the
/// handle, since another file may have taken the name by then. Neither a pipe nor a terminal makes this wait.
///
/// # Errors
/// It can't be opened, or is a folder, a pipe, a socket or a device ([`ErrorKind::InvalidInput`]).
pub fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    check(&std::fs::metadata(path)?)?;
    let file = nonblocking(OpenOptions::new().read(true)).open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata.len()))
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// As for [`open_regular`], or the file is larger ([`ErrorKind::FileTooLarge`]). Then nothing of it is read, unless it
/// grew meanwhile or reports a wrong size, as files in `/proc` do.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open_regular(path)?;
    read_up_to(file, size, limit)
}

/// The bytes of an open file that reports this size.
pub(super) fn read_up_to(file: impl Read, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || Error::new(ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"));
    if size > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
        .map_err(|_| ErrorKind::OutOfMemory)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

fn check(metadata: &std::fs::Metadata) -> io::Result<()> {
    match () {
        () if metadata.is_file() => Ok(()),
        () if metadata.is_dir() => Err(not_regular(FOLDER)),
        () => Err(not_regular(DEVICE)),
    }
}

/// Why a folder can't be read as a file.
pub(super) const FOLDER: &str = "it is a folder";
/// Why a pipe or a device can't be read.
pub(super) const DEVICE: &str = "it is a pipe, a socket or a device, not a file";

/// The error for something that isn't a regular file.
pub(super) fn not_regular(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, what)
}

#[cfg(unix)]
fn nonblocking(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(NONBLOCKING)
}

#[cfg(not(unix))]
fn nonblocking(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Opening doesn't wait, and never makes a terminal the controlling one.
#[cfg(unix)]
pub(super) const NONBLOCKING: i32 =
    (rustix::fs::OFlags::NONBLOCK.bits() | rustix::fs::OFlags::NOCTTY.bits()) as i32;

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_up_to_a_size() {
        let folder = tempfile::tempdir().unwrap();
        let (file, pipe, link) =
            (folder.path().join("a"), folder.path().join("pipe"), folder.path().join("link"));
        std::fs::write(&file, "12345").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        assert_eq!(read_regular(&file, 5).unwrap(), b"12345");
        assert_eq!(read_regular(&file, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        for path in [pipe.as_path(), &link, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(read_regular(path, 5).unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
        }
        // It reports a size of 0, and never ends.
        assert_eq!(
            read_regular("/proc/self/environ".as_ref(), 0).unwrap_err().kind(),
            ErrorKind::FileTooLarge
        );
    }
}
