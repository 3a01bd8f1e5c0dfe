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

pub mod clean;
mod cpu;
mod demo;
mod embed;
mod error;
pub mod export;
mod learner;
mod loaders;
pub mod model;
mod nn;
mod predict;
mod run;
mod storage;

pub use clean::{
    Card, Choice, CleanSettings, CleanStep, CleanSummary, Cleaner, IssueCount, Origin, PlanApplied, Ranked,
    Refit, Retrain, Review, apply_plan, as_it_was,
};
pub use demo::{Planted, PlantedKind, demo_settings, draw_demo, new_demo_pictures, plant_demo};
pub use embed::{EmbedItem, Embedded, Embedder};
pub use error::Error;
pub use learner::{
    Adam, Balance, CombinedCosine, Control, Cosine, DistillSettings, EarlyStopping, EpochRecord, EpochTable,
    Event, FineTune, FitSettings, FlatCosine, History, Hyper, HyperSchedule, Keep, Learner, LearnerBuilder,
    LearningRates, Lesson, Loss, LossFunction, LrCurve, LrFind, LrSuggestions, NetworkTeacher, Objective,
    Observer, OneCycle, Pace, Phase, Schedule, SmoothLoss, StepResult, TableWriter, Teacher, TeacherRecord,
    Trainer, Tta, cross_entropy, vision_learner,
};
pub use loaders::{DataLoaders, DataLoadersBuilder, ImageDataLoaders, LoaderSettings};
pub use model::weights::{DownloadProgress, WeightPlaces, WeightSource, WeightsRecord};
pub use model::{Arch, ArchChoice, ArchInfo, ChosenArch, HeadStart, OwnArch};
pub use nn::{Device, NormStatistics, Precision};
pub use predict::{
    DataRecord, FilePrediction, HeatMap, KnownPhotos, Manifest, ModelBundle, Output, Prediction, Predictor,
    Prepared, Rejection, Similarity, find_files,
};
pub use run::{
    EventLog, FinishedRun, HistoryCsv, Listeners, PreparedRun, Run, RunRecord, RunSettings, TensorBoard,
    TrainSettings,
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
pub use sciurus_photos as photos;

/// Everything that a training program usually needs.
pub mod prelude {
    pub use crate::data::{Augmentation, ImageDataset, Split, Splitter};
    pub use crate::insight::{Accuracy, ClassificationInterpretation, ErrorRate, Metric, Predictions};
    pub use crate::{
        Arch, Control, Device, EarlyStopping, Event, FineTune, FlatCosine, HyperSchedule, ImageDataLoaders,
        Learner, LrFind, Observer, OneCycle, Predictor, TensorBoard, vision_learner,
    };
}

/// The README's ten lines compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
