//! Combines the scores of several detectors or models into one ranking.

use sciurus_data::BadOption;
use sciurus_insight::InsightError;

use super::odds::{logistic, logit};

/// A member whose accuracy is this much below the best one's has the weight `1/e`.
const ACCURACY_SCALE: f64 = 0.02;

/// Weights of members with sum 1, from their out-of-fold accuracies (0..1): `exp((accuracy - best) / 0.02)`, scaled.
///
/// Averaging equally good members beats each of them; averaging with a clearly worse one does not. An accuracy of NaN counts
/// as the worst.
///
/// ```
/// use sciurus_clean::find::member_weights;
///
/// assert_eq!(member_weights(&[0.9, 0.9]), [0.5, 0.5]);
/// assert!(member_weights(&[0.9, 0.8])[1] < 0.01);
/// ```
#[must_use]
pub fn member_weights(accuracies: &[f64]) -> Vec<f64> {
    let number = |accuracy: f64| if accuracy.is_nan() { 0.0 } else { accuracy };
    let best = accuracies.iter().copied().map(number).fold(0.0, f64::max);
    let raw: Vec<f64> =
        accuracies.iter().map(|&accuracy| ((number(accuracy) - best) / ACCURACY_SCALE).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / sum).collect()
}

/// The weighted mean of the items' ranks in several lists of scores, each scaled to 0 (lowest score) to 1 (highest).
///
/// Equal scores share the mean of their ranks. Unlike a mean of scores, this works for scores on different scales. Each member
/// consists of its scores, one per item, and its weight, above 0.
///
/// # Errors
/// If the members' lengths differ, a score is NaN, or a weight is not above 0.
///
/// ```
/// use sciurus_clean::find::rank_average;
///
/// let ranks = rank_average(&[(&[0.1, 0.2, 0.9], 1.0), (&[5.0, 80.0, 70.0], 1.0)])?;
/// assert_eq!(ranks, [0.0, 0.75, 0.75]);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
pub fn rank_average(members: &[(&[f64], f64)]) -> Result<Vec<f64>, InsightError> {
    let items = members.first().map_or(0, |(scores, _)| scores.len());
    let total: f64 = members.iter().map(|(_, weight)| weight).sum();
    let mut average = vec![0.0; items];
    for &(scores, weight) in members {
        if scores.len() != items {
            let found = scores.len();
            return Err(InsightError::Length { what: "scores (one per item)", expected: items, found });
        }
        BadOption::check("weight", weight, weight > 0.0 && weight.is_finite(), "choose a number above 0")?;
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(InsightError::Row { row, why: "its score is not a number".into() });
        }
        average.iter_mut().zip(ranks(scores)).for_each(|(sum, rank)| *sum += weight / total * rank);
    }
    Ok(average)
}

/// Ranks in 0..=1; equal scores share the mean of their ranks.
fn ranks(scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut ranks = vec![0.0; scores.len()];
    let last = scores.len().saturating_sub(1).max(1) as f64;
    let mut start = 0;
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let middle = start as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&item| ranks[item] = middle / last);
        start += equal.len();
    }
    ranks
}

/// The confidence in the typical label that [`sharpened`] scores show.
const TYPICAL: f64 = 0.98;
/// What less is known of than this is not made more of.
const LEAST_KNOWN: f64 = 0.6;

/// Label scores (0..=1, 1 = certainly wrong) as probabilities that a label is wrong, to be combined with those of other detectors.
///
/// Heads are calibrated on the labels as they are given. Where a fifth of these is wrong, no head is more than 80 % sure of any,
/// and a score of 0.8 is as good as certain. So the scores' logits are stretched until the typical label, wrong or right, is known
/// with 98 %: `logistic(s logit(score))` with `s = logit(0.98) / logit(mean of max(score, 1 - score))`, at least 1. Their order stays.
#[must_use]
pub fn sharpened(scores: &[f64]) -> Vec<f64> {
    let known: f64 = scores.iter().map(|score| score.max(1.0 - score)).sum();
    let typical = (known / scores.len().max(1) as f64).clamp(LEAST_KNOWN, TYPICAL);
    let slope = logit(TYPICAL) / logit(typical);
    // Bounds keep the order of scores that are nearly 0 or 1.
    let stretched = |score: &f64| logistic(slope * logit(score.clamp(1e-12, 1.0 - 1e-12)));
    scores.iter().map(stretched).collect()
}
