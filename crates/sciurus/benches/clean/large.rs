//! How long big sets take, and how much memory.

use std::time::Instant;

use rand::RngExt;
use sciurus::Seed;
use sciurus::clean::find::{
    GivenLabels, LabelInspector, LabelScore, NeighbourGraph, OutOfSample, QualityOptions, label_quality,
    near_copies, neighbour_vote, outliers, rank_average,
};
use sciurus::insight::Embeddings;
use sciurus::photos::PerceptualHash;
use sciurus::photos::near_hashes;

const CLASSES: usize = 10;

pub(crate) fn time() {
    relabelled();
    embeddings();
    scores();
}

fn told(what: &str, start: Instant) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{what}: {:.1} s, {peak}", start.elapsed().as_secs_f64());
}

/// Made-up embeddings, a cloud for each class, and their labels.
fn clouds(items: usize, width: usize) -> (Embeddings, Vec<usize>) {
    let mut rng = Seed(1).rng(&[]);
    let labels: Vec<usize> = (0..items).map(|item| item % CLASSES).collect();
    let centres: Vec<f32> = (0..CLASSES * width).map(|_| rng.random::<f32>()).collect();
    let values = (0..items * width)
        .map(|at| centres[at / width % CLASSES * width + at % width] * 0.3 + rng.random::<f32>())
        .collect();
    (Embeddings { width, values }, labels)
}

/// From a changed label to the new ranking, in a set as people clean by hand.
fn relabelled() {
    let (embeddings, mut labels) = clouds(1000, 384);
    for changed in 0..5 {
        labels[changed * 7] = (labels[changed * 7] + 1) % CLASSES;
        let start = Instant::now();
        let given = GivenLabels { classes: CLASSES, labels: &labels, groups: None, weights: None };
        label_quality(&[&embeddings], given, &QualityOptions::default()).unwrap();
        told("1,000 x 384: a label changed, everything ranked anew", start);
    }
}

fn embeddings() {
    let (embeddings, labels) = clouds(100_000, 512);
    let start = Instant::now();
    let graph = NeighbourGraph::new(&embeddings, 10).unwrap();
    told("100,000 x 512: neighbours", start);
    let groups = near_copies(&graph, Default::default()).groups;
    let _ = outliers(&graph);
    neighbour_vote(&graph, &labels, CLASSES).unwrap();
    let given = GivenLabels { classes: CLASSES, labels: &labels, groups: Some(&groups), weights: None };
    label_quality(&[&embeddings], given, &QualityOptions::default()).unwrap();
    told("100,000 x 512: everything", start);
}

/// A million rows of probabilities and hashes.
fn scores() {
    let items = 1_000_000;
    let mut rng = Seed(2).rng(&[]);
    let labels: Vec<usize> = (0..items).map(|item| item % CLASSES).collect();
    let mut rows: Vec<f64> = (0..items * CLASSES).map(|_| rng.random::<f64>() + 0.01).collect();
    for (row, &label) in rows.chunks_mut(CLASSES).zip(&labels) {
        row[label] += 3.0;
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    let hashes: Vec<[PerceptualHash; 8]> =
        (0..items).map(|_| std::array::from_fn(|_| PerceptualHash(rng.random()))).collect();
    let start = Instant::now();
    let rows = OutOfSample::new(CLASSES, rows, labels).unwrap();
    let mut inspector = LabelInspector::new(CLASSES, LabelScore::SelfConfidence);
    inspector.observe(&rows);
    inspector.score(&rows);
    let _ = inspector.label_issues();
    let own: Vec<f64> = (0..items).map(|item| rows.row(item)[rows.labels()[item]]).collect();
    rank_average(&[(&own, 1.0), (&own, 2.0)]).unwrap();
    told("1,000,000 rows: thresholds, filter, ranking", start);
    let start = Instant::now();
    let pairs = near_hashes(&hashes, 8).len();
    told(&format!("1,000,000 hashes in 8 orientations: {pairs} near pairs"), start);
}
