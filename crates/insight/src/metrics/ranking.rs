//! How well probabilities rank items: area under the ROC curve, and average precision.

use super::resampled::{FromWeights, Statistic, resampled_metric};
use crate::Predictions;

/// Area under the ROC curve, 0..1: the chance that an item of a class gets a higher probability for it than an item of
/// another class, where ties count half. With two classes, that of the second one; else the mean over classes, each
/// against the rest: scikit-learn's `roc_auc_score(multi_class="ovr")`. Classes that no item or every item has don't
/// count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RocAuc;

/// Average precision, 0..1: the sum over thresholds of precision times the increase of recall. With two classes, that
/// of the second one; else the mean over classes: scikit-learn's `average_precision_score`. Classes without items don't
/// count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePrecision;

impl Statistic for RocAuc {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> FromWeights<'a> {
        over_classes(predictions, Ranking::roc_auc)
    }
}

resampled_metric!(RocAuc, |_this| "roc_auc");

impl Statistic for AveragePrecision {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> FromWeights<'a> {
        over_classes(predictions, Ranking::average_precision)
    }
}

resampled_metric!(AveragePrecision, |_this| "average_precision");

/// The area under the ROC curve of each class against the rest; NaN for a class that no item or every item has.
#[must_use]
pub fn roc_auc_by_class(predictions: &Predictions) -> Vec<f64> {
    let weights = vec![1.0; predictions.len()];
    (0..predictions.vocab.len()).map(|class| Ranking::new(predictions, class).roc_auc(&weights)).collect()
}

/// The mean over classes of a score of their rankings; with two classes, only the second one.
fn over_classes<'a>(predictions: &'a Predictions, score: fn(&Ranking, &[f64]) -> f64) -> FromWeights<'a> {
    let classes = if predictions.vocab.len() == 2 { 1..2 } else { 0..predictions.vocab.len() };
    mean_over(classes.map(|class| Ranking::new(predictions, class)).collect(), score)
}

/// The mean of a score over rankings, leaving out those without one.
pub(super) fn mean_over<'a>(rankings: Vec<Ranking>, score: fn(&Ranking, &[f64]) -> f64) -> FromWeights<'a> {
    Box::new(move |weights| {
        let scores = rankings.iter().map(|ranking| score(ranking, weights));
        let scores: Vec<f64> = scores.filter(|score| !score.is_nan()).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    })
}

/// Items by descending probability of one class.
pub(super) struct Ranking {
    /// Items, and whether each is of the class.
    order: Vec<(usize, bool)>,
    /// Where runs of equal probability end in `order`; the last one is the end.
    ends: Vec<usize>,
}

impl Ranking {
    fn new(predictions: &Predictions, class: usize) -> Self {
        let probability = |item: usize| predictions.row(item)[class];
        Self::of(predictions.len(), probability, |item| predictions.targets[item] == class)
    }

    /// Ranks `items` items, given the probability of each and whether it's of the class.
    pub(super) fn of(
        items: usize,
        probability: impl Fn(usize) -> f32,
        is_target: impl Fn(usize) -> bool,
    ) -> Self {
        let mut items: Vec<usize> = (0..items).collect();
        items.sort_by(|&a, &b| probability(b).total_cmp(&probability(a)));
        let differs = |&at: &usize| at == items.len() || probability(items[at - 1]) != probability(items[at]);
        let ends = (1..=items.len()).filter(differs).collect();
        let order = items.iter().map(|&item| (item, is_target(item))).collect();
        Self { order, ends }
    }

    /// For each run of equal probability, the weights of items of the class and of others.
    fn groups<'a>(&'a self, weights: &'a [f64]) -> impl Iterator<Item = [f64; 2]> + 'a {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let mut sums = [0.0; 2];
            for &(item, is_of_class) in &self.order[start..end] {
                sums[usize::from(!is_of_class)] += weights[item];
            }
            start = end;
            sums
        })
    }

    pub(super) fn roc_auc(&self, weights: &[f64]) -> f64 {
        let (mut above, mut others, mut area) = (0.0, 0.0, 0.0);
        for [of_class, other] in self.groups(weights) {
            area += other * (above + of_class / 2.0);
            above += of_class;
            others += other;
        }
        if above * others == 0.0 { f64::NAN } else { area / (above * others) }
    }

    pub(super) fn average_precision(&self, weights: &[f64]) -> f64 {
        let (mut found, mut seen, mut sum) = (0.0, 0.0, 0.0);
        for [of_class, other] in self.groups(weights) {
            found += of_class;
            seen += of_class + other;
            if of_class > 0.0 {
                sum += of_class * found / seen;
            }
        }
        if found == 0.0 { f64::NAN } else { sum / found }
    }
}
