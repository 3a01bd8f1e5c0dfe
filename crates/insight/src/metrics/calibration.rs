//! Calibration, or whether probabilities mean what they say: Brier score, expected calibration error, reliability,
//! temperature.

use serde::{Deserialize, Serialize};

use super::resampled::{Statistic, resampled_metric};
use crate::Predictions;

/// Bins of [`CalibrationError`]; the usual number.
const BINS: usize = 15;

/// The mean over items of the sum over classes of `(probability - truth)²`, 0 (certain and right) to 2 (certain and
/// wrong). Source: Brier 1950; scikit-learn's `brier_score_loss` for two classes is half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brier;

impl Statistic for Brier {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> Box<dyn Fn(&[f64]) -> f64 + 'a> {
        let rows = (0..predictions.len())
            .map(|i| brier(predictions.row(i).iter().copied().map(f64::from), predictions.targets[i]));
        let scores: Vec<f64> = rows.collect();
        Box::new(move |weights| {
            scores.iter().zip(weights).map(|(score, weight)| score * weight).sum::<f64>()
                / weights.iter().sum::<f64>()
        })
    }
}

resampled_metric!(Brier, |_this| "brier");

fn brier(row: impl Iterator<Item = f64>, target: usize) -> f64 {
    row.enumerate().map(|(class, p)| (p - f64::from(class == target)).powi(2)).sum()
}

/// Expected calibration error, 0..1: the mean over 15 bins of equal width, weighted by their items, of the difference
/// between the mean probability of the predicted class and the share of correct predictions. Source: Guo et al. 2017,
/// "On Calibration of Modern Neural Networks".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrationError;

impl Statistic for CalibrationError {
    fn prepare<'a>(&'a self, predictions: &'a Predictions) -> Box<dyn Fn(&[f64]) -> f64 + 'a> {
        let answers = answers(predictions);
        Box::new(move |weights| calibration_error(&binned(&answers, weights, BINS)))
    }
}

resampled_metric!(CalibrationError, |_this| "calibration_error");

/// Items whose predicted class has a probability within a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// How many items there are.
    pub items: f64,
    /// The share of correct predictions (0..1); NaN if there are no items.
    pub accuracy: f64,
    /// The mean probability of the predicted classes (0..1); NaN if there are no items.
    pub confidence: f64,
}

/// The reliability diagram: `bins` ranges of equal width of the predicted class's probability, from low to high; each
/// includes its upper end.
#[must_use]
pub fn reliability(predictions: &Predictions, bins: usize) -> Vec<ReliabilityBin> {
    binned(&answers(predictions), &vec![1.0; predictions.len()], bins.max(1))
}

/// The mean over items of `|accuracy - confidence|` of their bin, 0..1; NaN if there are no items.
pub(crate) fn calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let distance = |bin: &ReliabilityBin| bin.items * (bin.accuracy - bin.confidence).abs();
    let distances = bins.iter().filter(|bin| bin.items > 0.0).map(distance).sum::<f64>();
    distances / bins.iter().map(|bin| bin.items).sum::<f64>()
}

/// The probability of each item's predicted class, and whether the prediction is right.
fn answers(predictions: &Predictions) -> Vec<(f64, bool)> {
    let answer = |i: usize| {
        let class = predictions.prediction(i);
        (f64::from(predictions.row(i)[class]), class == predictions.targets[i])
    };
    (0..predictions.len()).map(answer).collect()
}

fn binned(answers: &[(f64, bool)], weights: &[f64], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![[0.0; 3]; bins];
    for ((confidence, is_right), weight) in answers.iter().zip(weights) {
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        sums[bin][0] += weight;
        sums[bin][1] += weight * f64::from(*is_right);
        sums[bin][2] += weight * confidence;
    }
    let bin = |[items, right, sum]: [f64; 3]| ReliabilityBin {
        items,
        accuracy: right / items,
        confidence: sum / items,
    };
    sums.into_iter().map(bin).collect()
}

/// A temperature that calibrates probabilities: `softmax(logits / temperature)` changes no prediction, only how
/// confident it is.
///
/// ```
/// use sciurus_insight::{ItemId, Predictions, Temperature, Vocab};
///
/// // Three of four predictions are right, but each claims 99 %: the model is overconfident.
/// let vocab = Vocab::new(["grey", "red"].map(String::from));
/// let probabilities = [0.99, 0.01].repeat(4);
/// let items = (0..4).map(ItemId).collect();
/// let paths = (0..4).map(|i| format!("{i}.jpg").into()).collect();
/// let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![0, 0, 0, 1])?;
/// let temperature = Temperature::fit(&predictions);
/// assert!(temperature.0 > 1.0);
/// assert!((temperature.applied_to(predictions.row(0))[0] - 0.75).abs() < 1e-3);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Temperature(pub f64);

