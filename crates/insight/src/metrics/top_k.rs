//! Top-k accuracy.

use super::Metric;
use crate::{Interval, Predictions, wilson};

/// The share of items whose target is among the `k` most probable classes, 0..1: fastai's `top_k_accuracy`.
///
/// Of classes with the same probability, the first ones count as more probable.
///
/// ```
/// use sciurus_insight::{Metric, TopK};
/// assert_eq!(TopK::new(3).name(), "top_3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopK {
    k: usize,
    name: String,
}

impl TopK {
    /// The `k` (at least 1) most probable classes.
    #[must_use]
    pub fn new(k: usize) -> Self {
        let k = k.max(1);
        Self { k, name: format!("top_{k}") }
    }

    fn hits(&self, predictions: &Predictions) -> usize {
        let is_hit = |&i: &usize| {
            let (row, target) = (predictions.row(i), predictions.targets[i]);
            let above = row.iter().enumerate().filter(|&(class, &probability)| {
                probability > row[target] || (probability == row[target] && class < target)
            });
            above.count() < self.k
        };
        (0..predictions.len()).filter(is_hit).count()
    }
}

impl Metric for TopK {
    fn value(&self, predictions: &Predictions) -> f64 {
        self.hits(predictions) as f64 / predictions.len() as f64
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self, predictions: &Predictions) -> Option<Interval> {
        (!predictions.is_empty()).then(|| wilson(self.hits(predictions), predictions.len()))
    }
}
