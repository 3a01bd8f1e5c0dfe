//! Where a model goes wrong. In: predictions. Out: the most confused labels, the items with the largest losses, and a
//! summary.

use std::fmt;
use std::path::PathBuf;

use sciurus_data::ItemId;
use serde::{Deserialize, Serialize};

use crate::measured::nan_from_null;
use crate::predictions::largest_first;
use crate::table::{Align, Table, shorten};
use crate::{
    Accuracy, ClassErrors, Confused, ConfusionMatrix, ErrorRate, Measured, MistakeWeight, Predictions,
    mistake_weight,
};

/// The longest label in a table of losses.
const LABEL_WIDTH: usize = 28;

/// Interprets predictions, with fastai's method names: `confusion_matrix`, `most_confused`, `top_losses`.
///
/// ```
/// use sciurus_insight::{ClassificationInterpretation, ItemId, Predictions, TopLossTable, Vocab};
///
/// let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
/// let items = vec![ItemId(0), ItemId(1)];
/// let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
/// let probabilities = vec![0.1, 0.9, 0.3, 0.7];
/// let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![1, 0])?;
///
/// let interpretation = ClassificationInterpretation::new(predictions);
/// assert_eq!(interpretation.most_confused(1)[0].prediction, "red");
/// let top_losses = interpretation.top_losses(9);
/// assert_eq!(top_losses[0].path.to_str(), Some("grey/2.jpg"));
/// assert_eq!(
///     format!("\n{}", TopLossTable(&top_losses[..1])),
///     "
///  loss  predicted  probability  actual  probability  image
/// 1.204  red             0.7000  grey         0.3000  grey/2.jpg"
/// );
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationInterpretation {
    predictions: Predictions,
}

impl ClassificationInterpretation {
    /// Interprets `predictions`.
    #[must_use]
    pub fn new(predictions: Predictions) -> Self {
        Self { predictions }
    }

    /// The predictions being interpreted.
    #[must_use]
    pub fn predictions(&self) -> &Predictions {
        &self.predictions
    }

    /// How often each class was predicted as each other.
    #[must_use]
    pub fn confusion_matrix(&self) -> ConfusionMatrix {
        ConfusionMatrix::new(&self.predictions)
    }

    /// [`ConfusionMatrix::most_confused`].
    #[must_use]
    pub fn most_confused(&self, min: usize) -> Vec<Confused> {
        self.confusion_matrix().most_confused(min)
    }

    /// The `k` items with the largest losses, largest first, in the split's order on ties; all items if `k` is larger.
    ///
    /// As in fastai, they include right predictions with a low probability: these are worth a look, too.
    #[must_use]
    pub fn top_losses(&self, k: usize) -> Vec<TopLoss> {
        let order = largest_first(&self.predictions.losses).into_iter();
        order.take(k).map(|i| TopLoss::new(&self.predictions, i)).collect()
    }

    /// Everything above as plain data, with at most `top` losses and every confused pair.
    #[must_use]
    pub fn summary(&self, top: usize) -> InterpretationSummary {
        let confusion_matrix = self.confusion_matrix();
        InterpretationSummary {
            items: self.predictions.len(),
            valid_loss: self.predictions.valid_loss(),
            metrics: vec![
                Measured::new(&ErrorRate, &self.predictions),
                Measured::new(&Accuracy, &self.predictions),
            ],
            mistake_weight: mistake_weight(self.predictions.len()),
            classes: confusion_matrix.per_class(),
            most_confused: confusion_matrix.most_confused(1),
            confusion_matrix,
            top_losses: self.top_losses(top),
        }
    }
}

/// One item of [`ClassificationInterpretation::top_losses`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopLoss {
    /// The item in the data set.
    pub item: ItemId,
    /// Its image, relative to the data root.
    pub path: PathBuf,
    /// Its true label.
    pub target: String,
    /// The label with the largest probability.
    pub prediction: String,
    /// The loss in nats.
    pub loss: f32,
    /// The probability of the prediction, 0..1: the number fastai shows.
    pub probability: f32,
    /// The probability of the target, 0..1: what fastai's number is often mistaken for.
    pub target_probability: f32,
}

impl TopLoss {
    fn new(predictions: &Predictions, i: usize) -> Self {
        let row = predictions.row(i);
        Self {
            item: predictions.items[i],
            path: predictions.paths[i].clone(),
            target: predictions.target_label(i).to_string(),
            prediction: predictions.prediction_label(i).to_string(),
            loss: predictions.losses[i],
            probability: row[predictions.prediction(i)],
            target_probability: row[predictions.targets[i]],
        }
    }
}

/// Shows top losses as a table for a terminal, one line per item, with the image last.
#[derive(Debug, Clone, Copy)]
pub struct TopLossTable<'a>(pub &'a [TopLoss]);

impl fmt::Display for TopLossTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            ("loss", Align::Right),
            ("predicted", Align::Left),
            ("probability", Align::Right),
            ("actual", Align::Left),
            ("probability", Align::Right),
            ("image", Align::Left),
        ]);
        for top in self.0 {
            table.row([
                format!("{:.3}", top.loss),
                shorten(&top.prediction, LABEL_WIDTH),
                format!("{:.4}", top.probability),
                shorten(&top.target, LABEL_WIDTH),
                format!("{:.4}", top.target_probability),
                top.path.display().to_string(),
            ]);
        }
        table.fmt(f)
    }
}

/// A whole interpretation as one value, for programs that store or show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InterpretationSummary {
    /// The number of items.
    pub items: usize,
    /// The mean loss in nats; NaN if there are no items, which is `null` in JSON.
    #[serde(deserialize_with = "nan_from_null")]
    pub valid_loss: f64,
    /// Error rate and accuracy.
    pub metrics: Vec<Measured>,
    /// How much one mistake changes them.
    pub mistake_weight: MistakeWeight,
    /// Items and mistakes of each class, in the vocabulary's order.
    pub classes: Vec<ClassErrors>,
    /// Every pair of labels that was confused, most often confused first.
    pub most_confused: Vec<Confused>,
    /// All counts.
    pub confusion_matrix: ConfusionMatrix,
    /// The items with the largest losses, largest first.
    pub top_losses: Vec<TopLoss>,
}
