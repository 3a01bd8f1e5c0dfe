//! A model's weights as files that PyTorch loads. In: a bundle. Out: the bytes of a state dict, as safetensors or as `torch.save` writes it.
//!
//! The body's tensors have the names of torchvision (or timm), such as `layer1.0.conv1.weight`; those of the head begin with `head.`. A
//! Python file beside them ([`python`]) builds the network and what comes before it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, View};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::Error;
use crate::model::Arch;
use crate::nn::{StateDict, StoredTensor};
use crate::predict::ModelBundle;

/// Builds the network of a state dict in PyTorch, prepares photos for it, and predicts.
const PYTHON: &str = include_str!("torch_model.py");

/// A model's tensors by PyTorch's names. Features of known photos are not among them.
#[must_use]
pub fn state_dict(bundle: &ModelBundle) -> StateDict {
    let name = |name: &String| name.strip_prefix("body.").unwrap_or(name).to_owned();
    bundle.state.iter().map(|(key, tensor)| (name(key), tensor.clone())).collect()
}

/// A Python file that builds the network, sets the weights of the file beside it (`weights`), prepares photos and predicts.
///
/// # Errors
/// torchvision and timm don't have the network.
pub fn python(bundle: &ModelBundle, weights: &Path) -> Result<String, Error> {
    let manifest = &bundle.manifest;
    if matches!(manifest.arch, Arch::Hazel | Arch::ResNet10Narrow | Arch::Own(_)) {
        return Err(Error::NotInTorchvision { arch: manifest.arch.name() });
    }
    let description = serde_json::json!({
        "arch": manifest.arch,
        "labels": manifest.vocab.labels(),
        "preprocessing": manifest.preprocessing,
        "temperature": manifest.temperature,
        "output": manifest.output,
    });
    // In a raw string of Python nothing of it is read otherwise, and JSON never has three quotes in a row outside of escapes.
    let name = |part: Option<&OsStr>| {
        part.unwrap_or_default().to_string_lossy().replace(['"', '\\', '\n', '\r'], "_")
    };
    Ok(PYTHON
        .replace("{module}", &name(weights.file_stem()))
        .replace("{weights}", &name(weights.file_name()))
        .replace("{description}", &description.to_string()))
}

/// The bytes of a safetensors file with the model's tensors, and its description as metadata `sciurus`.
///
/// # Errors
/// The description can't be written as JSON.
pub fn safetensors(bundle: &ModelBundle) -> Result<Vec<u8>, Error> {
    let broken = |reason: String| Error::Bundle { path: PathBuf::from("the model"), reason };
    let manifest = serde_json::to_string(&bundle.manifest).map_err(|error| broken(error.to_string()))?;
    let metadata = [("sciurus".to_owned(), manifest)].into();
    let state = state_dict(bundle);
    let views: BTreeMap<&String, Floats<'_>> =
        state.iter().map(|(name, tensor)| (name, Floats(tensor))).collect();
    safetensors::serialize(views, Some(metadata)).map_err(|error| broken(error.to_string()))
}

/// A tensor as safetensors wants it.
struct Floats<'a>(&'a StoredTensor);

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        little_endian(&self.0.values).into()
    }

    fn data_len(&self) -> usize {
        4 * self.0.values.len()
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The bytes of a file that `torch.load` reads, also with `weights_only=True`: a zip archive with a pickle of the dict, and a file
/// for each tensor (the format of PyTorch since 1.6).
///
/// # Errors
/// The archive can't be written.
pub fn checkpoint(bundle: &ModelBundle) -> Result<Vec<u8>, Error> {
    let state = state_dict(bundle);
    written(&state)
        .map_err(|error| Error::Bundle { path: PathBuf::from("the state dict"), reason: error.to_string() })
}

fn written(state: &StateDict) -> Result<Vec<u8>, zip::result::ZipError> {
    // PyTorch maps tensors into memory where they are aligned.
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(64);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut file = |name: &str, bytes: &[u8]| -> Result<(), zip::result::ZipError> {
        archive.start_file(format!("archive/{name}"), options)?;
        Ok(archive.write_all(bytes)?)
    };
    file("data.pkl", &pickled(state))?;
    file("byteorder", b"little")?;
    for (place, tensor) in state.values().enumerate() {
        file(&format!("data/{place}"), &little_endian(&tensor.values))?;
    }
    file("version", b"3\n")?;
    Ok(archive.finish()?.into_inner())
}

/// The dict as a pickle of protocol 2, whose tensors name their files.
fn pickled(state: &StateDict) -> Vec<u8> {
    let mut pickle = vec![0x80, 2, b'}', b'('];
    for (place, (name, tensor)) in state.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &place.to_string());
        text(&mut pickle, "cpu");
        int(&mut pickle, tensor.values.len());
        // The end of the storage's tuple, the file that it names, and no offset into it.
        pickle.extend(b"tQK\0");
        let mut stride = tensor.values.len();
        let strides = tensor.shape.iter().map(|side| {
            stride /= side.max(&1);
            stride
        });
        let strides: Vec<usize> = strides.collect();
        for sides in [&tensor.shape, &strides] {
            pickle.push(b'(');
            sides.iter().for_each(|side| int(&mut pickle, *side));
            pickle.push(b't');
        }
        // No gradient, no hooks.
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    pickle
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

/// A number below 2^31: no tensor of ours has more values.
fn int(pickle: &mut Vec<u8>, value: usize) {
    pickle.push(b'J');
    pickle.extend((value as i32).to_le_bytes());
}
