//! What can stop a gather run before it begins, or keep it from writing. In: paths and causes. Out: [`GatherError`]. A
//! photo that is rejected is a [`Rejection`](crate::Rejection), and a source that fails is a
//! [`SourceDown`](crate::SourceDown): neither ends a run.

use sciurus_data::fs::FileError;
use sciurus_data::{BadOption, DataError};
use sciurus_photos::{LedgerError, NotASource};
use std::io;
use std::path::{Path, PathBuf};

/// Why photos could not be gathered at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// A file or folder can't be read or written.
    #[error("cannot {what} {}; check that it exists and that your user has permission", path.display())]
    Io {
        /// What was tried: `read`, `write`, `list`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// An option has a value that can't be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// There is no such source.
    #[error(transparent)]
    Source(#[from] NotASource),
    /// The ledger or the attribution page.
    #[error(transparent)]
    Ledger(LedgerError),
    /// A source needs a key, and none is set.
    #[error("{source_name} needs a key; set {variable}, or choose another source")]
    KeyMissing {
        /// The source.
        source_name: String,
        /// The environment variable that should hold it.
        variable: &'static str,
    },
    /// The machine can't read any more files.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of state can't be used, or another run has locked it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The HTTP client could not be set up.
    #[error("cannot set up network connections; check the proxy and the contact")]
    Network {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<LedgerError> for GatherError {
    /// What is wrong with a file or a lock is told alike, whoever opened it.
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::File(error) => Self::File(error),
            error => Self::Ledger(error),
        }
    }
}

impl GatherError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}
