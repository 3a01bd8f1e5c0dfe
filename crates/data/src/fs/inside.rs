//! A path inside a folder. In: a path from a log, a plan or a ledger. Out: names of folders and a file, which can't
//! lead out of the folder.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path relative to a folder, made only of names: no `..`, no absolute part, no drive, no device.
///
/// It knows nothing about links on the way: only the file system does. [`Root`](super::Root) opens such paths, and
/// refuses to go through a link.
///
/// ```
/// use sciurus_data::fs::InsidePath;
///
/// assert_eq!(InsidePath::new("red/./a.jpg")?, InsidePath::new("red//a.jpg")?);
/// assert!(InsidePath::new("red/../../a.jpg").is_err());
/// assert!(InsidePath::new("/etc/passwd").is_err());
/// # Ok::<(), sciurus_data::fs::NotInside>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct InsidePath(PathBuf);

/// A path that could lead out of its folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path inside the folder; paths are relative to it, without `..`", .0.display())]
pub struct NotInside(PathBuf);

impl InsidePath {
    /// Checks a path.
    ///
    /// # Errors
    /// It is empty or absolute, or holds `..`, a drive or the name of a device.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, NotInside> {
        let path = path.as_ref();
        let mut inside = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) if !is_device(name) => inside.push(name),
                _ => return Err(NotInside(path.to_owned())),
            }
        }
        let is_sound = !inside.as_os_str().is_empty() && !path.as_os_str().as_encoded_bytes().contains(&0);
        if is_sound { Ok(Self(inside)) } else { Err(NotInside(path.to_owned())) }
    }

    /// A path that is written in the program's own source.
    ///
    /// # Panics
    /// [`InsidePath::new`] would refuse it, which never happens to a path in the program's own source.
    #[must_use]
    pub fn ours(path: &'static str) -> Self {
        let inside = Self(path.into());
        assert!(
            Self::new(path).is_ok_and(|checked| checked == inside),
            "`{path}` is not a path inside a folder"
        );
        inside
    }

    /// Checks a path with `/` between its parts, from a file that may have been written on another system: `\` could be
    /// a separator there, so it's refused.
    ///
    /// # Errors
    /// As for [`InsidePath::new`].
    pub fn portable(path: &str) -> Result<Self, NotInside> {
        if path.contains('\\') { Err(NotInside(path.into())) } else { Self::new(path) }
    }

    /// As a path, relative to the folder.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The folder it is in; `None` if that's the root.
    #[must_use]
    pub fn folder(&self) -> Option<Self> {
        self.0.parent().filter(|parent| !parent.as_os_str().is_empty()).map(|parent| Self(parent.to_owned()))
    }

    /// The name of the file itself.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        // Never empty: a path inside is not empty and ends in a name.
        self.0.file_name().unwrap_or_default()
    }

    /// The same path with another name at the end.
    ///
    /// # Errors
    /// The name is empty, or not a single name.
    pub fn with_name(&self, name: impl AsRef<OsStr>) -> Result<Self, NotInside> {
        Self::new(self.0.with_file_name(name.as_ref()))
    }

    /// Whether a part of it begins with a dot: state of ours or of another program.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
    }
}

impl AsRef<Path> for InsidePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for InsidePath {
    type Error = NotInside;

    fn try_from(path: PathBuf) -> Result<Self, NotInside> {
        Self::new(path)
    }
}

impl From<InsidePath> for PathBuf {
    fn from(path: InsidePath) -> Self {
        path.0
    }
}

/// Whether Windows takes a name for a device or a stream, in any folder and with any extension.
fn is_device(name: &OsStr) -> bool {
    if !cfg!(windows) {
        return false;
    }
    let name = name.to_string_lossy().to_ascii_uppercase();
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = |port: &str| {
        stem.strip_prefix(port).is_some_and(|number| number.len() == 1 && number.parse::<u8>().is_ok())
    };
    name.contains(':') || ["CON", "PRN", "AUX", "NUL"].contains(&stem) || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_leads_out_is_refused() {
        let nul = "a\0b";
        for path in ["", ".", "..", "/", "/a", "../a", "a/..", "a/../../b", "./a", "a/../b", nul] {
            assert!(InsidePath::new(path).is_err(), "{path:?}");
            assert!(serde_json::from_value::<InsidePath>(path.into()).is_err(), "{path:?}");
        }
        assert!(InsidePath::portable("a\\..\\b").is_err());
        for path in ["a", "a/b", "a//b", "a/./b", "a/", "...", "a..b/..c", " ", "é\n"] {
            assert!(InsidePath::new(path).is_ok(), "{path:?}");
        }
        assert!(InsidePath::new("red/.x/a").unwrap().is_hidden());
        assert!(!InsidePath::new("red/x.y/a.").unwrap().is_hidden());
    }

    proptest! {
        #[test]
        fn joined_to_a_folder_it_stays_below(path in "[a./\\\\ :~-]{0,12}") {
            if let Ok(inside) = InsidePath::new(&path) {
                let joined = Path::new("/root/of/all").join(inside.as_path());
                prop_assert!(joined.starts_with("/root/of/all") && joined != Path::new("/root/of/all"));
                prop_assert!(joined.components().all(|part| part != Component::ParentDir));
            }
        }
    }
}
