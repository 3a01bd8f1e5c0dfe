//! Predictions for multi-label items. In: logits or probabilities. Out: checked [`MultiPredictions`].

use std::path::{Path, PathBuf};

use sciurus_data::{ItemId, Vocab};
use serde::{Deserialize, Serialize};

use crate::predictions::check_length;
use crate::{InsightError, json_file};

/// The default threshold that a label's probability must exceed: fastai's.
const THRESHOLD: f32 = 0.5;

/// A model's predictions for every item of a split, where items may have several labels or none.
///
/// Every list has one entry (or one row) per item. The constructors and [`load`](Self::load) are the only ways to make
/// one, and check that everything fits together; if you change a field afterwards, keep it that way.
///
/// ```
/// use sciurus_insight::{ItemId, MultiPredictions, Vocab};
///
/// let vocab = Vocab::new(["bird".to_string(), "tree".to_string()]);
/// let items = vec![ItemId(0), ItemId(1)];
/// let paths = vec!["1.jpg".into(), "2.jpg".into()];
/// let targets = vec![vec![0, 1], vec![]];
/// let predictions = MultiPredictions::from_logits(vocab, items, paths, &[2.0, 1.0, -3.0, 0.5], targets)?;
///
/// assert_eq!(predictions.on_labels(0), ["bird", "tree"]);
/// assert_eq!(predictions.on_labels(1), ["tree"]);
/// assert_eq!(predictions.mistakes(), 1);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct MultiPredictions {
    /// The item in the data set of each row.
    pub items: Vec<ItemId>,
    /// The image of each item, relative to the data root.
    pub paths: Vec<PathBuf>,
    /// The labels; class `c` is `vocab.label(c)`.
    pub vocab: Vocab,
    /// Probabilities 0..1, row-major `[item, class]`, independent of each other.
    pub probabilities: Vec<f32>,
    /// The classes that each item has, ascending.
    pub targets: Vec<Vec<usize>>,
    /// The loss of each item in nats: the mean over labels of their binary cross entropy.
    pub losses: Vec<f32>,
    /// Per class, the threshold (0..1) that a probability must exceed for the label to be on: 0.5 unless others were
    /// chosen.
    pub thresholds: Vec<f32>,
}

impl MultiPredictions {
    /// Predictions from logits, row-major `[item, class]`: probabilities are their sigmoid, losses the mean over
    /// classes of `ln(1 + exp(logit)) - logit · truth` in nats, PyTorch's `binary_cross_entropy_with_logits`. Computed
    /// in `f64`.
    ///
    /// # Errors
    /// Lengths don't fit together, a target is not in the vocabulary or not in ascending order, or a logit is not
    /// finite.
    pub fn from_logits(
        vocab: Vocab,
        items: Vec<ItemId>,
        paths: Vec<PathBuf>,
        logits: &[f32],
        targets: Vec<Vec<usize>>,
    ) -> Result<Self, InsightError> {
        let classes = vocab.len();
        let probabilities = logits.iter().map(|&logit| sigmoid(logit) as f32).collect();
        let loss = |i: usize, class: usize, truth: f64| {
            let logit = f64::from(logits[i * classes + class]);
            logit.max(0.0) - logit * truth + (-logit.abs()).exp().ln_1p()
        };
        Self::new(vocab, (items, paths), (probabilities, targets), &loss)
    }

    /// Predictions from probabilities, row-major `[item, class]`. Probabilities of 0 and 1 count as the next number
    /// between them, so that every loss is finite. Prefer [`from_logits`](Self::from_logits), which has no such limit.
    ///
    /// # Errors
    /// As for [`from_logits`](Self::from_logits), or a value is not a probability.
    pub fn from_probabilities(
        vocab: Vocab,
        items: Vec<ItemId>,
        paths: Vec<PathBuf>,
        probabilities: Vec<f32>,
        targets: Vec<Vec<usize>>,
    ) -> Result<Self, InsightError> {
        let (classes, copy) = (vocab.len(), probabilities.clone());
        let loss = |i: usize, class: usize, truth: f64| {
            let tiny = f64::from(f32::MIN_POSITIVE);
            let probability = f64::from(copy[i * classes + class]);
            let right = if truth == 1.0 { probability } else { 1.0 - probability };
            0.0 - right.clamp(tiny, 1.0).ln()
        };
        Self::new(vocab, (items, paths), (probabilities, targets), &loss)
    }

    fn new(
        vocab: Vocab,
        (items, paths): (Vec<ItemId>, Vec<PathBuf>),
        (probabilities, targets): (Vec<f32>, Vec<Vec<usize>>),
        loss: &dyn Fn(usize, usize, f64) -> f64,
    ) -> Result<Self, InsightError> {
        let thresholds = vec![THRESHOLD; vocab.len()];
        let mut predictions =
            Self { items, paths, vocab, probabilities, targets, losses: vec![], thresholds };
        predictions.check_shape()?;
        let classes = predictions.vocab.len();
        let mean = |i: usize| {
            let truth = |class: usize| f64::from(predictions.is_target(i, class));
            (0..classes).map(|class| loss(i, class, truth(class))).sum::<f64>() / classes.max(1) as f64
        };
        predictions.losses = (0..predictions.len()).map(|i| mean(i) as f32).collect();
        predictions.check_values()?;
        Ok(predictions)
    }

