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

mod bundle;
mod clean;
mod cpu;
mod demo;
mod device;
mod embedder;
mod embedding_cache;
mod error;
mod files;
mod float_type;
mod grad_cam;
mod learner;
mod loaders;
pub mod model;
mod predictor;
mod regular;
mod run;
mod tensor_file;
mod tensor_header;

pub use bundle::{DataRecord, Manifest, ModelBundle, Output};
pub use clean::{Card, Choice, CleanSettings, CleanStep, CleanSummary, Cleaner, IssueCount, Review};
pub use cpu::Precision;
pub use demo::draw_demo;
pub use device::Device;
pub use embedder::{EmbedItem, Embedded, Embedder};
pub use error::Error;
pub use grad_cam::HeatMap;
pub use learner::{
    Adam, CombinedCosine, Control, Cosine, EarlyStopping, EpochRecord, Event, FineTune, FlatCosine, History,
    Hyper, HyperSchedule, Keep, Learner, LearnerBuilder, LearningRates, Loss, LrCurve, LrFind, LrSuggestions,
    Objective, Observer, OneCycle, Phase, Schedule, SmoothLoss, StepResult, Trainer, Tta, cross_entropy,
    vision_learner,
};
pub use loaders::{DataLoaders, DataLoadersBuilder, ImageDataLoaders};
pub use model::weights::{DownloadProgress, Network, WeightPlaces, WeightSource, WeightsRecord};
pub use model::{Arch, ArchInfo};
pub use predictor::{Answer, Prediction, Predictor, find_files};
pub use run::{
    Balance, EventLog, FinishedRun, HistoryCsv, Listeners, PreparedRun, Run, RunRecord, TensorBoard,
    TrainSettings,
};
pub use sciurus_data as data;
pub use sciurus_data::{ImageDataset, Seed, Split, Splitter, Vocab};
pub use sciurus_insight as insight;
pub use sciurus_insight::{
    Accuracy, AnyPredictions, ClassificationInterpretation, ConfusionMatrix, ErrorRate, Measured, Metric,
    MultiInterpretation, MultiPredictions, Predictions,
};

/// What a training program usually needs.
pub mod prelude {
    pub use crate::data::{Augmentation, ImageDataset, Split, Splitter};
    pub use crate::insight::{Accuracy, ClassificationInterpretation, ErrorRate, Metric, Predictions};
    pub use crate::{
        Arch, Control, Device, EarlyStopping, Event, FineTune, FlatCosine, HyperSchedule, ImageDataLoaders,
        Learner, LrFind, Observer, OneCycle, Predictor, TensorBoard, vision_learner,
    };
}
