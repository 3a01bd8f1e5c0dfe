//! Predictions of either kind, as a learner makes them and a run's file contains them. In: predictions. Out: what both
//! kinds have in common.

use std::path::{Path, PathBuf};

use sciurus_data::ItemId;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{InsightError, MultiPredictions, Predictions, Temperature, json_file};

/// Predictions for items with one label each, or for multi-label items.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyPredictions {
    /// Items with exactly one label each.
    Single(Predictions),
    /// Multi-label items.
    Multi(MultiPredictions),
}

impl AnyPredictions {
    /// The number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Single(predictions) => predictions.len(),
            Self::Multi(predictions) => predictions.len(),
        }
    }

    /// Where the items' photos are, below the data set's folder.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Single(predictions) => &predictions.paths,
            Self::Multi(predictions) => &predictions.paths,
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mean loss in nats; NaN if there are no items.
    #[must_use]
    pub fn valid_loss(&self) -> f64 {
        match self {
            Self::Single(predictions) => predictions.valid_loss(),
            Self::Multi(predictions) => predictions.valid_loss(),
        }
    }

    /// Probabilities, row-major `[item, class]`.
    #[must_use]
    pub fn probabilities(&self) -> &[f32] {
        match self {
            Self::Single(predictions) => &predictions.probabilities,
            Self::Multi(predictions) => &predictions.probabilities,
        }
    }

    /// The item in the data set of each row.
    #[must_use]
    pub fn items(&self) -> &[ItemId] {
        match self {
            Self::Single(predictions) => &predictions.items,
            Self::Multi(predictions) => &predictions.items,
        }
    }

    /// The loss of each item, in nats.
    #[must_use]
    pub fn losses(&self) -> &[f32] {
        match self {
            Self::Single(predictions) => &predictions.losses,
            Self::Multi(predictions) => &predictions.losses,
        }
    }

    /// Whether item `i` (its index here) is predicted correctly: its label, or all of its labels.
    #[must_use]
    pub fn is_right(&self, i: usize) -> bool {
        match self {
            Self::Single(predictions) => predictions.is_right(i),
            Self::Multi(predictions) => predictions.is_right(i),
        }
    }

    /// The same predictions at a temperature; multi-label ones have none.
    #[must_use]
    pub fn at_temperature(self, temperature: Temperature) -> Self {
        match self {
            Self::Single(predictions) => Self::Single(predictions.at_temperature(temperature)),
            Self::Multi(_) => self,
        }
    }

    /// The temperature to use these predictions' model with: see [`Temperature::where_it_helps`].
    #[must_use]
    pub fn temperature(&self) -> Temperature {
        match self {
            Self::Single(predictions) => Temperature::where_it_helps(predictions),
            Self::Multi(_) => Temperature(1.0),
        }
    }

    /// Reads a file of either kind.
    ///
    /// # Errors
    /// As for [`Predictions::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InsightError> {
        let path = path.as_ref();
        let bytes = json_file::bytes(path)?;
        let parse = |source| InsightError::Parse { path: path.into(), source };
        let Kind { thresholds } = serde_json::from_slice(&bytes).map_err(parse)?;
        match thresholds {
            None => serde_json::from_slice(&bytes).map(Self::Single).map_err(parse),
            Some(_) => serde_json::from_slice(&bytes).map(Self::Multi).map_err(parse),
        }
    }

    /// Writes JSON to `path`, replacing any file there; no reader ever sees half of it.
    ///
    /// # Errors
    /// As for [`Predictions::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InsightError> {
        match self {
            Self::Single(predictions) => predictions.save(path),
            Self::Multi(predictions) => predictions.save(path),
        }
    }
}

/// Only the field that tells the kinds apart.
#[derive(Deserialize)]
struct Kind {
    thresholds: Option<IgnoredAny>,
}
