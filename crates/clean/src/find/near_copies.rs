//! Groups near copies by their embeddings. In: a neighbour graph. Out: groups of items that show the same thing.

use serde::{Deserialize, Serialize};

use super::neighbour_scores::quantile;
use super::neighbours::NeighbourGraph;
use sciurus_data::BadOption;
use sciurus_insight::InsightError;

/// Distances below this are rounding errors: the embeddings are equal.
const EQUAL: f64 = 1e-14;

/// Options of [`near_copies`]: two items are near copies if their distance is below both limits.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `relative` | 0.13 | limit, as a share of the median distance to the nearest neighbour | above 0 |
/// | `absolute` | 0.05 | limit of the cosine distance | above 0, at most 2 |
///
/// `relative` alone is Datalab's rule, and adapts to the embedding. Where most items have a copy, the median itself is a
/// distance between copies. Where all photos differ a lot, it accepts pairs that are not copies; `absolute` rejects those.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NearCopyOptions {
    relative: f64,
    absolute: f64,
}

impl Default for NearCopyOptions {
    fn default() -> Self {
        Self { relative: 0.13, absolute: 0.05 }
    }
}

impl NearCopyOptions {
    /// The limit as a share of the median nearest distance, above 0.
    #[must_use]
    pub fn relative(mut self, share: f64) -> Self {
        self.relative = share;
        self
    }

    /// The limit of the cosine distance, above 0, at most 2 (which is no limit).
    #[must_use]
    pub fn absolute(mut self, distance: f64) -> Self {
        self.absolute = distance;
        self
    }

    /// The checked options.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn build(self) -> Result<Self, InsightError> {
        BadOption::check("relative", self.relative, self.relative > 0.0, "choose a number above 0")?;
        let is_valid = self.absolute > 0.0 && self.absolute <= 2.0;
        BadOption::check("absolute", self.absolute, is_valid, "choose a number above 0, at most 2")?;
        Ok(self)
    }
}

/// What [`near_copies`] found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearCopies {
    /// `1 - exp(-nearest distance / median nearest distance)` of each item: 0 (it has an exact copy) to 1.
    pub scores: Vec<f64>,
    /// Pairs of near copies `(smaller item, larger item, distance)`, ascending.
    pub pairs: Vec<(usize, usize, f64)>,
    /// The group of each item: the smallest item that is linked to it by pairs, or itself if it has no copy. Use it as the
    /// `groups` of [`FoldItems`](super::FoldItems).
    pub groups: Vec<usize>,
    /// The distance below which two items are near copies.
    pub limit: f64,
}

impl NearCopies {
    /// Joins the groups of items that are copies for another reason, such as their pixels.
    pub fn join(&mut self, copies: impl IntoIterator<Item = (usize, usize)>) {
        copies.into_iter().for_each(|(a, b)| link(&mut self.groups, a, b));
        settle(&mut self.groups);
    }
}

/// Finds items whose embeddings are nearly equal.
#[must_use]
pub fn near_copies(graph: &NeighbourGraph, options: NearCopyOptions) -> NearCopies {
    let nearest: Vec<f64> =
        (0..graph.len()).map(|item| graph.distances(item).first().copied().unwrap_or(2.0)).collect();
    let mut sorted = nearest.clone();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5).max(1e-6);
    let limit = (options.relative * median).min(options.absolute);
    let score = |&d: &f64| if d < EQUAL { 0.0 } else { 1.0 - (-d / median).exp() };
    let mut pairs = Vec::new();
    let mut groups: Vec<usize> = (0..graph.len()).collect();
    for item in 0..graph.len() {
        for (&other, &distance) in graph.ids(item).iter().zip(graph.distances(item)) {
            let other = other as usize;
            if distance < limit {
                pairs.push((item.min(other), item.max(other), distance));
                link(&mut groups, item, other);
            }
        }
    }
    settle(&mut groups);
    pairs.sort_by_key(|&(a, b, _)| (a, b));
    pairs.dedup_by_key(|&mut (a, b, _)| (a, b));
    NearCopies { scores: nearest.iter().map(score).collect(), pairs, groups, limit }
}

/// Joins the groups of two items (union-find: each item leads to another one of its group, and the first to itself).
pub(super) fn link(groups: &mut [usize], one: usize, other: usize) {
    let (a, b) = (first_of(groups, one), first_of(groups, other));
    groups[a.max(b)] = a.min(b);
}

/// Has each item lead to the first of its group at once.
pub(super) fn settle(groups: &mut [usize]) {
    for item in 0..groups.len() {
        groups[item] = first_of(groups, item);
    }
}

/// The first item of a group. Shortens the path to it for the next lookup.
fn first_of(groups: &mut [usize], mut item: usize) -> usize {
    while groups[item] != item {
        groups[item] = groups[groups[item]];
        item = groups[item];
    }
    item
}
