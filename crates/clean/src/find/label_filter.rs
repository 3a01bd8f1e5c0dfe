//! Picks the items whose label is probably wrong: every filter of cleanlab's `filter.find_label_issues`, index for index. In:
//! probabilities and given labels. Out: item indices.

use serde::{Deserialize, Serialize};

use super::confident_joint::{ConfidentJoint, MARGIN, rounded};
use super::label_scores::{LabelScore, label_scores};
use super::out_of_sample::{OutOfSample, largest};
use sciurus_data::BadOption;
use sciurus_insight::InsightError;

/// A way to decide which labels are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelFilter {
    /// In each class, the items of lowest self-confidence: as many as the confident joint estimates to be wrong.
    PruneByClass,
    /// For each pair of given and likely class, the items of largest margin: as many as the joint estimates. cleanlab's default.
    PruneByNoiseRate,
    /// The items that both of the above find.
    Both,
    /// The items off the diagonal of the confident joint.
    ConfidentLearning,
    /// The items whose prediction differs from their label.
    PredictedNeqGiven,
    /// The items of lowest self-confidence: as many as `ConfidentLearning` finds.
    LowSelfConfidence,
    /// The items of lowest normalised margin: as many as `ConfidentLearning` finds.
    LowNormalizedMargin,
}

/// Options of [`find_label_issues`]; only the pruning filters use them.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `noise_fraction` | 1 | the share of the estimated wrong labels to return | 0..=1 |
/// | `least_per_class` | 1 | a class with no more items than this is left alone | any |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FilterOptions {
    noise_fraction: f64,
    least_per_class: usize,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self { noise_fraction: 1.0, least_per_class: 1 }
    }
}

impl FilterOptions {
    /// The share of the estimated wrong labels to return, 0..=1.
    #[must_use]
    pub fn noise_fraction(mut self, fraction: f64) -> Self {
        self.noise_fraction = fraction;
        self
    }

    /// A class with no more items than this is left alone.
    #[must_use]
    pub fn least_per_class(mut self, items: usize) -> Self {
        self.least_per_class = items;
        self
    }

    /// The options, checked.
    ///
    /// # Errors
    /// If `noise_fraction` is not in 0..=1.
    pub fn build(self) -> Result<Self, InsightError> {
        let found = self.noise_fraction;
        let is_valid = (0.0..=1.0).contains(&found);
        BadOption::check("noise_fraction", found, is_valid, "choose a number from 0 to 1")?;
        Ok(self)
    }
}

/// The items whose label is wrong according to the filter, ascending.
///
/// ```
/// use sciurus_clean::find::{FilterOptions, LabelFilter, OutOfSample, find_label_issues};
///
/// let probabilities = vec![0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.2, 0.8, 0.05, 0.95];
/// let rows = OutOfSample::new(2, probabilities, vec![0, 0, 0, 1, 1])?;
/// let options = FilterOptions::default().build()?;
/// assert_eq!(find_label_issues(&rows, LabelFilter::PruneByNoiseRate, options), [2]);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[must_use]
pub fn find_label_issues(rows: &OutOfSample, filter: LabelFilter, options: FilterOptions) -> Vec<usize> {
    let disagrees = |&item: &usize| !prediction_agrees(rows.row(item), rows.labels()[item]);
    let found = match filter {
        LabelFilter::LowSelfConfidence => return lowest(rows, LabelScore::SelfConfidence),
        LabelFilter::LowNormalizedMargin => return lowest(rows, LabelScore::NormalizedMargin),
        LabelFilter::ConfidentLearning => ConfidentJoint::new(rows).off_diagonal,
        LabelFilter::PredictedNeqGiven => (0..rows.len()).collect(),
        LabelFilter::PruneByClass => pruned(rows, options, prune_by_class),
        LabelFilter::PruneByNoiseRate => pruned(rows, options, prune_by_noise_rate),
        LabelFilter::Both => {
            let by_class = pruned(rows, options, prune_by_class);
            let by_rate = pruned(rows, options, prune_by_noise_rate);
            by_class.into_iter().filter(|item| by_rate.binary_search(item).is_ok()).collect()
        }
    };
    found.into_iter().filter(disagrees).collect()
}

