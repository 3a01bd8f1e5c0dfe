//! Weight files as tensors by name: safetensors, and PyTorch checkpoints read without unpickling.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use pytorch_reader::{PickleValue, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::Error;
use crate::model::{StateDict, StoredTensor};

/// Reads all floating-point tensors of a file; its kind is told by its content, never by its name.
///
/// A PyTorch checkpoint is parsed, not unpickled: nothing in it can run, and one that names anything but tensors and
/// plain containers is refused, as is one whose tensors would take many times the memory that its file takes on the disk.
/// Tensors of whole numbers (`num_batches_tracked`) are left out.
///
/// # Errors
/// The file cannot be read, is damaged, or is refused.
pub fn read(path: &Path) -> Result<StateDict, Error> {
    let failed = |source| Error::io(path, source);
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(START).read_to_end(&mut start)).map_err(failed)?;
    if is_safetensors(&start) {
        return read_safetensors(path, &std::fs::read(path).map_err(failed)?);
    }
    if start.get(TAR..).is_some_and(|magic| magic.starts_with(b"ustar")) {
        let reason =
            "it is a checkpoint of PyTorch 0.1, which are not read; load and save it with a newer one";
        return Err(Error::weight_file(path, reason));
    }
    read_checkpoint(path)
}

/// Where a TAR archive says what it is, and the bytes up to the end of that.
const TAR: usize = 257;
const START: u64 = TAR as u64 + 5;
/// Tensors may share values, and so claim more bytes than their file has; so many times as many are no longer weights.
const MOST_SHARED: u64 = 8;
/// A small file may share more.
const SHARED_AT_LEAST: u64 = 64 << 20;

/// No header is larger, by the format.
const MAX_HEADER: u64 = 100_000_000;

/// What a safetensors file says of its licence, in its metadata; a PyTorch checkpoint says nothing. Only the header is read.
///
/// # Errors
/// The file cannot be read.
pub(super) fn licence(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::io(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let (mut length, mut header) = (Vec::new(), Vec::new());
    file.by_ref().take(8).read_to_end(&mut length).map_err(failed)?;
    let length = <[u8; 8]>::try_from(length).map_or(0, u64::from_le_bytes);
    if length > MAX_HEADER {
        return Ok(None);
    }
    file.take(length).read_to_end(&mut header).map_err(failed)?;
    let Header { metadata } = serde_json::from_slice(&header).unwrap_or_default();
    Ok(["license", "licence"].iter().find_map(|key| metadata.get(*key)).cloned())
}

/// Of a safetensors file's header, the words beside its tensors.
#[derive(Default, Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: HashMap<String, String>,
}

/// A safetensors file opens with the length of its JSON header (8 bytes) and `{`.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

fn read_safetensors(path: &Path, bytes: &[u8]) -> Result<StateDict, Error> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| Error::weight_file(path, error))?;
    let mut state = StateDict::new();
    for (name, tensor) in file.iter() {
        if let Some(values) = safetensors_floats(tensor.dtype(), tensor.data()) {
            state.insert(name.to_owned(), StoredTensor { shape: tensor.shape().to_vec(), values });
        }
    }
    Ok(state)
}

fn safetensors_floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    match dtype {
        Dtype::F64 => Some(decode(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F32 => Some(decode(bytes, f32::from_le_bytes)),
        Dtype::F16 => Some(decode(bytes, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => Some(decode(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        _ => None,
    }
}

fn read_checkpoint(path: &Path) -> Result<StateDict, Error> {
    let contents =
        PytorchReader::read_pickle_data(path, None).map_err(|error| Error::weight_file(path, error))?;
    if let Some(name) = foreign(&contents) {
        let reason = format!("it names `{name}`, which is no tensor: it may be hostile and is refused");
        return Err(Error::weight_file(path, reason));
    }
    let reader = PytorchReader::new(path).map_err(|error| Error::weight_file(path, error))?;
    let length = std::fs::metadata(path).map_err(|source| Error::io(path, source))?.len();
    let floats: u64 = reader.tensors().values().map(|tensor| tensor.num_elements() as u64).sum();
    let claimed = floats.saturating_mul(size_of::<f32>() as u64);
    if claimed > length.saturating_mul(MOST_SHARED).max(SHARED_AT_LEAST) {
        let reason = format!(
            "its tensors claim {} MB of memory, and it has {} MB: it may be hostile and is refused",
            claimed >> 20,
            length >> 20
        );
        return Err(Error::weight_file(path, reason));
    }
    let mut state = StateDict::new();
    for (name, tensor) in reader.tensors() {
        let shape = tensor.shape().to_vec();
        let bytes = || tensor.read().map_err(|source| Error::io(path, source));
        let values = match tensor.dtype() {
            pytorch_reader::DType::F64 => decode(&bytes()?, |b| f64::from_le_bytes(b) as f32),
            pytorch_reader::DType::F32 => decode(&bytes()?, f32::from_le_bytes),
            pytorch_reader::DType::F16 => decode(&bytes()?, |b| f16::from_le_bytes(b).to_f32()),
            pytorch_reader::DType::BF16 => decode(&bytes()?, |b| bf16::from_le_bytes(b).to_f32()),
            _ => continue,
        };
        // Checkpoints of training scripts nest the weights one level down.
        let name = name.strip_prefix("state_dict.").unwrap_or(name).to_owned();
        state.insert(name, StoredTensor { shape, values });
    }
    Ok(state)
}

/// The first Python object in a checkpoint that is neither PyTorch's nor NumPy's. Nothing of it was called.
fn foreign(value: &PickleValue) -> Option<&str> {
    match value {
        PickleValue::Unsupported(name) => {
            let known =
                ["torch.", "numpy.", "collections.", "int"].iter().any(|module| name.starts_with(module));
            (!known).then_some(name)
        }
        PickleValue::List(values) => values.iter().find_map(foreign),
        PickleValue::Dict(values) => values.values().find_map(foreign),
        _ => None,
    }
}

fn decode<const N: usize>(bytes: &[u8], one: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<N>();
    values.iter().map(|value| one(*value)).collect()
}
