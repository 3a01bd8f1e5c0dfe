//! The folder as it was read: what is in it, and where the photo of a content is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sciurus::ImageDataset;
use sciurus::data::{ContentHash, DatasetSummary, ImageItem};

/// A data set with what pages ask for.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) dataset: ImageDataset,
    pub(crate) summary: DatasetSummary,
    places: HashMap<ContentHash, usize>,
}

impl Project {
    pub(crate) fn new(dataset: ImageDataset) -> Self {
        let mut summary = dataset.summary();
        summary.left_out.extend(dataset.not_listed());
        let places =
            dataset.items.iter().enumerate().rev().map(|(place, item)| (item.content, place)).collect();
        Self { dataset, summary, places }
    }

    /// A photo by its content; of copies the first.
    pub(crate) fn item(&self, content: ContentHash) -> Option<&ImageItem> {
        self.places.get(&content).map(|&place| &self.dataset.items[place])
    }

    /// The content of the photo with this path in the folder.
    pub(crate) fn content(&self, path: &Path) -> Option<ContentHash> {
        self.dataset.items.iter().find(|item| item.path == path).map(|item| item.content)
    }

    /// Where it is on the disk.
    pub(crate) fn path(&self, content: ContentHash) -> Option<PathBuf> {
        self.item(content).map(|item| self.dataset.path(item))
    }
}
