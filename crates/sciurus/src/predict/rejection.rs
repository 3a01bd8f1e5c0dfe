//! "None of these": whether a picture is like the photos that a model knows. In: features of those photos, and of photos of the same
//! classes that were kept back. Out: how alike a picture is to what is known, and whether that is enough.
//!
//! The distance to the nearest known features in cosine (deep nearest neighbours, Sun et al. 2022) needs no assumption about how
//! they lie, and holds where probabilities don't: a network is as sure of a bear that it must call a squirrel as of a squirrel.

use std::fmt;

use half::f16;
use rayon::prelude::*;
use sciurus_insight::{Embeddings, Interval, wilson};
use serde::{Deserialize, Serialize};

use crate::nn::StoredTensor;

/// So many of the nearest known photos a picture is compared with.
const NEIGHBOURS: usize = 5;
/// The share of photos of the classes that should pass.
const PASS: f64 = 0.95;
/// With fewer photos to choose the threshold by, nothing is rejected: one in twenty could not be told from none.
const FEWEST: usize = 19;

/// What a picture must be like to belong to one of the classes. Part of a model's description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    /// A picture's similarity is the mean cosine (-1..=1) between its features and those of so many known photos, the nearest.
    pub neighbours: usize,
    /// With a smaller similarity, a picture is none of the classes (-1..=1). Chosen so that about 95 % of photos of the classes
    /// pass: the conformal quantile of `photos` similarities.
    pub threshold: f32,
    /// How many photos of the classes it was chosen by. The model was not trained on them.
    pub photos: usize,
    /// The share of new photos of the classes that should pass (0..=1), with its 95 % interval.
    pub passes: f64,
    /// The interval of `passes`.
    pub interval: Interval,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { threshold, passes, interval, photos, .. } = self;
        let [passes, low, high] = [*passes, interval.low, interval.high].map(|share| 100.0 * share);
        write!(
            f,
            "none of these: below a similarity of {threshold:.3}; about {passes:.0} % of photos of the classes pass (95 % interval \
             {low:.0} to {high:.0} %, by {photos} photos)"
        )
    }
}

/// The features of the photos that a model knows, as rows of length 1, with what a picture must be like.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownPhotos {
    /// What a picture must be like.
    pub rejection: Rejection,
    /// `[photo, feature]`, each row of length 1, in values that half precision holds.
    pub features: Embeddings,
}

/// How alike a picture is to what a model knows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// The mean cosine to the nearest known photos (-1..=1).
    pub cosine: f32,
    /// The nearest of them: its row.
    pub nearest: usize,
}

impl KnownPhotos {
    /// Most photos whose features are kept: a megabyte or two in a model's file.
    pub const MOST: usize = 2000;
    /// Length below which a row of features has no direction.
    pub(crate) const SHORTEST: f32 = 1e-12;
    /// The name of the features in a model's file.
    pub(crate) const TENSOR: &'static str = "known.features";

    /// What is known of a model's training photos, `[photo, feature]`, with a threshold chosen by photos that it was not trained on.
    /// `None` if there are fewer than 19 of those, or none of the former.
    pub(crate) fn new(known: &Embeddings, held_out: &Embeddings) -> Option<Self> {
        Self::calibrated(&unit(known), &unit(held_out), &|_, _| true)
    }

    /// The same, where no model was trained on any photo: of all photos some are known, and each is compared with those of other
    /// groups.
    pub(crate) fn out_of_fold(all: &Embeddings, groups: &[usize], known: &[usize]) -> Option<Self> {
        let all = unit(all);
        let values = known.iter().flat_map(|&photo| all.row(photo)).copied().collect();
        let apart = |photo: usize, row: usize| groups[photo] != groups[known[row]];
        Self::calibrated(&Embeddings { width: all.width, values }, &all, &apart)
    }

