//! Which photos belong to no class at all. In: embeddings and given labels. Out: how far each photo is from every class, and the
//! probability that it shows something else.
//!
//! What is measured is the distance to the nearest of the classes' means, and not to a photo's nearest neighbours: photos of one
//! kind of junk (book covers, maps) are neighbours of each other, but far from what most photos of any class show. A wrong label
//! alone makes no photo off-topic, because it is near to the mean of the class it should have.

use sciurus_data::BadOption;
use sciurus_insight::{Embeddings, InsightError};
use sciurus_kernels::{Matrix, matmul};
use serde::{Deserialize, Serialize};

use super::neighbours::normalized;
use super::odds::logistic;
use super::out_of_fold::FoldItems;

/// A class of fewer photos vouches for none: three strangers under a label of their own would be near to its mean.
const LEAST: f64 = 5.0;
/// Items whose features are multiplied with all means at a time.
const BLOCK: usize = 1024;

/// How distances in a network's features are read: a logistic regression on planted photos.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DistanceScale {
    /// The cosine distance at which a photo is as likely off-topic as not, above 0, at most 2.
    pub middle: f64,
    /// How fast the log-odds rise with the distance, above 0.
    pub slope: f64,
}

/// A network that says what belongs to no class.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// Its features, a row per item.
    pub embeddings: &'a Embeddings,
    /// How its distances are read.
    pub scale: DistanceScale,
}

/// How far items are from the classes, one entry per item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffTopic {
    /// The cosine distance (0..=2) to the nearest class mean, of which the item itself is no part, in the first network's
    /// features. 0 if there is no class with five other photos.
    pub distances: Vec<f64>,
    /// The log-odds that it shows something else: the mean over all networks of `slope (d - middle)` at their distance `d`.
    pub log_odds: Vec<f64>,
}

impl OffTopic {
    /// The probability (0..=1) that an item shows something else than any class.
    #[must_use]
    pub fn probability(&self, item: usize) -> f64 {
        logistic(self.log_odds[item])
    }
}

/// Measures how far each item is from the classes. `weights` say how much each item counts in its class's mean, `None` for 1 each.
///
/// # Errors
/// If there is no judge, lists differ in length, a label is not a class, or a feature is not finite.
///
/// ```
/// use sciurus_clean::find::{DistanceScale, Judge, off_topic};
/// use sciurus_insight::Embeddings;
///
/// // Twelve of one kind, and something else under the same label.
/// let mut values: Vec<f32> = (0..12).flat_map(|i| [1.0, 0.01 * i as f32]).collect();
/// values.extend([0.0, 1.0]);
/// let embeddings = Embeddings { width: 2, values };
/// let judge = Judge { embeddings: &embeddings, scale: DistanceScale { middle: 0.6, slope: 17.0 } };
/// let found = off_topic(&[judge], &[0; 13], 1, None)?;
/// assert!(found.probability(12) > 0.9 && found.probability(0) < 0.01);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
pub fn off_topic(
    judges: &[Judge<'_>],
    labels: &[usize],
    classes: usize,
    weights: Option<&[f64]>,
) -> Result<OffTopic, InsightError> {
    let count = judges.len();
    BadOption::check("judges", count as f64, count > 0, "choose at least one network")?;
    let mut found = OffTopic { distances: Vec::new(), log_odds: vec![0.0; labels.len()] };
    for (nth, Judge { embeddings, scale }) in judges.iter().enumerate() {
        let distances = distances(embeddings, labels, classes, weights)?;
        for (odds, distance) in found.log_odds.iter_mut().zip(&distances) {
            *odds += scale.slope * (distance - scale.middle) / count as f64;
        }
        if nth == 0 {
            found.distances = distances;
        }
    }
    Ok(found)
}

/// The distance of each item to the nearest class mean.
fn distances(
    embeddings: &Embeddings,
    labels: &[usize],
    classes: usize,
    weights: Option<&[f64]>,
) -> Result<Vec<f64>, InsightError> {
    let width = embeddings.width;
    BadOption::check("width", width as f64, width > 0, "choose 1 or more")?;
    let items = labels.len();
    FoldItems { embeddings, labels, groups: None, weights }.check(classes)?;
    if items == 0 {
        return Ok(Vec::new());
    }
    let weight = |item: usize| weights.map_or(1.0, |weights| weights[item]);
    let unit = normalized(embeddings);
    let means = Means::of(&unit, labels, (classes, width), weight);
    let mut distances = Vec::with_capacity(items);
    for (block, rows) in unit.chunks(BLOCK * width).enumerate() {
        for (place, products) in means.products(rows).chunks_exact(classes).enumerate() {
            let item = block * BLOCK + place;
            let nearest = means.nearest(products, (labels[item], weight(item)));
            distances.push(nearest.map_or(0.0, |cosine| (1.0 - cosine).clamp(0.0, 2.0)));
        }
    }
    Ok(distances)
}

/// What all classes show on average: sums of weighted rows of length 1.
struct Means {
    width: usize,
    /// `[class, feature]`.
    sums: Vec<f64>,
    /// The squared length of each sum.
    squares: Vec<f64>,
    /// The weight of each class's items.
    counts: Vec<f64>,
}

impl Means {
    fn of(
        unit: &[f32],
        labels: &[usize],
        (classes, width): (usize, usize),
        weight: impl Fn(usize) -> f64,
    ) -> Self {
        let (mut sums, mut counts) = (vec![0.0; classes * width], vec![0.0; classes]);
        for (item, (row, &label)) in unit.chunks_exact(width).zip(labels).enumerate() {
            counts[label] += weight(item);
            let sum = &mut sums[label * width..(label + 1) * width];
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight(item) * f64::from(*value));
        }
        let square = |sum: &[f64]| sum.iter().map(|value| value * value).sum();
        let squares = sums.chunks_exact(width).map(square).collect();
        Self { width, sums, squares, counts }
    }

    /// The products of rows with all sums, `[row, class]`.
    fn products(&self, rows: &[f32]) -> Vec<f64> {
        let (count, classes) = (rows.len() / self.width, self.counts.len());
        let rows: Vec<f64> = rows.iter().copied().map(f64::from).collect();
        let mut products = vec![0.0; count * classes];
        let sums = Matrix::new(&self.sums, [classes, self.width]).transposed();
        matmul(Matrix::new(&rows, [count, self.width]), sums, &mut products);
        products
    }

    /// The cosine of an item and the nearest mean that it is no part of, from its products with the sums.
    fn nearest(&self, products: &[f64], (label, weight): (usize, f64)) -> Option<f64> {
        let cosine = |(class, product): (usize, &f64)| {
            let own = if class == label { weight } else { 0.0 };
            // Without the item itself, whose length is 1.
            let square = self.squares[class] - 2.0 * own * product + own * own;
            (self.counts[class] - own >= LEAST).then(|| (product - own) / square.sqrt().max(1e-9))
        };
        products.iter().enumerate().filter_map(cosine).max_by(f64::total_cmp)
    }
}
