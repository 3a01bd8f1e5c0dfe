//! Out-of-fold probabilities. In: embeddings and given labels. Out: for every item, the probabilities of heads that were not
//! trained on it.

use rayon::prelude::*;
use sciurus_data::{BadOption, Seed};
use serde::{Deserialize, Serialize};

use super::folds::stratified_folds;
use super::logistic::{LabelledItems, LogisticHead, LogisticOptions};
use super::out_of_sample::{OutOfSample, check_labels};
use sciurus_insight::{Embeddings, InsightError, Temperature};

/// The logit of a class that a head does not know, relative to its largest logit. Its probability is then set to 0.
const UNKNOWN: f64 = -700.0;

/// Options of [`out_of_fold`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `folds` | 5 | parts, each predicted by a head fitted on the others | at least 2 |
/// | `repeats` | 3 | random splits into folds, whose probabilities are averaged | at least 1 |
/// | `seed` | 0 | seed of the random splits | any |
/// | `head` | [`LogisticOptions`] | how each head is fitted | |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FoldOptions {
    folds: usize,
    repeats: usize,
    seed: u64,
    head: LogisticOptions,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Self { folds: 5, repeats: 3, seed: 0, head: LogisticOptions::default() }
    }
}

impl FoldOptions {
    /// Parts of a split, at least 2.
    #[must_use]
    pub fn folds(mut self, folds: usize) -> Self {
        self.folds = folds;
        self
    }

    /// Random splits to average over, at least 1.
    #[must_use]
    pub fn repeats(mut self, repeats: usize) -> Self {
        self.repeats = repeats;
        self
    }

    /// Seed of the random splits.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How each head is fitted.
    #[must_use]
    pub fn head(mut self, head: LogisticOptions) -> Self {
        self.head = head;
        self
    }

    /// The checked options.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn build(mut self) -> Result<Self, InsightError> {
        BadOption::check("folds", self.folds as f64, self.folds >= 2, "choose 2 or more")?;
        BadOption::check("repeats", self.repeats as f64, self.repeats >= 1, "choose 1 or more")?;
        self.head = self.head.build()?;
        Ok(self)
    }
}

/// What [`out_of_fold`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFold {
    /// The probabilities, averaged over the repeats, with the given labels.
    pub rows: OutOfSample,
    /// The share of items whose prediction equals their given label, 0..1; NaN without items.
    pub accuracy: f64,
    /// The mean cross entropy of the given labels before calibration, in nats, over the items that can be judged.
    pub loss: f64,
    /// The accuracy of each repeat alone.
    pub repeat_accuracy: Vec<f64>,
    /// The temperature of each repeat.
    pub temperatures: Vec<Temperature>,
    /// Items that cannot be judged, ascending: a head that predicted them had seen no other item of their class. That happens to
    /// the only item of a class, and to a class whose items are all near duplicates.
    pub unjudged: Vec<usize>,
}

/// Out-of-fold probabilities of every item, calibrated and averaged over repeats.
///
/// Classes are spread over the folds; items with the same entry in `groups` (near duplicates) stay in one fold. Each repeat
/// is calibrated by a temperature fitted on its out-of-fold logits. `weights` say how much each item counts in fitting, 0 or
/// more. Heads are fitted on all cores; the result does not depend on their number.
///
/// # Errors
/// If lists differ in length, a label is not a class, or a feature is not finite.
///
/// ```
/// use sciurus_insight::Embeddings;
/// use sciurus_clean::find::{FoldItems, FoldOptions, out_of_fold};
///
/// let values = (0..40).map(|i| if i % 2 == 0 { -1.0 } else { 1.0 } + i as f32 * 1e-3).collect();
/// let embeddings = Embeddings { width: 1, values };
/// let mut labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
/// labels[7] = 0;
/// let items = FoldItems { embeddings: &embeddings, labels: &labels, groups: None, weights: None };
/// let found = out_of_fold(items, 2, FoldOptions::default().build()?)?;
/// assert_eq!(found.rows.prediction(7), 1);
/// assert!(found.accuracy > 0.9);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
pub fn out_of_fold(
    items: FoldItems,
    classes: usize,
    options: FoldOptions,
) -> Result<OutOfFold, InsightError> {
    Ok(out_of_fold_from(&[], items, classes, options)?.0)
}

/// The heads of each fold, for each repeat.
pub(super) type Heads = Vec<Vec<LogisticHead>>;

/// The same, with heads that are searched from those of the same splits (`start`, or none), and with the heads.
pub(super) fn out_of_fold_from(
    start: &[Vec<LogisticHead>],
    items: FoldItems,
    classes: usize,
    options: FoldOptions,
) -> Result<(OutOfFold, Heads), InsightError> {
    items.check(classes)?;
    let repeat = |repeat: usize| {
        let start = start.get(repeat).map_or(&[][..], Vec::as_slice);
        Repeat::new(start, (items, classes), options, repeat)
    };
    let (repeats, heads): (Vec<Repeat>, Heads) = (0..options.repeats).map(repeat).unzip();
    let mut unjudged: Vec<usize> = repeats.iter().flat_map(|repeat| repeat.unjudged.clone()).collect();
    unjudged.sort_unstable();
    unjudged.dedup();
    let mut mean = vec![0.0; items.labels.len() * classes];
    for repeat in &repeats {
        mean.iter_mut().zip(&repeat.probabilities).for_each(|(mean, p)| *mean += p / options.repeats as f64);
    }
    // Rounding may lift a mean of ones slightly above one.
    mean.iter_mut().for_each(|p| *p = p.min(1.0));
    let rows = OutOfSample::new(classes, mean, items.labels.to_vec())?;
    let accuracy_of = |rows: &OutOfSample| {
        let right = (0..rows.len()).filter(|&item| rows.prediction(item) == rows.labels()[item]).count();
        right as f64 / rows.len() as f64
    };
    let repeat_accuracy =
        repeats.iter().map(|repeat| accuracy_of(&rows.with_rows(repeat.probabilities.clone()))).collect();
    let temperatures = repeats.iter().map(|repeat| repeat.temperature).collect();
    let loss = repeats.iter().map(|repeat| repeat.loss).sum::<f64>() / options.repeats as f64;
    let accuracy = accuracy_of(&rows);
    Ok((OutOfFold { accuracy, rows, loss, repeat_accuracy, temperatures, unjudged }, heads))
}

