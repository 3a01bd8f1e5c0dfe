//! What can go wrong with a file of state. Each message names the file and says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file cannot be used, or was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// It cannot be written; what stood there before is untouched.
    #[error("cannot write {}; check that its folder exists, is writable, and has space left", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Its folder may only be read.
    #[error("{} may not be written to; make it writable, or work on a copy", path.display())]
    ReadOnly {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another process is at work there.
    #[error("{}: {holder}; wait for it to end, or stop it", path.display())]
    Busy {
        /// The folder or file.
        path: PathBuf,
        /// Who is at work, and for how long.
        holder: String,
    },
    /// It was not written by this user's Sciurus on this machine.
    #[error(
        "{}: {reason}, so it is not acted on; read it, and if you trust whoever wrote it, say --trust-state, else move it \
         away", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What tells so.
        reason: String,
    },
    /// It is something else than what it was named for.
    #[error("{} {found}; it is left as it is: move it away, or name another file", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is, as the end of a sentence.
        found: String,
    },
    /// Something stands where a result is to be written.
    #[error("{} is there already and {found}; name another file, or say --force to replace it", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// What it is, as the end of a sentence.
        found: String,
    },
}

impl FileError {
    /// A failed reading.
    pub fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// A failed writing; a place that may only be read has a message of its own.
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
