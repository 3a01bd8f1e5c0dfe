//! A metric's value as a run or a bundle records it. In: a metric and predictions. Out: the value with its name, its
//! interval and the number of items.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Accuracy, ErrorRate, Interval, Metric, MultiPredictions, Predictions};

/// The value of one metric on one split.
///
/// ```
/// use sciurus_insight::{Measured, wilson};
///
/// let measured =
///     Measured { name: "error_rate".into(), value: 1.0 / 58.0, interval: Some(wilson(1, 58)), items: 58 };
/// assert_eq!(measured.to_string(), "error_rate 0.0172 (95 % interval 0.003 to 0.091, 1 of 58 wrong)");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// [`Metric::name`].
    pub name: String,
    /// [`Metric::value`]; NaN if there are no items, which is `null` in JSON.
    #[serde(deserialize_with = "nan_from_null")]
    pub value: f64,
    /// [`Metric::interval`], 95 %; `None` if there is none or it wasn't asked for.
    pub interval: Option<Interval>,
    /// The number of items it was computed from.
    pub items: usize,
}

impl Measured {
    /// Computes `metric` on `predictions`.
    #[must_use]
    pub fn new(metric: &dyn Metric, predictions: &Predictions) -> Self {
        Self::on(metric, predictions, predictions.len())
    }

    /// Computes `metric` on multi-label predictions.
    #[must_use]
    pub fn of_multi(metric: &dyn Metric<MultiPredictions>, predictions: &MultiPredictions) -> Self {
        Self::on(metric, predictions, predictions.len())
    }

    /// The value of `metric` without its interval, which may take a thousand times as long.
    #[must_use]
    pub fn value(metric: &dyn Metric, predictions: &Predictions) -> Self {
        Self::without_interval(metric, predictions, predictions.len())
    }

    /// The same on multi-label predictions.
    #[must_use]
    pub fn value_of_multi(metric: &dyn Metric<MultiPredictions>, predictions: &MultiPredictions) -> Self {
        Self::without_interval(metric, predictions, predictions.len())
    }

    fn on<P>(metric: &dyn Metric<P>, predictions: &P, items: usize) -> Self {
        Self { interval: metric.interval(predictions), ..Self::without_interval(metric, predictions, items) }
    }

    fn without_interval<P>(metric: &dyn Metric<P>, predictions: &P, items: usize) -> Self {
        Self { name: metric.name().to_string(), value: metric.value(predictions), interval: None, items }
    }

    /// `1 of 58 wrong` for the two metrics that count mistakes, the number of items for all others.
    pub(crate) fn basis(&self) -> String {
        let count = (self.value * self.items as f64).round();
        match self.name.as_str() {
            _ if self.items == 0 => "no items".to_string(),
            name if name == ErrorRate.name() => format!("{count} of {} wrong", self.items),
            name if name == Accuracy.name() => format!("{count} of {} right", self.items),
            _ => format!("{} items", self.items),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.4} (", self.name, self.value)?;
        if let Some(interval) = self.interval {
            write!(f, "95 % interval {interval}, ")?;
        }
        write!(f, "{})", self.basis())
    }
}

/// JSON has no NaN: `serde_json` writes it as `null`, and this reads it back.
pub(crate) fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
