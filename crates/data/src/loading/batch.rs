//! A batch: some items, decoded, transformed and normalised, ready for a model.

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
    /// Items that should be here but couldn't be decoded. Each is reported once in the life of a loader, or until it
    /// [forgets](super::Loader::forget_skipped) them. But if the [machine](crate::SkipReason::is_machine_fault) is to
    /// blame, they're in every batch that lacks them, and such a batch must not be trained on.
    pub skipped: Vec<Skipped>,
    /// If images are mixed, the two items each one is made of. `targets` and `items` stay those of the first.
    pub mixed: Option<Mixed>,
}

impl Batch {
    /// How many items the batch has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the batch has no items, because none could be decoded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// What the images of a mixed batch are made of: the loss of image `i` is `share[i] · loss(target of i) + (1 -
/// share[i]) · loss(target of partner[i])`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// The index in the batch of the image that each was mixed with, perhaps itself: `[batch]`.
    pub partner: Vec<usize>,
    /// How much of each is its own image, 0..=1: `[batch]`.
    pub share: Vec<f32>,
}
