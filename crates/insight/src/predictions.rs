//! A model's predictions on a split, as plain data: what metrics, interpretation and cleaning work with. In: logits or
//! probabilities. Out: checked [`Predictions`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sciurus_data::{ItemId, Vocab};
use serde::{Deserialize, Serialize};

use crate::{InsightError, json_file, softmax};

/// How far the sum of a row of probabilities may be from 1; with half precision on a GPU it's off by some thousandths.
const SUM_TOLERANCE: f64 = 0.01;

/// A model's predictions for every item of a split, in the split's order.
///
/// Every list has one entry (or one row) per item. The constructors and [`load`](Self::load) are the only ways to make
/// one, and check that everything fits together; if you change a field afterwards, keep it that way.
///
/// ```
/// use sciurus_insight::{ItemId, Predictions, Vocab};
///
/// let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
/// let items = vec![ItemId(0), ItemId(1)];
/// let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
/// let logits = [0.0, 2.0, 1.0, 1.5];
/// let predictions = Predictions::from_logits(vocab, items, paths, &logits, vec![1, 0])?;
///
/// assert_eq!(predictions.len(), 2);
/// assert_eq!(predictions.prediction_label(1), "red");
/// assert_eq!(predictions.target_label(1), "grey");
/// assert_eq!(predictions.mistakes(), 1);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct Predictions {
    /// The item in the data set of each row.
    pub items: Vec<ItemId>,
    /// The image of each item, relative to the data root.
    pub paths: Vec<PathBuf>,
    /// The labels; class `c` is `vocab.label(c)`.
    pub vocab: Vocab,
    /// Probabilities 0..1, row-major `[item, class]`; each row sums to 1.
    pub probabilities: Vec<f32>,
    /// The true class of each item.
    pub targets: Vec<usize>,
    /// The loss of each item, in nats.
    pub losses: Vec<f32>,
    /// The features that the model's head gets, if they were kept.
    pub embeddings: Option<Embeddings>,
}

impl Predictions {
    /// Predictions from probabilities, row-major `[item, class]`, where each row sums to 1. The loss is the cross
    /// entropy `-log(probability of the target)` in nats.
    ///
    /// A probability of 0 counts as the smallest normal `f32`, a loss of 87.3 nats, so that every loss is finite.
    /// Prefer [`from_logits`](Self::from_logits), which has no such limit.
    ///
    /// # Errors
    /// Lengths don't fit together, a target is not in the vocabulary, or a row is not a distribution.
    pub fn from_probabilities(
        vocab: Vocab,
        items: Vec<ItemId>,
        paths: Vec<PathBuf>,
        probabilities: Vec<f32>,
        targets: Vec<usize>,
    ) -> Result<Self, InsightError> {
        let mut predictions =
            Self { items, paths, vocab, probabilities, targets, losses: Vec::new(), embeddings: None };
        predictions.check_shape()?;
        predictions.losses = predictions.losses_of_probabilities();
        predictions.check_values()?;
        Ok(predictions)
    }

    /// The cross entropy of each item, in nats, from its probabilities.
    pub(crate) fn losses_of_probabilities(&self) -> Vec<f32> {
        // Subtracted from 0 rather than negated: a certain and right prediction gets loss 0, not -0.
        let loss =
            |(i, &target): (usize, &usize)| 0.0 - self.row(i)[target].clamp(f32::MIN_POSITIVE, 1.0).ln();
        self.targets.iter().enumerate().map(loss).collect()
    }

    /// Predictions from logits, row-major `[item, class]`: probabilities are their softmax, losses the cross entropy
    /// `log(sum(exp(logits))) - logit of the target` in nats. Computed in `f64`, stored in `f32`.
    ///
    /// # Errors
    /// Lengths don't fit together, a target is not in the vocabulary, or a logit is not finite.
    pub fn from_logits(
        vocab: Vocab,
        items: Vec<ItemId>,
        paths: Vec<PathBuf>,
        logits: &[f32],
        targets: Vec<usize>,
    ) -> Result<Self, InsightError> {
        let rows = logits.chunks(vocab.len().max(1));
        let probabilities = rows.clone().flat_map(softmax::softmax).map(|p| p as f32).collect();
        let losses = Vec::new();
        let mut predictions = Self { items, paths, vocab, probabilities, targets, losses, embeddings: None };
        predictions.check_shape()?;
        let targets = predictions.targets.iter();
        predictions.losses =
            rows.zip(targets).map(|(row, &target)| softmax::cross_entropy(row, target) as f32).collect();
        predictions.check_values()?;
        Ok(predictions)
    }

