//! Multi-label metrics, all with an interval by resampling items: the share of correct labels, precision, recall and
//! F-beta over labels, and how well probabilities rank items.

use super::Metric;
use super::by_class::{Average, Averaged, Counts, Score};
use super::ranking::{Ranking, mean_over};
use super::resampled::{FromWeights, interval_of, value_of};
use crate::{Interval, MultiPredictions};

/// The share of labels, over all items, that are correctly on or off, 0..1: fastai's `accuracy_multi`, at the
/// predictions' thresholds. If most items lack most labels, it's high even for a model that predicts none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccuracyMulti;

/// Precision, recall or F-beta over labels, 0..1, at the predictions' thresholds: scikit-learn's, with
/// `zero_division=0`. So with [`Average::Samples`] an item without labels counts as 0 even if none is predicted.
///
/// ```
/// use sciurus_insight::{Average, ByLabel, Metric};
/// assert_eq!(ByLabel::f_beta(1.0, Average::Samples).name(), "f1_samples");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ByLabel(pub(super) Averaged);

/// Mean over labels of the average precision (mAP), 0..1: scikit-learn's `average_precision_score(average="macro")`,
/// except that labels without items don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanAveragePrecision;

/// Mean over labels of the area under the ROC curve, 0..1: scikit-learn's `roc_auc_score(average="macro")`. Labels that
/// no item or every item has don't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultiRocAuc;

impl ByLabel {
    /// The share of predicted labels that are right.
    #[must_use]
    pub fn precision(average: Average) -> Self {
        Self(Averaged::new(Score::Precision, average))
    }

    /// The share of true labels that are predicted.
    #[must_use]
    pub fn recall(average: Average) -> Self {
        Self(Averaged::new(Score::Recall, average))
    }

    /// The harmonic mean of both, in which recall counts `beta` (above 0) times as much.
    #[must_use]
    pub fn f_beta(beta: f64, average: Average) -> Self {
        Self(Averaged::new(Score::FBeta(beta), average))
    }
}

/// A number from weighted items, prepared once for all resamples.
trait MultiStatistic {
    fn prepare<'a>(&'a self, predictions: &'a MultiPredictions) -> FromWeights<'a>;
}

/// Makes a [`MultiStatistic`] a metric with the given name.
macro_rules! multi_metric {
    ($metric:ty, |$this:ident| $name:expr) => {
        impl Metric<MultiPredictions> for $metric {
            fn value(&self, predictions: &MultiPredictions) -> f64 {
                value_of(predictions.len(), &self.prepare(predictions))
            }

            fn name(&self) -> &str {
                let $this = self;
                $name
            }

            fn interval(&self, predictions: &MultiPredictions) -> Option<Interval> {
                interval_of(predictions.len(), &self.prepare(predictions))
            }
        }
    };
}

multi_metric!(AccuracyMulti, |_this| "accuracy_multi");
multi_metric!(ByLabel, |this| &this.0.name);
multi_metric!(MeanAveragePrecision, |_this| "average_precision");
multi_metric!(MultiRocAuc, |_this| "roc_auc");

impl MultiStatistic for AccuracyMulti {
    fn prepare<'a>(&'a self, predictions: &'a MultiPredictions) -> FromWeights<'a> {
        let classes = predictions.vocab.len();
        let right = |i: usize| {
            let right = |&class: &usize| predictions.is_on(i, class) == predictions.is_target(i, class);
            (0..classes).filter(right).count() as f64 / classes as f64
        };
        weighted_mean((0..predictions.len()).map(right).collect())
    }
}

impl MultiStatistic for ByLabel {
    fn prepare<'a>(&'a self, predictions: &'a MultiPredictions) -> FromWeights<'a> {
        let classes = predictions.vocab.len();
        // Correct, predicted and true labels of each item.
        let mark = |i: usize, class: usize| {
            let (on, target) = (predictions.is_on(i, class), predictions.is_target(i, class));
            [on && target, on, target].map(f64::from)
        };
        let marks: Vec<Vec<[f64; 3]>> =
            (0..predictions.len()).map(|i| (0..classes).map(|class| mark(i, class)).collect()).collect();
        if self.0.average == Average::Samples {
            let score = |row: &Vec<[f64; 3]>| {
                let [right, predicted, targets] =
                    [0, 1, 2].map(|part| row.iter().map(|mark| mark[part]).sum());
                self.0.score.of(right, predicted, targets).unwrap_or(0.0)
            };
            return weighted_mean(marks.iter().map(score).collect());
        }
        let counts = move |weights: &[f64]| {
            let mut counts = Counts::none(classes);
            for (row, weight) in marks.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
                for (class, [right, predicted, target]) in row.iter().enumerate() {
                    counts.right[class] += weight * right;
                    counts.predicted[class] += weight * predicted;
                    counts.targets[class] += weight * target;
                }
            }
            counts
        };
        let all = counts(&vec![1.0; predictions.len()]);
        Box::new(move |weights| self.0.of(&counts(weights), &all))
    }
}

impl MultiStatistic for MeanAveragePrecision {
    fn prepare<'a>(&'a self, predictions: &'a MultiPredictions) -> FromWeights<'a> {
        mean_over(rankings(predictions), Ranking::average_precision)
    }
}

impl MultiStatistic for MultiRocAuc {
    fn prepare<'a>(&'a self, predictions: &'a MultiPredictions) -> FromWeights<'a> {
        mean_over(rankings(predictions), Ranking::roc_auc)
    }
}

/// The average precision of each label, 0..1; NaN for a label without items.
#[must_use]
pub fn average_precision_by_label(predictions: &MultiPredictions) -> Vec<f64> {
    let weights = vec![1.0; predictions.len()];
    rankings(predictions).iter().map(|ranking| ranking.average_precision(&weights)).collect()
}

fn rankings(predictions: &MultiPredictions) -> Vec<Ranking> {
    let ranking = |class: usize| {
        let probability = |i: usize| predictions.row(i)[class];
        Ranking::of(predictions.len(), probability, |i| predictions.is_target(i, class))
    };
    (0..predictions.vocab.len()).map(ranking).collect()
}

/// The mean of a number per item, weighted.
fn weighted_mean(values: Vec<f64>) -> FromWeights<'static> {
    Box::new(move |weights| {
        let sum: f64 = values.iter().zip(weights).map(|(value, weight)| value * weight).sum();
        sum / weights.iter().sum::<f64>()
    })
}
