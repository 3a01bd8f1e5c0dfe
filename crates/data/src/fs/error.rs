//! What can go wrong with a file of state. Each message names the file and says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file can't be used, or was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It can't be read.
    #[error("cannot read {}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// It can't be written; an earlier version of it is untouched.
    #[error("cannot write {}; check that its folder exists, is writable, and has space left", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Its folder is read-only.
    #[error("{} is read-only; make it writable, or work on a copy", path.display())]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// Another process is working there.
    #[error("{}: {holder}; wait for it to finish, or stop it", path.display())]
    Busy {
        /// The folder or file.
        path: PathBuf,
        /// Which process it is, what it does, and for how long.
        holder: String,
    },
    /// It was not written by this user's Sciurus on this machine.
    #[error(
        "{}: {reason}, so Sciurus won't act on it; read it, then use `trust_state` if you trust whoever wrote it, or \
         move it away", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How we know.
        reason: String,
    },
    /// It's not the kind of file it should be.
    #[error("{} {found}, so it was left as it is; move it away, or name another file", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is, as the end of a sentence.
        found: String,
    },
    /// There's already a file where a result should be written.
    #[error("{} already exists and {found}; name another file, or use `force` to replace it", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// What it is, as the end of a sentence.
        found: String,
    },
}

impl FileError {
    /// An error while reading.
    pub fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// An error while writing; a place that is read-only has its own message.
    pub fn write(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, source }
            }
            _ => Self::Write { path, source },
        }
    }
}
