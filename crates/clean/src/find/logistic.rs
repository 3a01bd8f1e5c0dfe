//! Multinomial logistic regression. In: embeddings and given labels. Out: a head that gives logits for any embedding.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::lbfgs::{Limits, minimize};
use sciurus_data::BadOption;
use sciurus_insight::{Embeddings, InsightError};
use sciurus_kernels::{Matrix, matmul};

/// Items whose features are widened to f64 at a time: with 512 features, such a block stays in a core's cache.
const BLOCK: usize = 256;

/// Options of a [`LogisticHead`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `penalty` | 1 | half of it times the sum of squared weights is added to the summed loss | above 0 |
/// | `tolerance` | 1e-4 | fitting ends when no entry of the mean loss's gradient is larger | above 0 |
/// | `iterations` | 200 | fitting ends after this many steps | at least 1 |
///
/// scikit-learn's `LogisticRegression(C=1/penalty)`. With two classes its `C` is `2/penalty`, because it then has one row of
/// weights where this has two.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogisticOptions {
    penalty: f64,
    tolerance: f64,
    iterations: usize,
}

impl Default for LogisticOptions {
    fn default() -> Self {
        Self { penalty: 1.0, tolerance: 1e-4, iterations: 200 }
    }
}

impl LogisticOptions {
    /// Penalty on large weights, above 0; high values make the head less confident.
    #[must_use]
    pub fn penalty(mut self, penalty: f64) -> Self {
        self.penalty = penalty;
        self
    }

    /// The largest entry of the mean loss's gradient at which fitting ends, above 0.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The largest number of steps, at least 1.
    #[must_use]
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// The checked options.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn build(self) -> Result<Self, InsightError> {
        let is_positive = |value: f64| value > 0.0 && value.is_finite();
        BadOption::check("penalty", self.penalty, is_positive(self.penalty), "choose a number above 0")?;
        BadOption::check(
            "tolerance",
            self.tolerance,
            is_positive(self.tolerance),
            "choose a number above 0",
        )?;
        BadOption::check("iterations", self.iterations as f64, self.iterations > 0, "choose 1 or more")?;
        Ok(self)
    }
}

/// The items to fit a head on.
#[derive(Debug, Clone, Copy)]
pub struct LabelledItems<'a> {
    /// The features of all items, `[item, feature]`.
    pub embeddings: &'a Embeddings,
    /// The given class of all items.
    pub labels: &'a [usize],
    /// How much each item counts, 0 or more, for all items; `None` for 1 each.
    pub weights: Option<&'a [f64]>,
    /// The items to fit on.
    pub items: &'a [usize],
}

/// Multinomial logistic regression with an L2 penalty on its weights (not on its biases).
///
/// A class that does not occur among the items gets the probability 0.
///
/// ```
/// use sciurus_insight::Embeddings;
/// use sciurus_clean::find::{LabelledItems, LogisticHead, LogisticOptions};
///
/// let embeddings = Embeddings { width: 1, values: vec![-1.0, -0.8, 0.9, 1.0] };
/// let labels = [0, 0, 1, 1];
/// let data = LabelledItems { embeddings: &embeddings, labels: &labels, weights: None, items: &[0, 1, 2, 3] };
/// let head = LogisticHead::fit(data, 2, LogisticOptions::default().build()?);
/// let logits = head.logits(&embeddings, &[3]);
/// assert!(logits[1] > logits[0]);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticHead {
    /// The classes it was fitted on, ascending.
    known: Vec<usize>,
    /// The number of classes, known or not.
    classes: usize,
    /// The number of features.
    width: usize,
    /// `[known, feature]`, then one bias per known class.
    parameters: Vec<f64>,
}

impl LogisticHead {
    /// The head with the lowest sum of weighted cross entropy and penalty over `data.items`; labels are below `classes`.
    #[must_use]
    pub fn fit(data: LabelledItems, classes: usize, options: LogisticOptions) -> Self {
        Self::fit_from(None, data, classes, options)
    }

    /// The same, searched from a head that is nearly the one: it is found sooner.
    #[must_use]
    pub(super) fn fit_from(
        start: Option<&Self>,
        data: LabelledItems,
        classes: usize,
        options: LogisticOptions,
    ) -> Self {
        let mut known: Vec<usize> = data.items.iter().map(|&item| data.labels[item]).collect();
        known.sort_unstable();
        known.dedup();
        let width = data.embeddings.width;
        let start = start.filter(|start| start.known == known && start.width == width);
        let start =
            start.map_or_else(|| vec![0.0; known.len() * (width + 1)], |start| start.parameters.clone());
        let mut head = Self { known, classes, width, parameters: start };
        if head.known.len() > 1 {
            let limits = Limits { tolerance: options.tolerance, iterations: options.iterations };
            let start = std::mem::take(&mut head.parameters);
            let mut room = Room::default();
            head.parameters =
                minimize(start, limits, |at| objective(&head, data, (options.penalty, at), &mut room));
        }
        head
    }

