//! A model in one file: weights, and everything needed to use them.
//!
//! It is a safetensors file whose metadata has the [`Manifest`] as JSON under `sciurus`. It is only data: loading it runs
//! nothing, and any safetensors reader can look inside.

mod checks;
#[cfg(feature = "train")]
mod trained;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use sciurus_data::{Preprocessing, Seed, Vocab};
use sciurus_insight::{Measured, Temperature};
use serde::{Deserialize, Serialize};

use crate::model::weights::WeightsRecord;
use crate::model::{Arch, VisionModel, numbers};
use crate::nn::StateDict;
use crate::predict::{KnownPhotos, Rejection};
use crate::storage::tensor_file::{self, Checksum, TensorFile};
use crate::{Error, Precision};

/// Manifest version of a single-label model.
const FORMAT: u32 = 1;
/// Manifest version of a multi-label model, which readers of version 1 do not support.
const FORMAT_MULTI_LABEL: u32 = 2;
/// Manifest version of a model with test-time augmentation, which older readers do not support.
const FORMAT_VIEWS: u32 = 3;
/// Manifest version of a model that knows when a picture is none of its classes, which older readers do not support: the newest
/// that this build reads.
const FORMAT_REJECTION: u32 = 4;
/// Key of the manifest in the file's metadata.
const MANIFEST_KEY: &str = "sciurus";

/// The description of a model: everything except its weights.
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
    /// Metrics on the validation set, with intervals.
    pub metrics: Vec<Measured>,
    /// The data it was trained on.
    pub data: DataRecord,
    /// The weights it started from.
    pub weights: WeightsRecord,
    /// The seed of the run.
    pub seed: Seed,
    /// The number format of activations when it was measured: f32 or bf16.
    #[serde(default = "f32_precision")]
    pub precision: Precision,
    /// Calibration: logits are divided by it, so that probabilities match the accuracy. Fitted on the validation set.
    #[serde(default = "no_temperature")]
    pub temperature: Temperature,
    /// Whether it is single-label or multi-label.
    #[serde(default, skip_serializing_if = "Output::is_single_label")]
    pub output: Output,
    /// What a picture must be like to belong to one of the classes, if the model can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// Whether a model is single-label or multi-label, which decides how logits become probabilities.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Output {
    /// Exactly one label per photo: probabilities are the softmax of the logits, and the largest decides.
    #[default]
    #[serde(rename = "one_label")]
    SingleLabel,
    /// Multi-label: each probability is the sigmoid of its logit.
    #[serde(rename = "any_number")]
    MultiLabel {
        /// The threshold (0..=1) that each label's probability must exceed, by class. Chosen on the validation set for the
        /// best F1, so metrics on that set are slightly optimistic.
        thresholds: Vec<f32>,
    },
}

impl Output {
    /// Whether it is single-label.
    pub fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }
}

/// Models from before there was calibration have no temperature.
fn no_temperature() -> Temperature {
    Temperature(1.0)
}

/// The precision of models from before there was a choice.
fn f32_precision() -> Precision {
    Precision::F32
}

/// The data that a model was trained and measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Hash over paths, labels, splits and contents of all photos.
    pub fingerprint: String,
    /// Photos it was trained on.
    pub train: usize,
    /// Photos it was measured on.
    pub valid: usize,
    /// The number of training photos by licence, as far as the ledger of the folder has it; empty without a ledger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub licences: BTreeMap<String, usize>,
}

/// A trained model as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelBundle {
    /// Its description.
    pub manifest: Manifest,
    /// Its parameters and running statistics.
    pub state: StateDict,
    /// The features of photos that it knows, with the manifest's `rejection`.
    pub known: Option<KnownPhotos>,
}

impl ModelBundle {
    /// Writes the file; it appears under its name only when complete.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let record = (MANIFEST_KEY, &self.manifest);
        match &self.known {
            None => tensor_file::write(path, record, &self.state),
            Some(known) => {
                let mut state = self.state.clone();
                state.insert(KnownPhotos::TENSOR.to_owned(), known.tensor());
                tensor_file::write(path, record, &state)
            }
        }
    }

    /// Reads a file. The description comes first: weights are read only if they are exactly those of its architecture.
    ///
    /// # Errors
    /// The file cannot be read, is not a regular file, is damaged, is not a Sciurus model, was written by a newer version, or is
    /// impossible: its images are too large, it has too many labels, or its weights are not finite.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::read(path, TensorFile::open(path)?)
    }

    /// Reads a file that is in memory, such as one that `include_bytes!` put into a program. Errors call it `name`.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn from_bytes(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let name = Path::new(name);
        Self::read(name, TensorFile::of_bytes(name, bytes.into())?)
    }

    fn read(path: &Path, mut file: TensorFile) -> Result<Self, Error> {
        let broken = |reason: String| Error::Bundle { path: path.to_owned(), reason };
        let manifest = checks::manifest(file.record(MANIFEST_KEY)).map_err(broken)?;
        checks::tensors(&manifest, file.places()).map_err(broken)?;
        let mut state = file.tensors(Checksum::IfThere)?;
        numbers::check(&state).map_err(|reason| {
            broken(format!("{reason}; get the file again, or retrain with a lower `learning_rate`"))
        })?;
        let features = state.remove(KnownPhotos::TENSOR);
        let known = manifest.rejection.clone().zip(features);
        let known = known.map(|(rejection, features)| KnownPhotos::from_tensor(rejection, features));
        Ok(Self { manifest, state, known })
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
