//! Orders in which a set can be reviewed.

use std::fmt;

use rand::seq::SliceRandom;
use sciurus::Seed;
use sciurus::insight::Embeddings;
use sciurus::insight::clean::{
    FilterOptions, FoldItems, FoldOptions, GivenLabels, LabelFilter, LabelScore, LogisticOptions, NearCopyOptions,
    NeighbourGraph, QualityOptions, find_label_issues, label_quality, label_scores, near_copies,
    neighbour_vote, out_of_fold, outliers, rank_average,
};

use super::planted::Case;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Random,
    /// cleanlab's default filter on the plain head first, by self confidence; then the rest.
    Cleanlab,
    /// A plain out-of-fold head on the first backbone, self confidence: the bar of the design page.
    Plain,
    /// `label_quality` with some of the backbones and this many rounds of reweighting.
    Quality { members: Members, rounds: usize },
    /// The same, averaged by rank with the vote of the neighbours.
    WithVote { members: Members, rounds: usize },
    /// `label_quality` of all backbones with this penalty.
    Fixed { penalty: f64, rounds: usize },
    /// Label and distance: the distance to this power, with this weight; the worse of both, or neither being fine.
    Mixed { power: i32, weight: f64, or: bool },
    /// Far from all others first.
    Outlying,
    /// The queue of `sciurus clean`: the worse of label and distance.
    Queue,
    /// Ranks of both averaged.
    Averaged,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Members {
    First,
    Last,
    All,
}

impl Order {
    pub(crate) fn all(tried: bool) -> Vec<Self> {
        let mut orders = vec![Self::Random, Self::Plain, Self::Cleanlab, Self::Queue];
        if tried {
            for members in [Members::First, Members::Last, Members::All] {
                for rounds in [0, 2] {
                    orders.push(Self::Quality { members, rounds });
                    orders.push(Self::WithVote { members, rounds });
                }
            }
            for penalty in [6.0, 2.0, 1.0] {
                orders.extend([0, 2].map(|rounds| Self::Fixed { penalty, rounds }));
            }
            for (power, weight) in [(4, 1.0), (4, 0.9), (4, 0.8), (8, 1.0), (8, 0.9), (8, 0.8), (2, 0.8)] {
                orders.extend([false, true].map(|or| Self::Mixed { power, weight, or }));
            }
            orders.extend([Self::Outlying, Self::Averaged]);
        }
        orders
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Cleanlab => f.write_str("cleanlab's default"),
            Self::Plain => f.write_str("plain head"),
            Self::Quality { members, rounds } => write!(f, "quality {members:?} {rounds}"),
            Self::WithVote { members, rounds } => write!(f, "quality+vote {members:?} {rounds}"),
            Self::Fixed { penalty, rounds } => write!(f, "fixed {penalty} {rounds}"),
            Self::Mixed { power, weight, or } => write!(f, "mixed {power} {weight} {or}"),
            Self::Outlying => f.write_str("outlying"),
            Self::Queue => f.write_str("**sciurus**"),
            Self::Averaged => f.write_str("label and outlying averaged"),
        }
    }
}

