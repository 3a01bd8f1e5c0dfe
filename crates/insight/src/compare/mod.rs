//! Compares two models on the same items. In: predictions of both. Out: whether one is better than chance can explain.

mod items;
mod resample;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::measured::nan_from_null;
use crate::table::{Align, Table};
use crate::{InsightError, Predictions};
use items::Paired;

/// A difference counts as real if the p-value is below this.
const SIGNIFICANCE: f64 = 0.05;
/// The same if a side has only one run, which can't tell a better recipe from a lucky seed. Of 80 real pairs that
/// differed only in their seed, 8 had a p-value below 5 %, and 2 below 1 % (docs/recipes.md).
const SIGNIFICANCE_OF_ONE: f64 = 0.01;

/// Compares one run of A with one run of B over the same items, matched by path and label in any order.
///
/// McNemar's exact test considers the items that only one of the two gets right: if neither model is better, each of
/// them is a coin toss. Two-sided `p = 2 · P(X <= min(b, c))`, `X ~ Binomial(b + c, 1/2)`, at most 1. Source: Q.
/// McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
/// 12 (1947); the same as `scipy.stats.binomtest(b, b + c, 0.5)`.
///
/// It compares these two models, not the recipes that trained them, which another seed may rank the other way round. So
/// a difference only counts below 1 %. To compare recipes, pass several runs of each to [`compare_many`].
///
/// # Errors
/// An item is missing on one side, appears twice in a run, or has different labels, or there are no items.
///
/// ```
/// use sciurus_insight::{ItemId, Predictions, Verdict, Vocab, compare};
///
/// let run = |probabilities: Vec<f32>| {
///     let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
///     let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
///     Predictions::from_probabilities(vocab, vec![ItemId(0), ItemId(1)], paths, probabilities, vec![1, 0])
/// };
/// let comparison = compare(&run(vec![0.1, 0.9, 0.3, 0.7])?, &run(vec![0.2, 0.8, 0.6, 0.4])?)?;
/// assert_eq!(comparison.verdict, Verdict::NoDifference);
/// assert_eq!(
///     comparison.summary(),
///     "0 items only A right, 1 only B right: p = 1.00, no difference beyond the noise"
/// );
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
pub fn compare(a: &Predictions, b: &Predictions) -> Result<Comparison, InsightError> {
    compare_many(std::slice::from_ref(a), std::slice::from_ref(b))
}

/// Compares several runs of A (seeds of one recipe) with several of B.
///
/// Runs may have different splits, as they do when the seed also determines the split, as long as every item is in the
/// same share of A's runs as of B's: pass the same seeds on both sides, in the same order. An item's error is its mean
/// over the runs that have it. With one run each this is [`compare`]. With more, the p-value comes from a sign-flip
/// permutation test over items with 9,999 seeded permutations, `(1 + as extreme) / (1 + permutations)`. Source: B.
/// Phipson and G. K. Smyth, "Permutation P-values Should Never Be Zero", Statistical Applications in Genetics and
/// Molecular Biology 9 (2010).
///
/// Items aren't the only noise: seeds differ too, and a bad seed is bad on all items together. So the bootstrap behind
/// the intervals resamples runs as well as items, and a difference only counts if the p-value is below 5 % *and* the
/// interval of the error rates' difference excludes 0. In 1,000 simulated comparisons of a recipe with itself, whose
/// seeds differed by half of its error rate, the p-value alone found a difference in 22 %; with the interval it was
/// 2.5 %.
///
/// # Errors
/// As for [`compare`], or a side has no run.
pub fn compare_many(a: &[Predictions], b: &[Predictions]) -> Result<Comparison, InsightError> {
    let paired = Paired::new(a, b)?;
    let (error_rate, valid_loss) = resample::differences(&paired);
    let (a_ahead, b_ahead) = paired.ahead();
    let one_each = paired.a.len() == 1 && paired.b.len() == 1;
    let (test, p_value) = if one_each {
        (PairedTest::McNemar, resample::mcnemar(a_ahead, b_ahead))
    } else {
        (PairedTest::SignFlip, resample::sign_flip(&paired.error_differences()))
    };
    let fewest = paired.a.len().min(paired.b.len());
    let level = if fewest == 1 { SIGNIFICANCE_OF_ONE } else { SIGNIFICANCE };
    Ok(Comparison {
        items: paired.items(),
        a: Side::new(&paired.a),
        b: Side::new(&paired.b),
        a_ahead,
        b_ahead,
        error_rate,
        valid_loss,
        test,
        p_value,
        verdict: if p_value < level { Verdict::of(error_rate) } else { Verdict::NoDifference },
    })
}

