//! Reading files that somebody else named. In: a path. Out: a regular file's handle or bytes; never a wait on a pipe, a device
//! without end, or more bytes than were asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Opens a regular file, links to one included, and tells its size (bytes).
///
/// The type is asked before the file is opened, since opening some devices does something, and again of the handle, since
/// another file may stand there by then. Neither a pipe nor a terminal makes this wait.
///
/// # Errors
/// It cannot be opened, or is a folder, a pipe, a socket or a device ([`ErrorKind::InvalidInput`]).
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
/// As [`open_regular`], or the file is larger ([`ErrorKind::FileTooLarge`]); then nothing of it is read, unless it grew or
/// told a size that is not true, as files in `/proc` do.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open_regular(path)?;
    read_up_to(file, size, limit)
}

/// The bytes of an open file that says how large it is.
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

/// What is said of a folder that was to be read as a file.
pub(super) const FOLDER: &str = "it is a folder";
/// The same of a pipe or a device.
pub(super) const DEVICE: &str = "it is a pipe, a socket or a device, not a file";

/// Why something that is no regular file is not read.
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

/// Opening waits for nothing, and never makes a terminal ours.
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
        // Its size is said to be 0, and it has no end.
        assert_eq!(
            read_regular("/proc/self/environ".as_ref(), 0).unwrap_err().kind(),
            ErrorKind::FileTooLarge
        );
    }
}
