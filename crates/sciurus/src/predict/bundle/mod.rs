//! A model in one file: weights and all that is needed to use them.
//!
//! The file is a safetensors file whose metadata holds the [`Manifest`] as JSON under `sciurus`. It is data: loading it
//! runs nothing, and any safetensors reader can look inside.

mod checks;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use sciurus_data::{Preprocessing, Seed, Split, Views, Vocab};
use sciurus_insight::{AnyPredictions, Measured, Temperature};
use sciurus_photos::licences;
use serde::{Deserialize, Serialize};

use crate::model::weights::WeightsRecord;
use crate::model::{Arch, VisionModel, numbers};
use crate::nn::StateDict;
use crate::storage::tensor_file::{self, Checksum, TensorFile};
use crate::{Error, Precision};

/// Version of the manifest of a model for one label per photo.
const FORMAT: u32 = 1;
/// The same of one for any number of labels, which version 1 knew nothing of.
const FORMAT_MULTI_LABEL: u32 = 2;
/// The same of one that answers from several views, which versions 1 and 2 knew nothing of: the newest that this build reads.
const FORMAT_VIEWS: u32 = 3;
/// Key of the manifest in the file's metadata.
const MANIFEST_KEY: &str = "sciurus";

/// What a model is: everything but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this record.
    pub format: u32,
    /// Version of Sciurus that wrote it.
    pub version: String,
    /// The architecture.
    pub arch: Arch,
    /// The labels, by class.
    pub vocab: Vocab,
    /// What is done to a photo before the model sees it.
    pub preprocessing: Preprocessing,
    /// How good it was on its validation photos, with intervals.
    pub metrics: Vec<Measured>,
    /// The data it was trained on.
    pub data: DataRecord,
    /// The weights it started from.
    pub weights: WeightsRecord,
    /// The seed of the run.
    pub seed: Seed,
    /// What activations were kept in when it was measured: f32 or bf16.
    #[serde(default = "f32_precision")]
    pub precision: Precision,
    /// What its logits are divided by so that probabilities mean what they say, found on the validation photos.
    #[serde(default = "no_temperature")]
    pub temperature: Temperature,
    /// How many labels it gives a photo.
    #[serde(default, skip_serializing_if = "Output::is_single_label")]
    pub output: Output,
}

/// How many labels a model gives a photo, and so what its logits mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Output {
    /// Exactly one: probabilities are the softmax of the logits, and the largest decides.
    #[default]
    #[serde(rename = "one_label")]
    SingleLabel,
    /// Any number: each probability is the sigmoid of its logit.
    #[serde(rename = "any_number")]
    MultiLabel {
        /// What each label's probability must exceed (0..=1), by class. Chosen on the validation photos for the best F1, so
        /// that what was measured on those flatters the model a little.
        thresholds: Vec<f32>,
    },
}

impl Output {
    /// Whether it is exactly one.
    pub fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }
}

/// Models from before there was one were used as they were.
fn no_temperature() -> Temperature {
    Temperature(1.0)
}

/// What models were measured in before there was a choice.
fn f32_precision() -> Precision {
    Precision::F32
}

/// Which data a model saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Hash over paths, labels, splits and contents of all photos.
    pub fingerprint: String,
    /// Photos it was trained on.
    pub train: usize,
    /// Photos it was measured on.
    pub valid: usize,
    /// The photos it was trained on by licence, as far as the ledger beside them tells; empty where there is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub licences: BTreeMap<String, usize>,
}

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

/// A trained model as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelBundle {
    /// What it is.
    pub manifest: Manifest,
    /// Its parameters and running statistics.
    pub state: StateDict,
}

impl ModelBundle {
    /// A model that was calibrated on its validation predictions, with all that is needed to use it.
    pub(crate) fn new(mut manifest: Manifest, predictions: &AnyPredictions, state: StateDict) -> Self {
        let (format, temperature, output) = match predictions {
            AnyPredictions::Single(predictions) => {
                (FORMAT, Temperature::fit_few(predictions), Output::SingleLabel)
            }
            AnyPredictions::Multi(predictions) => {
                let thresholds = predictions.thresholds.clone();
                (FORMAT_MULTI_LABEL, no_temperature(), Output::MultiLabel { thresholds })
            }
        };
        manifest.format = if manifest.preprocessing.views == Views::Plain { format } else { FORMAT_VIEWS };
        (manifest.temperature, manifest.output) = (temperature, output);
        Self { manifest, state }
    }

    /// Writes the file; it appears under its name only when complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        tensor_file::write(path, (MANIFEST_KEY, &self.manifest), &self.state)
    }

    /// Reads a file. What it is comes first: weights are read only if they are those that its architecture needs.
    ///
    /// # Errors
    /// The file cannot be read, is no regular file, is damaged, is no Sciurus model, was written by a newer version, or is such as
    /// no model can be: its images are too large, its labels too many, its numbers not finite.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let broken = |reason: String| Error::Bundle { path: path.to_owned(), reason };
        let mut file = TensorFile::open(path)?;
        let manifest = checks::manifest(file.record(MANIFEST_KEY)).map_err(broken)?;
        checks::tensors(&manifest, file.places()).map_err(broken)?;
        let state = file.tensors(Checksum::IfThere)?;
        numbers::check(&state).map_err(|reason| {
            broken(format!("{reason}; get the file again, or train it again with a lower learning rate"))
        })?;
        Ok(Self { manifest, state })
    }

    /// Builds the model and sets its weights.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn model(&self, device: &Device) -> Result<VisionModel, Error> {
        let model = VisionModel::zeroed(self.manifest.arch, self.manifest.vocab.len(), device)?;
        for parameter in model.parameters() {
            if !self.state.contains_key(&parameter.name) {
                return Err(Error::TensorShape {
                    name: parameter.name,
                    found: vec![],
                    expected: parameter.shape,
                });
            }
        }
        model.with_state(&self.state)
    }
}
