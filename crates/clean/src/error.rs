//! The errors of this crate: inputs that don't match, and plans, journals and moves that fail.

use std::path::PathBuf;

use sciurus_data::BadOption;
use sciurus_data::fs::FileError;
use sciurus_insight::InsightError;

/// An error of cleaning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CleanError {
    /// A plan cannot be used.
    #[error("{path}: {reason}; fix the plan, or make a new one")]
    Plan {
        /// The plan.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A plan is to be carried out on another folder than it was made for.
    #[error(
        "the plan is for {}, not for {}; make a plan of this folder", plan.display(), folder.display()
    )]
    OtherFolder {
        /// The folder that the plan was made for.
        plan: PathBuf,
        /// The folder that it was to be carried out on.
        folder: PathBuf,
    },
    /// An option has a value that cannot be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// Inputs don't match, or a table cannot be read or written.
    #[error(transparent)]
    Insight(#[from] InsightError),
    /// A path, a seal, a lock or a write was refused.
    #[error(transparent)]
    File(#[from] FileError),
}
