//! Scores how well each label fits, from 0 (certainly wrong) to 1. In: probabilities and given labels. Out: one score per item.
//!
//! cleanlab's `rank.get_label_quality_scores`, to the last digits. Sources: Northcutt, Jiang, Chuang 2021, "Confident
//! Learning: Estimating Uncertainty in Dataset Labels"; Kuan, Mueller 2022, "Model-agnostic label quality scoring".

use serde::{Deserialize, Serialize};

use super::confident_joint::class_thresholds;
use super::out_of_sample::OutOfSample;

/// The smallest self-confidence and entropy used in divisions; cleanlab's value.
const CLIP: f64 = 1e-6;

/// A way to score a label; low scores are suspicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelScore {
    /// The probability of the given class, 0..1. Best for odd and ambiguous items, and when few labels are wrong.
    SelfConfidence,
    /// `(p(given) - max p(other) + 1) / 2`, 0..1. Best when many labels are wrong.
    NormalizedMargin,
    /// `ln(1 + e) / e` with `e` the normalised entropy divided by the self-confidence, 0..1.
    ConfidenceWeightedEntropy,
}

/// The score of every item's label, 0 (certainly wrong) to 1.
///
/// ```
/// use sciurus_clean::find::{LabelScore, OutOfSample, label_scores};
///
/// let rows = OutOfSample::new(2, vec![0.9, 0.1, 0.3, 0.7], vec![0, 0])?;
/// assert_eq!(label_scores(&rows, LabelScore::SelfConfidence), [0.9, 0.3]);
/// assert!((label_scores(&rows, LabelScore::NormalizedMargin)[1] - 0.3).abs() < 1e-12);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[must_use]
pub fn label_scores(rows: &OutOfSample, score: LabelScore) -> Vec<f64> {
    let of_row: fn(&[f64], usize) -> f64 = match score {
        LabelScore::SelfConfidence => |row, label| row[label],
        LabelScore::NormalizedMargin => normalized_margin,
        LabelScore::ConfidenceWeightedEntropy => confidence_weighted_entropy,
    };
    (0..rows.len()).map(|item| of_row(rows.row(item), rows.labels()[item])).collect()
}

/// The rows with the class thresholds subtracted, then normalised to sum 1 again: cleanlab's `adjust_pred_probs`.
///
/// Meant for classes of very different sizes. Not used by default: it lowered the average precision in 11 of 12 measured
/// cases. Cannot be used with [`LabelScore::ConfidenceWeightedEntropy`], whose entropy needs probabilities.
#[must_use]
pub fn threshold_adjusted(rows: &OutOfSample) -> OutOfSample {
    let thresholds = class_thresholds(rows);
    let top = thresholds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let adjusted = |item: usize| {
        let shifted: Vec<f64> = rows.row(item).iter().zip(&thresholds).map(|(p, t)| p - t + top).collect();
        let sum: f64 = shifted.iter().sum();
        shifted.into_iter().map(move |p| p / sum)
    };
    rows.with_rows((0..rows.len()).flat_map(adjusted).collect())
}

fn normalized_margin(row: &[f64], label: usize) -> f64 {
    let others = row.iter().enumerate().filter(|&(class, _)| class != label);
    let best_other = others.map(|(_, &p)| p).fold(0.0, f64::max);
    (row[label] - best_other + 1.0) / 2.0
}

fn confidence_weighted_entropy(row: &[f64], label: usize) -> f64 {
    let entropy: f64 = row.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
    // With a single class there is no doubt, and `ln(1)` would divide by zero.
    let normalized = if row.len() > 1 { entropy / (row.len() as f64).ln() } else { 0.0 };
    let weighted = normalized / row[label].max(CLIP);
    (weighted + 1.0).ln() / weighted.max(CLIP)
}
