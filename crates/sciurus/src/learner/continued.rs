//! Training that goes on from a model that Sciurus saved. In: its file, and the labels to learn. Out: a model with its weights.

use std::path::Path;

use sciurus_data::{BadOption, Vocab};

use crate::Error;
use crate::model::weights::{WeightsRecord, sha256_of};
use crate::model::{Arch, VisionModel};
use crate::predict::ModelBundle;

/// Whether a weight file is a model that Sciurus saved.
pub(super) fn is_model(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "sciurus")
}

/// Sets the weights of a saved model: its body's, and its head's if it has the same labels.
///
/// # Errors
/// The file is not a model, or is of another architecture.
pub(super) fn continued(
    model: VisionModel,
    arch: Arch,
    path: &Path,
    vocab: &Vocab,
) -> Result<(VisionModel, WeightsRecord), Error> {
    let ModelBundle { manifest, mut state } = ModelBundle::load(path)?;
    let advice = "choose the network of the model that training goes on from";
    BadOption::check("arch", arch, manifest.arch == arch, advice)?;
    if manifest.vocab != *vocab {
        state.retain(|name, _| name.starts_with("body."));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let record = WeightsRecord { name, sha256: Some(sha256_of(path)?), licence: manifest.weights.licence };
    Ok((model.with_state(&state)?, record))
}
