//! Files of f32 tensors with JSON beside them: safetensors whose metadata holds a record under a key. Bundles and
//! checkpoints are such files. Tensors whose values all are numbers of half precision are stored as those.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors, View};
use serde::Serialize;

use crate::model::{StateDict, StoredTensor};
use crate::{Error, files};

/// Writes a file; it appears under its name only when complete.
pub(crate) fn write(
    path: &Path,
    (key, record): (&str, &impl Serialize),
    tensors: &StateDict,
) -> Result<(), Error> {
    let broken = |reason: String| Error::Bundle { path: path.to_owned(), reason };
    let record = serde_json::to_string(record).map_err(|error| broken(error.to_string()))?;
    let metadata = HashMap::from([(key.to_owned(), record)]);
    let packed = tensors.iter().map(|(name, tensor)| (name, Packed::new(tensor)));
    let bytes = safetensors::serialize(packed, Some(metadata)).map_err(|error| broken(error.to_string()))?;
    files::write(path, &bytes)
}

/// Reads a file and makes something of its bytes; what that says is wrong comes back with the file's name.
pub(crate) fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    parse(&bytes).map_err(|reason| Error::Bundle { path: path.to_owned(), reason })
}

/// The JSON under a key, if the file has it.
pub(crate) fn record(bytes: &[u8], key: &str) -> Result<Option<String>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned())
}

/// All tensors, which must be f32 or f16.
pub(crate) fn tensors(bytes: &[u8]) -> Result<StateDict, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    tensors.iter().map(|(name, tensor)| Ok((name.to_owned(), stored(name, &tensor)?))).collect()
}

fn stored(name: &str, tensor: &safetensors::tensor::TensorView<'_>) -> Result<StoredTensor, String> {
    let values = match tensor.dtype() {
        Dtype::F32 => {
            tensor.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
        }
        Dtype::F16 => {
            tensor.data().as_chunks::<2>().0.iter().map(|value| f16::from_le_bytes(*value).to_f32()).collect()
        }
        other => return Err(format!("tensor `{name}` is {other:?}, expected F32 or F16")),
    };
    Ok(StoredTensor { shape: tensor.shape().to_vec(), values })
}

/// A tensor in the smallest type that holds all its values exactly.
struct Packed<'a> {
    tensor: &'a StoredTensor,
    dtype: Dtype,
}

impl<'a> Packed<'a> {
    fn new(tensor: &'a StoredTensor) -> Self {
        let is_half = |value: &f32| f16::from_f32(*value).to_f32().to_bits() == value.to_bits();
        let dtype = if tensor.values.iter().all(is_half) { Dtype::F16 } else { Dtype::F32 };
        Self { tensor, dtype }
    }
}

impl View for Packed<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensor.values.iter();
        Cow::Owned(match self.dtype {
            Dtype::F16 => values.flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
            _ => values.flat_map(|value| value.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.tensor.values.len() * if self.dtype == Dtype::F16 { size_of::<f16>() } else { size_of::<f32>() }
    }
}