    fn calibrated(
        known: &Embeddings,
        held_out: &Embeddings,
        are_apart: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Option<Self> {
        let half = |value: &f32| f16::from_f32(*value).to_f32();
        let features = Embeddings { width: known.width, values: known.values.iter().map(half).collect() };
        let photos = rows(held_out);
        if photos < FEWEST || rows(&features) == 0 {
            return None;
        }
        let compare = |photo: usize| {
            nearest(&features, NEIGHBOURS, held_out.row(photo), |known| are_apart(photo, known)).cosine
        };
        let mut cosines: Vec<f32> = (0..photos).into_par_iter().map(compare).collect();
        cosines.sort_by(f32::total_cmp);
        // Of `n` photos and a new one, each is as likely to be the least alike: the new one is among the lowest `k` of them all with
        // the probability `k / (n + 1)` (split conformal prediction; Papadopoulos et al. 2002).
        let below = ((photos + 1) as f64 * (1.0 - PASS) + 1e-9) as usize;
        let rejection = Rejection {
            neighbours: NEIGHBOURS,
            threshold: cosines[below - 1],
            photos,
            passes: 1.0 - below as f64 / (photos + 1) as f64,
            interval: wilson(photos + 1 - below, photos + 1),
        };
        Some(Self { rejection, features })
    }

    /// How alike a picture is to the known photos, by its features.
    #[must_use]
    pub fn similarity(&self, features: &[f32]) -> Similarity {
        let length = length(features);
        let row: Vec<f32> = features.iter().map(|value| value / length).collect();
        nearest(&self.features, self.rejection.neighbours, &row, |_| true)
    }

    /// Whether a picture with this similarity belongs to one of the classes.
    #[must_use]
    pub fn passes(&self, similarity: Similarity) -> bool {
        similarity.cosine >= self.rejection.threshold
    }

    /// The features for a model's file, which keeps them in half precision.
    pub(crate) fn tensor(&self) -> StoredTensor {
        StoredTensor {
            shape: vec![rows(&self.features), self.features.width],
            values: self.features.values.clone(),
        }
    }

    /// The features from a model's file, whose shape has been checked.
    pub(crate) fn from_tensor(rejection: Rejection, tensor: StoredTensor) -> Self {
        let width = tensor.shape.last().copied().unwrap_or(1);
        Self { rejection, features: Embeddings { width, values: tensor.values } }
    }
}

fn rows(features: &Embeddings) -> usize {
    features.values.len() / features.width.max(1)
}

/// Rows of length 1.
fn unit(features: &Embeddings) -> Embeddings {
    let row = |row: &[f32]| {
        let length = length(row);
        row.iter().map(|value| value / length).collect::<Vec<f32>>()
    };
    let values = features.values.chunks_exact(features.width.max(1)).flat_map(row).collect();
    Embeddings { width: features.width, values }
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>().sqrt().max(KnownPhotos::SHORTEST)
}

/// The mean cosine of a row of length 1 to the nearest wanted rows, and the nearest of them. Without any, nothing is less alike.
fn nearest(known: &Embeddings, neighbours: usize, row: &[f32], wanted: impl Fn(usize) -> bool) -> Similarity {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(neighbours + 1);
    for (place, other) in known.values.chunks_exact(known.width.max(1)).enumerate() {
        if !wanted(place) {
            continue;
        }
        let cosine: f32 = row.iter().zip(other).map(|(a, b)| a * b).sum();
        if best.len() < neighbours || best.last().is_some_and(|(worst, _)| cosine > *worst) {
            let at = best.partition_point(|(better, _)| *better >= cosine);
            best.insert(at, (cosine, place));
            best.truncate(neighbours);
        }
    }
    let sum: f32 = best.iter().map(|(cosine, _)| cosine).sum();
    match best.first() {
        Some(&(_, nearest)) => Similarity { cosine: sum / best.len() as f32, nearest },
        None => Similarity { cosine: -1.0, nearest: 0 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;
    use sciurus_data::Seed;

    use super::*;

    /// Rows around one direction, and around another.
    fn cloud(count: usize, towards: usize, seed: u64) -> Embeddings {
        let mut rng = Seed(seed).rng(&[]);
        let mut row = || -> Vec<f32> {
            (0..16).map(|at| rng.random::<f32>() + if at % 2 == towards { 2.0 } else { 0.0 }).collect()
        };
        Embeddings { width: 16, values: (0..count).flat_map(|_| row()).collect() }
    }

    #[test]
    fn what_is_like_the_known_passes_and_what_is_not_does_not() {
        let (known, held_out) = (cloud(200, 0, 1), cloud(99, 0, 2));
        let photos = KnownPhotos::new(&known, &held_out).unwrap();
        let passing = |all: &Embeddings| {
            (0..rows(all)).filter(|&row| photos.passes(photos.similarity(all.row(row)))).count()
        };
        // Of those it was chosen by, all but the four least alike.
        assert_eq!(passing(&held_out), 95);
        assert_eq!((photos.rejection.photos, photos.rejection.passes), (99, 0.95));
        assert!((470..=490).contains(&passing(&cloud(500, 0, 3))));
        assert_eq!(passing(&cloud(100, 1, 4)), 0);
        // How long a row is says nothing, and one without a direction is like nothing.
        let row = held_out.row(0);
        let longer: Vec<f32> = row.iter().map(|value| value * 1000.0).collect();
        assert!((photos.similarity(row).cosine - photos.similarity(&longer).cosine).abs() < 1e-5);
        assert!(photos.similarity(&[0.0; 16]).cosine.abs() < 1e-6);
    }

    #[test]
    fn with_too_few_photos_nothing_is_promised() {
        let known = cloud(10, 0, 1);
        assert!(KnownPhotos::new(&known, &cloud(18, 0, 2)).is_none());
        let fewest = KnownPhotos::new(&known, &cloud(19, 0, 2)).unwrap();
        assert_eq!(fewest.rejection.passes, 0.95);
        assert!(KnownPhotos::new(&Embeddings { width: 16, values: Vec::new() }, &known).is_none());
    }

    #[test]
    fn left_out_photos_are_not_compared_with_themselves_or_their_group() {
        // Each photo is there twice: compared with its copy, all would be perfectly alike.
        let once = cloud(60, 0, 1);
        let all = Embeddings { width: 16, values: [once.values.clone(), once.values.clone()].concat() };
        let groups: Vec<usize> = (0..120).map(|photo| photo % 60).collect();
        let known: Vec<usize> = (0..120).collect();
        let apart = KnownPhotos::out_of_fold(&all, &groups, &known).unwrap();
        let each: Vec<usize> = (0..120).collect();
        let together = KnownPhotos::out_of_fold(&all, &each, &known).unwrap();
        assert!(apart.rejection.threshold < together.rejection.threshold);
    }

    proptest! {
        #[test]
        fn the_nearest_are_found(seed in any::<u64>(), count in 1_usize..40, neighbours in 1_usize..8) {
            let known = unit(&cloud(count, 0, seed));
            let row = unit(&cloud(1, 0, seed ^ 1));
            let found = nearest(&known, neighbours, &row.values, |_| true);
            let dot = |place: usize| known.row(place).iter().zip(&row.values).map(|(a, b)| a * b).sum::<f32>();
            let mut cosines: Vec<(f32, usize)> = (0..count).map(|place| (dot(place), place)).collect();
            cosines.sort_by(|a, b| b.0.total_cmp(&a.0));
            prop_assert_eq!(found.nearest, cosines[0].1);
            let best = &cosines[..neighbours.min(count)];
            let mean = best.iter().map(|(cosine, _)| cosine).sum::<f32>() / best.len() as f32;
            prop_assert!((found.cosine - mean).abs() < 1e-5);
        }
    }
}