/// Sorts `issues` by rising score, the most suspicious first. `scores` has one entry per item of the whole data set.
#[must_use]
pub fn ranked_issues(issues: &[usize], scores: &[f64]) -> Vec<usize> {
    let mut issues = issues.to_vec();
    issues.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    issues
}

/// Whether the most probable class is the given one, or within 1e-6 of it.
pub(super) fn prediction_agrees(row: &[f64], label: usize) -> bool {
    let raised = row.iter().enumerate().map(|(class, p)| if class == label { p + MARGIN } else { *p });
    largest(&raised.collect::<Vec<f64>>()) == label
}

/// The items of lowest score, as many as confident learning finds, ascending by index.
fn lowest(rows: &OutOfSample, score: LabelScore) -> Vec<usize> {
    let number = find_label_issues(rows, LabelFilter::ConfidentLearning, FilterOptions::default()).len();
    lowest_of(&label_scores(rows, score), number)
}

/// The `number` items of lowest score, ascending by index; on a tie, the earlier item.
pub(super) fn lowest_of(scores: &[f64], number: usize) -> Vec<usize> {
    let mut items = ranked_issues(&(0..scores.len()).collect::<Vec<usize>>(), scores);
    items.truncate(number);
    items.sort_unstable();
    items
}

/// Picks from the items given class `class`; `counts[likely]` is how many of them the joint expects in each class.
type Prune = fn(rows: &OutOfSample, class: usize, items: &[usize], counts: &[usize]) -> Vec<usize>;

fn pruned(rows: &OutOfSample, options: FilterOptions, prune: Prune) -> Vec<usize> {
    let counts = prune_counts(rows, options);
    let mut members = vec![Vec::new(); rows.classes()];
    for (item, &label) in rows.labels().iter().enumerate() {
        members[label].push(item);
    }
    let mut found = Vec::new();
    for (class, items) in
        members.iter().enumerate().filter(|(_, items)| items.len() > options.least_per_class)
    {
        let of_class: Vec<usize> = counts.iter().map(|row| row[class]).collect();
        found.extend(prune(rows, class, items, &of_class));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn prune_by_class(rows: &OutOfSample, class: usize, items: &[usize], counts: &[usize]) -> Vec<usize> {
    let mut order = items.to_vec();
    order.sort_by(|&a, &b| rows.row(a)[class].total_cmp(&rows.row(b)[class]));
    order.truncate(items.len().saturating_sub(counts[class]));
    order
}

fn prune_by_noise_rate(rows: &OutOfSample, class: usize, items: &[usize], counts: &[usize]) -> Vec<usize> {
    let mut found = Vec::new();
    for other in (0..rows.classes()).filter(|&other| other != class && counts[other] > 0) {
        let margin = |item: usize| rows.row(item)[other] - rows.row(item)[class];
        let mut order = items.to_vec();
        order.sort_by(|&a, &b| margin(b).total_cmp(&margin(a)));
        found.extend(order.into_iter().take(counts[other]));
    }
    found
}

/// The calibrated confident joint as `[likely][given]`, with at least `least_per_class` on the diagonal and the other
/// entries scaled to `noise_fraction`: cleanlab's `_keep_at_least_n_per_class`.
fn prune_counts(rows: &OutOfSample, options: FilterOptions) -> Vec<Vec<usize>> {
    let joint = ConfidentJoint::new(rows).calibrated(rows.labels());
    let classes = rows.classes();
    let mut counts = vec![vec![0.0; classes]; classes];
    for (given, row) in joint.iter().enumerate() {
        let diagonal = row[given].max(options.least_per_class);
        let raised = (diagonal - row[given]) as f64;
        let others = (row.iter().filter(|&&n| n > 0).count() as f64 - 1.0).max(1.0);
        let mut removed = 0.0;
        for (likely, &n) in row.iter().enumerate().filter(|&(likely, _)| likely != given) {
            let kept = (n as f64 - raised / others).max(0.0);
            let reduced = kept * options.noise_fraction;
            removed += kept - reduced;
            counts[likely][given] = reduced.trunc();
        }
        counts[given][given] = (diagonal as f64 + removed).trunc();
    }
    counts.iter().map(|row| rounded(row)).collect()
}
