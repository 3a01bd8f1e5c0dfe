//! Some items, decoded, transformed and normalised, ready for a model.

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

/// Of what the images of a mixed batch are made: the loss of image `i` is `share[i] · loss(target of i) + (1 - share[i]) ·
/// loss(target of partner[i])`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed {
    /// The place in the batch of the image that each was mixed with, perhaps its own: `[batch]`.
    pub partner: Vec<usize>,
    /// How much of each is its own image, 0..=1: `[batch]`.
    pub share: Vec<f32>,
}
