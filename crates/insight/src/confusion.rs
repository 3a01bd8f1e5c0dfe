//! The confusion matrix. In: predictions. Out: counts, the most confused pairs and a table.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;

use sciurus_data::Vocab;
use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr;

use crate::table::{Align, Table, shorten};
use crate::{InsightError, Interval, Predictions, wilson};

/// The widest grid; a wider one becomes a list, because a wrapped grid is unreadable.
const MAX_WIDTH: usize = 100;
/// The longest label at the beginning of a row.
const ROW_LABEL_WIDTH: usize = 28;
/// Column headings aren't cut shorter than this.
const MIN_HEADING_WIDTH: usize = 4;
/// How many wrong labels a row of the list shows.
const LISTED: usize = 3;

/// How often items of each class were predicted as each class: rows are actual, columns predicted, as in fastai and
/// scikit-learn.
///
/// Its `Display` is a table for a terminal: a grid if that fits into 100 columns with distinguishable headings, else a
/// list with one line per class and what the class was predicted as. A `·` stands for 0.
///
/// ```
/// use sciurus_insight::{ConfusionMatrix, ItemId, Predictions, Vocab};
///
/// let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
/// let items = vec![ItemId(0), ItemId(1)];
/// let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
/// let probabilities = vec![0.1, 0.9, 0.3, 0.7];
/// let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, vec![1, 0])?;
/// let confusion = ConfusionMatrix::new(&predictions);
///
/// assert_eq!(confusion.count(0, 1), 1);
/// assert_eq!(
///     format!("\n{confusion}"),
///     "
///         predicted
/// actual  grey  red  items    error
/// grey       ·    1      1  100.0 %
/// red        ·    1      1    0.0 %
/// total      ·    2      2   50.0 %"
/// );
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct ConfusionMatrix {
    /// The labels of rows and columns.
    pub vocab: Vocab,
    /// Counts of items, row-major `[target, prediction]`.
    pub counts: Vec<usize>,
}

/// Items of one class that were predicted as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// The true label.
    pub target: String,
    /// The label they were predicted as.
    pub prediction: String,
    /// How many there are.
    pub count: usize,
}

/// The result for one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassErrors {
    /// The true label.
    pub label: String,
    /// How many items have it.
    pub items: usize,
    /// How many of them were predicted as something else.
    pub wrong: usize,
    /// The 95 % Wilson interval of `wrong / items`; 0..1 if there are no items.
    pub interval: Interval,
}

impl ConfusionMatrix {
    /// Counts the predictions.
    #[must_use]
    pub fn new(predictions: &Predictions) -> Self {
        let vocab = predictions.vocab.clone();
        let mut counts = vec![0; vocab.len() * vocab.len()];
        for (i, target) in predictions.targets.iter().enumerate() {
            counts[target * vocab.len() + predictions.prediction(i)] += 1;
        }
        Self { vocab, counts }
    }

    /// How many items of class `target` were predicted as class `prediction`; both below the vocabulary's length.
    #[must_use]
    pub fn count(&self, target: usize, prediction: usize) -> usize {
        self.counts[target * self.vocab.len() + prediction]
    }

    /// The pairs of different labels confused at least `min` times, most often confused first. A pair that was never
    /// confused is left out, even for `min` 0.
    ///
    /// fastai's `most_confused(min_val)`, with its order on ties: by target, then by prediction.
    #[must_use]
    pub fn most_confused(&self, min: usize) -> Vec<Confused> {
        let mut pairs: Vec<Confused> = self
            .classes()
            .flat_map(|target| self.taken_for(target))
            .filter(|pair| pair.count >= min)
            .collect();
        pairs.sort_by_key(|pair| Reverse(pair.count));
        pairs
    }

    /// Items and mistakes of each class, in the vocabulary's order.
    #[must_use]
    pub fn per_class(&self) -> Vec<ClassErrors> {
        let class_errors = |class| {
            let items = self.classes().map(|prediction| self.count(class, prediction)).sum();
            let wrong = items - self.count(class, class);
            let label = self.vocab.label(class).to_string();
            ClassErrors { label, items, wrong, interval: wilson(wrong, items) }
        };
        self.classes().map(class_errors).collect()
    }

    fn classes(&self) -> std::ops::Range<usize> {
        0..self.vocab.len()
    }

    /// What items of `target` were predicted as, in the vocabulary's order.
    fn taken_for(&self, target: usize) -> impl Iterator<Item = Confused> {
        let others = self.classes().filter(move |&class| class != target && self.count(target, class) > 0);
        others.map(move |prediction| Confused {
            target: self.vocab.label(target).to_string(),
            prediction: self.vocab.label(prediction).to_string(),
            count: self.count(target, prediction),
        })
    }

