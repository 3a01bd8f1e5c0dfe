//! What can go wrong in this crate: predictions that don't fit together, and files that can't be read or written.

use std::path::PathBuf;

use sciurus_data::BadOption;
use sciurus_data::fs::FileError;

/// An error of this crate. Its text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InsightError {
    /// Two lists that belong together have different lengths.
    #[error(
        "{what}: expected {expected} values, found {found}; pass one per item, in the same order everywhere"
    )]
    Length {
        /// Which list, and how its length follows from the others.
        what: &'static str,
        /// The length that follows from the other lists.
        expected: usize,
        /// The length that was passed.
        found: usize,
    },
    /// A target is not a class of the vocabulary.
    #[error(
        "{path}: its target is class {class}, but the vocabulary has {classes} classes; use the vocabulary the items \
         were labelled with"
    )]
    UnknownClass {
        /// The image, relative to the data root.
        path: PathBuf,
        /// The target that was passed.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A value is infinite or not a number.
    #[error(
        "{path}: its {what} is not a finite number; train with a lower learning rate, or check whether the image is \
         damaged"
    )]
    NotFinite {
        /// The image, relative to the data root.
        path: PathBuf,
        /// Which value.
        what: &'static str,
    },
    /// A row of probabilities is not a distribution over the classes.
    #[error(
        "{path}: its probabilities must all be in 0..1 and sum to 1 (sum {sum}); if they are logits, use \
         `Predictions::from_logits`"
    )]
    NotProbabilities {
        /// The image, relative to the data root.
        path: PathBuf,
        /// The sum of its row, which should be 1.
        sum: f64,
    },
    /// Two runs to compare don't have the same items.
    #[error("{path}: {why}; compare runs on the same photos, with the same seeds on both sides")]
    DifferentItems {
        /// The image, relative to the data root.
        path: PathBuf,
        /// How the runs differ in it.
        why: String,
    },
    /// One side of a comparison is empty.
    #[error("{what} to compare; pass the predictions of at least one item and one run on each side")]
    NothingToCompare {
        /// What is missing, as the beginning of a sentence.
        what: &'static str,
    },
    /// There is no metric with this name.
    #[error("there is no metric {name:?}; choose from: {known}")]
    UnknownMetric {
        /// What was asked for.
        name: String,
        /// The names that can be chosen.
        known: &'static str,
    },
    /// A table file is damaged or contains something else.
    #[error("{path}: {reason}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of state can't be used, or must not be overwritten.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row of data doesn't contain what it should.
    #[error("item {row} (counted from 0): {why}")]
    Row {
        /// Its position.
        row: usize,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// An option has a value that can't be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// The metric can't be computed for multi-label items.
    #[error("{name:?} needs exactly one label per photo, but these are multi-label; choose from: {known}")]
    MetricOfOneLabel {
        /// What was asked for.
        name: String,
        /// The names that can be chosen for multi-label items.
        known: &'static str,
    },
    /// The metric can only be computed for multi-label items.
    #[error("{name:?} is for multi-label photos only (see `label_separator`); choose from: {known}")]
    MetricOfManyLabels {
        /// What was asked for.
        name: String,
        /// The names that can be chosen for single-label items.
        known: &'static str,
    },
    /// The classes of an item are not in ascending order.
    #[error("{path}: its classes are not in ascending order without repetitions; sort them")]
    UnsortedTargets {
        /// The image, relative to the data root.
        path: PathBuf,
    },
    /// A value is not a probability.
    #[error(
        "{path}: {value} is not a probability (0 to 1); if it is a logit, use `MultiPredictions::from_logits`"
    )]
    NotAProbability {
        /// The image, relative to the data root.
        path: PathBuf,
        /// The value.
        value: f32,
    },
    /// A threshold is out of range.
    #[error("a threshold is {threshold}; choose one from 0 to 1 for each label")]
    BadThreshold {
        /// The threshold.
        threshold: f32,
    },
    /// A file can't be read.
    #[error("cannot read {path}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file was read but doesn't contain what it should.
    #[error("{path} is damaged or not a predictions file; recreate it from its run")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What doesn't fit, with line and column.
        source: serde_json::Error,
    },
    /// A file can't be written; an earlier version is untouched.
    #[error("cannot write {path}; check that its folder exists, is writable, and has space left")]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system or the encoder.
        source: std::io::Error,
    },
}
