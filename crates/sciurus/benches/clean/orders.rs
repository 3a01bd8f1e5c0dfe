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
    let graph = NeighbourGraph::new(&case.members[0], 10).unwrap();
    let groups = near_copies(&graph, NearCopyOptions::default().build().unwrap()).groups;
    let given =
        GivenLabels { classes: case.classes, labels: &case.labels, groups: Some(&groups), weights: None };
    let options = QualityOptions::default().rounds(rounds).build().unwrap();
    label_quality(&chosen(case, members), given, options).unwrap().scores
}

fn vote(case: &Case, members: Members) -> Vec<f64> {
    let shares = chosen(case, members).into_iter().map(|member| {
        let graph = NeighbourGraph::new(member, 10).unwrap();
        neighbour_vote(&graph, &case.labels, case.classes).unwrap().share
    });
    let sum = shares.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap();
    sum.iter().map(|share| -share).collect()
}

fn outlying(case: &Case) -> Vec<f64> {
    let graph = NeighbourGraph::new(&case.members[0], 10).unwrap();
    let found = outliers(&graph);
    (0..case.labels.len()).map(|item| found.badness(item)).collect()
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
