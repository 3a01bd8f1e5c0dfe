//! What can go wrong with a whole data set (a single bad file is a [`Skipped`](crate::Skipped) instead).
//! Each message names the path and says what to do.

use crate::dataset::CsvProblem;
use crate::dataset::Split;
use crate::option::BadOption;
use crate::skip::{SkipReason, Skipped};
use std::io;
use std::path::PathBuf;

/// Why a data set or a loader could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder does not exist.
    #[error("{} does not exist; check the spelling of the folder", path.display())]
    FolderMissing {
        /// The folder that was asked for.
        path: PathBuf,
    },
    /// The path names a file.
    #[error("{} is a file, not a folder; give the folder that holds one folder of images per class", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The folder cannot be listed.
    #[error("cannot list {}; allow your user to read it", path.display())]
    FolderUnreadable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There are no folders in the folder.
    #[error(
        "no class folders in {}; put the images of each class into a folder named after the class, such as {}",
        path.display(), path.join("red squirrel").display()
    )]
    NoClassFolders {
        /// The folder.
        path: PathBuf,
    },
    /// The images lie in the folder itself.
    #[error(
        "{images} images lie directly in {}, so they have no labels; move the images of each class into a folder \
         named after the class, such as {}",
        path.display(), path.join("red squirrel").display()
    )]
    ImagesWithoutClassFolders {
        /// The folder.
        path: PathBuf,
        /// How many images lie in it.
        images: usize,
    },
    /// A classifier needs at least two classes.
    #[error("only one class, `{label}`, in {}; add a folder of images for at least one more class", path.display())]
    OnlyOneClass {
        /// The folder.
        path: PathBuf,
        /// The only label.
        label: String,
    },
    /// A class folder holds no image that can be read.
    #[error(
        "no readable image in class folder {} ({skipped} files skipped{}); add images, or let the folder's name \
         begin with _ to leave it out", path.display(), first_reason(reason)
    )]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
        /// How many files in it were skipped.
        skipped: usize,
        /// Why the first of them was skipped.
        reason: Option<String>,
    },
    /// A class with one image cannot have it both in train and in valid.
    #[error(
        "class `{label}` in {} has only one readable image; it needs at least two, one to learn from and one to \
         measure with", path.display()
    )]
    TooFewImages {
        /// The data set's folder.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// The share of validation images is not a share.
    #[error("valid_fraction is {valid_fraction}; choose a number above 0 and below 1, such as 0.2")]
    ValidFraction {
        /// What was asked for.
        valid_fraction: f64,
    },
    /// A split has no images.
    #[error("no {split} images in {}; add images or choose another way to split", path.display())]
    EmptySplit {
        /// The data set's folder.
        path: PathBuf,
        /// The empty split.
        split: Split,
    },
    /// Train and valid folders hold different classes.
    #[error(
        "{} and {} hold different classes: {}; give both the same class folders", train.display(), other.display(),
        labels.join(", ")
    )]
    ClassesDiffer {
        /// The train folder.
        train: PathBuf,
        /// The valid or test folder.
        other: PathBuf,
        /// The labels that only one of them has.
        labels: Vec<String>,
    },
    /// `Splitter::Folder` without split folders.
    #[error(
        "{} has no train and valid folders to split by; make {} and {}, or split by a fraction instead",
        path.display(), path.join("train").display(), path.join("valid").display()
    )]
    NoSplitFolders {
        /// The data set's folder.
        path: PathBuf,
    },
    /// Another splitter than `Splitter::Folder` for a folder with split folders.
    #[error(
        "{} has its own train and valid folders; leave --split and --valid-fraction out, or split by `folder`",
        path.display()
    )]
    OwnSplitFolders {
        /// The data set's folder.
        path: PathBuf,
    },
    /// Two folders that both claim to be the validation set.
    #[error("{} has both a {} and a {} folder; rename or merge one of them", path.display(), names[0], names[1])]
    TwoValidFolders {
        /// The data set's folder.
        path: PathBuf,
        /// The names of the two.
        names: [&'static str; 2],
    },
    /// A train folder with class folders in it, beside folders of unknown purpose: `train` is hardly a class then.
    #[error(
        "{} holds folders of its own, but beside it lie {} and none of valid, val, validation and test; name the \
         folder of validation images `valid`, or rename `train` if it is a class",
        path.join("train").display(), neighbours.join(", ")
    )]
    UnknownSplitFolder {
        /// The data set's folder.
        path: PathBuf,
        /// The names of the folders beside `train`.
        neighbours: Vec<String>,
    },
    /// All images have one label.
    #[error("only one label, `{label}`, in {}; add images of at least one more class", path.display())]
    OnlyOneLabel {
        /// The CSV file or the folder.
        path: PathBuf,
        /// The only label.
        label: String,
    },
    /// Images may have any number of labels, but there are not two to tell apart.
    #[error(
        "{} in {}; a model needs at least two labels: give every image one of two (such as `x` and `no x`) and leave the \
         label separator out, or add labels",
        label.as_ref().map_or("no image has a label".to_owned(), |label| format!("only one label, `{label}`,")),
        path.display()
    )]
    TooFewLabels {
        /// The CSV file.
        path: PathBuf,
        /// The only label, if there is one.
        label: Option<String>,
    },
    /// A label, none of whose images can be read.
    #[error(
        "no readable image of `{label}` to learn from in {} ({skipped} files skipped{}); add images or remove the label",
        path.display(), first_reason(reason)
    )]
    EmptyLabel {
        /// The CSV file or the folder.
        path: PathBuf,
        /// The label.
        label: String,
        /// How many files of it were skipped.
        skipped: usize,
        /// Why the first of them was skipped.
        reason: Option<String>,
    },
    /// Valid or test images of classes that are not learned.
    #[error(
        "in {} there are no train images of {}, only valid or test images; add some, or take the label out",
        path.display(), labels.join(", ")
    )]
    LabelsNotInTrain {
        /// The CSV file.
        path: PathBuf,
        /// The labels.
        labels: Vec<String>,
    },
    /// A CSV file that cannot be opened.
    #[error("cannot read {}; check the spelling, and that your user may read it", path.display())]
    CsvUnreadable {
        /// The CSV file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// What is given as a CSV file is none, or too large.
    #[error("{} is no table that can be read: {reason}; give a CSV file of paths and labels", path.display())]
    TableRefused {
        /// What was given.
        path: PathBuf,
        /// What it is.
        reason: SkipReason,
    },
    /// The machine has run out of something, so that good files cannot be told from bad ones.
    #[error(
        "cannot read {}: {reason}; allow more open files (ulimit -n 4096), close other programs, or use fewer threads",
        path.display()
    )]
    Machine {
        /// The file that could not be read.
        path: PathBuf,
        /// What the operating system said.
        reason: SkipReason,
    },
    /// A line of a CSV file makes no sense.
    #[error("{}, line {line}: {problem}", path.display())]
    Csv {
        /// The CSV file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        problem: CsvProblem,
    },
    /// A regular expression that is none.
    #[error("`{pattern}` is not a regular expression; see the syntax at https://docs.rs/regex ({source})")]
    BadPattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A regular expression that picks nothing out of a name.
    #[error("`{pattern}` has no group; put the part of the name that is the {part} in parentheses")]
    PatternWithoutPart {
        /// What was given.
        pattern: String,
        /// `label` or `group`.
        part: &'static str,
    },
    /// No file's name fits the pattern.
    #[error(
        "`{pattern}` fits none of the {files} files in {}{}; change the pattern",
        path.display(), example.as_ref().map(|path| format!(", such as {}", path.display())).unwrap_or_default()
    )]
    NothingFits {
        /// The folder.
        path: PathBuf,
        /// The pattern.
        pattern: String,
        /// How many files there are.
        files: usize,
        /// One of them.
        example: Option<PathBuf>,
    },
    /// `Splitter::Column` without valid images in a split column.
    #[error("{} has no column of splits with valid images; write one, or split by a fraction instead", path.display())]
    NoSplitColumn {
        /// The CSV file.
        path: PathBuf,
    },
    /// Another splitter than `Splitter::Column` for a table with its own splits.
    #[error("{} says which images are valid; leave --split and --valid-fraction out", path.display())]
    OwnSplitColumn {
        /// The CSV file.
        path: PathBuf,
    },
    /// A test split is to be drawn from data that have splits of their own.
    #[error("{} has its own splits; leave test_fraction out, or mark the test images there", path.display())]
    OwnTestSplit {
        /// The CSV file or the folder.
        path: PathBuf,
    },
    /// The data's splits tear a group apart.
    #[error(
        "group `{group}` in {} has {} and {} images; put all of them into one split", path.display(), splits[0], splits[1]
    )]
    GroupOnTwoSides {
        /// The CSV file or the folder.
        path: PathBuf,
        /// The group.
        group: String,
        /// Two of its splits.
        splits: [Split; 2],
    },
    /// An option has a value that cannot be used.
    #[error(transparent)]
    Option(#[from] BadOption),
    /// The batches in the queue would not fit into memory.
    #[error(
        "the queue of batches needs {needed} bytes of {available} bytes of memory; choose a smaller batch_size, \
         image_size or queue"
    )]
    BatchesTooLarge {
        /// Bytes that the queue needs at most.
        needed: u64,
        /// Bytes of memory that the machine has.
        available: u64,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads; choose fewer threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the operating system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DataError {
    /// The error of the whole if one of these files was skipped through the machine's fault and not its own: whoever collects
    /// skipped files ends with it.
    ///
    /// # Errors
    ///
    /// [`DataError::Machine`], for the first such file.
    pub fn check_machine<'a>(skipped: impl IntoIterator<Item = &'a Skipped>) -> Result<(), Self> {
        match skipped.into_iter().find(|file| file.reason.is_machine_fault()) {
            Some(file) => Err(Self::Machine { path: file.path.clone(), reason: file.reason.clone() }),
            None => Ok(()),
        }
    }
}

fn first_reason(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(", the first because: {reason}")).unwrap_or_default()
}
