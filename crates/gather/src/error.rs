//! What can end a gather run before it begins, or keep it from writing. In: paths and causes. Out: [`GatherError`]. A photo
//! that is not kept is a [`Rejection`](crate::Rejection), a source that fails a [`SourceDown`](crate::SourceDown): neither
//! ends a run.

use sciurus_data::fs::FileError;
use sciurus_data::{BadOption, DataError};
use sciurus_photos::{LedgerError, NotASource};
use std::io;
use std::path::{Path, PathBuf};

/// Why photos could not be gathered at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// A file or folder that cannot be read or written.
    #[error("cannot {what} {}; check that it exists and that your user may do so", path.display())]
    Io {
        /// What was tried: `read`, `write`, `list`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// An option has a value that cannot be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// A source that does not exist.
    #[error(transparent)]
    Source(#[from] NotASource),
    /// The ledger or the page of credit.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A source that needs a key, and none is set.
    #[error("{source_name} needs a key; set {variable}, or choose another source")]
    KeyMissing {
        /// The source.
        source_name: String,
        /// The environment variable that would hold it.
        variable: &'static str,
    },
    /// The machine cannot read any more files.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of state cannot be used, or another run holds it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The connection layer could not be set up.
    #[error("cannot set up network connections; check the proxy and contact that were given")]
    Network {
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl GatherError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}
