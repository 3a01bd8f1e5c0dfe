//! Errors planted into a set, seeded.

use std::fmt;

use rand::RngExt;
use rand::seq::SliceRandom;
use sciurus::clean::find::{FoldItems, FoldOptions, out_of_fold};
use sciurus::insight::Embeddings;
use sciurus::{Arch, Seed};

use super::sets::Set;

/// What is planted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Noise {
    /// Any other class.
    Symmetric(f64),
    /// The next class.
    Pairwise(f64),
    /// The second best class of a model that was trained on right labels.
    Confusion(f64),
    /// Photos of the other sets, with any class.
    OffTopic(f64),
    /// The set's own `_junk` photos, with any class.
    Junk,
}

impl Noise {
    pub(crate) const ALL: [Self; 7] = [
        Self::Symmetric(0.05),
        Self::Symmetric(0.2),
        Self::Symmetric(0.4),
        Self::Pairwise(0.2),
        Self::Confusion(0.2),
        Self::OffTopic(0.05),
        Self::Junk,
    ];

    /// With two classes, pairwise and confusion-based errors are symmetric ones.
    pub(crate) fn fits(self, classes: usize) -> bool {
        classes > 2 || !matches!(self, Self::Pairwise(_) | Self::Confusion(_))
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symmetric(share) => write!(f, "symmetric {:.0} %", 100.0 * share),
            Self::Pairwise(share) => write!(f, "pairwise {:.0} %", 100.0 * share),
            Self::Confusion(share) => write!(f, "confusion {:.0} %", 100.0 * share),
            Self::OffTopic(share) => write!(f, "off-topic {:.0} %", 100.0 * share),
            Self::Junk => f.write_str("its own junk"),
        }
    }
}

/// A set with errors, and where they are.
pub(crate) struct Case {
    pub(crate) classes: usize,
    pub(crate) labels: Vec<usize>,
    /// The network of each member.
    pub(crate) archs: Vec<Arch>,
    pub(crate) members: Vec<Embeddings>,
    /// How probably each item is a drawing.
    pub(crate) drawing: Vec<f64>,
    pub(crate) wrong: Vec<bool>,
}

pub(crate) fn planted(set: &Set, noise: Noise, seed: u64, sets: &[Set]) -> Case {
    let mut rng = Seed(seed).rng(&[7]);
    let classes = set.classes();
    let mut case = Case {
        classes,
        labels: set.labels.clone(),
        archs: set.archs.clone(),
        members: set.members.clone(),
        drawing: set.drawing.clone(),
        wrong: vec![false; set.labels.len()],
    };
    match noise {
        Noise::Symmetric(share) | Noise::Pairwise(share) | Noise::Confusion(share) => {
            let second = matches!(noise, Noise::Confusion(_)).then(|| second_best(set));
            let mut order: Vec<usize> = (0..case.labels.len()).collect();
            order.shuffle(&mut rng);
            for &item in &order[..(share * order.len() as f64).round() as usize] {
                case.wrong[item] = true;
                let given = case.labels[item];
                case.labels[item] = match (noise, &second) {
                    (Noise::Pairwise(_), _) => (given + 1) % classes,
                    (_, Some(second)) => second[item],
                    _ => (given + rng.random_range(1..classes)) % classes,
                };
            }
        }
        Noise::OffTopic(share) => {
            let count = (share * case.labels.len() as f64).round() as usize;
            let others: Vec<&Set> =
                sets.iter().filter(|other| other.name != set.name && fit(other, set)).collect();
            for _ in 0..if others.is_empty() { 0 } else { count } {
                let other = others[rng.random_range(0..others.len())];
                let row = rng.random_range(0..other.labels.len());
                add(&mut case, (&other.members, &other.drawing), row, rng.random_range(0..classes));
            }
        }
        Noise::Junk => {
            let rows = set.junk.first().map_or(0, |junk| junk.values.len() / junk.width.max(1));
            for row in 0..rows {
                add(&mut case, (&set.junk, &set.junk_drawing), row, rng.random_range(0..classes));
            }
        }
    }
    case
}

/// Whether two sets were embedded by the same networks.
fn fit(a: &Set, b: &Set) -> bool {
    a.archs == b.archs
}

fn add(case: &mut Case, (from, drawing): (&[Embeddings], &[f64]), row: usize, class: usize) {
    for (member, from) in case.members.iter_mut().zip(from) {
        member.values.extend(from.row(row));
    }
    case.drawing.push(drawing[row]);
    case.labels.push(class);
    case.wrong.push(true);
}

/// The most probable class that is not the right one, by out-of-fold heads on right labels.
fn second_best(set: &Set) -> Vec<usize> {
    let items = FoldItems { embeddings: &set.members[0], labels: &set.labels, groups: None, weights: None };
    let found = out_of_fold(items, set.classes(), FoldOptions::default().build().unwrap()).unwrap();
    let second = |item: usize| {
        let row = found.rows.row(item);
        let others = (0..row.len()).filter(|&class| class != set.labels[item]);
        others.max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
    };
    (0..set.labels.len()).map(second).collect()
}
