//! Sciurus: train, measure and use image classifiers. What fastai is to PyTorch, Sciurus is to Burn.
//!
//! Data flows one way: folder → [`ImageDataset`] → [`DataLoaders`] → [`Learner`] → [`Predictions`] →
//! [`ClassificationInterpretation`], and [`Learner`] → [`ModelBundle`] → [`Predictor`].
//!
//! ```no_run
//! use sciurus::prelude::*;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dls = ImageDataLoaders::from_folder("squirrels").image_size(224).seed(42).build()?;
//!     let mut learner = vision_learner(dls, Arch::ResNet18).metric(ErrorRate).build()?;
//!     learner.fine_tune(4)?;
//!
//!     let interpretation = ClassificationInterpretation::new(learner.predictions(Split::Valid)?);
//!     println!("{}", interpretation.confusion_matrix());
//!     learner.export("squirrels.sciurus")?;
//!     Ok(())
//! }
//! ```

// Without training, much of what networks and files can do is not asked for.
#![cfg_attr(not(feature = "train"), allow(dead_code, unused_imports))]

#[cfg(feature = "train")]
pub mod clean;
mod cpu;
#[cfg(feature = "train")]
mod demo;
#[cfg(feature = "train")]
mod embed;
mod error;
#[cfg(feature = "train")]
pub mod export;
#[cfg(feature = "train")]
mod learner;
#[cfg(feature = "train")]
mod loaders;
pub mod model;
mod nn;
mod predict;
#[cfg(feature = "train")]
mod run;
mod storage;
#[cfg(feature = "train")]
mod training;

pub use error::Error;
pub use model::weights::WeightsRecord;
pub use model::{Arch, ArchInfo, HeadStart, OwnArch};
pub use nn::{Device, NormStatistics, Precision};
pub use predict::{
    DataRecord, FilePrediction, HeatMap, KnownPhotos, Manifest, ModelBundle, Output, Prediction, Predictor,
    Prepared, Rejection, Similarity, find_files,
};
pub use sciurus_data as data;
pub use sciurus_data::{DataSettings, ImageDataset, Seed, Split, Splitter, Vocab};
/// From search terms to a folder of photos (feature `gather`).
#[cfg(feature = "gather")]
pub use sciurus_gather as gather;
pub use sciurus_insight as insight;
pub use sciurus_insight::{
    Accuracy, AnyPredictions, ClassificationInterpretation, ConfusionMatrix, ErrorRate, Measured, Metric,
    MultiInterpretation, MultiPredictions, Predictions,
};
#[cfg(feature = "train")]
pub use sciurus_photos as photos;
#[cfg(feature = "train")]
pub use training::*;

/// Everything that a training program usually needs.
#[cfg(feature = "train")]
pub mod prelude {
    pub use crate::data::{Augmentation, ImageDataset, Split, Splitter};
    pub use crate::insight::{Accuracy, ClassificationInterpretation, ErrorRate, Metric, Predictions};
    pub use crate::{
        Arch, Control, Device, EarlyStopping, Event, FineTune, FlatCosine, HyperSchedule, ImageDataLoaders,
        Learner, LrFind, Observer, OneCycle, Predictor, TensorBoard, vision_learner,
    };
}

/// The README's ten lines compile.
#[cfg(all(doctest, feature = "train"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
