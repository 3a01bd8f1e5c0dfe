//! Small secrets of this user, in the user's own data folder, where nobody else of this machine may read them. In: a name and
//! bytes. Out: the bytes, to this user's programs.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::random::random_number;
use super::{InsidePath, Root};

/// Most bytes of a secret.
const LARGEST: u64 = 64 << 10;

/// Keeps bytes under a name, in place of what was there.
///
/// # Errors
/// The user's data folder cannot be written, or there is none.
pub fn keep_private(name: &str, bytes: &[u8]) -> io::Result<()> {
    keep_in(&folder()?, name, bytes)
}

/// The bytes under a name; `None` if there are none, or they can't be read.
#[must_use]
pub fn read_private(name: &str) -> Option<Vec<u8>> {
    Root::open(folder().ok()?).ok()?.read(&InsidePath::new(name).ok()?, LARGEST).ok()
}

/// Forgets what is under a name.
pub fn forget_private(name: &str) {
    if let (Ok(folder), Ok(name)) = (folder(), InsidePath::new(name)) {
        // What is not there needs no forgetting.
        let _ = Root::open(folder).map(|root| root.remove_file(&name));
    }
}

fn folder() -> io::Result<PathBuf> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "this user has no data folder");
    Ok(dirs::data_local_dir().ok_or_else(none)?.join("sciurus"))
}

fn keep_in(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let root = Root::create(folder).map_err(io::Error::other)?;
    let name = InsidePath::new(name).map_err(io::Error::other)?;
    let part = private_part(&root, &name, bytes)?;
    let _ = root.remove_file(&name);
    root.move_new(&part, &name)
}

/// A file with these bytes under another name, which only this user may read.
pub(super) fn private_part(root: &Root, name: &InsidePath, bytes: &[u8]) -> io::Result<InsidePath> {
    let hidden = format!(".{}-{:016x}", name.as_path().display(), random_number());
    let part = InsidePath::new(hidden).map_err(io::Error::other)?;
    let mut file = root.create_new(&part).map_err(io::Error::other)?;
    only_for_me(&file)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = root.remove_file(&part);
    }
    written.map(|()| part)
}

#[cfg(unix)]
fn only_for_me(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn only_for_me(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_replaced_whole_and_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b"first"[..], b"second"] {
            keep_in(folder.path(), "studio-1.json", bytes).unwrap();
        }
        assert_eq!(std::fs::read(folder.path().join("studio-1.json")).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = folder.path().join("studio-1.json").metadata().unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(keep_in(folder.path(), "../outside", b"").is_err());
    }
}