/// The items, most suspicious first.
pub(crate) fn ranked(order: Order, case: &Case, seed: u64) -> Vec<usize> {
    let mut items: Vec<usize> = (0..case.labels.len()).collect();
    // Ties are in random order, not in the order of the classes.
    items.shuffle(&mut Seed(seed).rng(&[8]));
    let scores = match order {
        Order::Random => return items,
        Order::Cleanlab => cleanlab(case),
        Order::Plain => plain(case),
        Order::Quality { members, rounds } => quality(case, members, rounds),
        Order::WithVote { members, rounds } => {
            averaged(&quality(case, members, rounds), &vote(case, members))
        }
        Order::Fixed { penalty, rounds } => {
            judged(case, Members::All, QualityOptions::default().rounds(rounds).penalty(penalty))
        }
        Order::Mixed { power, weight, or } => {
            let label = quality(case, Members::All, 2);
            let far = outlying(case).into_iter().map(|badness| {
                let ratio = (badness / (1.0 - badness).max(1e-12)).powf(f64::from(power) / 4.0);
                weight * if ratio.is_finite() { ratio / (1.0 + ratio) } else { 1.0 }
            });
            let both = |(label, far): (&f64, f64)| {
                if or { 1.0 - (1.0 - label) * (1.0 - far) } else { label.max(far) }
            };
            label.iter().zip(far).map(both).collect()
        }
        Order::Outlying => outlying(case),
        Order::Queue => {
            let quality = quality(case, Members::All, 2);
            quality.iter().zip(outlying(case)).map(|(label, far)| label.max(far)).collect()
        }
        Order::Averaged => averaged(&quality(case, Members::All, 2), &outlying(case)),
    };
    items.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    items
}

fn averaged(a: &[f64], b: &[f64]) -> Vec<f64> {
    rank_average(&[(a, 1.0), (b, 1.0)]).unwrap()
}

fn chosen(case: &Case, members: Members) -> Vec<&Embeddings> {
    match members {
        Members::First => vec![&case.members[0]],
        Members::Last => case.members.last().into_iter().collect(),
        Members::All => case.members.iter().collect(),
    }
}

fn quality(case: &Case, members: Members, rounds: usize) -> Vec<f64> {
    judged(case, members, QualityOptions::default().rounds(rounds))
}

fn judged(case: &Case, members: Members, options: QualityOptions) -> Vec<f64> {
    let graph = NeighbourGraph::new(&case.members[0], 10).unwrap();
    let groups = near_copies(&graph, NearCopyOptions::default().build().unwrap()).groups;
    let given =
        GivenLabels { classes: case.classes, labels: &case.labels, groups: Some(&groups), weights: None };
    label_quality(&chosen(case, members), given, options.build().unwrap()).unwrap().scores
}

fn vote(case: &Case, members: Members) -> Vec<f64> {
    let shares = chosen(case, members).into_iter().map(|member| {
        let graph = NeighbourGraph::new(member, 10).unwrap();
        neighbour_vote(&graph, &case.labels, case.classes).unwrap().share
    });
    let sum = shares.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap();
    sum.iter().map(|share| -share).collect()
}

/// The mean over all backbones of how far out items lie.
fn outlying(case: &Case) -> Vec<f64> {
    let mut sum = vec![0.0; case.labels.len()];
    for member in &case.members {
        let found = outliers(&NeighbourGraph::new(member, 10).unwrap());
        sum.iter_mut().enumerate().for_each(|(item, sum)| *sum += found.badness(item));
    }
    sum.iter().map(|sum| sum / case.members.len() as f64).collect()
}

/// scikit-learn's default head on unit rows.
fn plain_rows(case: &Case) -> sciurus::insight::clean::OutOfSample {
    let mut unit = case.members[0].clone();
    for row in unit.values.chunks_mut(case.members[0].width) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    }
    let penalty = if case.classes == 2 { 2.0 } else { 1.0 };
    let options = FoldOptions::default().head(LogisticOptions::default().penalty(penalty)).build().unwrap();
    let items = FoldItems { embeddings: &unit, labels: &case.labels, groups: None, weights: None };
    out_of_fold(items, case.classes, options).unwrap().rows
}

fn plain(case: &Case) -> Vec<f64> {
    label_scores(&plain_rows(case), LabelScore::SelfConfidence).into_iter().map(|score| -score).collect()
}

fn cleanlab(case: &Case) -> Vec<f64> {
    let rows = plain_rows(case);
    let mut scores: Vec<f64> =
        label_scores(&rows, LabelScore::SelfConfidence).into_iter().map(|score| -score).collect();
    let issues = find_label_issues(&rows, LabelFilter::PruneByNoiseRate, FilterOptions::default());
    issues.into_iter().for_each(|item| scores[item] += 2.0);
    scores
}
