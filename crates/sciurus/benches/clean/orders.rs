//! Orders in which a set can be reviewed.

use std::fmt;

use rand::seq::SliceRandom;
use sciurus::Seed;
use sciurus::clean::distance_scale;
use sciurus::clean::find::{
    FilterOptions, FoldItems, FoldOptions, GivenLabels, Judge, LabelFilter, LabelScore, LogisticOptions,
    NearCopyOptions, NeighbourGraph, OffTopic, OutOfSample, QualityOptions, find_label_issues, label_quality,
    label_scores, near_copies, odd_kinds, off_topic, out_of_fold, sharpened,
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
    /// The queue of `sciurus clean`: the probability that the label is wrong, the photo of no class, or a drawing.
    Queue,
    /// Labels' scores with another penalty (none: chosen by what predicts best) and other rounds.
    Other {
        penalty: Option<f64>,
        rounds: usize,
    },
    /// Far from every class first.
    OffTopic,
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
        orders.push(Self::OffTopic);
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
            Self::OffTopic => f.write_str("far from every class"),
        }
    }
}

/// A case with what several orders need.
pub(crate) struct Scored<'a> {
    case: &'a Case,
    plain: OutOfSample,
    labels: Vec<f64>,
    off_topic: OffTopic,
    groups: Vec<usize>,
}

impl<'a> Scored<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        let graph = NeighbourGraph::new(&case.members[0], 10).unwrap();
        let groups = near_copies(&graph, NearCopyOptions::default().build().unwrap()).groups;
        let labels = judged(case, &groups, QualityOptions::default());
        Self { plain: plain_rows(case), labels, off_topic: strangers(case), groups, case }
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
            Order::Queue => self.queue(),
            Order::Other { penalty, rounds } => {
                judged(self.case, &self.groups, QualityOptions::default().rounds(rounds).penalties(penalty))
            }
            Order::OffTopic => self.off_topic.log_odds.clone(),
        };
        items.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        items
    }

    /// How probably each item is wrong, where the order says so.
    pub(crate) fn promised(&self, order: Order) -> Option<Vec<f64>> {
        (order == Order::Queue).then(|| self.queue())
    }

    fn queue(&self) -> Vec<f64> {
        let mut odd = vec![0.0; self.labels.len()];
        let seen = (&self.case.drawing[..], &self.off_topic.distances[..]);
        let kinds = odd_kinds(seen, &self.case.labels, self.case.classes, None).unwrap();
        kinds.iter().for_each(|kind| odd[kind.item] = kind.score);
        let wrong = sharpened(&self.labels).into_iter().zip(odd).enumerate();
        wrong
            .map(|(item, (label, odd))| {
                1.0 - (1.0 - label) * (1.0 - self.off_topic.probability(item)) * (1.0 - odd)
            })
            .collect()
    }
}

fn judged(case: &Case, groups: &[usize], options: QualityOptions) -> Vec<f64> {
    let members: Vec<&Embeddings> = case.members.iter().collect();
    let given =
        GivenLabels { classes: case.classes, labels: &case.labels, groups: Some(groups), weights: None };
    label_quality(&members, given, &options.build().unwrap()).unwrap().scores
}

/// How far items are from all classes. The network that is built in is the last of those that look, and the first to judge.
fn strangers(case: &Case) -> OffTopic {
    let members = case.archs.iter().zip(&case.members).rev();
    let judge = |(&arch, embeddings)| Some(Judge { embeddings, scale: distance_scale(arch)? });
    let judges: Vec<Judge<'_>> = members.filter_map(judge).collect();
    off_topic(&judges, &case.labels, case.classes, None).unwrap()
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
