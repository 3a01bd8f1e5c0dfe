//! Training that goes on from a model that Sciurus saved. In: its file, and the labels to learn. Out: a model with its weights.

use std::path::Path;

use sciurus_data::Vocab;

use crate::Error;
use crate::model::weights::WeightsRecord;
use crate::model::{Arch, VisionModel};
use crate::predict::ModelBundle;

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
    let (ModelBundle { manifest, mut state, .. }, record) = ModelBundle::start_from(path, arch)?;
    if manifest.vocab != *vocab {
        state.retain(|name, _| name.starts_with("body."));
    }
    Ok((model.with_state(&state)?, record))
}
