//! What was made once and would be made again in the same way: small pictures and maps, in the user's cache folder. In: a name that
//! says what it was made from, and bytes. Out: the same bytes, or nothing. A cache that cannot be used costs time only.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sciurus::data::ContentHash;
use tempfile::NamedTempFile;

/// Bytes that it may take on the disk.
const BUDGET: u64 = 2 << 30;
/// Most bytes of one thing.
const LARGEST: u64 = 16 << 20;
/// Bytes of the checksum in front.
const HEAD: usize = 16;

/// A folder of things that can be made again.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Without it, nothing is kept.
    folder: Option<PathBuf>,
}

impl Cache {
    /// The user's. What was used least recently goes when it has grown too large.
    pub(crate) fn of_user() -> Self {
        let folder = dirs::cache_dir().map(|folder| folder.join("sciurus").join("studio"));
        if let Some(folder) = folder.clone() {
            // Nobody waits for it.
            let _ =
                std::thread::Builder::new().name("cache".to_owned()).spawn(move || sweep(&folder, BUDGET));
        }
        Self { folder }
    }

    /// What is under a name, if it is what was kept, to the last bit.
    pub(crate) fn read(&self, kind: &str, name: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, name)?;
        if fs::metadata(&path).ok()?.len() > LARGEST {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        (head == ContentHash::of(rest).0).then(|| rest.to_vec())
    }

    /// Keeps bytes under a name.
    pub(crate) fn keep(&self, kind: &str, name: &str, bytes: &[u8]) {
        if let Some(path) = self.path(kind, name).filter(|_| bytes.len() as u64 + HEAD as u64 <= LARGEST) {
            // Without it, it is made again the next time.
            let _ = write(&path, bytes);
        }
    }

    /// Names are hexadecimal digits of hashes; the first two make a folder, because some file systems are slow with many files.
    fn path(&self, kind: &str, name: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(kind).join(name.get(..2)?).join(name))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&ContentHash::of(bytes).0)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Removes the oldest files until the rest takes four fifths of the budget, if it takes more than all of it.
fn sweep(folder: &Path, budget: u64) {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) if about.is_file() => {
                    files.push((
                        about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                        about.len(),
                        entry.path(),
                    ));
                }
                _ => {}
            }
        }
    }
    let mut whole: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    if whole <= budget {
        return;
    }
    files.sort();
    for (_, bytes, path) in files {
        if whole <= budget / 5 * 4 {
            return;
        }
        if fs::remove_file(path).is_ok() {
            whole -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path) -> Cache {
        Cache { folder: Some(folder.to_owned()) }
    }

    #[test]
    fn what_was_kept_comes_back_and_what_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = in_folder(folder.path());
        assert_eq!(cache.read("small", "abcd"), None);
        cache.keep("small", "abcd", b"a picture");
        assert_eq!(cache.read("small", "abcd").as_deref(), Some(&b"a picture"[..]));
        let path = folder.path().join("small/ab/abcd");
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(cache.read("small", "abcd"), None);
        fs::write(&path, b"short").unwrap();
        assert_eq!(cache.read("small", "abcd"), None);
    }

    #[test]
    fn the_oldest_go_first_when_it_has_grown_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let cache = in_folder(folder.path());
        for (seconds, name) in [(300, "aa1"), (100, "bb1"), (200, "cc1")] {
            cache.keep("small", name, &[0; 84]);
            let path = folder.path().join("small").join(&name[..2]).join(name);
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        sweep(folder.path(), 300);
        assert!(["aa1", "bb1", "cc1"].iter().all(|name| cache.read("small", name).is_some()));
        sweep(folder.path(), 290);
        let left: Vec<bool> = ["aa1", "bb1", "cc1"].map(|name| cache.read("small", name).is_some()).into();
        assert_eq!(left, [true, false, true]);
    }
}
