//! Metrics. In: predictions. Out: one number, exact over the whole split, with an interval where one is known.

mod agreement;
mod by_class;
mod calibration;
mod multi;
mod named;
mod ranking;
mod resampled;
mod top_k;

pub use agreement::{BalancedAccuracy, CohenKappa, Matthews};
pub use by_class::{Average, ByClass};
pub(crate) use calibration::calibration_error;
pub use calibration::{Brier, CalibrationError, ReliabilityBin, Temperature, reliability};
pub use multi::{AccuracyMulti, ByLabel, MeanAveragePrecision, MultiRocAuc, average_precision_by_label};
pub use named::{METRIC_NAMES, MULTI_METRIC_NAMES, metric_named, multi_metric_named};
pub use ranking::{AveragePrecision, RocAuc, roc_auc_by_class};
pub use top_k::TopK;

use std::fmt;

use crate::{Interval, Predictions, wilson};

/// A number that says how good predictions are: [`Predictions`], or for multi-label items
/// [`MultiPredictions`](crate::MultiPredictions).
///
/// It gets the whole split at once, so it's never a mean of batch means. To add one, implement
/// [`value`](Self::value) and [`name`](Self::name):
///
/// ```
/// use sciurus_insight::{Metric, Predictions};
///
/// /// The mean probability of the predicted class, 0..1.
/// #[derive(Debug)]
/// struct Confidence;
///
/// impl Metric for Confidence {
///     fn value(&self, predictions: &Predictions) -> f64 {
///         let rows = 0..predictions.len();
///         let sum: f32 = rows.map(|i| predictions.row(i)[predictions.prediction(i)]).sum();
///         f64::from(sum) / predictions.len() as f64
///     }
///
///     fn name(&self) -> &str {
///         "confidence"
///     }
/// }
/// ```
pub trait Metric<P = Predictions>: fmt::Debug + Send + Sync {
    /// The number; NaN if there are no items to compute it from.
    fn value(&self, predictions: &P) -> f64;

    /// The metric's name in lower case with underscores.
    ///
    /// Required, although a trait should have only one required method: it's the heading in the training table and the
    /// key in the run's log, and the name of a Rust type isn't stable text.
    fn name(&self) -> &str;

    /// The 95 % interval of the value, if the metric has one; by default it has none.
    fn interval(&self, _predictions: &P) -> Option<Interval> {
        None
    }
}

/// The share of items whose prediction is wrong, 0..1: fastai's `error_rate`, `1 - accuracy`.
///
/// ```
/// use sciurus_insight::{ErrorRate, ItemId, Metric, Predictions, Vocab};
///
/// let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
/// let items = vec![ItemId(0), ItemId(1)];
/// let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
/// let probabilities = vec![0.1, 0.9, 0.3, 0.7];
/// let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![1, 0])?;
/// assert_eq!(ErrorRate.value(&predictions), 0.5);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate;

impl Metric for ErrorRate {
    fn value(&self, predictions: &Predictions) -> f64 {
        predictions.mistakes() as f64 / predictions.len() as f64
    }

    fn name(&self) -> &str {
        "error_rate"
    }

    fn interval(&self, predictions: &Predictions) -> Option<Interval> {
        let n = predictions.len();
        (n > 0).then(|| wilson(predictions.mistakes(), n))
    }
}

/// The share of items whose prediction is right, 0..1: scikit-learn's `accuracy_score`.
///
/// Used like [`ErrorRate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn value(&self, predictions: &Predictions) -> f64 {
        (predictions.len() - predictions.mistakes()) as f64 / predictions.len() as f64
    }

    fn name(&self) -> &str {
        "accuracy"
    }

    fn interval(&self, predictions: &Predictions) -> Option<Interval> {
        let n = predictions.len();
        (n > 0).then(|| wilson(n - predictions.mistakes(), n))
    }
}
