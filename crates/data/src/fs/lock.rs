//! One writer at a time. In: a folder and what is to be done in it. Out: a lock that ends with its process, or who
//! holds it.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cap_fs_ext::MetadataExt;
use serde::{Deserialize, Serialize};

use super::{FileError, InsidePath, Root};

/// How often to try, with a pause between: a child process that has just started may hold our handles for a moment.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
/// Most bytes a holder writes about itself.
const LONGEST: u64 = 300;

/// The right to write, held until it's dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    root: Root,
    path: InsidePath,
    /// Locked by the operating system, through this handle.
    file: File,
}

/// Who holds a lock, written into its file for those who find it taken.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    process: u32,
    doing: String,
}

impl Lock {
    /// Takes a lock: a small file next to what is written, created if needed and removed afterwards. `doing` says what
    /// the lock is for, such as `moving files`.
    ///
    /// # Errors
    /// Another process holds it ([`FileError::Busy`] says who), or the file cannot be written.
    pub fn take(root: &Root, path: &InsidePath, doing: &str) -> Result<Self, FileError> {
        let place = root.place(path);
        let failed = |source| FileError::write(&place, source);
        let mut file = loop {
            let mut file = root.open_or_create(path).map_err(failed)?;
            match locked(&file) {
                Err(TryLockError::WouldBlock) => {
                    let path = place.parent().map_or_else(|| place.clone(), PathBuf::from);
                    return Err(FileError::Busy { path, holder: holder(&mut file) });
                }
                // Some network drives don't support locks. Nobody can wait for one there, so go on without.
                Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
                    return Err(failed(error));
                }
                _ => {}
            }
            // Its last holder may have removed the file after we opened it: our lock would then guard nothing.
            if is_there(root, path, &file).map_err(failed)? {
                break file;
            }
        };
        if !is_ours(&mut file).map_err(failed)? {
            let found = "has the name of a Sciurus lock, but is not one".to_owned();
            return Err(FileError::NotOurs { path: place, found });
        }
        let holder = Holder { process: std::process::id(), doing: doing.to_owned() };
        let told = serde_json::to_vec(&holder).map_err(io::Error::from);
        told.and_then(|told| file.set_len(0).and_then(|()| file.write_all(&told))).map_err(failed)?;
        let root = root.try_clone().map_err(failed)?;
        Ok(Self { root, path: path.clone(), file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it's still locked, so that we never remove somebody else's lock. A file that stays does no
        // harm.
        let _ = self.root.remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn locked(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// Whether a file is new or was left by a holder. Anything else with its name isn't ours to overwrite.
fn is_ours(file: &mut File) -> io::Result<bool> {
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    file.rewind()?;
    Ok(text.is_empty() || serde_json::from_slice::<Holder>(&text).is_ok())
}

fn is_there(root: &Root, path: &InsidePath, file: &File) -> io::Result<bool> {
    let ours = cap_std::fs::File::from_std(file.try_clone()?).metadata()?;
    let there = root.metadata(path)?;
    Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

/// `process 1234 is moving files here, for 3 minutes`.
fn holder(file: &mut File) -> String {
    let since = file.metadata().and_then(|metadata| metadata.modified()).ok();
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| file.take(LONGEST).read_to_end(&mut text));
    let said = read.ok().and_then(|_| serde_json::from_slice::<Holder>(&text).ok());
    let (who, doing) = match said {
        Some(Holder { process, doing }) => (format!("process {process}"), doing),
        None => ("another process".to_owned(), "at work".to_owned()),
    };
    let age = since.and_then(|since| SystemTime::now().duration_since(since).ok());
    let age = age.map(|age| match age.as_secs() {
        seconds @ 0..120 => format!(", for {seconds} seconds"),
        seconds @ 120..7200 => format!(", for {} minutes", seconds / 60),
        seconds => format!(", for {} hours", seconds / 3600),
    });
    format!("{who} is {doing} here{}", age.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let (root, name) = (Root::open(folder.path()).unwrap(), InsidePath::new(".lock").unwrap());
        let lock = Lock::take(&root, &name, "moving files").unwrap();
        let error = Lock::take(&root, &name, "else").unwrap_err().to_string();
        let process = std::process::id();
        assert!(error.contains(&format!("process {process} is moving files here, for")), "{error}");
        drop(lock);
        assert!(root.is_free(&name).unwrap());
        // A file that a killed process left may be taken; one that somebody else wrote may not.
        for left in ["", "{\"process\":1,\"doing\":\"x\"}"] {
            std::fs::write(folder.path().join(".lock"), left).unwrap();
            drop(Lock::take(&root, &name, "else").unwrap());
            assert!(root.is_free(&name).unwrap());
        }
        std::fs::write(folder.path().join(".lock"), "mine").unwrap();
        assert!(matches!(Lock::take(&root, &name, "else"), Err(FileError::NotOurs { .. })));
        assert_eq!(std::fs::read(folder.path().join(".lock")).unwrap(), b"mine");
    }
}
