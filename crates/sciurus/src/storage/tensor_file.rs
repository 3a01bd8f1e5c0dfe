//! Files of f32 tensors and a JSON record: safetensors whose metadata has the record under a key, and a checksum. Bundles and
//! checkpoints are such files. A tensor is stored in half precision if that holds all its values exactly.
//!
//! Files are read in parts: first the header, so that the caller can refuse it before values are read, then tensor by tensor.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::Dtype;
use serde::Serialize;

use crate::Error;
use crate::nn::{StateDict, StoredTensor};
use crate::storage::files;
use crate::storage::float_type::FloatType;
use crate::storage::regular::RegularFile;
use crate::storage::tensor_header::{TensorHeader, TensorPlace, shortened};

/// Key of the checksum: BLAKE3 (hex) over the record and every tensor's name, type, shape and bytes, in the order of names.
const CHECKSUM: &str = "blake3";
/// Most bytes of a file. The largest that we write, a checkpoint of ResNet-101, is less than half of that.
const MAX_FILE: u64 = 2 << 30;

/// Whether a file must have a checksum. If it has one, the checksum must be right in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Optional, because files of earlier versions don't have one.
    IfThere,
    /// A file without one is refused.
    Required,
}

/// Writes a file; it appears under its name only when complete. The same record and tensors always give the same bytes.
pub(crate) fn write(
    path: &Path,
    (key, record): (&str, &impl Serialize),
    tensors: &StateDict,
) -> Result<(), Error> {
    let broken = |error: serde_json::Error| bundle_error(path, &error.to_string());
    let record = serde_json::to_string(record).map_err(broken)?;
    let packed = packed(tensors);
    // The checksum is not known yet, but it always has the same length, so a placeholder reserves its place.
    let head =
        |sum: &str| header(&BTreeMap::from([(key, &*record), (CHECKSUM, sum)]), &packed).map_err(broken);
    let mut bytes = head(&"0".repeat(blake3::OUT_LEN * 2))?;
    let start = bytes.len();
    bytes.resize(start + packed.iter().map(|tensor| tensor.range.len()).sum::<usize>(), 0);
    let (before, values) = bytes.split_at_mut(start);
    let mut sum = Sum::new(key, &record);
    for tensor in &packed {
        let values = &mut values[tensor.range.clone()];
        tensor.write(values);
        sum.add((tensor.name, tensor.dtype, &tensor.tensor.shape), values);
    }
    before.copy_from_slice(&head(&sum.finish())?);
    files::write(path, &bytes)
}

/// The length and the JSON at the start of a file.
fn header(metadata: &BTreeMap<&str, &str>, tensors: &[Packed<'_>]) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = format!("{{\"__metadata__\":{}", serde_json::to_string(metadata)?);
    let mut tensors: Vec<&Packed<'_>> = tensors.iter().collect();
    tensors.sort_by_key(|tensor| tensor.range.start);
    for Packed { name, tensor, dtype, range } in tensors {
        let (name, shape) = (serde_json::to_string(name)?, serde_json::to_string(&tensor.shape)?);
        let offsets = format!("[{},{}]", range.start, range.end);
        json.push_str(&format!(
            ",{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}"
        ));
    }
    json.push('}');
    // Padding, so that values begin at a multiple of eight bytes, as safetensors requires.
    json.push_str(&" ".repeat(json.len().next_multiple_of(8) - json.len()));
    Ok([(json.len() as u64).to_le_bytes().as_slice(), json.as_bytes()].concat())
}

/// A file of which only the header has been read.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    file: RegularFile,
    header: TensorHeader,
}

impl TensorFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// It cannot be read, is not a regular file, or its header is damaged or above a limit.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::read(path, RegularFile::open(path, MAX_FILE)?)
    }

    /// Reads the header of a file in memory, which errors call `name`.
    ///
    /// # Errors
    /// Its header is damaged or above a limit.
    pub(crate) fn of_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::read(name, RegularFile::of_bytes(bytes))
    }

    fn read(path: &Path, mut file: RegularFile) -> Result<Self, Error> {
        let header = TensorHeader::read(&mut file).map_err(|reason| bundle_error(path, &reason))?;
        Ok(Self { path: path.to_owned(), file, header })
    }

    /// The JSON under a key, if the file has it.
    pub(crate) fn record(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// Its tensors by name, with types and shapes, so that they can be checked before values are read.
    pub(crate) fn places(&self) -> &BTreeMap<String, TensorPlace> {
        &self.header.tensors
    }

    /// All tensors, which must be f32 or f16.
    ///
    /// # Errors
    /// They cannot be read, or do not match the checksum.
    pub(crate) fn tensors(&mut self, checksum: Checksum) -> Result<StateDict, Error> {
        let Self { path, file, header } = self;
        let part =
            |place: &TensorPlace| file.read_at(place.start, place.bytes).map_err(|error| error.to_string());
        collect(header, checksum, part).map_err(|reason| bundle_error(path, &reason))
    }
}

