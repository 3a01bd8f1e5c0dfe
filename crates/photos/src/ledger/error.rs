//! What can go wrong with a ledger and the page of credit.

use std::io;
use std::path::{Path, PathBuf};

use sciurus_data::fs::FileError;

/// A ledger or its page of credit cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or folder cannot be read, listed or written.
    #[error("cannot {what} {}; check that it exists and that your user may do so", path.display())]
    Io {
        /// What was to be done: read, write or list.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A line of the ledger is not an entry.
    #[error("{}, line {line}: not an entry of a ledger; correct or remove the line", path.display())]
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
