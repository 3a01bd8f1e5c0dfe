//! Embeddings of a clean set in, how well planted label errors are found out: AUROC, average precision, and the share of the
//! set shown until 90 % of the errors are found, as means over seeds.
//!
//! `cargo run --release -p sciurus-insight --example planted_noise -- FILE.safetensors [SEED [SEEDS]]`, (first seed, 0; number of seeds,
//! 5), where the file has `labels` (i64, `[item]`) and any number of other tensors (f32, `[item, feature]`), one per backbone. Without a file:
//! times 100,000 x 512 made-up embeddings.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program to look at, not a library")]

use std::time::Instant;

use rand::RngExt;
use rand::seq::SliceRandom;
use safetensors::SafeTensors;
use sciurus_data::Seed;
use sciurus_insight::Embeddings;
use sciurus_insight::clean::{
    FoldItems, FoldOptions, GivenLabels, LabelScore, LogisticOptions, NeighbourGraph, QualityOptions,
    label_quality, label_scores, out_of_fold,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(file) = arguments.next() else {
        return time_large();
    };
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().unwrap());
    let first: u64 = number(0);
    let seeds = first..first + number(5);
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let labels: Vec<usize> = tensors
        .tensor("labels")
        .unwrap()
        .data()
        .chunks(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize)
        .collect();
    let mut members: Vec<(String, Embeddings)> = tensors
        .iter()
        .filter(|(name, _)| *name != "labels")
        .map(|(name, view)| {
            let values = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            (name.to_string(), Embeddings { width: view.shape()[1], values })
        })
        .collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    let classes = labels.iter().max().unwrap() + 1;
    for (kind, share) in [("symmetric", 0.05), ("symmetric", 0.2), ("symmetric", 0.4), ("pairwise", 0.2)] {
        if kind == "pairwise" && classes == 2 {
            continue;
        }
        let setting = Setting { kind, share, seeds: seeds.clone(), labels: &labels };
        for (name, member) in &members {
            setting.report(&format!("plain head, {name}"), |given| plain(member, given));
            for rounds in 0..=2 {
                let title = format!("rounds {rounds}, {name}");
                setting.report(&title, |given| quality(&[member], given, rounds));
            }
        }
        if members.len() > 1 {
            let all: Vec<&Embeddings> = members.iter().map(|(_, member)| member).collect();
            for rounds in 0..=2 {
                setting.report(&format!("rounds {rounds}, all"), |given| quality(&all, given, rounds));
            }
        }
    }
}

/// Self confidence of scikit-learn's default head (C = 1), negated.
fn plain(embeddings: &Embeddings, given: GivenLabels) -> Vec<f64> {
    let mut unit = embeddings.clone();
    for row in unit.values.chunks_mut(embeddings.width) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= norm);
    }
    let penalty = if given.classes == 2 { 2.0 } else { 1.0 };
    let options = FoldOptions::default().head(LogisticOptions::default().penalty(penalty));
    let items = FoldItems { embeddings: &unit, labels: given.labels, groups: None, weights: None };
    let found = out_of_fold(items, given.classes, options).unwrap();
    label_scores(&found.rows, LabelScore::SelfConfidence).into_iter().map(|score| -score).collect()
}

fn quality(members: &[&Embeddings], given: GivenLabels, rounds: usize) -> Vec<f64> {
    label_quality(members, given, QualityOptions::default().rounds(rounds)).unwrap().scores
}

/// Which noise is planted into which labels.
struct Setting<'a> {
    kind: &'a str,
    share: f64,
    seeds: std::ops::Range<u64>,
    labels: &'a [usize],
}

impl Setting<'_> {
    /// Prints how well a score, high for wrong labels, finds the planted ones.
    fn report(&self, name: &str, score: impl Fn(GivenLabels) -> Vec<f64>) {
        let classes = self.labels.iter().max().unwrap() + 1;
        let start = Instant::now();
        let of_seed = |seed: u64| {
            let given = self.planted(classes, seed);
            let scores = score(GivenLabels { classes, labels: &given, groups: None, weights: None });
            let wrong = given.iter().zip(self.labels).map(|(given, right)| given != right);
            measures(&scores, &wrong.collect::<Vec<bool>>())
        };
        let results: Vec<[f64; 3]> = self.seeds.clone().map(of_seed).collect();
        let count = results.len() as f64;
        let mean = |which: usize| results.iter().map(|result| result[which]).sum::<f64>() / count;
        let squares: f64 = results.iter().map(|result| (result[1] - mean(1)).powi(2)).sum();
        println!(
            "{} {:.2} | {name:22} | AUROC {:.3} | AP {:.3} (sd {:.3}) | 90 % after {:.2} | {:.2} s a run",
            self.kind,
            self.share,
            mean(0),
            mean(1),
            (squares / (count - 1.0)).sqrt(),
            mean(2),
            start.elapsed().as_secs_f64() / count
        );
    }

    fn planted(&self, classes: usize, seed: u64) -> Vec<usize> {
        let mut rng = Seed(seed).rng(&[7]);
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order.shuffle(&mut rng);
        let mut given = self.labels.to_vec();
        for &item in &order[..(self.share * self.labels.len() as f64).round() as usize] {
            let step = if self.kind == "pairwise" { 1 } else { rng.random_range(1..classes) };
            given[item] = (given[item] + step) % classes;
        }
        given
    }
}

/// AUROC, average precision, and the share shown until 90 % are found; scores fall from the most suspicious on.
fn measures(scores: &[f64], wrong: &[bool]) -> [f64; 3] {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let total = wrong.iter().filter(|&&wrong| wrong).count() as f64;
    let (mut found, mut area, mut precision, mut shown) = (0.0, 0.0, 0.0, 0.0);
    for (place, &item) in order.iter().enumerate() {
        if wrong[item] {
            found += 1.0;
            precision += found / (place + 1) as f64;
        } else {
            area += found;
        }
        if shown == 0.0 && found >= 0.9 * total {
            shown = (place + 1) as f64 / scores.len() as f64;
        }
    }
    [area / (total * (scores.len() as f64 - total)), precision / total, shown]
}

/// The whole analysis at the size of a big set.
fn time_large() {
    let (items, width, classes) = (100_000, 512, 10);
    let mut rng = Seed(1).rng(&[]);
    let labels: Vec<usize> = (0..items).map(|item| item % classes).collect();
    let centres: Vec<f32> = (0..classes * width).map(|_| rng.random::<f32>()).collect();
    let values = (0..items * width)
        .map(|at| centres[at / width % classes * width + at % width] * 0.3 + rng.random::<f32>())
        .collect();
    let embeddings = Embeddings { width, values };
    let start = Instant::now();
    let graph = NeighbourGraph::new(&embeddings, 10).unwrap();
    println!("neighbours of {}: {:.1} s", graph.len(), start.elapsed().as_secs_f64());
    let start = Instant::now();
    let given = GivenLabels { classes, labels: &labels, groups: None, weights: None };
    let found = label_quality(&[&embeddings], given, QualityOptions::default()).unwrap();
    println!("label quality, accuracy {:.3}: {:.1} s", found.accuracy[0], start.elapsed().as_secs_f64());
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_string();
    println!("{peak}");
}
