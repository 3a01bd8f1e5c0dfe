//! Temporary stand-in for `sciurus-data`'s `Vocab` and `ItemId` until that crate compiles.

use serde::{Deserialize, Serialize};

/// The number of an item in its data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId(pub u32);

/// The sorted labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Vocab(Vec<String>);

impl Vocab {
    /// Sorts and deduplicates.
    pub fn new(labels: impl IntoIterator<Item = String>) -> Self {
        let mut labels: Vec<String> = labels.into_iter().collect();
        labels.sort();
        labels.dedup();
        Self(labels)
    }
    /// The label of a class.
    pub fn label(&self, class: usize) -> &str {
        &self.0[class]
    }
    /// The class of a label.
    pub fn class(&self, label: &str) -> Option<usize> {
        self.0.iter().position(|l| l == label)
    }
    /// The number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// All labels.
    pub fn labels(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for Vocab {
    fn from(labels: Vec<String>) -> Self {
        Self::new(labels)
    }
}

impl From<Vocab> for Vec<String> {
    fn from(vocab: Vocab) -> Self {
        vocab.0
    }
}
