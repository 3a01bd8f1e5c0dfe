//! Softmax and cross entropy. In: the logits of one item. Out: probabilities and the loss, computed in `f64` so that
//! nothing over- or underflows.

/// `log(sum(exp(logits)))`, computed relative to the largest logit so that nothing overflows; negative infinity without
/// logits.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).sum();
    f64::from(largest) + sum.ln()
}

/// Softmax: `exp(logit - log_sum_exp)` for each class, in 0..1, summing to 1.
///
/// ```
/// assert_eq!(sciurus_insight::softmax(&[0.0, 0.0]).collect::<Vec<_>>(), [0.5, 0.5]);
/// ```
pub fn softmax(logits: &[f32]) -> impl Iterator<Item = f64> {
    let total = log_sum_exp(logits);
    logits.iter().map(move |&logit| (f64::from(logit) - total).exp())
}

/// Cross entropy `log_sum_exp - logit[target]`, in nats, like PyTorch's `cross_entropy`; `target` is below
/// `logits.len()`.
pub(crate) fn cross_entropy(logits: &[f32], target: usize) -> f64 {
    log_sum_exp(logits) - f64::from(logits[target])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_do_not_overflow() {
        let logits = [1000.0, 0.0];
        assert_eq!(softmax(&logits).collect::<Vec<_>>(), [1.0, 0.0]);
        assert_eq!(cross_entropy(&logits, 0), 0.0);
        assert_eq!(cross_entropy(&logits, 1), 1000.0);
    }

    /// [`Predictions`](crate::Predictions) stores f32, with seven digits, so the full precision is checked here.
    #[test]
    fn golden_cross_entropy_is_scikit_learns_log_loss() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/metrics.json")).unwrap();
        for case in ["main", "absent_class"] {
            let case = &golden[case];
            let logits: Vec<Vec<f32>> = serde_json::from_value(case["logits"].clone()).unwrap();
            let targets: Vec<usize> = serde_json::from_value(case["targets"].clone()).unwrap();
            let losses: Vec<f64> =
                logits.iter().zip(&targets).map(|(row, &target)| cross_entropy(row, target)).collect();

            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            assert!((mean - case["sklearn"]["log_loss"].as_f64().unwrap()).abs() < 1e-12);

            let expected: Vec<f64> = serde_json::from_value(case["loss_per_item_first8"].clone()).unwrap();
            for (loss, expected) in losses.iter().zip(expected) {
                assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
            }
        }
    }
}