    /// The same predictions with other thresholds, one per class (0..=1).
    ///
    /// # Errors
    /// There isn't exactly one threshold per class, or one is not in 0..=1.
    pub fn with_thresholds(mut self, thresholds: Vec<f32>) -> Result<Self, InsightError> {
        self.thresholds = thresholds;
        self.check_thresholds()?;
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

    /// Whether item `i` has this class.
    #[must_use]
    pub fn is_target(&self, i: usize, class: usize) -> bool {
        self.targets[i].binary_search(&class).is_ok()
    }

    /// Whether item `i` is predicted to have this class: its probability exceeds the threshold.
    #[must_use]
    pub fn is_on(&self, i: usize, class: usize) -> bool {
        self.row(i)[class] > self.thresholds[class]
    }

    /// The predicted labels of item `i`.
    #[must_use]
    pub fn on_labels(&self, i: usize) -> Vec<&str> {
        let on = (0..self.vocab.len()).filter(|&class| self.is_on(i, class));
        on.map(|class| self.vocab.label(class)).collect()
    }

    /// The true labels of item `i`.
    #[must_use]
    pub fn target_labels(&self, i: usize) -> Vec<&str> {
        self.targets[i].iter().map(|&class| self.vocab.label(class)).collect()
    }

    /// Whether every label of item `i` is predicted correctly.
    #[must_use]
    pub fn is_right(&self, i: usize) -> bool {
        (0..self.vocab.len()).all(|class| self.is_on(i, class) == self.is_target(i, class))
    }

    /// The number of items with at least one wrong label.
    #[must_use]
    pub fn mistakes(&self) -> usize {
        (0..self.len()).filter(|&i| !self.is_right(i)).count()
    }

    /// The mean loss in nats over items and labels; NaN if there are no items.
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
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InsightError> {
        json_file::save(path.as_ref(), self)
    }

    /// Checks what indexing by item and class relies on.
    fn check_shape(&self) -> Result<(), InsightError> {
        let (items, classes) = (self.len(), self.vocab.len());
        check_length("paths (one per item)", items, self.paths.len())?;
        check_length("targets (one per item)", items, self.targets.len())?;
        check_length("predictions (items times classes)", items * classes, self.probabilities.len())?;
        for (path, row) in self.paths.iter().zip(&self.targets) {
            if let Some(&class) = row.iter().find(|&&class| class >= classes) {
                return Err(InsightError::UnknownClass { path: path.clone(), class, classes });
            }
            if row.windows(2).any(|pair| pair[0] >= pair[1]) {
                return Err(InsightError::UnsortedTargets { path: path.clone() });
            }
        }
        self.check_thresholds()
    }

    fn check_thresholds(&self) -> Result<(), InsightError> {
        check_length("thresholds (one per class)", self.vocab.len(), self.thresholds.len())?;
        match self.thresholds.iter().find(|threshold| !(0.0..=1.0).contains(*threshold)) {
            Some(&threshold) => Err(InsightError::BadThreshold { threshold }),
            None => Ok(()),
        }
    }

    /// Checks losses and probabilities; call it after [`check_shape`](Self::check_shape).
    fn check_values(&self) -> Result<(), InsightError> {
        check_length("losses (one per item)", self.len(), self.losses.len())?;
        for (i, path) in self.paths.iter().enumerate() {
            let row = self.row(i);
            if row.iter().chain([&self.losses[i]]).any(|value| !value.is_finite()) {
                return Err(InsightError::NotFinite { path: path.clone(), what: "prediction" });
            }
            if let Some(&value) = row.iter().find(|value| !(0.0..=1.0).contains(*value)) {
                return Err(InsightError::NotAProbability { path: path.clone(), value });
            }
        }
        Ok(())
    }
}

/// The probability of a label with this logit, 0..1: `1 / (1 + exp(-logit))`.
///
/// ```
/// assert_eq!(sciurus_insight::sigmoid(0.0), 0.5);
/// ```
#[must_use]
pub fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// The contents of a file, before they're checked.
#[derive(Deserialize)]
struct Unchecked {
    items: Vec<ItemId>,
    paths: Vec<PathBuf>,
    vocab: Vocab,
    probabilities: Vec<f32>,
    targets: Vec<Vec<usize>>,
    losses: Vec<f32>,
    thresholds: Vec<f32>,
}

impl TryFrom<Unchecked> for MultiPredictions {
    type Error = InsightError;

    fn try_from(file: Unchecked) -> Result<Self, InsightError> {
        let Unchecked { items, paths, vocab, probabilities, targets, losses, thresholds } = file;
        let predictions = Self { items, paths, vocab, probabilities, targets, losses, thresholds };
        predictions.check_shape()?;
        predictions.check_values()?;
        Ok(predictions)
    }
}
