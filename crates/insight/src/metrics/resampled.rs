//! Metrics that aren't plain proportions: a number from weighted items, with its interval by resampling them.

use rand::RngExt;
use sciurus_data::Seed;

use crate::{Interval, Predictions};

/// How many resamples an interval is made from.
const RESAMPLES: usize = 1000;
/// With fewer resamples than this that have a value, there's no interval.
const FEWEST: usize = RESAMPLES / 2;

/// Computes the number, given the weight of each item.
pub(super) type FromWeights<'a> = Box<dyn Fn(&[f64]) -> f64 + 'a>;

/// A number computed from weighted items.
///
/// One preparation, such as sorting, serves all resamples.
pub(super) trait Statistic {
    /// Prepares the computation; the returned function takes the weight of each item.
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> FromWeights<'a>;
}

/// The number over all items; NaN if there are none.
pub(super) fn value(statistic: &dyn Statistic, predictions: &Predictions) -> f64 {
    value_of(predictions.len(), &statistic.prepare(predictions))
}

/// The number over all of `items` items; NaN if there are none.
pub(super) fn value_of(items: usize, compute: &FromWeights<'_>) -> f64 {
    if items == 0 { f64::NAN } else { compute(&vec![1.0; items]) }
}

/// The 95 % percentile interval of a seeded bootstrap over items (Efron 1979): as many items as there are, drawn with
/// replacement, a thousand times. `None` if too few resamples have a value, as for an AUC without one of its classes.
/// Also `None` if all have the same value: for a model without mistakes, resampling can't say anything about the
/// mistakes it might make.
pub(super) fn interval(statistic: &dyn Statistic, predictions: &Predictions) -> Option<Interval> {
    interval_of(predictions.len(), &statistic.prepare(predictions))
}

/// The same for a prepared number over `items` items.
pub(super) fn interval_of(items: usize, compute: &FromWeights<'_>) -> Option<Interval> {
    if items == 0 {
        return None;
    }
    let mut rng = Seed(0).rng(&[items as u64]);
    let mut weights = vec![0.0; items];
    let mut values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        weights.fill(0.0);
        (0..items).for_each(|_| weights[rng.random_range(0..items)] += 1.0);
        values.push(compute(&weights));
    }
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    if values.len() < FEWEST || values.first() == values.last() {
        return None;
    }
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    Some(Interval { low: at(0.025), high: at(0.975) })
}

/// Makes a [`Statistic`] a [`Metric`](super::Metric) with the given name.
macro_rules! resampled_metric {
    ($metric:ty, |$this:ident| $name:expr) => {
        impl $crate::Metric for $metric {
            fn value(&self, predictions: &$crate::Predictions) -> f64 {
                $crate::metrics::resampled::value(self, predictions)
            }

            fn name(&self) -> &str {
                let $this = self;
                $name
            }

            fn interval(&self, predictions: &$crate::Predictions) -> Option<$crate::Interval> {
                $crate::metrics::resampled::interval(self, predictions)
            }
        }
    };
}

pub(super) use resampled_metric;
