//! What can go wrong with a whole data set (a single bad file is a [`Skipped`](crate::Skipped) instead).
//! Each message names the path and says what to do.

use crate::dataset::CsvProblem;
use crate::dataset::Split;
use crate::option::BadOption;
use crate::skip::{SkipReason, Skipped, one_line};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold only folders, which hold the photos.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// The data set's folder, or a split folder in it.
    pub path: PathBuf,
    /// The names of the folders in it.
    pub top: Vec<String>,
    /// The names of the folders in those.
    pub below: Vec<String>,
}

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
        "{} directly in {}, so {} no label; {}, or move the images of each class into a folder named after it, such as {}",
        match images { 1 => "1 image is".to_owned(), _ => format!("{images} images are") }, path.display(),
        if *images == 1 { "it has" } else { "they have" }, elsewhere(table), path.join("red squirrel").display()
    )]
    ImagesWithoutClassFolders {
        /// The folder.
        path: PathBuf,
        /// How many images are directly in it.
        images: usize,
        /// A table beside them.
        table: Option<PathBuf>,
    },
    /// A classifier needs at least two classes.
    #[error("only one class, `{}`, in {}; add a folder of images for at least one more class", one_line(label), path.display())]
    OnlyOneClass {
        /// The folder.
        path: PathBuf,
        /// The only label.
        label: String,
    },
    /// A class folder has no readable image.
    #[error(
        "class folder {} has no readable image ({} skipped{}); add images, or start the folder's name with _ to leave it out",
        path.display(), counted(*skipped, "file"), first_reason(reason)
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
    /// Whoever listened asked for it to end.
    #[error("stopped before every photo was looked at; begin again, and it goes on from there")]
    Stopped,
    /// A split has no images.
    #[error("no {split} images in {}; add some, or split the data another way", path.display())]
    EmptySplit {
        /// The data set's folder.
        path: PathBuf,
        /// The empty split.
        split: Split,
    },
    /// A valid or test folder has classes that the train folder lacks.
    #[error(
        "{} has photos of {}, but {} has none to learn from; add some, or move the folder out",
        other.display(), labels.join(", "), train.display()
    )]
    ClassesDiffer {
        /// The train folder.
        train: PathBuf,
        /// The valid or test folder.
        other: PathBuf,
        /// The labels that only the valid or test folder has.
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
    /// Two folders could both be this split.
    #[error(
        "{} has two folders that could be for {split}, `{}` and `{}`; rename one of them, or merge the two",
        path.display(), one_line(&names[0]), one_line(&names[1])
    )]
    TwoSplitFolders {
        /// The data set's folder.
        path: PathBuf,
        /// The split.
        split: Split,
        /// The names of both.
        names: [String; 2],
    },
    /// Photos lie in a split folder without class folders.
    #[error(
        "the photos in {} are in no class folders, so they have no labels; {}, or move them into a folder for each class",
        path.display(), elsewhere(table)
    )]
    SplitWithoutClasses {
        /// The split folder.
        path: PathBuf,
        /// A table beside it.
        table: Option<PathBuf>,
    },
    /// The folders are those of a camera or phone.
    #[error(
        "{}: {} {} as a camera names its folders, not as a class; move the photos into a folder for each class",
        path.display(), folders.iter().map(|folder| format!("`{}`", one_line(folder))).collect::<Vec<_>>().join(", "),
        if folders.len() == 1 { "is named" } else { "are named" }
    )]
    CameraFolders {
        /// The folder.
        path: PathBuf,
        /// The names of the folders in it.
        folders: Vec<String>,
    },
    /// Everything lies in one folder in the folder.
    #[error(
        "the class folders are not in {}, but deeper: give {} instead", path.display(), deeper.display()
    )]
    OneLevelDeeper {
        /// The folder.
        path: PathBuf,
        /// The folder with the class folders.
        deeper: PathBuf,
    },
    /// No folder on the top holds photos, and the folders in them have the same names.
    #[error(
        "are {} the classes in {}, or {}? Photos lie only in the latter, which are folders of the former. For the former, set \
         `label_level` to 1; for the latter, to 2, or give one folder, such as {}",
        listed(&_0.top), _0.path.display(), listed(&_0.below),
        _0.path.join(_0.top.first().map_or("", String::as_str)).display()
    )]
    ClassesDeeper(Depth),
    /// Folders of photos and of notes about them.
    #[error(
        "{} and `{notes}` look like the photos of a data set and what is known about them, not like classes; {}. If they are \
         classes, set `label_level` to 1",
        photos.display(), labels_of(photos, table)
    )]
    PartsOfADataSet {
        /// The data set's folder.
        path: PathBuf,
        /// The folder of photos.
        photos: PathBuf,
        /// The name of one with something else.
        notes: String,
        /// A table beside them.
        table: Option<PathBuf>,
    },
    /// Two labels look the same.
    #[error(
        "two classes in {} look the same, `{}` and `{}`: they differ in {}; give both the same name",
        path.display(), revealed(first), revealed(second),
        if first.trim() == second.trim() { "spaces around the name" } else { "how accents are encoded (Unicode NFC and NFD)" }
    )]
    SameLooking {
        /// The data set's folder, or its table.
        path: PathBuf,
        /// One label.
        first: String,
        /// The other.
        second: String,
    },
    /// No file that a table lists is there.
    #[error(
        "{}: none of the photos that it lists ({files}) is there: the first would be {}{}",
        table.display(), looked_for.display(),
        match near {
            Some(near) => format!(
                ", but there is {}; paths are relative to the folder of photos: give the folder that they start from, or \
                 change the table", near.display()
            ),
            None => "; give the folder that the table's paths start from".to_owned(),
        }
    )]
    NoFilesOfTable {
        /// The table.
        table: PathBuf,
        /// How many it lists.
        files: usize,
        /// The first.
        looked_for: PathBuf,
        /// A file of the same name.
        near: Option<PathBuf>,
    },
    /// A `train` folder with subfolders, next to folders of unknown purpose: `train` is hardly a class then.
    #[error(
        "{} has subfolders, so it looks like a split, but next to it are only {} and none for valid or test; \
         rename the folder of validation images to `valid`, or rename this one if it is a class",
        path.display(), neighbours.join(", ")
    )]
    UnknownSplitFolder {
        /// The train folder.
        path: PathBuf,
        /// The names of the folders next to it.
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
        "no readable training image of `{}` in {} ({} skipped{}); add images or remove the label",
        one_line(label), path.display(), counted(*skipped, "file"), first_reason(reason)
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
    #[error("`{pattern}` is not a regular expression: {problem}; see the syntax at https://docs.rs/regex")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
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
        "`{pattern}` matches none of the {} in {}{}; change `name_pattern`",
        counted(*files, "file"), path.display(), example.as_ref().map(|path| format!(", such as {}", path.display())).unwrap_or_default()
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

/// Where labels may be if not in folders.
fn elsewhere(table: &Option<PathBuf>) -> String {
    let table = table_or_any(table);
    format!("if {table} has their labels, set `csv` to it; if their names do, set `name_pattern`")
}

/// The same, for photos in a folder beside other parts of a data set.
fn labels_of(photos: &Path, table: &Option<PathBuf>) -> String {
    let (photos, table) = (photos.display(), table_or_any(table));
    format!(
        "if {photos} has class folders, give it instead; if {table} has the labels, set `csv` to it; if names of photos have \
         them, set `name_pattern`"
    )
}

fn table_or_any(table: &Option<PathBuf>) -> String {
    table.as_ref().map_or_else(|| "a table".to_owned(), |table| table.display().to_string())
}

/// A label with what a screen doesn't show: spaces at its ends, and parts of accented letters.
fn revealed(label: &str) -> String {
    let inner = label.trim();
    let start = label.len() - label.trim_start().len();
    let shown = |(at, c): (usize, char)| match c {
        c if c.is_ascii_graphic() => c.to_string(),
        ' ' if (start..start + inner.len()).contains(&at) => c.to_string(),
        ' ' => "␣".to_owned(),
        c => c.escape_unicode().to_string(),
    };
    label.char_indices().map(shown).collect()
}

/// Names for a sentence: all, or the first few and how many there are besides.
pub(crate) fn listed(names: &[String]) -> String {
    const NAMED: usize = 5;
    let shown: Vec<_> = names.iter().take(NAMED).map(|name| format!("`{}`", one_line(name))).collect();
    match names.len() {
        many if many > NAMED + 1 => format!("{} and {} more", shown.join(", "), many - NAMED),
        _ => names.iter().map(|name| format!("`{}`", one_line(name))).collect::<Vec<_>>().join(", "),
    }
}

/// `1 file`, `2 files`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn first_reason(reason: &Option<String>) -> String {
    reason.as_ref().map(|reason| format!(", the first because: {reason}")).unwrap_or_default()
}
