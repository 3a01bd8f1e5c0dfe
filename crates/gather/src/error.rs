//! What can end a gather run before it begins, or keep it from writing. In: paths and causes. Out: [`GatherError`]. A photo
//! that is not kept is a [`Rejection`](crate::Rejection), a source that fails a [`SourceDown`](crate::SourceDown): neither
//! ends a run.

use sciurus_data::DataError;
use sciurus_data::fs::FileError;
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
    /// An option with a value that makes no sense.
    #[error("{option} is {value}; {advice}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was asked for.
        value: String,
        /// What to do.
        advice: &'static str,
    },
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
    /// A line of a ledger that cannot be understood.
    #[error("{}, line {line}: not an entry of a ledger; correct or remove the line", path.display())]
    LedgerLine {
        /// The ledger.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
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
