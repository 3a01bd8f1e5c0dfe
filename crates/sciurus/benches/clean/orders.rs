//! Orders in which a set can be reviewed.

use std::fmt;

use rand::seq::SliceRandom;
use sciurus::Seed;
use sciurus::clean::Issue;
use sciurus::clean::find::{
    FilterOptions, FoldItems, FoldOptions, GivenLabels, LabelFilter, LabelScore, LogisticOptions,
    NearCopyOptions, NeighbourGraph, OutOfSample, QualityOptions, find_label_issues, label_quality,
    label_scores, near_copies, out_of_fold, outliers,
};
use sciurus::insight::Embeddings;

use super::planted::Case;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    Random,
    /// A plain out-of-fold head on the first backbone, self confidence: the bar of the design page.
    Plain,
    /// cleanlab's default filter on the plain head first, by self confidence; then the rest.
    Cleanlab,
    /// The labels' scores alone.
    Labels,
    /// The queue of `sciurus clean`: the worse of label and distance, each with its weight.
    Queue,
    /// Labels' scores with another penalty (none: chosen by what predicts best) and other rounds.
    Other {
        penalty: Option<f64>,
        rounds: usize,
    },
    /// Far from all others first.
    Outlying,
    /// The queue with another weight of the distance.
    Weighted(f64),
}

impl Order {
    /// Those of the tables.
    pub(crate) fn shown() -> Vec<Self> {
        vec![Self::Random, Self::Plain, Self::Cleanlab, Self::Labels, Self::Queue]
    }

    /// And those that were tried.
    pub(crate) fn with_tried() -> Vec<Self> {
        let mut orders = Self::shown();
        for penalty in [None, Some(1.0), Some(2.0), Some(4.0)] {
            orders.extend([0, 2].map(|rounds| Self::Other { penalty, rounds }));
        }
        orders.push(Self::Outlying);
        orders.extend([1.0, 0.9, 0.8, 0.6].map(Self::Weighted));
        orders
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random => f.write_str("random"),
            Self::Plain => f.write_str("plain head"),
            Self::Cleanlab => f.write_str("cleanlab's default"),
            Self::Labels => f.write_str("**labels alone**"),
            Self::Queue => f.write_str("**whole queue**"),
            Self::Other { penalty, rounds } => write!(f, "penalty {penalty:?}, {rounds} rounds"),
            Self::Outlying => f.write_str("outlying"),
            Self::Weighted(weight) => write!(f, "distance counts {weight}"),
        }
    }
}

/// A case with what several orders need.
pub(crate) struct Scored<'a> {
    case: &'a Case,
    plain: OutOfSample,
    labels: Vec<f64>,
    outlying: Vec<f64>,
    groups: Vec<usize>,
}

impl<'a> Scored<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        let graph = NeighbourGraph::new(&case.members[0], 10).unwrap();
        let groups = near_copies(&graph, NearCopyOptions::default().build().unwrap()).groups;
        let labels = judged(case, &groups, QualityOptions::default());
        Self { plain: plain_rows(case), labels, outlying: outlying(&graph), groups, case }
    }

    /// The items, most suspicious first.
    pub(crate) fn ranked(&self, order: Order, seed: u64) -> Vec<usize> {
        let mut items: Vec<usize> = (0..self.case.labels.len()).collect();
        // Ties are in random order, not in the order of the classes.
        items.shuffle(&mut Seed(seed).rng(&[8]));
        let scores = match order {
            Order::Random => return items,
            Order::Plain => plain(&self.plain),
            Order::Cleanlab => cleanlab(&self.plain),
            Order::Labels => self.labels.clone(),
            Order::Queue => self.queue(Issue::Outlier.weight()),
            Order::Other { penalty, rounds } => {
                judged(self.case, &self.groups, QualityOptions::default().rounds(rounds).penalties(penalty))
            }
            Order::Outlying => self.outlying.clone(),
            Order::Weighted(weight) => self.queue(weight),
        };
        items.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        items
    }

    fn queue(&self, weight: f64) -> Vec<f64> {
        self.labels.iter().zip(&self.outlying).map(|(label, far)| label.max(weight * far)).collect()
    }
}

fn judged(case: &Case, groups: &[usize], options: QualityOptions) -> Vec<f64> {
    let members: Vec<&Embeddings> = case.members.iter().collect();
    let given =
        GivenLabels { classes: case.classes, labels: &case.labels, groups: Some(groups), weights: None };
    label_quality(&members, given, &options.build().unwrap()).unwrap().scores
}

/// How far out items lie, by the first backbone.
fn outlying(graph: &NeighbourGraph) -> Vec<f64> {
    let found = outliers(graph);
    (0..graph.len()).map(|item| found.badness(item)).collect()
}

/// scikit-learn's default head on unit rows.
fn plain_rows(case: &Case) -> OutOfSample {
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

fn plain(rows: &OutOfSample) -> Vec<f64> {
    label_scores(rows, LabelScore::SelfConfidence).into_iter().map(|score| -score).collect()
}

fn cleanlab(rows: &OutOfSample) -> Vec<f64> {
    let mut scores = plain(rows);
    let issues = find_label_issues(rows, LabelFilter::PruneByNoiseRate, FilterOptions::default());
    issues.into_iter().for_each(|item| scores[item] += 2.0);
    scores
}