/// The range in which temperatures are searched.
const TEMPERATURES: [f64; 2] = [0.05, 20.0];

impl Temperature {
    /// The temperature with the lowest cross entropy on these predictions, between 0.05 and 20; 1 if there are no
    /// items. Fit it on items that the model was not trained on. Source: Guo et al. 2017.
    #[must_use]
    pub fn fit(predictions: &Predictions) -> Self {
        Self::of_predictions(predictions, 0.0)
    }

    /// The same for few items. Each target counts `(n + 1) / (n + 2)`, and the other classes share the rest, so that a
    /// model without a mistake on `n` items doesn't become infinitely confident. Source: Platt 1999, for two classes.
    #[must_use]
    pub fn fit_few(predictions: &Predictions) -> Self {
        Self::of_predictions(predictions, 1.0 / (predictions.len() as f64 + 2.0))
    }

    /// The temperature of [`fit_few`](Self::fit_few), if one that is fitted in the same way helps on items that it was not
    /// fitted on; otherwise 1, which changes nothing.
    ///
    /// Each fifth of the items is measured at a temperature fitted on the other four. It helps if the mean cross entropy falls
    /// by more than its standard error, and the expected calibration error doesn't rise. A model with a single confident mistake
    /// on 60 items has no temperature that helps.
    #[must_use]
    pub fn where_it_helps(predictions: &Predictions) -> Self {
        const FOLDS: usize = 5;
        let count = predictions.len();
        let rows: Vec<Vec<f64>> = (0..count).map(|i| logarithms(predictions.row(i))).collect();
        let mut tempered = rows.clone();
        let mut gains = vec![0.0; count];
        for fold in 0..FOLDS {
            let others = (0..count).filter(|i| i % FOLDS != fold);
            let fitted_on = others.clone().count();
            let others = others.map(|i| (rows[i].as_slice(), predictions.targets[i]));
            let temperature = Self::of_logits(others, 1.0 / (fitted_on as f64 + 2.0));
            for i in (fold..count).step_by(FOLDS) {
                let row = temperature.softened(&rows[i]);
                let of_target = row[predictions.targets[i]].max(f64::MIN_POSITIVE).ln();
                gains[i] = of_target - rows[i][predictions.targets[i]];
                tempered[i] = row;
            }
        }
        let mean = gains.iter().sum::<f64>() / count.max(1) as f64;
        let squares: f64 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
        let error = (squares / (count.max(2) - 1) as f64 / count.max(1) as f64).sqrt();
        // The same classes are predicted at any temperature.
        let plain = answers(predictions);
        let of_class =
            |(i, (_, is_right)): (usize, &(f64, bool))| (tempered[i][predictions.prediction(i)], *is_right);
        let calibrated: Vec<(f64, bool)> = plain.iter().enumerate().map(of_class).collect();
        let miss = |answers: &[(f64, bool)]| calibration_error(&binned(answers, &vec![1.0; count], BINS));
        match mean > error && miss(&calibrated) <= miss(&plain) {
            true => Self::fit_few(predictions),
            false => Self(1.0),
        }
    }

    fn of_predictions(predictions: &Predictions, doubt: f64) -> Self {
        let rows: Vec<Vec<f64>> = (0..predictions.len()).map(|i| logarithms(predictions.row(i))).collect();
        Self::of_logits(rows.iter().map(Vec::as_slice).zip(predictions.targets.iter().copied()), doubt)
    }

    /// The same for logits of items with their targets, in double precision. All classes but the target share `doubt`
    /// (0..1).
    #[must_use]
    pub fn of_logits<'a>(rows: impl Iterator<Item = (&'a [f64], usize)>, doubt: f64) -> Self {
        let rows: Vec<(&[f64], usize)> = rows.collect();
        let Some((first, _)) = rows.first() else { return Self(1.0) };
        let doubt_each = doubt / (first.len() as f64 - 1.0).max(1.0);
        // Cross entropy is convex in the inverse of the temperature, so its slope changes sign once and bisection finds
        // it.
        let slope = |inverse: f64| -> f64 {
            let of_row = |&(row, target): &(&[f64], usize)| {
                let shares = tempered(row, inverse);
                let wanted = row.iter().sum::<f64>() * doubt_each + row[target] * (1.0 - doubt - doubt_each);
                shares.iter().zip(row).map(|(share, value)| share * value).sum::<f64>() - wanted
            };
            rows.iter().map(of_row).sum()
        };
        let [mut low, mut high] = [TEMPERATURES[1].recip(), TEMPERATURES[0].recip()];
        // 60 halvings narrow the range down to what double precision can distinguish.
        for _ in 0..60 {
            let middle = (low * high).sqrt();
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        Self((low * high).sqrt().recip())
    }

    /// The probabilities of one item from its logits, `[class]`.
    #[must_use]
    pub fn softened(self, logits: &[f64]) -> Vec<f64> {
        tempered(logits, self.0.recip())
    }

    /// The probabilities of one item at this temperature, given those at temperature 1: `[class]`, summing to 1.
    #[must_use]
    pub fn applied_to(self, probabilities: &[f32]) -> Vec<f32> {
        tempered(&logarithms(probabilities), self.0.recip()).into_iter().map(|p| p as f32).collect()
    }
}

