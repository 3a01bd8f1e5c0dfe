//! How good a model is. In: its predictions on a split. Out: metrics with intervals, and where the model goes wrong.
//!
//! [`Predictions`] are plain data: probabilities, targets and losses, one row per item, without a tensor. Everything
//! else is computed from them, so a saved file gives the same results as the run that wrote it:
//!
//! * a [`Metric`] gives one number, exact over the whole split; [`Measured`] adds its 95 % interval;
//! * a [`ClassificationInterpretation`] gives the [`ConfusionMatrix`], the most confused labels and the top losses;
//! * [`compare`] and [`compare_many`] test whether one model is better than another beyond chance;
//! * [`MultiPredictions`] are the same for multi-label items, with their own metrics and a [`MultiInterpretation`];
//! * a [`Report`] is all of it as one HTML page;
//! * [`mistake_weight`] shows which differences are too small to mean anything.
//!
//! Numbers are returned as types; `Display` turns them into text, and serde into JSON. Nothing here prints.
//!
//! ```
//! use sciurus_insight::{ClassificationInterpretation, ErrorRate, ItemId, Measured, Predictions, Vocab};
//!
//! let vocab = Vocab::new(["grey", "red"].map(String::from));
//! let items = (0..4).map(ItemId).collect();
//! let paths = ["red/1.jpg", "red/2.jpg", "grey/3.jpg", "grey/4.jpg"].map(Into::into).into();
//! let probabilities = vec![0.1, 0.9, 0.6, 0.4, 0.8, 0.2, 0.7, 0.3];
//! let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![1, 1, 0, 0])?;
//!
//! let measured = Measured::new(&ErrorRate, &predictions);
//! assert_eq!(measured.to_string(), "error_rate 0.2500 (95 % interval 0.046 to 0.699, 1 of 4 wrong)");
//!
//! let interpretation = ClassificationInterpretation::new(predictions);
//! assert_eq!(interpretation.top_losses(1)[0].path.to_str(), Some("red/2.jpg"));
//! # Ok::<(), sciurus_insight::InsightError>(())
//! ```

mod compare;
mod confusion;
mod error;
mod interpretation;
mod interval;
mod json_file;
mod measured;
mod metrics;
mod multi;
pub mod page;
mod predictions;
mod report;
mod softmax;
mod table;
#[cfg(feature = "table")]
pub mod table_file;

pub use compare::{Comparison, Difference, PairedTest, Side, Verdict, compare, compare_many};
pub use confusion::{ClassErrors, Confused, ConfusionMatrix};
pub use error::InsightError;
pub use interpretation::{ClassificationInterpretation, InterpretationSummary, TopLoss, TopLossTable};
pub use interval::{Interval, MistakeWeight, mistake_weight, wilson};
pub use measured::Measured;
pub use metrics::{
    Accuracy, AccuracyMulti, Average, AveragePrecision, BalancedAccuracy, Brier, ByClass, ByLabel,
    CalibrationError, CohenKappa, ErrorRate, METRIC_NAMES, MULTI_METRIC_NAMES, Matthews,
    MeanAveragePrecision, Metric, MultiRocAuc, ReliabilityBin, RocAuc, Temperature, TopK,
    average_precision_by_label, metric_named, multi_metric_named, reliability, roc_auc_by_class,
};
pub use multi::{
    AnyPredictions, LabelScores, LabelTable, MultiInterpretation, MultiPredictions, MultiTopLoss,
    MultiTopLossTable, sigmoid,
};
pub use predictions::{Embeddings, Predictions};
pub use report::{EpochRow, Report, Thumbnail};
pub use sciurus_data::{ItemId, Vocab};
pub use softmax::softmax;
