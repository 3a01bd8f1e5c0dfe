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
    #[error("{} is a file, not a folder; pass the folder that has one subfolder of images per class", path.display())]
    NotAFolder {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The folder cannot be listed.
    #[error("cannot list {}; give your user permission to read it", path.display())]
    FolderUnreadable {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The folder has no subfolders.
    #[error(
        "no class folders in {}; put the images of each class into a folder named after the class, such as {}",
        path.display(), path.join("red squirrel").display()
    )]
    NoClassFolders {
        /// The folder.
        path: PathBuf,
    },
    /// The images are directly in the folder.
    #[error(
        "{images} images are directly in {}, so they have no labels; move the images of each class into a folder \
         named after the class, such as {}",
        path.display(), path.join("red squirrel").display()
    )]
    ImagesWithoutClassFolders {
        /// The folder.
        path: PathBuf,
        /// How many images are directly in it.
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
    /// A class folder has no readable image.
    #[error(
        "class folder {} has no readable image ({skipped} files skipped{}); add images, or start the folder's name \
         with _ to leave it out", path.display(), first_reason(reason)
    )]
    EmptyClass {
        /// The class folder.
        path: PathBuf,
        /// How many files in it were skipped.
        skipped: usize,
        /// Why the first of them was skipped.
        reason: Option<String>,
    },
    /// A class with one image can't be both in train and in valid.
    #[error(
        "class `{label}` in {} has only one readable image; it needs at least two, one for training and one for \
         validation", path.display()
    )]
    TooFewImages {
        /// The data set's folder.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// The share of validation images is out of range.
    #[error("valid_fraction is {valid_fraction}; choose a number above 0 and below 1, such as 0.2")]
    ValidFraction {
        /// What was asked for.
        valid_fraction: f64,
    },
    /// A split has no images.
    #[error("no {split} images in {}; add some, or split the data another way", path.display())]
    EmptySplit {
        /// The data set's folder.
        path: PathBuf,
        /// The empty split.
        split: Split,
    },
    /// Train and valid folders have different classes.
    #[error(
        "{} and {} have different classes: only one of them has {}; give both the same class folders",
        train.display(), other.display(), labels.join(", ")
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
        "{} has no train and valid folders to split by; create {} and {}, or choose another `split`",
        path.display(), path.join("train").display(), path.join("valid").display()
    )]
    NoSplitFolders {
        /// The data set's folder.
        path: PathBuf,
    },
    /// A splitter other than `Splitter::Folder` for a folder with split folders.
    #[error(
        "{} has its own train and valid folders; leave out `split`, `valid_fraction` and `fold`, or set `split` to folder",
        path.display()
    )]
    OwnSplitFolders {
        /// The data set's folder.
        path: PathBuf,
    },
    /// Two folders could both be the validation set.
    #[error("{} has both a {} and a {} folder; rename one of them, or merge the two", path.display(), names[0], names[1])]
    TwoValidFolders {
        /// The data set's folder.
        path: PathBuf,
        /// The names of both.
        names: [&'static str; 2],
    },
    /// A `train` folder with subfolders, next to folders of unknown purpose: `train` is hardly a class then.
    #[error(
        "{} has subfolders, so it looks like a split, but next to it are only {} and no valid, val, validation or test; \
         rename the folder of validation images to `valid`, or rename `train` if it is a class",
        path.join("train").display(), neighbours.join(", ")
    )]
    UnknownSplitFolder {
        /// The data set's folder.
        path: PathBuf,
        /// The names of the folders next to `train`.
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
    /// A multi-label data set with fewer than two labels.
    #[error(
        "{} in {}; a model needs at least two labels: add labels, or give every image one of two (such as `x` and `no x`) \
         and leave out `label_separator`",
        label.as_ref().map_or("no image has a label".to_owned(), |label| format!("only one label, `{label}`,")),
        path.display()
    )]
    TooFewLabels {
        /// The CSV file.
        path: PathBuf,
        /// The only label, if there is one.
        label: Option<String>,
    },
    /// None of a label's training images can be read.
    #[error(
        "no readable training image of `{label}` in {} ({skipped} files skipped{}); add images or remove the label",
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
    /// Valid or test images of classes that have no training images.
    #[error(
        "{} has valid or test images of {}, but no train images; add some, or remove the label",
        path.display(), labels.join(", ")
    )]
    LabelsNotInTrain {
        /// The CSV file.
        path: PathBuf,
        /// The labels.
        labels: Vec<String>,
    },
    /// A CSV file that can't be opened.
    #[error("cannot read {}; check the path, and that your user may read it", path.display())]
    CsvUnreadable {
        /// The CSV file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// A file that isn't a CSV file, or is too large.
    #[error("{} cannot be read as a table: {reason}; pass a CSV file of paths and labels", path.display())]
    TableRefused {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: SkipReason,
    },
    /// The machine has run out of a resource, so good files can't be told from bad ones.
    #[error(
        "cannot read {}: {reason}; allow more open files (ulimit -n 4096), close other programs, or use fewer threads",
        path.display()
    )]
    Machine {
        /// The file that could not be read.
        path: PathBuf,
        /// The operating system's error.
        reason: SkipReason,
    },
    /// A line of a CSV file can't be used.
    #[error("{}, line {line}: {problem}", path.display())]
    Csv {
        /// The CSV file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it, and what to do.
        problem: CsvProblem,
    },
    /// An invalid regular expression.
    #[error("`{pattern}` is not a regular expression; see the syntax at https://docs.rs/regex ({source})")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A regular expression without a capture group.
    #[error("`{pattern}` has no capture group; put the part of the name that is the {part} in parentheses")]
    PatternWithoutPart {
        /// The pattern.
        pattern: String,
        /// `label` or `group`.
        part: &'static str,
    },
    /// The pattern matches no file's name.
    #[error(
        "`{pattern}` matches none of the {files} files in {}{}; change `name_pattern`",
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
    #[error("{} has no split column with valid images; add one, or choose another `split`", path.display())]
    NoSplitColumn {
        /// The CSV file.
        path: PathBuf,
    },
    /// A splitter other than `Splitter::Column` for a table with its own split.
    #[error("{} says which images are valid; leave out `split`, `valid_fraction` and `fold`", path.display())]
    OwnSplitColumn {
        /// The CSV file.
        path: PathBuf,
    },
    /// A test set should be drawn, but the data have a split of their own.
    #[error("{} has its own split; leave out `test_fraction`, or mark the test images there", path.display())]
    OwnTestSplit {
        /// The CSV file or the folder.
        path: PathBuf,
    },
    /// The data's own split tears a group apart.
    #[error(
        "group `{group}` in {} has both {} and {} images; put them all in one split", path.display(), splits[0], splits[1]
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
        "the queue of batches needs {needed} bytes, but the machine has {available} bytes of memory; choose a smaller \
         `batch_size`, `image_size` or `queue`"
    )]
    BatchesTooLarge {
        /// Bytes the queue needs at most.
        needed: u64,
        /// Bytes of memory the machine has.
        available: u64,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads; choose fewer `threads`")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The operating system's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl DataError {
    /// Fails if one of these files was skipped because the machine ran out of resources, not because the file is bad.
    /// Code that collects skipped files ends with it.
    ///
    /// # Errors
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