impl Predictions {
    /// The same predictions with their probabilities at a temperature, and losses to match.
    #[must_use]
    pub fn at_temperature(mut self, temperature: Temperature) -> Self {
        if temperature == Temperature(1.0) {
            return self;
        }
        let rows = (0..self.len()).flat_map(|i| temperature.applied_to(self.row(i)));
        self.probabilities = rows.collect();
        self.losses = self.losses_of_probabilities();
        self
    }
}

/// Logits up to an additive constant, which doesn't matter. Probabilities too small for f32 count as the smallest one.
fn logarithms(probabilities: &[f32]) -> Vec<f64> {
    probabilities.iter().map(|p| f64::from(p.max(f32::MIN_POSITIVE)).ln()).collect()
}

fn tempered(row: &[f64], inverse: f64) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = row.iter().map(|value| ((value - largest) * inverse).exp()).collect();
    let sum: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softmax;

    /// [`Predictions`] stores f32, with seven digits, so the full precision is checked here.
    /// Predictions of `right` and then `wrong` items, each made with this probability.
    fn certain(right: usize, wrong: usize, probability: f32) -> Predictions {
        let count = right + wrong;
        let vocab = sciurus_data::Vocab::new(["grey", "red"].map(String::from));
        // A wrong item in each fifth, as they come in a shuffled set.
        let is_wrong = |i: usize| {
            wrong > 0 && i.is_multiple_of((count / wrong).max(1)) && i / (count / wrong).max(1) < wrong
        };
        let rows = (0..count).flat_map(|_| [probability, 1.0 - probability]).collect();
        let targets = (0..count).map(|i| usize::from(is_wrong(i))).collect();
        let items = (0..count as u32).map(sciurus_data::ItemId).collect();
        let paths = (0..count).map(|i| format!("{i}.jpg").into()).collect();
        Predictions::from_probabilities(vocab, items, paths, rows, targets).unwrap()
    }

    #[test]
    fn a_temperature_is_used_where_it_helps_on_other_items() {
        let overconfident = certain(80, 24, 0.99);
        let found = Temperature::where_it_helps(&overconfident);
        assert_eq!(found, Temperature::fit_few(&overconfident));
        assert!(found.0 > 1.5, "{found:?}");
        // One confident mistake says nothing of the others.
        let one = certain(65, 1, 0.999_9);
        assert!(Temperature::fit_few(&one).0 > 1.2);
        assert_eq!(Temperature::where_it_helps(&one), Temperature(1.0));
        assert_eq!(Temperature::where_it_helps(&certain(75, 25, 0.75)), Temperature(1.0));
        for few in [0, 1, 3] {
            assert_eq!(Temperature::where_it_helps(&certain(few, 0, 0.9)), Temperature(1.0), "{few}");
        }
    }

    #[test]
    fn golden_calibration_in_double_precision() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap();
        for case in ["main", "absent_class"] {
            let case = &golden[case];
            let logits: Vec<Vec<f32>> = serde_json::from_value(case["logits"].clone()).unwrap();
            let targets: Vec<usize> = serde_json::from_value(case["targets"].clone()).unwrap();
            let rows: Vec<Vec<f64>> = logits.iter().map(|row| softmax(row).collect()).collect();
            let near = |ours: f64, name: &str| {
                let theirs = case["calibration"][name].as_f64().unwrap();
                assert!((ours - theirs).abs() < 1e-12, "{name}: {ours} against {theirs}");
            };
            let scores = rows.iter().zip(&targets).map(|(row, target)| brier(row.iter().copied(), *target));
            near(scores.sum::<f64>() / targets.len() as f64, "brier");

            let answers: Vec<(f64, bool)> = rows
                .iter()
                .zip(&targets)
                .map(|(row, &target)| {
                    let sure = row.iter().copied().fold(0.0, f64::max);
                    (sure, row[target] == sure)
                })
                .collect();
            let bins = binned(&answers, &vec![1.0; answers.len()], 15);
            let expected: Vec<(f64, Option<f64>, Option<f64>)> =
                serde_json::from_value(case["calibration"]["bins_count_acc_conf"].clone()).unwrap();
            for (bin, (items, accuracy, confidence)) in bins.iter().zip(expected) {
                assert_eq!(bin.items, items);
                for (ours, theirs) in [(bin.accuracy, accuracy), (bin.confidence, confidence)] {
                    assert!(theirs.map_or(ours.is_nan(), |theirs| (ours - theirs).abs() < 1e-12));
                }
            }
        }
    }
}
