//! The role of chance. In: paired outcomes. Out: p-values and bootstrap intervals. Every random stream is seeded, so
//! the same predictions always give the same result.

use rand::RngExt;
use sciurus_data::{Rng, Seed};

use super::Difference;
use super::items::{Paired, Run, Sums};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;
/// Random sign flips of the permutation test.
const FLIPS: usize = 9999;
/// Differences this close count as equally extreme: they only differ by rounding.
const ROUNDING: f64 = 1e-9;

/// The seed of everything random here. It's fixed, so that draws are unrelated to the runs' own seeds.
const SEED: Seed = Seed(0x005c_1d05);
const BOOTSTRAP: u64 = 1;
const PERMUTATION: u64 = 2;

/// McNemar's exact two-sided p-value, from the numbers of items that only one side gets right, 0..=1.
pub(super) fn mcnemar(only_a: usize, only_b: usize) -> f64 {
    let (fewer, n) = (only_a.min(only_b), only_a + only_b);
    // In logarithms, because C(n, k) / 2^n underflows for large n.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for k in 1..=fewer {
        term += ((n - k + 1) as f64 / k as f64).ln();
        tail += term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// The two-sided p-value of the sum of `differences`, 0..=1: each one keeps its size and gets a random sign.
pub(super) fn sign_flip(differences: &[f64]) -> f64 {
    let moved: Vec<f64> = differences.iter().copied().filter(|d| d.abs() > ROUNDING).collect();
    let observed = moved.iter().sum::<f64>().abs() - ROUNDING;
    let mut rng = SEED.rng(&[PERMUTATION]);
    let mut flipped = || moved.iter().map(|&d| if rng.random::<bool>() { d } else { -d }).sum::<f64>();
    let extreme = (0..FLIPS).filter(|_| flipped().abs() >= observed).count();
    (1 + extreme) as f64 / (1 + FLIPS) as f64
}

/// The differences of error rate and mean loss, with their intervals.
pub(super) fn differences(paired: &Paired) -> (Difference, Difference) {
    let (runs_a, runs_b) = (paired.a.len(), paired.b.len());
    let measured = draw(paired, &vec![1.0; paired.items()], [&vec![1.0; runs_a], &vec![1.0; runs_b]]);
    let mut rng = SEED.rng(&[BOOTSTRAP]);
    let resample = |_| {
        let items = drawn(paired.items(), paired.items(), &mut rng);
        let weights_a = drawn(runs_a, fewer(runs_a), &mut rng);
        // Runs at the same position share their seed and split, so they are drawn together.
        let weights_b =
            if runs_a == runs_b { weights_a.clone() } else { drawn(runs_b, fewer(runs_b), &mut rng) };
        draw(paired, &items, [&weights_a, &weights_b])
    };
    // If splits overlap little, a resample may have no items; it's left out.
    let draws: Vec<[f64; 2]> =
        (0..RESAMPLES).map(resample).filter(|draw| draw.iter().all(|d| d.is_finite())).collect();
    let interval = |which: usize| {
        let mut values: Vec<f64> = draws.iter().map(|draw| draw[which]).collect();
        values.sort_by(f64::total_cmp);
        Difference { value: measured[which], low: quantile(&values, 0.025), high: quantile(&values, 0.975) }
    };
    (interval(0), interval(1))
}

/// How many runs to draw out of a few: one less than there are. With as many as there are, the variance of three runs
/// would seem a third smaller than it is.
///
/// Source: J. N. K. Rao and C. F. J. Wu, "Resampling Inference with Complex Survey Data", Journal of the American
/// Statistical Association 83 (1988), with n - 1 draws of n.
fn fewer(runs: usize) -> usize {
    runs.saturating_sub(1).max(1)
}

/// How often each of `n` things is drawn in `draws` draws with replacement.
fn drawn(n: usize, draws: usize, rng: &mut Rng) -> Vec<f64> {
    let mut counts = vec![0.0; n];
    (0..draws).for_each(|_| counts[rng.random_range(0..n)] += 1.0);
    counts
}

/// B minus A of error rate and mean loss, with weights for items and for the runs of A and B.
fn draw(paired: &Paired, items: &[f64], runs: [&[f64]; 2]) -> [f64; 2] {
    let [a, b] = [weighted(&paired.a, items, runs[0]), weighted(&paired.b, items, runs[1])];
    [b.error_rate() - a.error_rate(), b.loss() - a.loss()]
}

fn weighted(runs: &[Run], items: &[f64], weights: &[f64]) -> Sums {
    let drawn = runs.iter().zip(weights).filter(|&(_, &weight)| weight > 0.0);
    drawn.map(|(run, &weight)| run.sums(|item| weight * items[item])).sum()
}

/// The quantile of sorted values, interpolated linearly as in NumPy; NaN if there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.binomtest(b, b + c, 0.5).pvalue`, SciPy 1.17.1.
    #[test]
    fn mcnemar_is_scipys_binomial_test() {
        let cases = [
            (9, 12, 0.663_623_809_814_453_1),
            (0, 0, 1.0),
            (0, 5, 0.0625),
            (6, 0, 0.03125),
            (3, 14, 0.012_725_830_078_125),
            (60, 61, 1.0),
            (400, 520, 8.549_170_923_883_781e-5),
            (5000, 5300, 0.003_215_819_673_645_259),
        ];
        for (only_a, only_b, expected) in cases {
            let p = mcnemar(only_a, only_b);
            // The logarithm is a sum of up to n terms around -n ln 2, so its rounding error is relative in the result.
            let rounding = 1e-10 * expected;
            assert!((p - expected).abs() <= rounding, "{only_a} {only_b}: {p} {expected}");
        }
    }

    /// With one prediction per item, the permutation test estimates what McNemar's test computes.
    #[test]
    fn sign_flip_approaches_mcnemar() {
        for (only_a, only_b) in [(9, 12), (0, 6), (3, 14)] {
            let differences = [vec![-1.0; only_a], vec![1.0; only_b], vec![0.0; 40]].concat();
            let (p, exact) = (sign_flip(&differences), mcnemar(only_a, only_b));
            // Four standard errors of 9,999 draws.
            let reach = 4.0 * (exact * (1.0 - exact) / FLIPS as f64).sqrt() + 1e-4;
            assert!((p - exact).abs() < reach, "{p} {exact}");
        }
        assert_eq!(sign_flip(&[0.0; 5]), 1.0);
    }

    #[test]
    fn quantiles_are_numpys() {
        assert!((quantile(&[1.0, 2.0, 4.0, 8.0], 0.025) - 1.075).abs() < 1e-12);
        assert!((quantile(&[1.0, 2.0, 4.0, 8.0], 0.975) - 7.7).abs() < 1e-12);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