    /// These predictions restricted to the photos of `other`, with its targets: as if they had been made for the same
    /// data.
    ///
    /// # Errors
    /// The vocabularies differ, or a photo of `other` is not among these.
    pub fn measured_as(&self, other: &Self) -> Result<Self, InsightError> {
        let places: HashMap<&PathBuf, usize> =
            self.paths.iter().enumerate().map(|(place, path)| (path, place)).collect();
        let differ = |path: &PathBuf, why: &str| InsightError::DifferentItems {
            path: path.clone(),
            why: why.to_owned(),
        };
        let mut probabilities = Vec::with_capacity(other.probabilities.len());
        for path in &other.paths {
            if self.vocab != other.vocab {
                return Err(differ(path, "the two runs have different labels"));
            }
            let place = places
                .get(path)
                .ok_or_else(|| differ(path, "only one of the runs has predictions for it"))?;
            probabilities.extend(self.row(*place));
        }
        let (items, paths) = (other.items.clone(), other.paths.clone());
        Self::from_probabilities(other.vocab.clone(), items, paths, probabilities, other.targets.clone())
    }

    /// The same predictions with the losses of another loss function (label smoothing, focal), in nats, one per item.
    ///
    /// # Errors
    /// There isn't exactly one loss per item, or one is not finite.
    pub fn with_losses(mut self, losses: Vec<f32>) -> Result<Self, InsightError> {
        self.losses = losses;
        self.check_values()?;
        Ok(self)
    }

    /// The same predictions with the features that the head gets, one row per item.
    ///
    /// # Errors
    /// There isn't exactly one row per item, or a value is not finite.
    pub fn with_embeddings(mut self, embeddings: Embeddings) -> Result<Self, InsightError> {
        self.embeddings = Some(embeddings);
        self.check_values()?;
        Ok(self)
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items; rates and means are then NaN.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The probabilities of item `i` (its index here, below [`len`](Self::len)), one per class.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        let classes = self.vocab.len();
        &self.probabilities[i * classes..(i + 1) * classes]
    }

