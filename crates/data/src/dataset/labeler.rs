//! Where labels come from: folders, a CSV file, or file names. In: a root and a [`Labeler`]. Out: every file with its
//! label, and the vocabulary. No file is opened yet.

use super::csv_labels::{self, CsvLabels};
use super::item::{Split, Vocab, looking_alike};
use super::layout::{self, ClassFolder};
use super::left_out::LeftOut;
use super::note::Note;
use super::pattern::Pattern;
use super::scan::{Listed, Tag, portable, walk};
use crate::error::DataError;
use crate::skip::{SkipReason, Skipped};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Where the labels of a data set come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Labeler {
    /// A folder for each class; see [`ImageDataset::from_folder`](crate::ImageDataset::from_folder).
    #[default]
    Folder,
    /// A table of paths and labels; see [`ImageDataset::from_csv`](crate::ImageDataset::from_csv).
    Csv(CsvLabels),
    /// A regular expression on file names; see
    /// [`ImageDataset::from_name_pattern`](crate::ImageDataset::from_name_pattern).
    NamePattern {
        /// The regular expression, with a capture group for the label.
        pattern: String,
    },
}

/// Files with their labels, and what else was found beside them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Sorted by path.
    pub(crate) files: Vec<Listed>,
    pub(crate) skipped: Vec<Skipped>,
    /// What was passed over on purpose.
    pub(crate) left_out: Vec<LeftOut>,
    /// What was guessed.
    pub(crate) notes: Vec<Note>,
    /// The class folders, if labels come from folders.
    pub(crate) folders: Vec<ClassFolder>,
}

impl Listing {
    /// Whether the labeler puts some files into this split.
    pub(crate) fn has(&self, split: Split) -> bool {
        let by_folder = self.folders.iter().any(|folder| folder.split == Some(split));
        by_folder || self.files.iter().any(|file| file.tag.split == Some(split))
    }
}

impl Labeler {
    /// Lists the files below a root (CSV: named in the table).
    pub(crate) fn list(&self, root: &Path, label_level: Option<usize>) -> Result<Listing, DataError> {
        let mut listing = match self {
            Self::Folder => by_folder(checked(root)?, label_level)?,
            Self::Csv(labels) => {
                let (files, recognised) = csv_labels::read(labels, root)?;
                checked(root)?;
                let notes = recognised.map(Note::Table).into_iter().collect();
                Listing { files, notes, ..Listing::default() }
            }
            Self::NamePattern { pattern } => by_name(checked(root)?, pattern)?,
        };
        listing.files.sort_by_cached_key(|file| portable(&file.path));
        Ok(listing)
    }

    /// Whether the data set is multi-label: an item may have several labels or none.
    #[must_use]
    pub fn is_multi_label(&self) -> bool {
        matches!(self, Self::Csv(labels) if labels.label_separator.is_some())
    }

    /// What error messages about labels name: the CSV file, or the root.
    pub(crate) fn source<'a>(&'a self, root: &'a Path) -> &'a Path {
        match self {
            Self::Csv(labels) => &labels.path,
            _ => root,
        }
    }

