//! Some items, decoded, transformed and normalised, ready for a model.

use super::Mixed;
use crate::dataset::{ItemId, Targets};
use crate::skip::Skipped;

/// Some items, ready for a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Normalised values, `[batch, 3, size, size]`.
    pub pixels: Vec<f32>,
    /// Width and height of an image in pixels.
    pub size: usize,
    /// The class of each item, or all its classes: `[batch]`.
    pub targets: Targets,
    /// Which items these are: `[batch]`.
    pub items: Vec<ItemId>,
    /// Items that should be here and could not be decoded. Each is named once in the life of a loader, or
    /// until it [forgets](super::Loader::forget_skipped) them; but if the machine is [at fault](crate::SkipReason::is_machine_fault), in
    /// every batch that lacks them, and then the batch is not to be learned from.
    pub skipped: Vec<Skipped>,
    /// Of which two items each image is, if images are mixed with one another. `targets` and `items` stay those of the
    /// first.
    pub mixed: Option<Mixed>,
}

impl Batch {
    /// How many items the batch has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item could be decoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