    /// The class with the largest probability for item `i`; the first of them on a tie, as in PyTorch and NumPy.
    #[must_use]
    pub fn prediction(&self, i: usize) -> usize {
        let row = self.row(i);
        (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
    }

    /// The label of [`prediction`](Self::prediction).
    #[must_use]
    pub fn prediction_label(&self, i: usize) -> &str {
        self.vocab.label(self.prediction(i))
    }

    /// The true label of item `i`.
    #[must_use]
    pub fn target_label(&self, i: usize) -> &str {
        self.vocab.label(self.targets[i])
    }

    /// Whether item `i` is predicted correctly.
    #[must_use]
    pub fn is_right(&self, i: usize) -> bool {
        self.prediction(i) == self.targets[i]
    }

    /// The number of items that are predicted wrong.
    #[must_use]
    pub fn mistakes(&self) -> usize {
        (0..self.len()).filter(|&i| !self.is_right(i)).count()
    }

    /// The mean loss in nats, where every item counts once; NaN if there are no items.
    ///
    /// fastai's `valid_loss`: its mean over batches is weighted by their size, which is the same.
    #[must_use]
    pub fn valid_loss(&self) -> f64 {
        self.losses.iter().copied().map(f64::from).sum::<f64>() / self.len() as f64
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The file can't be read, is not such a file, or its lists don't fit together.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InsightError> {
        json_file::load(path.as_ref())
    }

    /// Writes JSON to `path`, replacing any file there; no reader ever sees half of it.
    ///
    /// # Errors
    /// The folder is missing or not writable, the disk is full, or an item's path is not valid Unicode.
    ///
    /// ```
    /// # use sciurus_insight::{Predictions, Vocab};
    /// # let file = std::env::temp_dir().join(format!("predictions-{}.json", std::process::id()));
    /// # let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
    /// # let predictions = Predictions::from_probabilities(vocab, vec![], vec![], vec![], vec![])?;
    /// predictions.save(&file)?;
    /// assert_eq!(Predictions::load(&file)?, predictions);
    /// # std::fs::remove_file(&file).ok();
    /// # Ok::<(), sciurus_insight::InsightError>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InsightError> {
        json_file::save(path.as_ref(), self)
    }

    /// Checks what indexing by item and class relies on.
    fn check_shape(&self) -> Result<(), InsightError> {
        let (items, classes) = (self.len(), self.vocab.len());
        check_length("paths (one per item)", items, self.paths.len())?;
        check_length("targets (one per item)", items, self.targets.len())?;
        check_length("predictions (items times classes)", items * classes, self.probabilities.len())?;
        match self.targets.iter().position(|&class| class >= classes) {
            Some(i) => Err(InsightError::UnknownClass {
                path: self.paths[i].clone(),
                class: self.targets[i],
                classes,
            }),
            None => Ok(()),
        }
    }

    /// Checks losses, embeddings and distributions; call it after [`check_shape`](Self::check_shape).
    fn check_values(&self) -> Result<(), InsightError> {
        check_length("losses (one per item)", self.len(), self.losses.len())?;
        if let Some(Embeddings { width, values }) = &self.embeddings {
            check_length("embeddings (items times width)", self.len() * width, values.len())?;
        }
        (0..self.len()).try_for_each(|i| self.check_item(i))
    }

    fn check_item(&self, i: usize) -> Result<(), InsightError> {
        let not_finite = |what| Err(InsightError::NotFinite { path: self.paths[i].clone(), what });
        let row = self.row(i);
        let sum: f64 = row.iter().copied().map(f64::from).sum();
        if !sum.is_finite() {
            return not_finite("prediction");
        }
        if (sum - 1.0).abs() > SUM_TOLERANCE || row.iter().any(|&probability| probability < 0.0) {
            return Err(InsightError::NotProbabilities { path: self.paths[i].clone(), sum });
        }
        if !self.losses[i].is_finite() {
            return not_finite("loss");
        }
        match &self.embeddings {
            Some(embeddings) if embeddings.row(i).iter().any(|v| !v.is_finite()) => not_finite("embedding"),
            _ => Ok(()),
        }
    }
}

/// The indices of all items, largest loss first, in the split's order on ties.
pub(crate) fn largest_first(losses: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
    order
}

pub(crate) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), InsightError> {
    if expected == found { Ok(()) } else { Err(InsightError::Length { what, expected, found }) }
}

/// Features `[item, feature]`, row-major: the inputs of the model's head for each item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// The number of features per item.
    pub width: usize,
    /// The features of all items, row by row.
    pub values: Vec<f32>,
}

impl Embeddings {
    /// The features of item `i`, `width` of them.
    ///
    /// ```
    /// let embeddings = sciurus_insight::Embeddings { width: 2, values: vec![0.0, 1.0, 2.0, 3.0] };
    /// assert_eq!(embeddings.row(1), [2.0, 3.0]);
    /// ```
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }
}

/// The contents of a file, before they're checked.
#[derive(Deserialize)]
struct Unchecked {
    items: Vec<ItemId>,
    paths: Vec<PathBuf>,
    vocab: Vocab,
    probabilities: Vec<f32>,
    targets: Vec<usize>,
    losses: Vec<f32>,
    embeddings: Option<Embeddings>,
}

impl TryFrom<Unchecked> for Predictions {
    type Error = InsightError;

    fn try_from(file: Unchecked) -> Result<Self, InsightError> {
        let Unchecked { items, paths, vocab, probabilities, targets, losses, embeddings } = file;
        let predictions = Self { items, paths, vocab, probabilities, targets, losses, embeddings };
        predictions.check_shape()?;
        predictions.check_values()?;
        Ok(predictions)
    }
}
