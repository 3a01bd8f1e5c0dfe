//! Images on disk: listed, labelled, split, decoded, transformed and batched. No tensors, no network, no printing.
//!
//! In: a folder of photos for each class, a table of paths and labels, or names that hold the label. Out: batches of normalised numbers, and for every file that
//! could not be used the reason why.
//!
//! ```no_run
//! use sciurus_data::{Augmentation, ImageDataset, Loader, LoaderOptions, Pipeline, PhotoStore, Preprocessing, Split};
//! use std::sync::Arc;
//!
//! // Every file is read once: hashed, recognised by its content, its header checked.
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
//!     for batch in train.epoch(epoch) { /* learn from batch.pixels and batch.targets */ }
//!     for batch in valid.epoch(epoch) { /* measure */ }
//! }
//! # Ok::<(), sciurus_data::DataError>(())
//! ```
//!
//! Three promises hold everywhere: a bad file becomes a [`Skipped`] and never ends a run; the same files, seed and
//! options give the same bytes for any number of threads; and no file of the user is ever changed.

mod affine;
mod aligned;
mod animation;
mod augment;
mod balance;
mod builder;
mod corrections;
mod crop;
mod csv_labels;
mod dataset;
mod decode;
mod duplicates;
mod encode;
mod erase;
mod error;
mod format;
pub mod fs;
mod geometry;
mod group;
mod hamming;
mod inspect;
mod item;
mod iterative;
mod keep;
mod labeler;
mod layout;
mod licences;
mod lighting;
mod loader;
mod measure;
mod memory;
mod mix;
mod normalize;
mod outline;
mod pattern;
mod phash;
mod pillow;
mod pipeline;
mod policy;
mod quality;
mod report;
mod resample;
mod resize;
mod scan;
mod seed;
mod seen;
mod sheet;
mod skip;
mod splitter;
mod store;
mod stratify;
mod summary;
mod target;
mod thumbnail;
mod tone;
mod transform;

pub use aligned::{Alignment, Window};
pub use augment::AugTransforms;
pub use balance::{class_weights, positive_weights};
pub use builder::ImageDatasetBuilder;
pub use corrections::{CorrectedFile, Correction, Corrections};
pub use crop::{CenterCrop, Flip, RandomCrop, RandomResizedCrop};
pub use csv_labels::{Column, CsvHeader, CsvLabels, CsvProblem};
pub use dataset::ImageDataset;
pub use decode::{DecodeLimits, RgbImage, decode, decode_file};
pub use duplicates::{
    DuplicateGroup, DuplicateOptions, DuplicatePair, Duplicates, Photo, Sameness, find_duplicates,
};
pub use encode::{jpeg, small_jpeg};
pub use erase::RandomErasing;
pub use error::DataError;
pub use hamming::{NearHashes, near_hashes};
pub use inspect::{InspectedFile, KnownReports, PixelInspection, inspect_pixels};
pub use item::{ContentHash, ImageItem, ItemId, NotAContentHash, NotAVocab, Split, Vocab};
pub use keep::KeepReason;
pub use labeler::Labeler;
pub use licences::{LEDGER_FILE, licences};
pub use loader::{Batch, Batches, LastBatch, Loader, LoaderOptions, MOST_THREADS, Order};
pub use measure::{Channels, PixelMeasures};
pub use mix::{Mix, Mixed};
pub use normalize::Normalize;
pub use phash::{NotAPerceptualHash, PerceptualHash, Turn};
pub use pipeline::{Augmentation, Pipeline, Preprocessing, Step, Views};
pub use policy::{RandAugment, TrivialAugment};
pub use quality::{
    QualityCheck, QualityIssue, blurry, checks, colourless, dark, find_quality_issues, greyscale, light,
    low_information, odd_aspect, odd_size, unsharp,
};
pub use report::{FileFormat, PixelReport};
pub use resize::{Resize, ResizeMethod, ResizeShorter, resized};
pub use scan::Progress;
pub use seed::{Rng, Seed};
pub use seen::SeenPhotos;
pub use sheet::sheet;
pub use skip::{SkipReason, Skipped, one_line, steers};
pub use splitter::{Division, Splitter};
pub use store::{PhotoStore, PhotoStoreOptions};
pub use summary::{ClassSummary, DatasetSummary, Range, verify};
pub use target::{Target, Targets};
pub use thumbnail::Thumbnail;
pub use transform::Transform;
