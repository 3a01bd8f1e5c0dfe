//! Bundles as training makes them, and as it goes on from them.

use std::path::Path;

use sciurus_data::{BadOption, Split, Views};
use sciurus_insight::AnyPredictions;
use sciurus_photos::licences;

use super::{
    DataRecord, FORMAT, FORMAT_MULTI_LABEL, FORMAT_REJECTION, FORMAT_VIEWS, Manifest, ModelBundle, Output,
};
use crate::Error;
use crate::model::Arch;
use crate::model::weights::{WeightSource, WeightsRecord, sha256_of};
use crate::nn::StateDict;
use crate::predict::KnownPhotos;

impl DataRecord {
    /// The record of a data set.
    pub fn of(dataset: &sciurus_data::ImageDataset) -> Self {
        Self {
            fingerprint: dataset.fingerprint(),
            train: dataset.split(Split::Train).count(),
            valid: dataset.split(Split::Valid).count(),
            licences: licences(&dataset.root, dataset.split(Split::Train).map(|item| &item.content)),
        }
    }
}

impl ModelBundle {
    /// A bundle with the thresholds of the model's validation predictions.
    pub(crate) fn new(
        mut manifest: Manifest,
        predictions: &AnyPredictions,
        (state, known): (StateDict, Option<KnownPhotos>),
    ) -> Self {
        let (format, output) = match predictions {
            AnyPredictions::Single(_) => (FORMAT, Output::SingleLabel),
            AnyPredictions::Multi(predictions) => {
                (FORMAT_MULTI_LABEL, Output::MultiLabel { thresholds: predictions.thresholds.clone() })
            }
        };
        manifest.format = match (&known, manifest.preprocessing.views) {
            (Some(_), _) => FORMAT_REJECTION,
            (None, Views::Plain) => format,
            (None, _) => FORMAT_VIEWS,
        };
        manifest.output = output;
        manifest.rejection = known.as_ref().map(|known| known.rejection.clone());
        Self { manifest, state, known }
    }

    /// Whether a file of weights is named like a model that Sciurus saved.
    pub(crate) fn is_named(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending == "sciurus")
    }

    /// The file, where weights come from a model that Sciurus saved.
    pub(crate) fn file_of(source: &WeightSource) -> Option<&Path> {
        match source {
            WeightSource::File(path) if Self::is_named(path) => Some(path),
            _ => None,
        }
    }

    /// Reads a model to start from its weights, and what to record of them.
    ///
    /// # Errors
    /// As for [`load`](Self::load), or the model is of another architecture.
    pub(crate) fn start_from(path: &Path, arch: Arch) -> Result<(Self, WeightsRecord), Error> {
        let bundle = Self::load(path)?;
        let advice = "choose the network of the model that it starts from";
        BadOption::check("arch", arch, bundle.manifest.arch == arch, advice)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (sha256, licence) = (Some(sha256_of(path)?), bundle.manifest.weights.licence.clone());
        Ok((bundle, WeightsRecord { name, sha256, licence }))
    }
}
