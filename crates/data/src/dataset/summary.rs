//! The five questions about a data set: how many images, which classes, which sizes, which splits, what was skipped.
//! In: a data set. Out: [`DatasetSummary`], plain data; and [`verify`], which decodes everything to be sure.

use super::ImageDataset;
use super::item::{ImageItem, Split};
use super::labeler::Labeler;
use super::left_out::{LeftOut, LeftOutReason};
use super::note::Note;
use super::scan::{Progress, walk};
use crate::error::DataError;
use crate::image::decode_file;
use crate::skip::Skipped;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to know about a data set before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Its folder.
    pub root: PathBuf,
    /// How many images it has.
    pub items: usize,
    /// Size of all images' files in bytes.
    pub bytes: u64,
    /// Each class, in the order of the vocabulary; an image with several labels counts for each of them.
    pub classes: Vec<ClassSummary>,
    /// Images of the largest class for each image of the smallest (1 is balanced).
    pub imbalance: f64,
    /// How many images each split has.
    pub splits: Vec<(Split, usize)>,
    /// Widths in pixels.
    pub width: Range,
    /// Heights in pixels.
    pub height: Range,
    /// Files that were not used, and why.
    pub skipped: Vec<Skipped>,
    /// What was passed over on purpose.
    pub left_out: Vec<LeftOut>,
    /// What was guessed, and what will make numbers mislead.
    pub notes: Vec<Note>,
    /// Identifies the data.
    pub fingerprint: String,
}

/// How many images of a class each split has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// Its label.
    pub label: String,
    /// Images to train on.
    pub train: usize,
    /// Images to validate on after every epoch.
    pub valid: usize,
    /// Images to test on at the very end.
    pub test: usize,
}

impl ClassSummary {
    /// Images in all splits.
    #[must_use]
    pub fn items(&self) -> usize {
        self.train + self.valid + self.test
    }
}

/// Minimum, median and maximum of some numbers; all 0 if there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Range {
    /// The minimum.
    pub min: u32,
    /// The median; of an even count the lower of the middle two.
    pub median: u32,
    /// The maximum.
    pub max: u32,
}

impl Range {
    fn of(values: impl Iterator<Item = u32>) -> Self {
        let mut values: Vec<u32> = values.collect();
        values.sort_unstable();
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        Self {
            min: at(0),
            median: at(values.len().saturating_sub(1) / 2),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

impl ImageDataset {
    /// Answers the five questions about this data set.
    ///
    /// ```no_run
    /// use sciurus_data::ImageDataset;
    ///
    /// let summary = ImageDataset::from_folder("squirrels").build()?.summary();
    /// for class in &summary.classes {
    ///     println!("{:20} {:5} train {:5} valid", class.label, class.train, class.valid);
    /// }
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    #[must_use]
    pub fn summary(&self) -> DatasetSummary {
        let counts = Split::ALL.map(|split| self.class_counts(split));
        let class = |(class, label): (usize, &String)| ClassSummary {
            label: label.clone(),
            train: counts[0][class],
            valid: counts[1][class],
            test: counts[2][class],
        };
        let classes: Vec<ClassSummary> = self.vocab.labels().iter().enumerate().map(class).collect();
        let sizes = || classes.iter().map(ClassSummary::items);
        let (most, least) = (sizes().max().unwrap_or(0), sizes().min().unwrap_or(0));
        DatasetSummary {
            root: self.root.clone(),
            items: self.items.len(),
            bytes: self.items.iter().map(|item| item.bytes).sum(),
            imbalance: most as f64 / least.max(1) as f64,
            splits: Split::ALL.into_iter().map(|split| (split, self.split(split).count())).collect(),
            width: Range::of(self.items.iter().map(|item| item.width)),
            height: Range::of(self.items.iter().map(|item| item.height)),
            skipped: self.skipped.clone(),
            left_out: self.left_out.clone(),
            notes: self.notes.clone(),
            fingerprint: self.fingerprint(),
            classes,
        }
    }
}

impl ImageDataset {
    /// What lies in the folder of a data set from a table, but not in the table: for each file or folder directly in the
    /// root, how many such files there are. Nothing for other data sets, whose [`left_out`](Self::left_out) has everything.
    #[must_use]
    pub fn not_listed(&self) -> Vec<LeftOut> {
        let Labeler::Csv(_) = self.labeler else { return Vec::new() };
        let known =
            self.items.iter().map(|item| &item.path).chain(self.skipped.iter().map(|skipped| &skipped.path));
        let known: HashSet<&PathBuf> = known.collect();
        let walked = walk(&self.root, &self.root);
        let mut by_top: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for (path, _) in walked.files.iter().filter(|(path, _)| !known.contains(path)) {
            let top = path.components().next().map(|top| PathBuf::from(top.as_os_str()));
            *by_top.entry(top.unwrap_or_default()).or_default() += 1;
        }
        let not_listed =
            by_top.into_iter().map(|(path, files)| LeftOut { path, files, why: LeftOutReason::NotListed });
        // A table may list what is passed over by name.
        let by_name = walked.left_out.into_iter().filter(|left_out| !known.contains(&left_out.path));
        not_listed.chain(by_name).collect()
    }
}

/// Decodes every item, in parallel, and lists those that are damaged behind a good header, in the order of the items.
///
/// # Errors
/// The machine runs out of file handles or memory.
pub fn verify(
    dataset: &ImageDataset,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Vec<Skipped>, DataError> {
    let (done, total) = (AtomicUsize::new(0), dataset.items.len());
    let check = |item: &ImageItem| {
        let result = decode_file(dataset.path(item), &dataset.limits);
        progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
        result.err().map(|reason| Skipped { path: item.path.clone(), reason })
    };
    let damaged: Vec<Skipped> = dataset.items.par_iter().filter_map(check).collect();
    DataError::check_machine(&damaged).map(|()| damaged)
}
