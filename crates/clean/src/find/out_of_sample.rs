//! Checked probabilities and given labels: the input of every detector of label issues.

use sciurus_insight::{InsightError, Predictions};

/// How far the sum of a row of probabilities may be from 1, as in [`Predictions`].
const SUM_TOLERANCE: f64 = 0.01;

/// Probabilities of items from models that were *not* trained on them, with the label each item was given.
///
/// In double precision, like cleanlab; [`Predictions`] convert without loss.
///
/// ```
/// use sciurus_clean::find::OutOfSample;
///
/// let rows = OutOfSample::new(2, vec![0.9, 0.1, 0.3, 0.7], vec![0, 0])?;
/// assert_eq!(rows.row(1), [0.3, 0.7]);
/// assert_eq!(rows.prediction(1), 1);
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfSample {
    classes: usize,
    probabilities: Vec<f64>,
    labels: Vec<usize>,
}

impl OutOfSample {
    /// Probabilities row-major `[item, class]`, each row with sum 1, and the given class of each item.
    ///
    /// # Errors
    /// If lengths do not match, a label is not a class, or a row is not a distribution.
    pub fn new(classes: usize, probabilities: Vec<f64>, labels: Vec<usize>) -> Result<Self, InsightError> {
        let (found, expected) = (probabilities.len(), classes * labels.len());
        if found != expected {
            return Err(InsightError::Length {
                what: "probabilities (items times classes)",
                expected,
                found,
            });
        }
        check_labels(classes, &labels)?;
        let rows = Self { classes, probabilities, labels };
        let is_bad = |row: &[f64]| {
            let sum: f64 = row.iter().sum();
            row.iter().any(|p| !(0.0..=1.0).contains(p)) || (sum - 1.0).abs() > SUM_TOLERANCE
        };
        match (0..rows.len()).find(|&item| is_bad(rows.row(item))) {
            Some(row) => {
                Err(InsightError::Row { row, why: "its probabilities are not all in 0..1 with sum 1".into() })
            }
            None => Ok(rows),
        }
    }

    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The given class of each item.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The probabilities of item `item`, below [`len`](Self::len): one per class, 0..1.
    #[must_use]
    pub fn row(&self, item: usize) -> &[f64] {
        &self.probabilities[item * self.classes..(item + 1) * self.classes]
    }

    /// The class with the largest probability; on a tie the first one, as in NumPy.
    #[must_use]
    pub fn prediction(&self, item: usize) -> usize {
        largest(self.row(item))
    }

    /// How many items were given each class, `[class]`.
    #[must_use]
    pub fn label_counts(&self) -> Vec<usize> {
        label_counts(self.classes, &self.labels)
    }

    /// The same items with other rows, which need not be distributions.
    pub(super) fn with_rows(&self, probabilities: Vec<f64>) -> Self {
        Self { classes: self.classes, probabilities, labels: self.labels.clone() }
    }
}

impl From<&Predictions> for OutOfSample {
    /// The targets are the given labels. The rows were checked when the predictions were made.
    fn from(predictions: &Predictions) -> Self {
        Self {
            classes: predictions.vocab.len(),
            probabilities: predictions.probabilities.iter().copied().map(f64::from).collect(),
            labels: predictions.targets.clone(),
        }
    }
}

/// The position of the largest value; on a tie the first one, 0 without values.
pub(super) fn largest(row: &[f64]) -> usize {
    (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

/// How many items were given each class; every label is below `classes`.
pub(super) fn label_counts(classes: usize, labels: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label] += 1;
    }
    counts
}

/// Checks that every label is a class.
pub(super) fn check_labels(classes: usize, labels: &[usize]) -> Result<(), InsightError> {
    match labels.iter().position(|&label| label >= classes) {
        Some(row) => {
            let why = format!("its label is class {}, but there are {classes} classes", labels[row]);
            Err(InsightError::Row { row, why })
        }
        None => Ok(()),
    }
}