    /// Logits of the items, row-major `[item, class]`; negative infinity for a class the head does not know.
    #[must_use]
    pub fn logits(&self, embeddings: &Embeddings, items: &[usize]) -> Vec<f64> {
        let mut room = Room::default();
        let mut all = vec![f64::NEG_INFINITY; items.len() * self.classes];
        for (block, rows) in items.chunks(BLOCK).zip(all.chunks_mut(BLOCK * self.classes.max(1))) {
            let features = room.gather(embeddings, block);
            let logits = self.block_logits(features, block.len(), &self.parameters);
            for (row, logits) in
                rows.chunks_mut(self.classes.max(1)).zip(logits.chunks(self.known.len().max(1)))
            {
                self.known.iter().zip(logits).for_each(|(&class, &logit)| row[class] = logit);
            }
        }
        all
    }

    /// The weights of class `class`, `[feature]`, and its bias; `None` if the head does not know it.
    #[must_use]
    pub fn weights(&self, class: usize) -> Option<(&[f64], f64)> {
        let at = self.known.binary_search(&class).ok()?;
        let weights = &self.parameters[at * self.width..(at + 1) * self.width];
        Some((weights, self.parameters[self.known.len() * self.width + at]))
    }

    /// `[row, known]` logits of `rows` rows of features `[row, feature]`.
    fn block_logits(&self, features: &[f64], rows: usize, parameters: &[f64]) -> Vec<f64> {
        let known = self.known.len();
        let (weights, biases) = parameters.split_at(known * self.width);
        let mut logits = biases.repeat(rows);
        let weights = Matrix::new(weights, [known, self.width]);
        matmul(Matrix::new(features, [rows, self.width]), weights.transposed(), &mut logits);
        logits
    }
}

/// The penalised mean loss and its gradient at `parameters`. Both are divided by the items' total weight, so that the
/// tolerance means the same for every number of items.
fn objective(
    head: &LogisticHead,
    data: LabelledItems,
    (penalty, parameters): (f64, &[f64]),
    room: &mut Room,
) -> (f64, Vec<f64>) {
    let known = head.known.len();
    let weight = |item: usize| data.weights.map_or(1.0, |weights| weights[item]);
    let total = data.items.iter().map(|&item| weight(item)).sum::<f64>().max(f64::MIN_POSITIVE);
    let weights: Range<usize> = 0..known * head.width;
    let squares: f64 = parameters[weights.clone()].iter().map(|value| value * value).sum();
    let mut loss = penalty / 2.0 * squares;
    let mut gradient = vec![0.0; parameters.len()];
    gradient[weights.clone()].iter_mut().zip(parameters).for_each(|(slope, value)| *slope = penalty * value);
    for block in data.items.chunks(BLOCK) {
        let features = room.gather(data.embeddings, block);
        let mut rows = head.block_logits(features, block.len(), parameters);
        for (row, &item) in rows.chunks_mut(known).zip(block) {
            // `known` holds every label of these items, so the search always succeeds.
            let target = head.known.binary_search(&data.labels[item]).unwrap_or(0);
            loss += weight(item) * to_residual(row, target, weight(item));
            gradient[weights.end..].iter_mut().zip(&*row).for_each(|(slope, residual)| *slope += residual);
        }
        let residuals = Matrix::new(&rows, [block.len(), known]).transposed();
        let features = Matrix::new(features, [block.len(), head.width]);
        matmul(residuals, features, &mut gradient[weights.clone()]);
    }
    gradient.iter_mut().for_each(|slope| *slope /= total);
    (loss / total, gradient)
}

/// Turns logits into `weight * (probability - truth)` in place; returns the cross entropy in nats.
fn to_residual(row: &mut [f64], target: usize, weight: f64) -> f64 {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|logit| (logit - largest).exp()).sum();
    let loss = largest + sum.ln() - row[target];
    row.iter_mut().for_each(|logit| *logit = weight * (*logit - largest).exp() / sum);
    row[target] -= weight;
    loss
}

/// Room for the features of a block of items, which is used again: so much new memory for each block would cost more than what is
/// computed in it.
#[derive(Debug, Default)]
struct Room(Vec<f64>);

impl Room {
    /// The features of some items, widened, `[item, feature]`.
    fn gather(&mut self, embeddings: &Embeddings, items: &[usize]) -> &[f64] {
        let width = embeddings.width;
        self.0.resize(items.len() * width, 0.0);
        // A row at a time: as one chain of values it would not be vectorised.
        for (wide, &item) in self.0.chunks_exact_mut(width.max(1)).zip(items) {
            wide.iter_mut().zip(embeddings.row(item)).for_each(|(wide, value)| *wide = f64::from(*value));
        }
        &self.0
    }
}
