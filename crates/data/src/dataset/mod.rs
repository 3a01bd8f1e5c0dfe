//! A data set: which images there are, what they show, and which of them the model is trained on. In: a folder or a
//! table. Out: [`ImageDataset`], plain data in an order that depends only on the paths.

mod builder;
mod corrected_table;
mod corrections;
mod csv_labels;
mod item;
mod labeler;
mod layout;
mod left_out;
mod note;
mod pattern;
mod scan;
mod settings;
mod split_word;
mod summary;
mod target;

pub use builder::ImageDatasetBuilder;
pub use corrected_table::corrected_table;
pub use corrections::{CorrectedFile, Correction, Corrections};
pub use csv_labels::{Column, CsvHeader, CsvLabels, CsvProblem, Recognised};
pub use item::{ContentHash, ImageItem, ItemId, NotAContentHash, NotAVocab, Split, Vocab};
pub use labeler::Labeler;
pub use left_out::{LeftOut, LeftOutReason};
pub use note::Note;
pub use scan::Progress;
pub use settings::{DataSettings, Fold, SplitBy};
pub use summary::{ClassSummary, DatasetSummary, Range, verify};
pub use target::{Target, Targets};

use crate::image::DecodeLimits;
use crate::seed::Seed;
use crate::skip::Skipped;
use crate::split::Splitter;
use scan::portable;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Images on disk, labelled and split.
///
/// ```no_run
/// use sciurus_data::{ImageDataset, Split};
///
/// let dataset = ImageDataset::from_folder("squirrels").seed(42).build()?;
/// let (train, valid) = (dataset.split(Split::Train).count(), dataset.split(Split::Valid).count());
/// println!("{train} to train on, {valid} to validate on, {} skipped", dataset.skipped.len());
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageDataset {
    /// The folder that all paths are relative to.
    pub root: PathBuf,
    /// The labels.
    pub vocab: Vocab,
    /// The images, sorted by path; `items[i].id` is `ItemId(i)`.
    pub items: Vec<ImageItem>,
    /// Files that were not used, and why; sorted by path.
    pub skipped: Vec<Skipped>,
    /// What was passed over on purpose; sorted by path.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// What was guessed, and what will make numbers mislead.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// How the items were split.
    pub splitter: Splitter,
    /// The seed they were split with.
    pub seed: Seed,
    /// How much a single file may cost; decoding uses the same limits as the scan did.
    #[serde(default)]
    pub limits: DecodeLimits,
    /// Where the labels came from.
    #[serde(default)]
    pub labeler: Labeler,
    /// Share of all images that was drawn as the test set, if it was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// The pattern that finds groups in paths, if groups came from paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(alias = "group_pattern")]
    pub group: Option<String>,
}

impl ImageDataset {
    /// Starts a data set from a folder with one subfolder per class, or with folders for train, valid and test that each
    /// have one subfolder per class, or with folders for train and valid in each class folder. Names of split folders may be
    /// spelled in the usual ways: `Training`, `val2017`, `test_set`. Images in nested folders belong to the class folder
    /// above them. Left out, and listed in [`left_out`](Self::left_out), are names that begin with `.`, folders whose names
    /// begin with `_`, and folders that `sciurus train` made.
    ///
    /// A tree that could be read in several ways is refused, with what it looks like; see
    /// [`label_level`](ImageDatasetBuilder::label_level).
    pub fn from_folder(root: impl Into<PathBuf>) -> ImageDatasetBuilder {
        ImageDatasetBuilder::new(root.into(), Labeler::Folder)
    }

    /// Starts a data set from a CSV file with a path and a label on each line, and perhaps a split (train, valid or
    /// test) and a group. Paths are relative to the CSV file's folder; [`ImageDatasetBuilder::root`] sets another one.
    /// Missing images are skipped.
    ///
    /// ```no_run
    /// use sciurus_data::{CsvLabels, ImageDataset};
    ///
    /// let dataset = ImageDataset::from_csv("squirrels/labels.csv").test_fraction(0.1).build()?;
    ///
    /// let labels = CsvLabels::new("tables/squirrels.csv").path_column("file").label_column(3);
    /// let dataset = ImageDataset::from_csv(labels).root("photos").build()?;
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    pub fn from_csv(labels: impl Into<CsvLabels>) -> ImageDatasetBuilder {
        let labels = labels.into();
        let folder = labels.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        ImageDatasetBuilder::new(folder.to_owned(), Labeler::Csv(labels))
    }

    /// Starts a data set from the names of all files below a folder. The label is the capture group called `label` of a
    /// regular expression, or else its first one; fastai's `from_name_re`. The pattern may match anywhere in the name,
    /// without the folders; files it doesn't match are skipped. Names that begin with `_` or `.` are left out.
    ///
    /// ```no_run
    /// use sciurus_data::ImageDataset;
    ///
    /// // great_pyrenees_173.jpg is a great_pyrenees.
    /// let pets = ImageDataset::from_name_pattern("pets/images", r"^(.+)_\d+\.jpg$").build()?;
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    pub fn from_name_pattern(root: impl Into<PathBuf>, pattern: impl Into<String>) -> ImageDatasetBuilder {
        ImageDatasetBuilder::new(root.into(), Labeler::NamePattern { pattern: pattern.into() })
    }

    /// The items of a split, in order.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &ImageItem> {
        self.items.iter().filter(move |item| item.split == split)
    }

    /// The item with this id, or `None` if there's no such item.
    #[must_use]
    pub fn item(&self, id: ItemId) -> Option<&ImageItem> {
        self.items.get(id.index())
    }

    /// How many items of each class a split has: `[class]`. An item with several labels counts for each of them.
    #[must_use]
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.vocab.len()];
        self.split(split).flat_map(|item| item.target.classes()).for_each(|&class| counts[class] += 1);
        counts
    }

    /// The label of an item; if the data set is multi-label, its labels with commas between them.
    #[must_use]
    pub fn label(&self, item: &ImageItem) -> String {
        self.labels(item).join(", ")
    }

    /// The labels of an item: exactly one, unless the data set is multi-label.
    #[must_use]
    pub fn labels(&self, item: &ImageItem) -> Vec<&str> {
        item.target.classes().iter().map(|&class| self.vocab.label(class)).collect()
    }

    /// Whether items may have several labels or none.
    #[must_use]
    pub fn is_multi_label(&self) -> bool {
        self.labeler.is_multi_label()
    }

    /// The path of an item's file: the root joined with the item's path.
    #[must_use]
    pub fn path(&self, item: &ImageItem) -> PathBuf {
        self.root.join(&item.path)
    }

    /// Identifies the data: the same images with the same labels and splits have the same fingerprint, wherever the
    /// folder is. 32 hexadecimal digits of BLAKE3 over every path, label, split and content hash.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for item in &self.items {
            let (path, labels) = (portable(&item.path), self.labels(item));
            if let Target::Multi(classes) = &item.target {
                hasher.update(&(classes.len() as u64).to_le_bytes());
            }
            let (split, content) = (item.split.to_string(), item.content.to_string());
            for part in [&[path.as_str()], &labels[..], &[&split, &content]].concat() {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        ContentHash::short(&hasher.finalize()).to_string()
    }
}