    /// The labels of the training images. Valid and test images may not have others.
    pub(crate) fn vocab(&self, listing: &Listing, root: &Path) -> Result<Vocab, DataError> {
        let labels = |split: Option<Split>| -> BTreeSet<String> {
            let folders = listing.folders.iter().filter(|folder| folder.split == split);
            let files = listing.files.iter().filter(|file| file.tag.split == split).map(|file| &file.tag);
            folders
                .map(|folder| folder.label.clone())
                .chain(files.flat_map(|tag| tag.labels.clone()))
                .collect()
        };
        let train = labels(listing.has(Split::Train).then_some(Split::Train));
        let (valid, test) = (labels(Some(Split::Valid)), labels(Some(Split::Test)));
        if *self != Self::Folder {
            if let Some([first, second]) = looking_alike(train.iter().map(String::as_str)) {
                return Err(DataError::SameLooking { path: self.source(root).to_owned(), first, second });
            }
            let unknown: Vec<&String> = valid.union(&test).filter(|label| !train.contains(*label)).collect();
            if !unknown.is_empty() {
                let labels = unknown.into_iter().map(|label| format!("`{label}`")).collect();
                return Err(DataError::LabelsNotInTrain { path: self.source(root).to_owned(), labels });
            }
        }
        // A label without validation images is trained on, and named. One without training images can't be.
        for (split, labels) in [(Split::Valid, &valid), (Split::Test, &test)] {
            if *self == Self::Folder && !labels.is_subset(&train) {
                return Err(differ(listing, root, split, labels.difference(&train)));
            }
        }
        let vocab = Vocab::new(train);
        if self.is_multi_label() && vocab.len() < 2 {
            let (path, label) = (self.source(root).to_owned(), vocab.labels().first().cloned());
            return Err(DataError::TooFewLabels { path, label });
        }
        if vocab.len() == 1 {
            let (path, label) = (self.source(root).to_owned(), vocab.label(0).to_owned());
            return Err(match self {
                Self::Folder => DataError::OnlyOneClass { path, label },
                _ => DataError::OnlyOneLabel { path, label },
            });
        }
        Ok(vocab)
    }
}

fn checked(root: &Path) -> Result<&Path, DataError> {
    let path = || root.to_owned();
    match (root.exists(), root.is_dir()) {
        (false, _) => Err(DataError::FolderMissing { path: path() }),
        (true, false) => Err(DataError::NotAFolder { path: path() }),
        (true, true) => Ok(root),
    }
}

fn by_folder(root: &Path, label_level: Option<usize>) -> Result<Listing, DataError> {
    let layout = layout::find(root, label_level)?;
    let mut listing = Listing {
        skipped: layout.loose,
        left_out: layout.left_out,
        notes: layout.notes,
        ..Listing::default()
    };
    for class in &layout.classes {
        let tag = Tag { labels: vec![class.label.clone()], split: class.split, group: None };
        let walked = walk(root, &class.path);
        let files = walked.files.into_iter();
        listing.files.extend(files.map(|(path, problem)| Listed { path, tag: tag.clone(), problem }));
        listing.left_out.extend(walked.left_out);
    }
    listing.folders = layout.classes;
    Ok(listing)
}

/// fastai's `from_name_re`: searches for the pattern in each file's name.
fn by_name(root: &Path, pattern: &str) -> Result<Listing, DataError> {
    let regex = Pattern::new(pattern, "label")?;
    let mut listing = Listing::default();
    let walked = walk(root, root);
    listing.left_out = walked.left_out;
    for (path, problem) in walked.files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match regex.find(&name) {
            Some(label) => {
                let tag = Tag { labels: vec![label.to_owned()], ..Tag::default() };
                listing.files.push(Listed { path, tag, problem });
            }
            None => listing.skipped.push(Skipped { path, reason: SkipReason::NameWithoutLabel }),
        }
    }
    if listing.files.is_empty() {
        let example = listing.skipped.first().map(|skipped| skipped.path.clone());
        let (path, pattern) = (root.to_owned(), pattern.to_owned());
        return Err(DataError::NothingFits { path, pattern, files: listing.skipped.len(), example });
    }
    Ok(listing)
}

fn differ<'a>(
    listing: &Listing,
    root: &Path,
    split: Split,
    labels: impl Iterator<Item = &'a String>,
) -> DataError {
    let folder = |split: Split| {
        let class = listing.folders.iter().find(|class| class.split == Some(split));
        class.and_then(|class| class.path.parent()).unwrap_or(root).to_owned()
    };
    let labels = labels.map(|label| format!("`{label}`")).collect();
    DataError::ClassesDiffer { train: folder(Split::Train), other: folder(split), labels }
}
