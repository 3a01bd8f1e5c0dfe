//! A run as one HTML page. In: predictions, history and thumbnails. Out: a self-contained document.
//!
//! The page loads nothing: style, script, pictures and diagrams are part of it, and its content security policy forbids
//! everything else. It works in light and dark mode, with a keyboard, with a screen reader and, except for choosing
//! photos, without JavaScript.

mod classes;
mod curves;
mod labels;
mod line_chart;
mod matrix;
mod measures;
mod page;
mod photos;
mod reliability;
mod scores;

use std::fmt;

use sciurus_data::ItemId;

use crate::{
    Accuracy, AccuracyMulti, AnyPredictions, ErrorRate, MeanAveragePrecision, Measured, MultiPredictions,
    Predictions, Temperature,
};

/// How many photos with the largest losses the page shows when it opens.
const TOP: usize = 12;

/// The contents of a run's page.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `fact` | none | a name and a value, shown below the title; may be called again | any text |
/// | `metrics` | error rate, accuracy | the table of metrics | |
/// | `test_metrics` | none | a second table, on test items that no choice was based on | |
/// | `temperature` | none | what the exported model divides its logits by, shown next to the reliability diagram | above 0 |
/// | `epochs` | none | the curves by epoch | in order |
/// | `learning_rates` | none | the curve by step | a list per step, one rate per group |
/// | `thumbnails` | none | a small picture per item | about 200 pixels |
/// | `overlays` | none | a second picture per item, such as Grad-CAM, that the reader can turn on | as `thumbnails` |
/// | `top` | 12 | how many photos with the largest losses the page shows when it opens | any |
///
/// A section without data is left out. Every text is escaped: labels and paths may contain anything.
///
/// ```
/// use sciurus_insight::{ItemId, Predictions, Report, Thumbnail, Vocab};
///
/// let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
/// let paths = vec!["red/1.jpg".into(), "grey/2.jpg".into()];
/// let items = vec![ItemId(0), ItemId(1)];
/// let predictions =
///     Predictions::from_probabilities(vocab, items, paths, vec![0.1, 0.9, 0.3, 0.7], vec![1, 0])?;
/// let jpeg = vec![0xff, 0xd8];
/// let page = Report::new("squirrels", predictions)
///     .fact("architecture", "resnet18")
///     .thumbnails(vec![Thumbnail { item: ItemId(1), jpeg }])
///     .render();
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// assert!(page.contains("data:image/jpeg;base64,/9g="));
/// # Ok::<(), sciurus_insight::InsightError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    title: String,
    predictions: AnyPredictions,
    facts: Vec<(String, String)>,
    metrics: Vec<Measured>,
    test_metrics: Vec<Measured>,
    temperature: Option<Temperature>,
    epochs: Vec<EpochRow>,
    learning_rates: Vec<Vec<f64>>,
    thumbnails: Vec<Thumbnail>,
    overlays: Vec<Thumbnail>,
    top: usize,
}

/// The results of one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochRow {
    /// The epoch's number in the run; the page shows it as it is.
    pub epoch: usize,
    /// The title of its phase, such as `frozen`.
    pub phase: String,
    /// The training loss in nats, as the run reports it.
    pub train_loss: f64,
    /// The mean loss over the validation set in nats; NaN if it wasn't computed.
    pub valid_loss: f64,
    /// Its metrics.
    pub metrics: Vec<Measured>,
}

/// A small picture of an item.
#[derive(Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The item of [`Predictions::items`] it shows.
    pub item: ItemId,
    /// The bytes of a JPEG file.
    pub jpeg: Vec<u8>,
}

impl fmt::Debug for Thumbnail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { item, jpeg } = self;
        f.debug_struct("Thumbnail")
            .field("item", item)
            .field("jpeg", &format_args!("{} bytes", jpeg.len()))
            .finish()
    }
}

impl Report {
    /// A report with this title on these predictions.
    #[must_use]
    pub fn new(title: impl Into<String>, predictions: Predictions) -> Self {
        let metrics = vec![Measured::new(&ErrorRate, &predictions), Measured::new(&Accuracy, &predictions)];
        Self::about(title.into(), AnyPredictions::Single(predictions), metrics)
    }

    /// A report on multi-label predictions. It has a table of labels instead of the confusion matrix and the
    /// reliability diagram.
    #[must_use]
    pub fn of_many(title: impl Into<String>, predictions: MultiPredictions) -> Self {
        let metrics = vec![
            Measured::of_multi(&AccuracyMulti, &predictions),
            Measured::of_multi(&MeanAveragePrecision, &predictions),
        ];
        Self::about(title.into(), AnyPredictions::Multi(predictions), metrics)
    }

    fn about(title: String, predictions: AnyPredictions, metrics: Vec<Measured>) -> Self {
        Self {
            title,
            predictions,
            facts: Vec::new(),
            metrics,
            test_metrics: Vec::new(),
            temperature: None,
            epochs: Vec::new(),
            learning_rates: Vec::new(),
            thumbnails: Vec::new(),
            overlays: Vec::new(),
            top: TOP,
        }
    }

    /// Adds a fact about the run, such as its seed; facts are shown in the order they were added.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// The metrics of the table.
    #[must_use]
    pub fn metrics(mut self, metrics: Vec<Measured>) -> Self {
        self.metrics = metrics;
        self
    }

    /// The metrics of the test set.
    #[must_use]
    pub fn test_metrics(mut self, metrics: Vec<Measured>) -> Self {
        self.test_metrics = metrics;
        self
    }

    /// What the exported model divides its logits by; the predictions here are without it.
    #[must_use]
    pub fn temperature(mut self, temperature: Temperature) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// The run's epochs, all phases one after the other.
    #[must_use]
    pub fn epochs(mut self, epochs: Vec<EpochRow>) -> Self {
        self.epochs = epochs;
        self
    }

    /// The learning rates of every step, one per parameter group.
    #[must_use]
    pub fn learning_rates(mut self, learning_rates: Vec<Vec<f64>>) -> Self {
        self.learning_rates = learning_rates;
        self
    }

    /// Small pictures; items without one are shown by their path. Of two pictures of an item, the last one counts.
    #[must_use]
    pub fn thumbnails(mut self, thumbnails: Vec<Thumbnail>) -> Self {
        self.thumbnails = thumbnails;
        self
    }

    /// Second pictures, of the same size as the first, shown in their place when the reader asks for them.
    #[must_use]
    pub fn overlays(mut self, overlays: Vec<Thumbnail>) -> Self {
        self.overlays = overlays;
        self
    }

    /// How many photos with the largest losses the page shows when it opens.
    #[must_use]
    pub fn top(mut self, top: usize) -> Self {
        self.top = top;
        self
    }

    /// The page, a whole HTML document.
    #[must_use]
    pub fn render(&self) -> String {
        page::page(self).into_string()
    }
}