/// The input of [`out_of_fold`]: one entry (or row) per item in every list.
#[derive(Debug, Clone, Copy)]
pub struct FoldItems<'a> {
    /// The features, `[item, feature]`.
    pub embeddings: &'a Embeddings,
    /// The given classes.
    pub labels: &'a [usize],
    /// Items with the same number stay in one fold.
    pub groups: Option<&'a [usize]>,
    /// How much each item counts in fitting, 0 or more.
    pub weights: Option<&'a [f64]>,
}

impl FoldItems<'_> {
    /// Checks that all lists have matching lengths and valid values.
    pub(super) fn check(&self, classes: usize) -> Result<(), InsightError> {
        let items = self.labels.len();
        let width = self.embeddings.width;
        let lengths = [
            ("embeddings (items times width)", items * width, self.embeddings.values.len()),
            ("groups (one per item)", items, self.groups.map_or(items, <[usize]>::len)),
            ("weights (one per item)", items, self.weights.map_or(items, <[f64]>::len)),
        ];
        for (what, expected, found) in lengths {
            if expected != found {
                return Err(InsightError::Length { what, expected, found });
            }
        }
        check_labels(classes, self.labels)?;
        let is_bad = |&item: &usize| self.embeddings.row(item).iter().any(|value| !value.is_finite());
        match (0..items).find(is_bad) {
            Some(row) => Err(InsightError::Row { row, why: "its embedding is not finite".into() }),
            None => Ok(()),
        }
    }
}

/// One split into folds.
struct Repeat {
    probabilities: Vec<f64>,
    temperature: Temperature,
    loss: f64,
    unjudged: Vec<usize>,
}

impl Repeat {
    fn new(
        start: &[LogisticHead],
        (items, classes): (FoldItems, usize),
        options: FoldOptions,
        repeat: usize,
    ) -> (Self, Vec<LogisticHead>) {
        let seed = Seed(options.seed.wrapping_add(repeat as u64));
        let fold_of = stratified_folds(items.labels, items.groups, options.folds, seed);
        let part = |wanted: bool, fold: usize| -> Vec<usize> {
            (0..fold_of.len()).filter(|&item| (fold_of[item] == fold) == wanted).collect()
        };
        let predicted: Vec<(Vec<usize>, Vec<f64>, LogisticHead)> = (0..options.folds)
            .into_par_iter()
            .map(|fold| {
                let (held, fitted) = (part(true, fold), part(false, fold));
                let FoldItems { embeddings, labels, weights, .. } = items;
                let data = LabelledItems { embeddings, labels, weights, items: &fitted };
                let head = LogisticHead::fit_from(start.get(fold), data, classes, options.head);
                let logits = head.logits(embeddings, &held);
                (held, logits, head)
            })
            .collect();
        let mut rows = vec![Vec::new(); items.labels.len()];
        let mut heads = Vec::with_capacity(predicted.len());
        for (held, logits, head) in predicted {
            heads.push(head);
            for (item, row) in held.into_iter().zip(logits.chunks(classes.max(1))) {
                rows[item] = row.to_vec();
            }
        }
        (Self::calibrated(rows, items.labels), heads)
    }

    /// Calibrates logits `[item][class]`, which are negative infinity where a head did not know the class.
    fn calibrated(mut rows: Vec<Vec<f64>>, labels: &[usize]) -> Self {
        let (mut judged, mut unjudged) = (Vec::new(), Vec::new());
        for (item, row) in rows.iter_mut().enumerate() {
            let is_known = row[labels[item]] > f64::NEG_INFINITY;
            if is_known { &mut judged } else { &mut unjudged }.push(item);
            let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let largest = if largest.is_finite() { largest } else { 0.0 };
            row.iter_mut().for_each(|logit| *logit = (*logit - largest).max(UNKNOWN));
        }
        let losses = judged.iter().map(|&item| -Temperature(1.0).softened(&rows[item])[labels[item]].ln());
        let loss = losses.sum::<f64>() / judged.len().max(1) as f64;
        let temperature =
            Temperature::of_logits(judged.iter().map(|&item| (&*rows[item], labels[item])), 0.0);
        let probabilities = rows.iter().flat_map(|row| softened(row, temperature)).collect();
        Self { probabilities, temperature, loss, unjudged }
    }
}

/// Probabilities of a row; exactly 0 for a class its head did not know. If it knew no class, all are equally probable.
fn softened(row: &[f64], temperature: Temperature) -> Vec<f64> {
    let mut probabilities = temperature.softened(row);
    if row.iter().any(|&logit| logit > UNKNOWN) {
        let unknown = probabilities.iter_mut().zip(row).filter(|(_, logit)| **logit <= UNKNOWN);
        unknown.for_each(|(p, _)| *p = 0.0);
    }
    probabilities
}
