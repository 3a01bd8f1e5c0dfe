//! Where a multi-label model goes wrong. In: predictions. Out: a table of labels, and the items with the largest
//! losses.

use std::fmt;
use std::path::PathBuf;

use sciurus_data::ItemId;
use serde::{Deserialize, Serialize};

use crate::MultiPredictions;
use crate::measured::nan_from_null;
use crate::metrics::average_precision_by_label;
use crate::predictions::largest_first;
use crate::table::{Align, Table, share, shorten};

/// The longest list of labels in a table.
const LABELS_WIDTH: usize = 36;

/// Interprets multi-label predictions. There's no confusion matrix: a label isn't mistaken for another one, it's either
/// there or not.
///
/// ```
/// use sciurus_insight::{ItemId, LabelTable, MultiInterpretation, MultiPredictions, Vocab};
///
/// let vocab = Vocab::new(["bird".to_string(), "tree".to_string()]);
/// let (items, paths) = (vec![ItemId(0), ItemId(1)], vec!["1.jpg".into(), "2.jpg".into()]);
/// let probabilities = vec![0.9, 0.4, 0.2, 0.8];
/// let predictions =
///     MultiPredictions::from_probabilities(vocab, items, paths, probabilities, vec![vec![0, 1], vec![]])?;
/// let interpretation = MultiInterpretation::new(predictions);
/// assert_eq!(interpretation.top_losses(1)[0].path.to_str(), Some("2.jpg"));
/// assert_eq!(
///     LabelTable(&interpretation.labels()).to_string(),
///     "label  photos  precision  recall     F1     AP  threshold
/// bird        1      1.000   1.000  1.000  1.000      0.500
/// tree        1      0.000   0.000  0.000  0.500      0.500"
/// );
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MultiInterpretation {
    predictions: MultiPredictions,
}

impl MultiInterpretation {
    /// Interprets `predictions`.
    #[must_use]
    pub fn new(predictions: MultiPredictions) -> Self {
        Self { predictions }
    }

    /// The predictions being interpreted.
    #[must_use]
    pub fn predictions(&self) -> &MultiPredictions {
        &self.predictions
    }

    /// The scores of each label, in the vocabulary's order.
    #[must_use]
    pub fn labels(&self) -> Vec<LabelScores> {
        let predictions = &self.predictions;
        let precisions = average_precision_by_label(predictions);
        let count = |such: &dyn Fn(usize) -> bool| (0..predictions.len()).filter(|&i| such(i)).count();
        let scores = |(class, average_precision): (usize, f64)| {
            let support = count(&|i| predictions.is_target(i, class));
            let on = count(&|i| predictions.is_on(i, class));
            let right = count(&|i| predictions.is_target(i, class) && predictions.is_on(i, class));
            let share =
                |part: usize, whole: usize| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
            LabelScores {
                label: predictions.vocab.label(class).to_string(),
                support,
                precision: share(right, on),
                recall: share(right, support),
                f1: share(2 * right, on + support),
                average_precision,
                threshold: predictions.thresholds[class],
            }
        };
        precisions.into_iter().enumerate().map(scores).collect()
    }

    /// The `k` items with the largest losses, largest first, in the split's order on ties; all items if `k` is larger.
    #[must_use]
    pub fn top_losses(&self, k: usize) -> Vec<MultiTopLoss> {
        let order = largest_first(&self.predictions.losses).into_iter();
        order.take(k).map(|i| MultiTopLoss::new(&self.predictions, i)).collect()
    }
}

/// The scores of one label, shares 0..1. A share of nothing is NaN, which is `null` in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// The label.
    pub label: String,
    /// Items that have it.
    pub support: usize,
    /// Precision: the share of the items predicted to have it that do.
    #[serde(deserialize_with = "nan_from_null")]
    pub precision: f64,
    /// Recall: the share of the items that have it that are predicted to.
    #[serde(deserialize_with = "nan_from_null")]
    pub recall: f64,
    /// F1: the harmonic mean of both.
    #[serde(deserialize_with = "nan_from_null")]
    pub f1: f64,
    /// Average precision: how well its probability ranks the items, whatever the threshold.
    #[serde(deserialize_with = "nan_from_null")]
    pub average_precision: f64,
    /// The threshold that its probability must exceed.
    pub threshold: f32,
}

/// Shows labels as a table for a terminal.
#[derive(Debug, Clone, Copy)]
pub struct LabelTable<'a>(pub &'a [LabelScores]);

impl fmt::Display for LabelTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = ["photos", "precision", "recall", "F1", "AP", "threshold"];
        let headings = [("label", Align::Left)].into_iter();
        let mut table = Table::new(headings.chain(numbers.map(|name| (name, Align::Right))));
        for scores in self.0 {
            let LabelScores { label, support, precision, recall, f1, average_precision, threshold } = scores;
            let mut cells = vec![shorten(label, LABELS_WIDTH), support.to_string()];
            cells.extend([*precision, *recall, *f1, *average_precision].map(share));
            cells.push(format!("{threshold:.3}"));
            table.row(cells);
        }
        table.fmt(f)
    }
}

/// One item of [`MultiInterpretation::top_losses`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiTopLoss {
    /// The item in the data set.
    pub item: ItemId,
    /// Its image, relative to the data root.
    pub path: PathBuf,
    /// Its true labels.
    pub targets: Vec<String>,
    /// The predicted labels.
    pub predictions: Vec<String>,
    /// The loss in nats.
    pub loss: f32,
    /// The label that is most wrong.
    pub worst: String,
    /// The probability of that label, 0..1.
    pub worst_probability: f32,
}

impl MultiTopLoss {
    fn new(predictions: &MultiPredictions, i: usize) -> Self {
        let row = predictions.row(i);
        let right =
            |class: usize| if predictions.is_target(i, class) { row[class] } else { 1.0 - row[class] };
        let worst = (0..row.len()).min_by(|&a, &b| right(a).total_cmp(&right(b))).unwrap_or_default();
        let owned = |labels: Vec<&str>| labels.into_iter().map(str::to_owned).collect();
        Self {
            item: predictions.items[i],
            path: predictions.paths[i].clone(),
            targets: owned(predictions.target_labels(i)),
            predictions: owned(predictions.on_labels(i)),
            loss: predictions.losses[i],
            worst: predictions.vocab.label(worst).to_owned(),
            worst_probability: row.get(worst).copied().unwrap_or_default(),
        }
    }
}

/// Shows top losses as a table for a terminal, one line per item, with the image last.
#[derive(Debug, Clone, Copy)]
pub struct MultiTopLossTable<'a>(pub &'a [MultiTopLoss]);

impl fmt::Display for MultiTopLossTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            ("loss", Align::Right),
            ("predicted", Align::Left),
            ("actual", Align::Left),
            ("most wrong", Align::Left),
            ("probability", Align::Right),
            ("image", Align::Left),
        ]);
        for top in self.0 {
            table.row([
                format!("{:.3}", top.loss),
                shorten(&listed(&top.predictions), LABELS_WIDTH),
                shorten(&listed(&top.targets), LABELS_WIDTH),
                shorten(&top.worst, LABELS_WIDTH),
                format!("{:.4}", top.worst_probability),
                top.path.display().to_string(),
            ]);
        }
        table.fmt(f)
    }
}

/// Labels with commas between them, or `none`.
pub(crate) fn listed(labels: &[String]) -> String {
    if labels.is_empty() { "none".to_string() } else { labels.join(", ") }
}
