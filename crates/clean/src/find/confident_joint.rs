//! Estimates how many labels of each class are wrong; cleanlab's `count` module. In: probabilities and given labels. Out: a
//! table of given against likely classes.

use serde::{Deserialize, Serialize};

use super::out_of_sample::{OutOfSample, label_counts};

/// A probability this close below its threshold counts as reaching it; cleanlab's value.
pub(super) const MARGIN: f64 = 1e-6;
/// The lowest threshold of a class; cleanlab's value.
pub(super) const LOWEST_THRESHOLD: f64 = 2.0 * MARGIN;
/// The threshold of a class that no item was given: no probability reaches it.
const NO_ITEMS: f64 = 2.0;

/// The confident threshold of each class: its mean probability over the items given that class, at least 2e-6; 2 for a class
/// without items.
///
/// cleanlab's `get_confident_thresholds`. An item counts as belonging to a class if its probability reaches this.
#[must_use]
pub fn class_thresholds(rows: &OutOfSample) -> Vec<f64> {
    let mut sums = vec![0.0; rows.classes()];
    for (item, &label) in rows.labels().iter().enumerate() {
        sums[label] += rows.row(item)[label];
    }
    let mean = |(sum, count): (f64, usize)| if count == 0 { NO_ITEMS } else { sum / count as f64 };
    sums.into_iter().zip(rows.label_counts()).map(|pair| mean(pair).max(LOWEST_THRESHOLD)).collect()
}

/// The confident joint: items counted by given class and by likely class.
///
/// An item that reaches the threshold of one class counts for that class; of several, for its most probable class; of none,
/// not at all. Source: Northcutt et al. 2021.
///
/// ```
/// use sciurus_clean::find::{ConfidentJoint, OutOfSample};
///
/// let probabilities = vec![0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.05, 0.95];
/// let rows = OutOfSample::new(2, probabilities, vec![0, 0, 0, 1, 1])?;
/// let joint = ConfidentJoint::new(&rows);
/// assert_eq!(joint.counts, [[2, 1], [0, 1]]);
/// assert_eq!(joint.off_diagonal, [2]);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfidentJoint {
    /// `counts[given][likely]`; the diagonal is at least 1.
    pub counts: Vec<Vec<usize>>,
    /// The items whose likely class is not the given one, ascending.
    pub off_diagonal: Vec<usize>,
}

impl ConfidentJoint {
    /// Counts the items.
    #[must_use]
    pub fn new(rows: &OutOfSample) -> Self {
        let thresholds = class_thresholds(rows);
        let mut counts = vec![vec![0; rows.classes()]; rows.classes()];
        let mut off_diagonal = Vec::new();
        for (item, &label) in rows.labels().iter().enumerate() {
            if let Some(likely) = likely_class(rows, item, &thresholds) {
                counts[label][likely] += 1;
                if likely != label {
                    off_diagonal.push(item);
                }
            }
        }
        for (class, row) in counts.iter_mut().enumerate() {
            row[class] = row[class].max(1);
        }
        Self { counts, off_diagonal }
    }

    /// The counts scaled to all items, `[given][likely]`. Each row sums to the number of items given its class (except for
    /// rounding), the table to the number of items. `labels` are the given classes. cleanlab's `calibrate_confident_joint`.
    #[must_use]
    pub fn calibrated(&self, labels: &[usize]) -> Vec<Vec<usize>> {
        let given = label_counts(self.counts.len(), labels);
        let scaled = self.counts.iter().zip(&given).map(|(row, &count)| {
            let total = row.iter().sum::<usize>() as f64;
            row.iter().map(|&n| n as f64 / total * count as f64).collect::<Vec<f64>>()
        });
        let scaled: Vec<Vec<f64>> = scaled.collect();
        let by_likely = (0..given.len()).flat_map(|likely| scaled.iter().map(move |row| row[likely]));
        let total = pairwise_sum(&by_likely.collect::<Vec<f64>>());
        let fit = |&n: &f64| if total > 0.0 { n / total * labels.len() as f64 } else { 0.0 };
        scaled.iter().map(|row| rounded(&row.iter().map(fit).collect::<Vec<f64>>())).collect()
    }

    /// The estimated number of wrong labels: the sum off the diagonal of [`calibrated`](Self::calibrated).
    /// cleanlab's `num_label_issues(estimation_method="off_diagonal_calibrated")`.
    #[must_use]
    pub fn wrong_labels(&self, labels: &[usize]) -> usize {
        let calibrated = self.calibrated(labels);
        let of_row = |(class, row): (usize, &Vec<usize>)| row.iter().sum::<usize>() - row[class];
        calibrated.iter().enumerate().map(of_row).sum()
    }
}

/// The class an item confidently belongs to, if any.
fn likely_class(rows: &OutOfSample, item: usize, thresholds: &[f64]) -> Option<usize> {
    let reached = |(_, (p, threshold)): &(usize, (&f64, &f64))| **p >= **threshold - MARGIN;
    let mut classes =
        rows.row(item).iter().zip(thresholds).enumerate().filter(reached).map(|(class, _)| class);
    let first = classes.next()?;
    Some(if classes.next().is_some() { rows.prediction(item) } else { first })
}

/// Rounds non-negative values to whole numbers, half to even, and keeps their sum: values that lost most by rounding are
/// raised first. cleanlab's `round_preserving_sum`, ties included.
pub(super) fn rounded(values: &[f64]) -> Vec<usize> {
    let mut whole: Vec<f64> = values.iter().map(|value| value.round_ties_even()).collect();
    let wanted = pairwise_sum(values).round_ties_even();
    loop {
        let missing = wanted - whole.iter().sum::<f64>();
        if missing == 0.0 || values.is_empty() {
            return whole.into_iter().map(|value| value.max(0.0) as usize).collect();
        }
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| (values[a] - whole[a]).total_cmp(&(values[b] - whole[b])));
        if missing > 0.0 {
            order.reverse();
        }
        for &at in order.iter().take(missing.abs() as usize) {
            whole[at] += missing.signum();
        }
    }
}

/// The sum in NumPy's order. The order matters: the last bit of the sum decides which way a value of exactly one half is
/// rounded.
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() > 128 {
        let half = values.len() / 2;
        let (left, right) = values.split_at(half - half % 8);
        return pairwise_sum(left) + pairwise_sum(right);
    }
    let (blocks, rest) = values.as_chunks::<8>();
    let start = match blocks.split_first() {
        Some((first, others)) => {
            let mut r = *first;
            for block in others {
                r.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
            }
            ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
        }
        None => 0.0,
    };
    rest.iter().fold(start, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn rounding_keeps_the_sum() {
        assert_eq!(rounded(&[0.4, 0.4, 0.2]), [0, 1, 0]);
        assert_eq!(rounded(&[0.6, 0.7, 0.7]), [0, 1, 1]);
        assert_eq!(rounded(&[2.5, 0.5]), [2, 1]);
        assert_eq!(rounded(&[]), [] as [usize; 0]);
    }
}
