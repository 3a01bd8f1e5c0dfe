//! How far counts can be trusted. In: counts. Out: the Wilson interval of a proportion, and the weight of one mistake.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The 97.5 % quantile of the normal distribution: two-sided 95 %.
const Z_95: f64 = 1.959_963_984_540_054;

/// A 95 % interval of a metric: `low <= high`, in the metric's range.
///
/// ```
/// use sciurus_insight::Interval;
///
/// assert_eq!(Interval { low: 0.003, high: 0.0914 }.to_string(), "0.003 to 0.091");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} to {:.3}", self.low, self.high)
    }
}

/// The 95 % Wilson score interval of a proportion, without continuity correction.
///
/// `(k + z²/2) / (n + z²) ± z / (n + z²) · sqrt(k (n - k) / n + z² / 4)` for k successes of n, with z = 1.96. It stays
/// within 0..1 and keeps its width when nothing went wrong, where the textbook `p ± 1.96 sqrt(p (1 - p) / n)` would
/// claim certainty. Without items (`n` = 0) it is 0..1, since nothing is known. `successes` above `n` counts as `n`.
///
/// Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the
/// American Statistical Association 22 (1927); the same as `scipy.stats.binomtest(k, n).proportion_ci(method="wilson")`.
///
/// ```
/// use sciurus_insight::wilson;
///
/// let interval = wilson(0, 10);
/// assert_eq!(interval.low, 0.0);
/// assert!((interval.high - 0.2775).abs() < 1e-4);
/// ```
#[must_use]
pub fn wilson(successes: usize, n: usize) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let successes = successes.min(n);
    let (k, n_f, z2) = (successes as f64, n as f64, Z_95 * Z_95);
    let centre = (k + z2 / 2.0) / (n_f + z2);
    let reach = Z_95 / (n_f + z2) * (k * (n_f - k) / n_f + z2 / 4.0).sqrt();
    // At the ends the formula gives exactly 0 and 1; floating point would miss them by a rounding error.
    Interval {
        low: if successes == 0 { 0.0 } else { centre - reach },
        high: if successes == n { 1.0 } else { centre + reach },
    }
}

/// How much one more or one less mistake changes an error rate over `items` images.
///
/// ```
/// use sciurus_insight::mistake_weight;
///
/// assert_eq!(mistake_weight(58).to_string(), "on 58 items one mistake is 1.7 points");
/// assert!((mistake_weight(58).points - 100.0 / 58.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn mistake_weight(items: usize) -> MistakeWeight {
    MistakeWeight { items, points: if items == 0 { 0.0 } else { 100.0 / items as f64 } }
}

/// The weight of one mistake, from [`mistake_weight`]. If two runs differ by less than this, they don't differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MistakeWeight {
    /// The number of images in the split.
    pub items: usize,
    /// Percentage points of error rate per mistake, 0..=100; 0 if there are no items.
    pub points: f64,
}

impl fmt::Display for MistakeWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.items {
            0 => write!(f, "there are no items to make a mistake on"),
            1 => write!(f, "on 1 item one mistake is 100.0 points"),
            items => write!(f, "on {items} items one mistake is {} points", points(self.points)),
        }
    }
}

/// One decimal, or two if one would not be enough.
fn points(points: f64) -> String {
    if points < 1.0 { format!("{points:.2}") } else { format!("{points:.1}") }
}
