//! The metrics of a learner, single-label or multi-label.

use sciurus_data::BadOption;
use sciurus_data::ImageDataset;
use sciurus_insight::{
    AccuracyMulti, AnyPredictions, Average, ByLabel, ErrorRate, Measured, Metric, MultiPredictions,
    Predictions,
};

use crate::Error;

/// The columns of the table.
#[derive(Debug)]
pub(super) enum Metrics {
    One(Vec<Box<dyn Metric>>),
    Many(Vec<Box<dyn Metric<MultiPredictions>>>),
}

type MeasureOne = fn(&dyn Metric, &Predictions) -> Measured;
type MeasureMany = fn(&dyn Metric<MultiPredictions>, &MultiPredictions) -> Measured;

/// The metrics that were asked for, before the data set decides which kind is used.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) one: Vec<Box<dyn Metric>>,
    pub(super) many: Vec<Box<dyn Metric<MultiPredictions>>>,
}

impl Asked {
    /// The metrics for a single-label or multi-label data set; the defaults if none were asked for.
    pub(super) fn for_photos(self, dataset: &ImageDataset) -> Result<Metrics, Error> {
        let wrong = |value: String, expected| {
            Err(Error::BadOption(BadOption { option: "metric", value, advice: expected }))
        };
        match (dataset.is_multi_label(), self.one.first(), self.many.first()) {
            (false, _, Some(metric)) => {
                wrong(metric.name().to_owned(), "the photos have one label each; add metrics with `metric`")
            }
            (true, Some(metric), _) => {
                wrong(metric.name().to_owned(), "the photos are multi-label; add metrics with `multi_metric`")
            }
            (false, None, None) => Ok(Metrics::One(vec![Box::new(ErrorRate)])),
            (true, None, None) => Ok(Metrics::Many(vec![
                Box::new(AccuracyMulti),
                Box::new(ByLabel::f_beta(1.0, Average::Macro)),
            ])),
            (false, Some(_), None) => Ok(Metrics::One(self.one)),
            (true, None, Some(_)) => Ok(Metrics::Many(self.many)),
        }
    }
}

impl Metrics {
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::One(metrics) => metrics.iter().map(|metric| metric.name().to_owned()).collect(),
            Self::Many(metrics) => metrics.iter().map(|metric| metric.name().to_owned()).collect(),
        }
    }

    /// The metrics' values with intervals; empty for predictions of the other kind.
    pub(super) fn measure(&self, predictions: &AnyPredictions) -> Vec<Measured> {
        self.each(predictions, (Measured::new, Measured::of_multi))
    }

    /// The metrics' values without intervals, for the row of an epoch.
    pub(super) fn values(&self, predictions: &AnyPredictions) -> Vec<Measured> {
        self.each(predictions, (Measured::value, Measured::value_of_multi))
    }

    fn each(&self, predictions: &AnyPredictions, (one, many): (MeasureOne, MeasureMany)) -> Vec<Measured> {
        match (self, predictions) {
            (Self::One(metrics), AnyPredictions::Single(predictions)) => {
                metrics.iter().map(|metric| one(metric.as_ref(), predictions)).collect()
            }
            (Self::Many(metrics), AnyPredictions::Multi(predictions)) => {
                metrics.iter().map(|metric| many(metric.as_ref(), predictions)).collect()
            }
            _ => Vec::new(),
        }
    }
}