    /// The width of the grid's first column.
    fn row_label_width(&self) -> usize {
        let widest = self.vocab.labels().iter().map(|label| label.width()).max();
        widest.unwrap_or(0).clamp("actual".len(), ROW_LABEL_WIDTH)
    }

    /// Headings of the predicted classes that fit next to the rest of the grid, if they're still distinguishable.
    fn headings(&self) -> Option<Vec<String>> {
        let labels = self.vocab.labels();
        let digits = self.counts.iter().sum::<usize>().to_string().len();
        let taken = self.row_label_width() + "  items".len().max(2 + digits) + "  100.0 %".len();
        let each = MAX_WIDTH.saturating_sub(taken).checked_div(labels.len())?.checked_sub(2)?;
        if each < MIN_HEADING_WIDTH.max(digits) {
            return None;
        }
        let headings: Vec<String> = labels.iter().map(|label| shorten(label, each)).collect();
        let distinct = headings.iter().collect::<HashSet<_>>().len() == headings.len();
        distinct.then_some(headings)
    }

    /// One row and one column per class.
    fn grid(&self, headings: Vec<String>) -> Table {
        let right = |heading: String| (heading, Align::Right);
        let ends = ["items".to_string(), "error".to_string()];
        let columns = headings.into_iter().chain(ends).map(right);
        let mut table = Table::new(std::iter::once(("actual".to_string(), Align::Left)).chain(columns));
        for (class, errors) in self.per_class().into_iter().enumerate() {
            let counts = self.classes().map(|prediction| self.count(class, prediction));
            table.row(grid_row(&errors, counts));
        }
        let column_total = |prediction| self.classes().map(|target| self.count(target, prediction)).sum();
        table.row(grid_row(&self.total(), self.classes().map(column_total)));
        table
    }

    /// One row per class, with what it was predicted as.
    fn list(&self) -> Table {
        let mut table = Table::new([
            ("actual", Align::Left),
            ("items", Align::Right),
            ("wrong", Align::Right),
            ("error", Align::Right),
            ("taken for", Align::Left),
        ]);
        for (class, errors) in self.per_class().into_iter().enumerate() {
            table.row(list_row(&errors, self.taken_for(class).collect()));
        }
        table.row(list_row(&self.total(), Vec::new()));
        table
    }

    fn total(&self) -> ClassErrors {
        let classes = self.per_class();
        let (items, wrong) = classes.iter().fold((0, 0), |(i, w), class| (i + class.items, w + class.wrong));
        ClassErrors { label: "total".to_string(), items, wrong, interval: wilson(wrong, items) }
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.headings() {
            Some(headings) => {
                let indent = " ".repeat(self.row_label_width());
                write!(f, "{indent}  predicted\n{}", self.grid(headings))
            }
            None => self.list().fmt(f),
        }
    }
}

fn grid_row(errors: &ClassErrors, counts: impl Iterator<Item = usize>) -> Vec<String> {
    let dotted = |count: usize| if count == 0 { "·".to_string() } else { count.to_string() };
    let mut row = vec![shorten(&errors.label, ROW_LABEL_WIDTH)];
    row.extend(counts.map(dotted));
    row.extend([errors.items.to_string(), percent(errors)]);
    row
}

fn list_row(errors: &ClassErrors, mut taken_for: Vec<Confused>) -> [String; 5] {
    taken_for.sort_by_key(|pair| Reverse(pair.count));
    let name = |pair: &Confused| format!("{} {}", shorten(&pair.prediction, ROW_LABEL_WIDTH), pair.count);
    let mut named: Vec<String> = taken_for.iter().take(LISTED).map(name).collect();
    if taken_for.len() > LISTED {
        named.push(format!("{} more", taken_for.len() - LISTED));
    }
    let label = shorten(&errors.label, ROW_LABEL_WIDTH);
    [label, errors.items.to_string(), errors.wrong.to_string(), percent(errors), named.join(", ")]
}

/// The error rate; a dash for a class without items.
fn percent(errors: &ClassErrors) -> String {
    match errors.items {
        0 => "-".to_string(),
        items => format!("{:.1} %", 100.0 * errors.wrong as f64 / items as f64),
    }
}

/// The contents of a file, before they're checked.
#[derive(Deserialize)]
struct Unchecked {
    vocab: Vocab,
    counts: Vec<usize>,
}

impl TryFrom<Unchecked> for ConfusionMatrix {
    type Error = InsightError;

    fn try_from(Unchecked { vocab, counts }: Unchecked) -> Result<Self, InsightError> {
        let (expected, found) = (vocab.len() * vocab.len(), counts.len());
        if expected != found {
            return Err(InsightError::Length { what: "counts (classes times classes)", expected, found });
        }
        Ok(Self { vocab, counts })
    }
}
