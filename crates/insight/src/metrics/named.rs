//! Metrics by name, as a command line or a file of settings gives them.

use super::by_class::Averaged;
use super::multi::unknown_for_one;
use super::{
    Accuracy, Average, AveragePrecision, BalancedAccuracy, Brier, ByClass, CalibrationError, CohenKappa,
    ErrorRate, Matthews, Metric, RocAuc, TopK,
};
use crate::InsightError;

/// What [`metric_named`] knows, for help and errors.
pub const METRIC_NAMES: &str = "error_rate, accuracy, balanced_accuracy, top_K, precision, recall, fBETA (f1, f2, ...; these three \
     also with _micro or _weighted), roc_auc, average_precision, cohen_kappa, matthews, brier, calibration_error";

/// The metric of a name.
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
/// There is no metric of that name; the error lists those there are.
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
