//! Moving a file to where nothing is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Moves a file to a name that nothing has. In one step where the system can: nobody sees it missing or twice, and a file that
/// appears under the new name meanwhile is never overwritten. Else by a second name for the same file; a kill between leaves
/// both names, which [`is_same`] tells.
pub(super) fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_new(from, to) {
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        moved => moved,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Whether something is there, a dangling link included.
pub(super) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether both names are there and hold the same bytes.
pub(super) fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(exists(one) && exists(other) && fs::read(one)? == fs::read(other)?)
}
