//! The threshold of each label that gives the best F1. In: predictions with their targets. Out: a threshold per label.

use crate::{AnyPredictions, MultiPredictions};

/// Among thresholds with the same F1, the one nearest to this is chosen.
const USUAL: f32 = 0.5;

impl MultiPredictions {
    /// For each class, the threshold (0..1) with the highest F1 on these items, halfway between two probabilities, and
    /// nearest to 0.5 if several are equal; 0.5 for a class without items.
    ///
    /// Scores at these thresholds on the same items flatter the model, more so the fewer items there are. Scores on
    /// items that had no part in the choice, such as a test set, don't.
    #[must_use]
    pub fn best_thresholds(&self) -> Vec<f32> {
        (0..self.vocab.len()).map(|class| self.best_threshold(class)).collect()
    }

    fn best_threshold(&self, class: usize) -> f32 {
        let mut items: Vec<(f32, bool)> =
            (0..self.len()).map(|i| (self.row(i)[class], self.is_target(i, class))).collect();
        items.sort_by(|a, b| b.0.total_cmp(&a.0));
        let targets = items.iter().filter(|(_, is_target)| *is_target).count();
        let (mut right, mut best) = (0, (0.0, USUAL));
        for (place, &(probability, is_target)) in items.iter().enumerate() {
            right += usize::from(is_target);
            let next = items.get(place + 1).map_or(0.0, |next| next.0);
            if next >= probability {
                continue;
            }
            let f1 = 2.0 * right as f64 / (place + 1 + targets) as f64;
            let threshold = between(next, probability);
            let is_nearer = (threshold - USUAL).abs() < (best.1 - USUAL).abs();
            if f1 > best.0 || (f1 == best.0 && f1 > 0.0 && is_nearer) {
                best = (f1, threshold);
            }
        }
        best.1
    }
}

impl AnyPredictions {
    /// The same predictions at the thresholds of [`MultiPredictions::best_thresholds`], if they're multi-label.
    #[must_use]
    pub fn at_best_thresholds(self) -> Self {
        match self {
            Self::Multi(predictions) => {
                let thresholds = predictions.best_thresholds();
                Self::Multi(MultiPredictions { thresholds, ..predictions })
            }
            one => one,
        }
    }

    /// The same predictions at the thresholds of other predictions of the same model.
    #[must_use]
    pub fn at_thresholds_of(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Multi(predictions), Self::Multi(other)) => {
                Self::Multi(MultiPredictions { thresholds: other.thresholds.clone(), ..predictions })
            }
            (predictions, _) => predictions,
        }
    }
}

/// A threshold that `above` exceeds and `below` does not: 0.5 if it's between them, else the middle.
fn between(below: f32, above: f32) -> f32 {
    if (below..above).contains(&USUAL) {
        return USUAL;
    }
    let middle = below + (above - below) / 2.0;
    if middle < above { middle } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_parts_its_two_neighbours() {
        assert_eq!(between(0.2, 0.4), 0.3);
        assert_eq!(between(0.2, 0.9), 0.5);
        let next = f32::from_bits(0.7_f32.to_bits() + 1);
        assert_eq!(between(0.7, next), 0.7);
        assert!(between(0.0, f32::from_bits(1)) == 0.0);
    }
}