/// The result of [`compare`]. Differences are B minus A, so a negative one favours B.
///
/// Its `Display` is a table for a terminal, with the verdict below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The number of different items.
    pub items: usize,
    /// How A did.
    pub a: Side,
    /// How B did.
    pub b: Side,
    /// Items that A gets right more often than B; with one run each, those that only A gets right.
    pub a_ahead: usize,
    /// Items that B gets right more often than A.
    pub b_ahead: usize,
    /// The difference of the error rates.
    pub error_rate: Difference,
    /// The difference of the mean losses, in nats. It's only meaningful if both were trained with the same loss
    /// function, and doesn't affect the verdict.
    pub valid_loss: Difference,
    /// The test that gave the p-value.
    pub test: PairedTest,
    /// How often a difference of error rates as large as this one would arise by chance, 0..1.
    pub p_value: f64,
    /// Whether B is better than A.
    pub verdict: Verdict,
}

/// One side of a [`Comparison`]; everything is pooled over its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Side {
    /// The error rate of each run, 0..1, in the order they were passed in. Their spread shows the effect of seeds.
    pub error_rates: Vec<f64>,
    /// The share of wrong predictions, 0..1.
    pub error_rate: f64,
    /// The mean loss in nats.
    pub valid_loss: f64,
}

impl Side {
    fn new(runs: &[items::Run]) -> Self {
        let all: items::Sums = runs.iter().map(|run| run.sums(|_| 1.0)).sum();
        let error_rates = runs.iter().map(|run| run.sums(|_| 1.0).error_rate()).collect();
        Self { error_rates, error_rate: all.error_rate(), valid_loss: all.loss() }
    }
}

/// B minus A, with the 95 % interval of a paired bootstrap: percentiles 2.5 and 97.5 of 1,000 seeded resamples of the
/// items, and of the runs if there are several.
///
/// Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The observed difference.
    #[serde(deserialize_with = "nan_from_null")]
    pub value: f64,
    /// The lower end of the interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub low: f64,
    /// The upper end of the interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub high: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.4} (95 % interval {:+.4} to {:+.4})", self.value, self.low, self.high)
    }
}

/// The test behind a p-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairedTest {
    /// McNemar's exact test, for one run of each.
    #[serde(rename = "mcnemar")]
    McNemar,
    /// The sign-flip permutation test over items, for several runs.
    SignFlip,
}

/// Whether B is better than A: at the 5 % level with several runs of each, at the 1 % level if a side has only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// B makes fewer mistakes than A, beyond the noise.
    Better,
    /// B makes more mistakes than A, beyond the noise.
    Worse,
    /// Nothing that chance could not explain. That doesn't mean that both are equally good.
    NoDifference,
}

impl Verdict {
    /// The verdict of an interval of B minus A.
    fn of(error_rate: Difference) -> Self {
        match error_rate {
            Difference { high, .. } if high < 0.0 => Self::Better,
            Difference { low, .. } if low > 0.0 => Self::Worse,
            _ => Self::NoDifference,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "B is better",
            Self::Worse => "B is worse",
            Self::NoDifference => "no difference beyond the noise",
        })
    }
}

impl Comparison {
    /// The verdict with its reason, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { a_ahead, b_ahead, verdict, .. } = self;
        let counts = match self.test {
            PairedTest::McNemar => format!("{} only A right, {b_ahead} only B right", items_of(*a_ahead)),
            PairedTest::SignFlip => {
                format!("{} on which A is more often right, {b_ahead} on which B is", items_of(*a_ahead))
            }
        };
        format!("{counts}: {}, {verdict}", probability(self.p_value))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = |heading: &str| (heading.to_string(), Align::Right);
        let columns = [right("A"), right("B"), right("B - A"), right("95 % interval")];
        let mut table = Table::new(std::iter::once((String::new(), Align::Left)).chain(columns));
        table.row(row("error_rate", [self.a.error_rate, self.b.error_rate], self.error_rate));
        table.row(row("valid_loss", [self.a.valid_loss, self.b.valid_loss], self.valid_loss));
        let runs = [&self.a, &self.b].map(|side| side.error_rates.len().to_string());
        table.row(["runs", &runs[0], &runs[1], "", ""]);
        write!(f, "{table}\n{}; {}", items_of(self.items), self.summary())
    }
}

fn row(name: &str, sides: [f64; 2], difference: Difference) -> [String; 5] {
    let Difference { value, low, high } = difference;
    let [a, b] = sides.map(|side| format!("{side:.4}"));
    [name.to_string(), a, b, format!("{value:+.4}"), format!("{low:+.4} to {high:+.4}")]
}

fn items_of(count: usize) -> String {
    if count == 1 { "1 item".to_string() } else { format!("{count} items") }
}

/// `p = 0.66`, with more digits where the verdict depends on them.
fn probability(p: f64) -> String {
    match p {
        p if p < 0.0001 => "p < 0.0001".to_string(),
        p if p < 0.1 => format!("p = {p:.4}"),
        p => format!("p = {p:.2}"),
    }
}
