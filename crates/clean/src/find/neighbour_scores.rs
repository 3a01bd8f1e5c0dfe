//! Scores from nearest neighbours. In: a neighbour graph and given labels. Out: whether the neighbours agree with each label,
//! and which items are outliers.

use serde::{Deserialize, Serialize};

use super::neighbours::NeighbourGraph;
use super::out_of_sample::{check_labels, largest};
use sciurus_insight::InsightError;

/// A neighbour that is farther away than the nearest one by this cosine distance has the weight `1/e`.
const REACH: f64 = 0.1;
/// The smallest scale that distances are divided by.
const LEAST: f64 = 1e-6;

/// What the neighbours of each item voted, one entry per item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighbourVote {
    /// The weighted share of neighbours that have the item's label, 0 to 1; 0.5 without neighbours.
    pub share: Vec<f64>,
    /// The class with the most weight; without neighbours, the given one. The label is suspicious if it differs.
    pub majority: Vec<usize>,
}

/// The vote of the neighbours, weighted by `exp((nearest distance - distance) / 0.1)`.
///
/// The idea is SimiFeat's (Zhu, Dong, Liu 2022, "Detecting Corrupted Labels Without Training a Model to Predict").
///
/// # Errors
/// If there is not one label per item, or a label is not a class.
pub fn neighbour_vote(
    graph: &NeighbourGraph,
    labels: &[usize],
    classes: usize,
) -> Result<NeighbourVote, InsightError> {
    check(graph, labels)?;
    check_labels(classes, labels)?;
    let mut vote = NeighbourVote { share: Vec::new(), majority: Vec::new() };
    for (item, &label) in labels.iter().enumerate() {
        let mut votes = vec![0.0; classes];
        let distances = graph.distances(item);
        for (&other, distance) in graph.ids(item).iter().zip(distances) {
            votes[labels[other as usize]] += ((distances[0] - distance) / REACH).exp();
        }
        let total: f64 = votes.iter().sum();
        vote.share.push(if total > 0.0 { votes[label] / total } else { 0.5 });
        vote.majority.push(if total > 0.0 { largest(&votes) } else { label });
    }
    Ok(vote)
}

/// How much closer an item is to items of its own label than to others, 0 (suspicious) to 1: `other² / (same² + other²)`, from
/// the mean distances to neighbours with the item's label (`same`) and with another label (`other`). If there are no
/// neighbours of one kind, the farthest neighbour's distance is used instead.
///
/// SelfClean's score (Gröger et al. 2023), but with means in place of the single nearest items, which one wrong label can
/// mislead.
///
/// # Errors
/// If there is not one label per item.
pub fn same_label_nearness(graph: &NeighbourGraph, labels: &[usize]) -> Result<Vec<f64>, InsightError> {
    check(graph, labels)?;
    let of_item = |(item, &label): (usize, &usize)| {
        let pairs = graph.ids(item).iter().zip(graph.distances(item));
        let farthest = graph.distances(item).last().copied().unwrap_or(0.0);
        let mean = |same: bool| {
            let chosen = pairs.clone().filter(|(other, _)| (labels[**other as usize] == label) == same);
            let (count, sum) = chosen.fold((0, 0.0), |(count, sum), (_, d)| (count + 1, sum + d));
            if count > 0 { sum / f64::from(count) } else { farthest }
        };
        let [same, other] = [mean(true), mean(false)].map(|distance: f64| distance.powi(2));
        if same + other > 0.0 { other / (same + other) } else { 0.5 }
    };
    Ok(labels.iter().enumerate().map(of_item).collect())
}

/// Items far from all others, as cleanlab's Datalab finds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outliers {
    /// `exp(-mean distance / median of the mean distances)` of each item, 0 (far from all) to 1.
    pub scores: Vec<f64>,
    /// The mean cosine distance (0..=2) of each item to its neighbours.
    pub means: Vec<f64>,
    /// The mean distance above which an item is an outlier: the third quartile plus 1.70 times the interquartile range.
    pub cut: f64,
    /// The items above it, ascending.
    pub items: Vec<usize>,
}

/// Datalab's default threshold; `1 / 0.37037 - 1` is 1.70.
const OUTLIER_THRESHOLD: f64 = 0.37037;

/// Scores how far each item is from its neighbours, and finds the outliers.
#[must_use]
pub fn outliers(graph: &NeighbourGraph) -> Outliers {
    let means: Vec<f64> = (0..graph.len()).map(|item| mean(graph.distances(item))).collect();
    let mut sorted = means.clone();
    sorted.sort_by(f64::total_cmp);
    let [first, median, third] = [0.25, 0.5, 0.75].map(|share| quantile(&sorted, share));
    let cut = third + (1.0 / OUTLIER_THRESHOLD - 1.0) * (third - first);
    Outliers {
        scores: means.iter().map(|mean| (-mean / median.max(LEAST)).exp()).collect(),
        cut,
        items: (0..means.len()).filter(|&item| means[item] > cut).collect(),
        means,
    }
}

/// NumPy's default quantile of ascending values, with linear interpolation; 0 without values.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let below = place.floor() as usize;
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(low), Some(high)) => low + (high - low) * (place - below as f64),
        (low, _) => low.copied().unwrap_or(0.0),
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn check(graph: &NeighbourGraph, labels: &[usize]) -> Result<(), InsightError> {
    if graph.len() == labels.len() {
        return Ok(());
    }
    Err(InsightError::Length {
        what: "labels (one per item of the graph)",
        expected: graph.len(),
        found: labels.len(),
    })
}
