//! Images on disk: listed, labelled, split, decoded, transformed and batched. No tensors, no network, no printing.
//!
//! In: a folder of photos for each class, a table of paths and labels, or names that contain the label. Out: batches of
//! normalised numbers, and the reason for every file that could not be used.
//!
//! ```no_run
//! use sciurus_data::{Augmentation, ImageDataset, Loader, LoaderOptions, Pipeline, PhotoStore, Preprocessing, Split};
//! use std::sync::Arc;
//!
//! // Every file is read once: hashed, its format recognised by its content, its header checked.
//! let dataset = Arc::new(ImageDataset::from_folder("squirrels").seed(42).build()?);
//!
//! // Each photo is decoded once per run; both loaders share what is kept.
//! let store = Arc::new(PhotoStore::default());
//! let preprocessing = Preprocessing::default();
//! let train = Loader::new(
//!     Arc::clone(&dataset),
//!     Split::Train,
//!     Pipeline::train(&preprocessing, &Augmentation::Flip),
//!     LoaderOptions::default().store(Arc::clone(&store)),
//! )?;
//! let valid = Loader::new(
//!     dataset,
//!     Split::Valid,
//!     preprocessing.pipeline(),
//!     LoaderOptions::measuring().store(store),
//! )?;
//! for epoch in 0..4 {
//!     for batch in train.epoch(epoch) { /* train on batch.pixels and batch.targets */ }
//!     for batch in valid.epoch(epoch) { /* validate */ }
//! }
//! # Ok::<(), sciurus_data::DataError>(())
//! ```
//!
//! Three promises hold everywhere. A bad file becomes a [`Skipped`] and never ends a run. The same files, seed and
//! options give the same bytes for any number of threads. No file of the user is ever changed.

mod dataset;
mod error;
pub mod fs;
mod image;
mod loading;
mod option;
mod seed;
mod settings;
mod skip;
mod split;
mod transform;

pub use dataset::{
    ClassSummary, Column, ContentHash, CorrectedFile, Correction, Corrections, CsvHeader, CsvLabels,
    CsvProblem, DataSettings, DatasetSummary, Fold, ImageDataset, ImageDatasetBuilder, ImageItem, ItemId,
    Labeler, LeftOut, LeftOutReason, NotAContentHash, NotAVocab, Note, Progress, Range, Recognised, Split,
    SplitBy, Target, Targets, Vocab, corrected_table, verify,
};
pub use error::{DataError, Depth, counted};
pub use image::{
    DecodeLimits, Facts, RgbImage, begins_like_picture, decode, decode_file, decode_small, decode_with_facts,
    read_file,
};
pub use loading::{
    Batch, Batches, LastBatch, Loader, LoaderOptions, MOST_THREADS, Mix, Mixed, Order, PhotoStore,
    PhotoStoreOptions, class_weights, positive_weights, sheet,
};
pub use option::BadOption;
pub use seed::{Rng, Seed};
pub use skip::{SkipReason, Skipped, argument, one_line, steers};
pub use split::{Division, Splitter};
pub use transform::{
    AugTransforms, Augmentation, CenterCrop, Flip, Normalize, Pipeline, Preprocessing, RandAugment,
    RandomCrop, RandomErasing, RandomResizedCrop, Resize, ResizeMethod, ResizeShorter, Step, Transform,
    TrivialAugment, Views, resized,
};
