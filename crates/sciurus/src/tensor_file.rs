//! Files of f32 tensors with JSON beside them: safetensors whose metadata holds a record under a key. Bundles and
//! checkpoints are such files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

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
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|error| broken(error.to_string()))?;
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

/// All tensors, which must be f32.
pub(crate) fn tensors(bytes: &[u8]) -> Result<StateDict, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    tensors.iter().map(|(name, tensor)| Ok((name.to_owned(), stored(name, &tensor)?))).collect()
}

fn stored(name: &str, tensor: &safetensors::tensor::TensorView<'_>) -> Result<StoredTensor, String> {
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("tensor `{name}` is {:?}, expected F32", tensor.dtype()));
    }
    let (values, _) = tensor.data().as_chunks::<4>();
    Ok(StoredTensor {
        shape: tensor.shape().to_vec(),
        values: values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
    })
}

impl View for &StoredTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}
