//! What can go wrong with a ledger and its attribution page.

use std::io;
use std::path::{Path, PathBuf};

use sciurus_data::fs::FileError;

/// Why a ledger or its attribution page can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or folder can't be read, listed or written.
    #[error("cannot {what} {}; check that it exists and that your user has permission", path.display())]
    Io {
        /// What was tried: read, write or list.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line of the ledger is not an entry.
    #[error("{}, line {line}: not a ledger entry; correct or remove the line", path.display())]
    Line {
        /// The ledger.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A path, a lock or a write was refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl LedgerError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}
