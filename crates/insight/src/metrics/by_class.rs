//! Precision, recall and F-beta, averaged over classes; and the weighted confusion counts behind these and other
//! metrics.

use std::fmt;

use super::Accuracy;
use super::resampled::{self, FromWeights, Statistic};
use crate::{Interval, Metric, Predictions};

/// How the scores of classes are averaged; scikit-learn's `average`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Average {
    /// The mean over all classes of the vocabulary, each with the same weight.
    Macro,
    /// One number from the summed counts of all classes. For single-label items that is the accuracy.
    Micro,
    /// The mean over classes, each weighted by how often it's a target.
    Weighted,
    /// The mean over items, for multi-label items. For single-label items that is the accuracy.
    Samples,
}

impl Average {
    /// What a metric's name ends with; empty for `Macro`.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Average::Macro => "",
            Average::Micro => "_micro",
            Average::Weighted => "_weighted",
            Average::Samples => "_samples",
        }
    }

    /// A metric's name without the suffix of one of these averages, and that average; `Macro` if there is no suffix.
    fn split<'a>(name: &'a str, averages: &[Self]) -> (&'a str, Self) {
        let found =
            averages.iter().find_map(|&average| Some((name.strip_suffix(average.suffix())?, average)));
        found.unwrap_or((name, Average::Macro))
    }
}

/// Precision, recall or F-beta over the classes, 0..1.
///
/// Per class, with `tp` items correctly predicted as it, `p` items predicted as it and `t` items that are it: precision
/// `tp / p`, recall `tp / t`, F-beta `(1 + b²) tp / (p + b² t)`. A division by zero gives 0, scikit-learn's
/// `zero_division=0`. Source: scikit-learn `precision_score`, `recall_score`, `fbeta_score`.
///
/// ```
/// use sciurus_insight::{Average, ByClass, Metric};
/// assert_eq!(ByClass::f_beta(1.0, Average::Macro).name(), "f1");
/// assert_eq!(ByClass::recall(Average::Weighted).name(), "recall_weighted");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ByClass(pub(super) Averaged);

/// A score per class, averaged to one number: what [`ByClass`] and [`ByLabel`](super::ByLabel) are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Averaged {
    pub(super) score: Score,
    pub(super) average: Average,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Score {
    Precision,
    Recall,
    FBeta(f64),
}

impl ByClass {
    /// The share of items predicted as a class that really are of it.
    #[must_use]
    pub fn precision(average: Average) -> Self {
        Self(Averaged::new(Score::Precision, average))
    }

    /// The share of items of a class that are predicted as it.
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

impl Averaged {
    pub(super) fn new(score: Score, average: Average) -> Self {
        Self { score, average, name: format!("{score}{}", average.suffix()) }
    }

    /// `precision`, `recall` or `fBETA`, with or without the suffix of one of these averages.
    pub(super) fn named(name: &str, averages: &[Average]) -> Option<Self> {
        let (score, average) = Average::split(name, averages);
        Some(Self::new(Score::named(score)?, average))
    }

    /// The number from counts of classes, given those of all items. For single-label items, the mean over items equals
    /// that of the summed counts.
    ///
    /// A class that has no score even with all items counts as 0. A class that has none only because a resample lacks
    /// its items doesn't count in that resample. Otherwise every resample would be worse than the whole, and the
    /// interval would miss the number it's for.
    pub(super) fn of(&self, counts: &Counts, all: &Counts) -> f64 {
        let total: f64 = counts.targets.iter().sum();
        let mean = |weight: &dyn Fn(usize) -> f64| {
            let (mut sum, mut weights) = (0.0, 0.0);
            for class in 0..counts.targets.len() {
                let score = match self.score_of(counts, class) {
                    Some(score) => score,
                    None if self.score_of(all, class).is_none() => 0.0,
                    None => continue,
                };
                sum += weight(class) * score;
                weights += weight(class);
            }
            sum / weights
        };
        match self.average {
            Average::Macro => mean(&|_| 1.0),
            Average::Micro | Average::Samples => {
                let Counts { right, predicted, .. } = counts;
                self.score.of(right.iter().sum(), predicted.iter().sum(), total).unwrap_or(0.0)
            }
            Average::Weighted => mean(&|class| counts.targets[class]),
        }
    }

    fn score_of(&self, counts: &Counts, class: usize) -> Option<f64> {
        self.score.of(counts.right[class], counts.predicted[class], counts.targets[class])
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Score::Precision => f.write_str("precision"),
            Score::Recall => f.write_str("recall"),
            Score::FBeta(beta) => write!(f, "f{beta}"),
        }
    }
}

impl Score {
    /// `precision`, `recall` or `fBETA` with a beta above 0.
    fn named(name: &str) -> Option<Self> {
        match name {
            "precision" => Some(Score::Precision),
            "recall" => Some(Score::Recall),
            _ => {
                let beta: f64 = name.strip_prefix('f')?.parse().ok()?;
                (beta.is_finite() && beta > 0.0).then_some(Score::FBeta(beta))
            }
        }
    }

    /// `None` if it would divide by zero.
    pub(super) fn of(self, right: f64, predicted: f64, targets: f64) -> Option<f64> {
        let (above, below) = match self {
            Score::Precision => (right, predicted),
            Score::Recall => (right, targets),
            Score::FBeta(beta) => {
                let square = beta * beta;
                ((1.0 + square) * right, predicted + square * targets)
            }
        };
        (below != 0.0).then(|| above / below)
    }
}

impl Statistic for ByClass {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> FromWeights<'a> {
        let pairs = Pairs::new(predictions);
        let all = pairs.counts(&vec![1.0; predictions.len()]);
        Box::new(move |weights| self.0.of(&pairs.counts(weights), &all))
    }
}

impl Metric for ByClass {
    fn value(&self, predictions: &Predictions) -> f64 {
        resampled::value(self, predictions)
    }

    fn name(&self) -> &str {
        &self.0.name
    }

    fn interval(&self, predictions: &Predictions) -> Option<Interval> {
        match self.0.average {
            // For single-label items both are the accuracy, whose interval needs no resampling.
            Average::Micro | Average::Samples => Accuracy.interval(predictions),
            Average::Macro | Average::Weighted => resampled::interval(self, predictions),
        }
    }
}

/// Target and prediction of every item.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    pub(super) targets: &'a [usize],
    pub(super) predicted: Vec<usize>,
    pub(super) classes: usize,
}

/// Weights of items by class.
#[derive(Debug)]
pub(super) struct Counts {
    /// Of items correctly predicted as the class.
    pub(super) right: Vec<f64>,
    /// Of items predicted as the class.
    pub(super) predicted: Vec<f64>,
    /// Of items that are of the class.
    pub(super) targets: Vec<f64>,
}

impl Counts {
    /// All zero.
    pub(super) fn none(classes: usize) -> Self {
        let [right, predicted, targets] = [0; 3].map(|_| vec![0.0; classes]);
        Self { right, predicted, targets }
    }
}

impl<'a> Pairs<'a> {
    pub(super) fn new(predictions: &'a Predictions) -> Self {
        let predicted = (0..predictions.len()).map(|i| predictions.prediction(i)).collect();
        Self { targets: &predictions.targets, predicted, classes: predictions.vocab.len() }
    }

    pub(super) fn counts(&self, weights: &[f64]) -> Counts {
        let mut counts = Counts::none(self.classes);
        for ((&target, &prediction), weight) in self.targets.iter().zip(&self.predicted).zip(weights) {
            counts.targets[target] += weight;
            counts.predicted[prediction] += weight;
            if target == prediction {
                counts.right[target] += weight;
            }
        }
        counts
    }
}
