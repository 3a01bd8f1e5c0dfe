//! Softmax cross entropy against its formula and against differences of itself.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::softmax_cross_entropy;

use crate::values::{config, random_between};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cross_entropy_is_what_its_formula_says(rows in 1..9_usize, classes in 1..40_usize, seed: u64) {
        agrees(rows, classes, seed)?;
    }
}

/// The loss of one row in f64, shifted by nothing.
fn naive(logits: &[f64], targets: &[f64]) -> f64 {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().zip(targets).map(|(logit, target)| -target * (logit.exp() / sum).ln()).sum()
}

fn agrees(rows: usize, classes: usize, seed: u64) -> TestCaseResult {
    let logits = random_between::<f32>(seed, rows * classes, [-8.0, 8.0]);
    let targets = random_between::<f32>(seed ^ 1, rows * classes, [0.0, 1.0]);
    let mut gradient = vec![f32::NAN; rows * classes];
    let loss = softmax_cross_entropy(&logits, &targets, classes, &mut gradient);
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
    let (logits, targets) = (wide(&logits), wide(&targets));
    let total = |logits: &[f64]| -> f64 {
        logits.chunks(classes).zip(targets.chunks(classes)).map(|(l, t)| naive(l, t)).sum()
    };
    let want = total(&logits);
    prop_assert!((f64::from(loss) - want).abs() <= 1e-6 * want.abs().max(1.0), "{loss} against {want}");
    for at in 0..logits.len() {
        let [mut more, mut less] = [logits.clone(), logits.clone()];
        more[at] += 1e-5;
        less[at] -= 1e-5;
        let slope = (total(&more) - total(&less)) / 2e-5;
        let allowed = 1e-6 * (1.0 + classes as f64);
        prop_assert!(
            (f64::from(gradient[at]) - slope).abs() <= allowed,
            "{at}: {} against {slope}",
            gradient[at]
        );
    }
    Ok(())
}

#[test]
fn large_logits_neither_overflow_nor_vanish() {
    let mut gradient = [f32::NAN; 3];
    let loss = softmax_cross_entropy(&[1e4, -1e4, 0.0], &[0.0, 1.0, 0.0], 3, &mut gradient);
    assert_eq!(loss, 2e4);
    assert_eq!(gradient, [1.0, -1.0, 0.0]);
}

#[test]
fn a_class_without_probability_counts_only_where_it_is_wanted() {
    let mut gradient = [f32::NAN; 2];
    assert_eq!(softmax_cross_entropy(&[0.0, f32::NEG_INFINITY], &[1.0, 0.0], 2, &mut gradient), 0.0);
    assert_eq!(gradient, [0.0, 0.0]);
    assert_eq!(
        softmax_cross_entropy(&[0.0, f32::NEG_INFINITY], &[0.0, 1.0], 2, &mut gradient),
        f32::INFINITY
    );
}

#[test]
fn nan_passes_through() {
    let mut gradient = [0.0; 4];
    let loss = softmax_cross_entropy(&[f32::NAN, 0.0, 1.0, 2.0], &[0.5, 0.0, 0.0, 0.5], 2, &mut gradient);
    assert!(loss.is_nan());
    assert!(gradient[..2].iter().all(|value| value.is_nan()));
    assert!(gradient[2..].iter().all(|value| value.is_finite()));
}