/// Reads the tensors of a file in the order of their names, and computes the checksum on the way.
fn collect(
    header: &TensorHeader,
    checksum: Checksum,
    mut part: impl FnMut(&TensorPlace) -> Result<Vec<u8>, String>,
) -> Result<StateDict, String> {
    let mut records = header.metadata.iter().filter(|(key, _)| *key != CHECKSUM);
    let (Some((key, record)), None) = (records.next(), records.next()) else {
        return Err("it must have exactly one record besides its tensors: it is damaged".to_owned());
    };
    let mut sum = Sum::new(key, record);
    let mut state = StateDict::new();
    for (name, place) in &header.tensors {
        let numbers = match place.dtype {
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            other => return Err(format!("tensor `{name}` is {other:?}, expected F32 or F16")),
        };
        let bytes = part(place)?;
        sum.add((name, place.dtype, &place.shape), &bytes);
        let tensor = StoredTensor { shape: place.shape.clone(), values: numbers.decode(&bytes) };
        state.insert(name.clone(), tensor);
    }
    match (header.metadata.get(CHECKSUM), checksum) {
        (Some(written), _) if *written != sum.finish() => {
            Err("it is damaged: its content does not match its checksum; get or make the file again"
                .to_owned())
        }
        (None, Checksum::Required) => {
            Err("it has no checksum: it is damaged, or from an old version".to_owned())
        }
        _ => Ok(state),
    }
}

fn bundle_error(path: &Path, reason: &str) -> Error {
    Error::Bundle { path: path.to_owned(), reason: shortened(reason) }
}

/// A running checksum of a file's parts. Each part is preceded by its length, so that different parts cannot join to the same
/// bytes.
struct Sum(blake3::Hasher);

impl Sum {
    fn new(key: &str, record: &str) -> Self {
        let mut sum = Self(blake3::Hasher::new());
        sum.part(key.as_bytes());
        sum.part(record.as_bytes());
        sum
    }

    fn add(&mut self, (name, dtype, shape): (&str, Dtype, &[usize]), bytes: &[u8]) {
        self.part(name.as_bytes());
        self.part(dtype.to_string().as_bytes());
        self.part(&shape.iter().flat_map(|size| (*size as u64).to_le_bytes()).collect::<Vec<u8>>());
        self.part(bytes);
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }

    fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// A tensor in the smallest type that holds all its values exactly, and its position among the values of a file.
struct Packed<'a> {
    name: &'a str,
    tensor: &'a StoredTensor,
    dtype: Dtype,
    range: Range<usize>,
}

/// Tensors in the order of their names. In the file, wide numbers come first, so that all numbers are aligned, as safetensors
/// requires.
fn packed(tensors: &StateDict) -> Vec<Packed<'_>> {
    let is_half = |value: &f32| f16::from_f32(*value).to_f32().to_bits() == value.to_bits();
    let dtype =
        |tensor: &StoredTensor| if tensor.values.iter().all(is_half) { Dtype::F16 } else { Dtype::F32 };
    let mut packed: Vec<Packed<'_>> = tensors
        .iter()
        .map(|(name, tensor)| Packed { name, tensor, dtype: dtype(tensor), range: 0..0 })
        .collect();
    let mut end = 0;
    for width in [Dtype::F32, Dtype::F16] {
        for tensor in packed.iter_mut().filter(|tensor| tensor.dtype == width) {
            let start = end;
            end += tensor.tensor.values.len() * width.bitsize() / 8;
            tensor.range = start..end;
        }
    }
    packed
}

impl Packed<'_> {
    /// Writes the values into `place`, which has their size.
    fn write(&self, place: &mut [u8]) {
        let values = self.tensor.values.iter();
        if self.dtype == Dtype::F16 {
            let places = place.as_chunks_mut().0.iter_mut();
            places.zip(values).for_each(|(place, value)| *place = f16::from_f32(*value).to_le_bytes());
        } else {
            let places = place.as_chunks_mut().0.iter_mut();
            places.zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_may_be_required() {
        let folder = tempfile::tempdir().unwrap();
        let [with, without] = ["with", "without"].map(|name| folder.path().join(name));
        let tensor = StoredTensor { shape: vec![2], values: vec![1.0, 0.1] };
        let state = StateDict::from([("a".to_owned(), tensor.clone()), ("b".to_owned(), tensor)]);
        write(&with, ("key", &"record"), &state).unwrap();
        let mut file = TensorFile::open(&with).unwrap();
        assert_eq!(file.record("key"), Some("\"record\""));
        assert_eq!(file.places()["a"].shape, [2]);
        assert_eq!(file.tensors(Checksum::Required).unwrap(), state);
        let mut file = TensorFile::open(&with).unwrap();
        assert_eq!(file.record("key"), Some("\"record\""));
        assert_eq!(file.tensors(Checksum::IfThere).unwrap(), state);

        let bytes = std::fs::read(&with).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let start = text.find("\"blake3\"").unwrap();
        let end = start + text[start..].find(',').unwrap() + 1;
        let mut shorter = bytes[8..].to_vec();
        shorter.drain(start - 8..end - 8);
        let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) - (end - start) as u64;
        std::fs::write(&without, [length.to_le_bytes().as_slice(), &shorter].concat()).unwrap();
        assert_eq!(TensorFile::open(&without).unwrap().tensors(Checksum::IfThere).unwrap(), state);
        let error = TensorFile::open(&without).unwrap().tensors(Checksum::Required).unwrap_err().to_string();
        assert!(error.contains("it has no checksum"), "{error}");
    }
}
