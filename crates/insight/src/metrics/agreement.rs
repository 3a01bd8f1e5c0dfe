//! Agreement of predictions and targets beyond chance: Cohen's kappa, Matthews' correlation, balanced accuracy.

use super::by_class::{Counts, Pairs};
use super::resampled::{Statistic, resampled_metric};
use crate::Predictions;

/// `(agreement - chance) / (1 - chance)`, at most 1, 0 for chance: scikit-learn's `cohen_kappa_score` (Cohen 1960).
///
/// Chance is the agreement that follows from the frequencies of targets and predictions alone. NaN if chance agrees on
/// everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CohenKappa;

impl Statistic for CohenKappa {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> Box<dyn Fn(&[f64]) -> f64 + 'a> {
        let pairs = Pairs::new(predictions);
        Box::new(move |weights| {
            let sums = Sums::new(&pairs.counts(weights));
            let (agreement, chance) = (sums.right / sums.total, sums.chance / (sums.total * sums.total));
            (agreement - chance) / (1.0 - chance)
        })
    }
}

resampled_metric!(CohenKappa, |_this| "cohen_kappa");

/// The correlation of predictions and targets, -1..=1, for two or more classes: scikit-learn's `matthews_corrcoef`
/// (Gorodkin 2004). 0 if one of them is constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matthews;

impl Statistic for Matthews {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> Box<dyn Fn(&[f64]) -> f64 + 'a> {
        let pairs = Pairs::new(predictions);
        Box::new(move |weights| {
            let counts = pairs.counts(weights);
            let sums = Sums::new(&counts);
            let square = sums.total * sums.total;
            let spread = |values: &[f64]| square - values.iter().map(|value| value * value).sum::<f64>();
            let below = (spread(&counts.predicted) * spread(&counts.targets)).sqrt();
            if below == 0.0 { 0.0 } else { (sums.right * sums.total - sums.chance) / below }
        })
    }
}

resampled_metric!(Matthews, |_this| "matthews");

/// The mean over classes of the share of their items that are predicted correctly, 0..1: scikit-learn's
/// `balanced_accuracy_score`. Classes without items don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancedAccuracy;

impl Statistic for BalancedAccuracy {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> Box<dyn Fn(&[f64]) -> f64 + 'a> {
        let pairs = Pairs::new(predictions);
        Box::new(move |weights| {
            let Counts { right, targets, .. } = pairs.counts(weights);
            let recalls: Vec<f64> =
                right.iter().zip(&targets).filter(|(_, items)| **items > 0.0).map(|(r, t)| r / t).collect();
            recalls.iter().sum::<f64>() / recalls.len() as f64
        })
    }
}

resampled_metric!(BalancedAccuracy, |_this| "balanced_accuracy");

/// Sums over the classes of a confusion matrix.
struct Sums {
    total: f64,
    right: f64,
    /// Sum over classes of how often each is a target times how often it's predicted.
    chance: f64,
}

impl Sums {
    fn new(counts: &Counts) -> Self {
        let both = counts.targets.iter().zip(&counts.predicted);
        Self {
            total: counts.targets.iter().sum(),
            right: counts.right.iter().sum(),
            chance: both.map(|(target, predicted)| target * predicted).sum(),
        }
    }
}
