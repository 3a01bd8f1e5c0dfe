//! What targets share: a folder of photos in a folder of other things, and whether both are still whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder `root` of photos beside files that nothing may touch, in memory.
pub struct World {
    folder: tempfile::TempDir,
}

const FILES: [(&str, &str); 5] = [
    ("victim/id_rsa", "key"),
    ("victim/1.jpg", "outside"),
    ("root/red/1.jpg", "red 1"),
    ("root/red/2.jpg", "red 2"),
    ("root/grey/1.jpg", "grey 1"),
];

impl World {
    /// The files, and links out of the folder.
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir_in("/dev/shm").unwrap() };
        FILES.iter().for_each(|(path, bytes)| world.write(path, bytes.as_bytes()));
        std::os::unix::fs::symlink("../../victim", world.path("root/red/linked")).unwrap();
        std::os::unix::fs::symlink("../victim", world.path("root/linked")).unwrap();
        world
    }

    /// The folder of photos.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// A path in the world.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.path(path)).unwrap()
    }

    /// Panics unless everything outside is as it was and every photo is somewhere inside, once.
    pub fn check(&self) {
        let mut contents: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        count(&self.root(), &mut contents);
        for (path, bytes) in FILES {
            if path.starts_with("root/") {
                assert_eq!(contents.get(bytes.as_bytes()), Some(&1), "{path}");
            } else {
                assert_eq!(self.read(path), bytes.as_bytes(), "{path}");
            }
        }
        assert_eq!(fs::read_dir(self.path("victim")).unwrap().count(), 2);
    }
}

fn count(folder: &Path, contents: &mut BTreeMap<Vec<u8>, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // State may hold the same bytes as a photo: the fuzzer chose them.
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || ["ledger.jsonl", "ATTRIBUTION.md"].contains(&&*name) {
            continue;
        }
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            count(&path, contents);
        } else if kind.is_file() {
            *contents.entry(fs::read(&path).unwrap()).or_default() += 1;
        }
    }
}
