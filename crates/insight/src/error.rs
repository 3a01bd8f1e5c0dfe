//! What can go wrong in this crate: predictions that do not fit together, and files that cannot be read or written.

use std::path::PathBuf;

use sciurus_data::BadOption;
use sciurus_data::fs::FileError;

/// An error of this crate; its text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InsightError {
    /// Two lists that belong together differ in length.
    #[error(
        "{what}: expected {expected} values, found {found}; pass one per item, in the same order everywhere"
    )]
    Length {
        /// Which list, and how its length follows from the others.
        what: &'static str,
        /// The length that the other lists ask for.
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
        "{path}: its {what} is not a finite number; train with a lower learning rate, or look whether the image is \
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
        "{path}: its probabilities are not all in 0..1 with sum 1 (sum {sum}); pass logits to \
         `Predictions::from_logits`"
    )]
    NotProbabilities {
        /// The image, relative to the data root.
        path: PathBuf,
        /// The sum of its row, which should be 1.
        sum: f64,
    },
    /// Two runs that should be compared did not see the same items.
    #[error(
        "{path}: {why}; compare runs over the same photos with the same seeds, the same runs on both sides"
    )]
    DifferentItems {
        /// The image, relative to the data root.
        path: PathBuf,
        /// How the runs differ about it.
        why: String,
    },
    /// There is nothing on one side of a comparison.
    #[error("{what} to compare; pass the predictions of at least one item and one run on each side")]
    NothingToCompare {
        /// What is missing, as the beginning of a sentence.
        what: &'static str,
    },
    /// There is no metric of this name.
    #[error("there is no metric {name:?}; choose from: {known}")]
    UnknownMetric {
        /// What was asked for.
        name: String,
        /// What there is.
        known: &'static str,
    },
    /// A file of rows is damaged or holds something else.
    #[error("{path}: {reason}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file of state cannot be used, or must not be written over.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row of data does not hold what it should.
    #[error("item {row} (counted from 0): {why}")]
    Row {
        /// Its position.
        row: usize,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// An option has a value that cannot be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// The metric cannot measure items with any number of labels.
    #[error("{name:?} needs exactly one label per photo, these have any number; choose from: {known}")]
    MetricOfOneLabel {
        /// What was asked for.
        name: String,
        /// What there is for such items.
        known: &'static str,
    },
    /// The metric measures items with any number of labels only.
    #[error("{name:?} is for photos with any number of labels (--label-separator); choose from: {known}")]
    MetricOfManyLabels {
        /// What was asked for.
        name: String,
        /// What there is for items with one label.
        known: &'static str,
    },
    /// The classes of an item are not in rising order.
    #[error("{path}: its classes are not in rising order, each once; sort them")]
    UnsortedTargets {
        /// The image, relative to the data root.
        path: PathBuf,
    },
    /// A probability is none.
    #[error("{path}: {value} is no probability (0 to 1); pass logits to `MultiPredictions::from_logits`")]
    NotAProbability {
        /// The image, relative to the data root.
        path: PathBuf,
        /// The value.
        value: f32,
    },
    /// A threshold is no probability.
    #[error("a threshold is {threshold}; choose one from 0 to 1 for each label")]
    BadThreshold {
        /// The threshold.
        threshold: f32,
    },
    /// A file cannot be read.
    #[error("cannot read {path}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file was read but does not hold what it should.
    #[error("{path} is damaged or not a predictions file; write it again from its run")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What did not fit, with line and column.
        source: serde_json::Error,
    },
    /// A file cannot be written; what stood there before is untouched.
    #[error("cannot write {path}; check that its folder exists, is writable, and has space left")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason of the operating system or the encoder.
        source: std::io::Error,
    },
}
