//! What the library offers beyond prediction (feature `train`), under the names that programs use.

pub use crate::clean::{
    Card, Choice, CleanSettings, CleanStep, CleanSummary, Cleaner, IssueCount, Origin, PlanApplied, Ranked,
    Refit, Retrain, Review, apply_plan, as_it_was,
};
pub use crate::demo::{Planted, PlantedKind, demo_settings, draw_demo, new_demo_pictures, plant_demo};
pub use crate::embed::{EmbedItem, Embedded, Embedder};
pub use crate::learner::{
    Adam, Balance, CombinedCosine, Control, Cosine, DistillSettings, EarlyStopping, EpochRecord, EpochTable,
    Event, FineTune, FitSettings, FlatCosine, History, Hyper, HyperSchedule, Keep, Learner, LearnerBuilder,
    LearningRates, Lesson, Loss, LossFunction, LrCurve, LrFind, LrSuggestions, NetworkTeacher, Objective,
    Observer, OneCycle, Pace, Phase, Schedule, SmoothLoss, StepResult, TableWriter, Teacher, TeacherRecord,
    Trainer, Tta, cross_entropy, vision_learner,
};
pub use crate::loaders::{DataLoaders, DataLoadersBuilder, ImageDataLoaders, LoaderSettings};
pub use crate::model::weights::{DownloadProgress, WeightPlaces, WeightSource};
pub use crate::model::{ArchChoice, ChosenArch};
pub use crate::run::{
    EventLog, FinishedRun, HistoryCsv, Listeners, PreparedRun, Run, RunRecord, RunSettings, TensorBoard,
    TrainSettings,
};
