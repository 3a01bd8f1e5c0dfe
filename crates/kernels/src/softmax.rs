//! Softmax cross entropy: the loss of logits against a distribution over classes, and its gradient.

/// The summed cross entropy (nats) of logits `[row, class]` against `targets` `[row, class]`: `-Σ target * log softmax`. Writes
/// the gradient of the logits: `softmax * (the row's sum of targets) - target`.
///
/// Targets are used as plain weights: for a mean over rows, each row must add up to `1 / rows`. A target of zero adds nothing, even
/// if its class has probability 0. Sums are f64.
///
/// # Panics
/// When lengths differ, or are not a whole number of rows.
///
/// ```
/// use sciurus_kernels::softmax_cross_entropy;
///
/// let mut gradient = [0.0; 2];
/// let loss = softmax_cross_entropy(&[0.0, 0.0], &[1.0, 0.0], 2, &mut gradient);
/// assert!((loss - std::f32::consts::LN_2).abs() < 1e-7);
/// assert_eq!(gradient, [-0.5, 0.5]);
/// ```
pub fn softmax_cross_entropy(logits: &[f32], targets: &[f32], classes: usize, gradient: &mut [f32]) -> f32 {
    let lengths = [targets.len(), gradient.len()];
    assert!(lengths == [logits.len(); 2], "one length: {} and {lengths:?}", logits.len());
    assert!(classes > 0 && logits.len().is_multiple_of(classes), "whole rows of {classes} classes");
    let rows = logits.chunks_exact(classes).zip(targets.chunks_exact(classes));
    let losses = rows.zip(gradient.chunks_exact_mut(classes)).map(|((logits, targets), gradient)| {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let above = |logit: f32| f64::from(logit) - f64::from(largest);
        let sum: f64 = logits.iter().map(|&logit| above(logit).exp()).sum();
        let weight: f64 = targets.iter().copied().map(f64::from).sum();
        let mut loss = 0.0;
        for ((gradient, &logit), &target) in gradient.iter_mut().zip(logits).zip(targets) {
            *gradient = (weight * above(logit).exp() / sum - f64::from(target)) as f32;
            if target != 0.0 {
                loss += f64::from(target) * (sum.ln() - above(logit));
            }
        }
        loss
    });
    losses.sum::<f64>() as f32
}
