//! Checks a model file before its weights are read. In: its manifest as text, and the tensors that its header lists. Out: the
//! [`Manifest`], or what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use sciurus_data::{Normalize, RgbImage, Vocab};
use serde::Deserialize;

use super::{FORMAT_REJECTION, Manifest, Output};
use crate::model::{VisionModel, numbers};
use crate::nn::Device;
use crate::predict::KnownPhotos;
use crate::storage::tensor_header::{TensorPlace, shortened};

/// Most bytes of a label.
const MAX_LABEL: usize = 4096;

/// Only the version, which tells a newer manifest from a damaged one.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Reads a manifest and checks all its values.
///
/// # Errors
/// There is no manifest, it is from a newer version, it is damaged, or its values are impossible.
pub(super) fn manifest(text: Option<&str>) -> Result<Manifest, String> {
    let text = text.ok_or(
        "it has tensors but no Sciurus manifest; use a model.sciurus file that `sciurus train` wrote",
    )?;
    let Version { format } = serde_json::from_str(text).map_err(|error| shortened(&error.to_string()))?;
    if format > FORMAT_REJECTION {
        return Err(format!(
            "it has format {format}, and this version reads up to {FORMAT_REJECTION}; update Sciurus"
        ));
    }
    let manifest: Manifest = serde_json::from_str(text).map_err(|error| shortened(&error.to_string()))?;
    manifest.preprocessing.check().map_err(|error| error.to_string())?;
    manifest.arch.check_image_size(manifest.preprocessing.image_size).map_err(|error| error.to_string())?;
    normalize(&manifest.preprocessing.normalize)?;
    labels(&manifest.vocab)?;
    // Logits are multiplied by it in f32, so it must be finite there.
    let scale = 1.0 / manifest.temperature.0 as f32;
    if !(scale.is_normal() && scale > 0.0) {
        return Err(format!(
            "its temperature is {:e}, and must be above 0 and not too small for f32",
            manifest.temperature.0
        ));
    }
    if let Output::MultiLabel { thresholds } = &manifest.output {
        let sound = thresholds.iter().all(|threshold| (0.0..=1.0).contains(threshold));
        if !sound || thresholds.len() != manifest.vocab.len() {
            return Err("its thresholds must be one number from 0 to 1 for each label".to_owned());
        }
    }
    if let Some(rejection) = &manifest.rejection {
        let sound = (-1.0..=1.0).contains(&rejection.threshold)
            && (1..=KnownPhotos::MOST).contains(&rejection.neighbours)
            && manifest.output.is_single_label();
        if !sound {
            return Err("its rule for pictures of no class is impossible".to_owned());
        }
    }
    Ok(manifest)
}

/// Checks that black and white are finite after normalisation.
fn normalize(normalize: &Normalize) -> Result<(), String> {
    let ends = RgbImage::from_fn(2, 1, |x, _| [x as u8 * 255; 3].into());
    let mut pixels = [0.0; 6];
    normalize.write(&ends, &mut pixels);
    match numbers::are_finite(&pixels) {
        true => Ok(()),
        false => Err(format!("with its normalisation {normalize:?}, pixels are not finite")),
    }
}

/// Checks that there are not too many labels, and that none is empty or too long. The vocabulary itself rejects duplicates.
fn labels(vocab: &Vocab) -> Result<(), String> {
    if vocab.len() > VisionModel::MAX_CLASSES {
        return Err(format!(
            "it has {} labels, and at most {} are possible",
            vocab.len(),
            VisionModel::MAX_CLASSES
        ));
    }
    match vocab.labels().iter().find(|label| label.is_empty() || label.len() > MAX_LABEL) {
        Some(label) if label.is_empty() => Err("one of its labels is empty".to_owned()),
        Some(label) => Err(format!("its label `{}` is too long", shortened(label))),
        None => Ok(()),
    }
}

/// Checks that the tensors are exactly those of the manifest's architecture, by name and shape, which also limits their bytes.
///
/// # Errors
/// The first tensor that is missing, has another shape, or is not part of the architecture.
pub(super) fn tensors(manifest: &Manifest, places: &BTreeMap<String, TensorPlace>) -> Result<(), String> {
    let device = Device::Cpu.open().map_err(|error| error.to_string())?;
    let model = VisionModel::zeroed(manifest.arch, manifest.vocab.len(), &device);
    let mut needed = BTreeSet::new();
    for parameter in model.map_err(|error| error.to_string())?.parameters() {
        let (name, expected) = (parameter.name, parameter.shape);
        match places.get(&name) {
            None => return Err(format!("its tensor `{name}` is missing")),
            Some(TensorPlace { shape, .. }) if *shape != expected => {
                return Err(format!("its tensor `{name}` has shape {shape:?}, expected {expected:?}"));
            }
            Some(_) => needed.insert(name),
        };
    }
    if manifest.rejection.is_some() {
        let name = KnownPhotos::TENSOR;
        let width = manifest.arch.channels();
        match places.get(name).map(|place| &place.shape[..]) {
            Some([rows, columns]) if *columns == width && (1..=KnownPhotos::MOST).contains(rows) => {
                needed.insert(name.to_owned())
            }
            _ => {
                return Err(format!(
                    "its tensor `{name}` must have 1 to {} rows of {width}",
                    KnownPhotos::MOST
                ));
            }
        };
    }
    match places.keys().find(|name| !needed.contains(*name)) {
        Some(name) => {
            Err(format!("it has a tensor `{}`, which {} does not have", shortened(name), manifest.arch))
        }
        None => Ok(()),
    }
}
