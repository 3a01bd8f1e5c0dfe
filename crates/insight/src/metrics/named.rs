//! Metrics by name, as in settings files and on the command line. In: a name. Out: a metric, or the names there are.

use super::by_class::Averaged;
use super::{
    Accuracy, AccuracyMulti, Average, AveragePrecision, BalancedAccuracy, Brier, ByClass, ByLabel,
    CalibrationError, CohenKappa, ErrorRate, Matthews, MeanAveragePrecision, Metric, MultiRocAuc, RocAuc,
    TopK,
};
use crate::{InsightError, MultiPredictions};

/// The names that [`metric_named`] knows, for help and errors.
pub const METRIC_NAMES: &str = "error_rate, accuracy, balanced_accuracy, top_K, precision, recall, fBETA (f1, f2, ...; these three \
     also with _micro or _weighted), roc_auc, average_precision, cohen_kappa, matthews, brier, calibration_error";

/// The names that [`multi_metric_named`] knows, for help and errors.
pub const MULTI_METRIC_NAMES: &str = "accuracy_multi, precision, recall, fBETA (f1, f2, ...; these three also with _micro, _weighted or \
     _samples), average_precision, roc_auc";

/// The metric with a name.
///
/// ```
/// use sciurus_insight::metric_named;
/// assert_eq!(metric_named("top_5")?.name(), "top_5");
/// assert_eq!(metric_named("f0.5_weighted")?.name(), "f0.5_weighted");
/// assert!(metric_named("luck").is_err());
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
///
/// # Errors
/// There is no metric with that name; the error lists those there are.
pub fn metric_named(name: &str) -> Result<Box<dyn Metric>, InsightError> {
    let metric: Box<dyn Metric> = match name {
        "error_rate" => Box::new(ErrorRate),
        "accuracy" => Box::new(Accuracy),
        "balanced_accuracy" => Box::new(BalancedAccuracy),
        "roc_auc" => Box::new(RocAuc),
        "average_precision" => Box::new(AveragePrecision),
        "cohen_kappa" => Box::new(CohenKappa),
        "matthews" => Box::new(Matthews),
        "brier" => Box::new(Brier),
        "calibration_error" => Box::new(CalibrationError),
        _ => numbered(name).or_else(|| by_class(name)).ok_or_else(|| unknown_for_one(name))?,
    };
    Ok(metric)
}

/// `top_K`.
fn numbered(name: &str) -> Option<Box<dyn Metric>> {
    let k = name.strip_prefix("top_")?.parse().ok().filter(|k| *k > 0)?;
    Some(Box::new(TopK::new(k)))
}

fn by_class(name: &str) -> Option<Box<dyn Metric>> {
    let averaged = Averaged::named(name, &[Average::Micro, Average::Weighted])?;
    Some(Box::new(ByClass(averaged)))
}

/// The error for a name that is unknown, or known only for multi-label items.
fn unknown_for_one(name: &str) -> InsightError {
    let (of_several, name) = (multi_only(name), name.to_owned());
    if of_several {
        return InsightError::MetricOfManyLabels { name, known: METRIC_NAMES };
    }
    InsightError::UnknownMetric { name, known: METRIC_NAMES }
}

fn multi_only(name: &str) -> bool {
    name == "accuracy_multi" || by_label(name).is_some()
}

/// The metric with a name, for multi-label items.
///
/// ```
/// use sciurus_insight::multi_metric_named;
/// assert_eq!(multi_metric_named("f2_micro")?.name(), "f2_micro");
/// let error = multi_metric_named("top_3").unwrap_err().to_string();
/// assert!(error.contains("needs exactly one label per photo"), "{error}");
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
///
/// # Errors
/// There is no metric with that name for multi-label items; the error lists those there are.
pub fn multi_metric_named(name: &str) -> Result<Box<dyn Metric<MultiPredictions>>, InsightError> {
    let metric: Box<dyn Metric<MultiPredictions>> = match name {
        "accuracy_multi" => Box::new(AccuracyMulti),
        "average_precision" => Box::new(MeanAveragePrecision),
        "roc_auc" => Box::new(MultiRocAuc),
        _ => Box::new(by_label(name).ok_or_else(|| unknown_for_many(name))?),
    };
    Ok(metric)
}

fn by_label(name: &str) -> Option<ByLabel> {
    Averaged::named(name, &[Average::Micro, Average::Weighted, Average::Samples]).map(ByLabel)
}

fn unknown_for_many(name: &str) -> InsightError {
    let name = name.to_owned();
    match metric_named(&name) {
        Ok(_) => InsightError::MetricOfOneLabel { name, known: MULTI_METRIC_NAMES },
        Err(_) => InsightError::UnknownMetric { name, known: MULTI_METRIC_NAMES },
    }
}
