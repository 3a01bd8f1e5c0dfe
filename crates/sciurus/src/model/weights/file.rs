//! Weight files as tensors by name: safetensors, and PyTorch checkpoints (without unpickling).
//!
//! In: a path. Out: a [`WeightFile`], which has names and shapes, and reads values on demand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::download::hash;
use super::entry::Entry;
use crate::Error;
use crate::nn::{StateDict, StoredTensor};
use crate::storage::float_type::FloatType;
use crate::storage::regular::RegularFile;
use crate::storage::tensor_header::{TensorHeader, shortened};

/// Most bytes of a file. ResNet-101 with its whole training state has half of that.
const MAX_FILE: u64 = 1 << 30;
/// Most bytes that are read for a file's tensors, values included.
const MAX_VALUES: u64 = 512 << 20;
/// Tensors may share values, and so claim more bytes than their file has. More than this many times as much is refused.
const MOST_SHARED: u64 = 8;
/// Below this many bytes, tensors may share as much as they like.
const SHARED_AT_LEAST: u64 = 64 << 20;
/// Where a TAR archive has its signature, and the bytes up to the end of it.
const TAR: usize = 257;
const START: u64 = TAR as u64 + 5;

/// Reads all floating-point tensors of a file. Its format is recognised by its content, never by its name.
///
/// A PyTorch checkpoint is parsed, not unpickled: nothing in it can run. It is refused if it names anything but tensors and
/// plain containers, or if its tensors would need many times as much memory as the file has bytes, or more than 512 MB.
/// Integer tensors (`num_batches_tracked`) are left out.
///
/// # Errors
/// The file cannot be read, is not a regular file, is larger than 1 GB, is damaged, or is refused.
pub fn read(path: &Path) -> Result<StateDict, Error> {
    let mut file = WeightFile::open(path)?;
    let names: Vec<String> = file.entries.keys().cloned().collect();
    file.tensors(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A weight file of which only the list of tensors has been read.
#[derive(Debug)]
pub(super) struct WeightFile {
    path: PathBuf,
    file: RegularFile,
    entries: BTreeMap<String, Entry>,
    licence: Option<String>,
}

impl WeightFile {
    /// Opens a file and reads its list of tensors.
    ///
    /// # Errors
    /// The file cannot be read, is not a regular file, is too large, is damaged, or is refused.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::read(path, RegularFile::open(path, MAX_FILE)?)
    }

    /// A file that is in memory. Errors call it `name`.
    ///
    /// # Errors
    /// It is damaged, or refused.
    pub(super) fn of_bytes(name: &Path, bytes: &[u8]) -> Result<Self, Error> {
        Self::read(name, RegularFile::of_bytes(bytes.to_vec()))
    }

    fn read(path: &Path, mut file: RegularFile) -> Result<Self, Error> {
        let start = file.read_at(0, START.min(file.len())).map_err(|source| Error::io(path, source))?;
        let (entries, licence) =
            read_entries(&mut file, &start).map_err(|reason| Error::weight_file(path, shortened(&reason)))?;
        Ok(Self { path: path.to_owned(), file, entries, licence })
    }

    /// The shape of a tensor, if the file has it.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The licence named in the file; only safetensors files can have one.
    pub(super) fn licence(&self) -> Option<&str> {
        self.licence.as_deref()
    }

    /// SHA-256 of the whole file, lower-case hex.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn sha256(&mut self) -> Result<String, Error> {
        let hashed = self.file.rewound().and_then(hash);
        hashed.map_err(|source| Error::io(&self.path, source))
    }

    /// The values of these tensors; names that are not in the file are skipped.
    ///
    /// # Errors
    /// They cannot be read, are damaged, or would cost too much.
    pub(super) fn tensors(&mut self, names: &[&str]) -> Result<StateDict, Error> {
        let Self { path, file, entries, .. } = self;
        let wanted = || names.iter().filter_map(|name| Some((*name, entries.get(*name)?)));
        check_cost(wanted().map(|(_, entry)| entry), file.len())
            .map_err(|reason| Error::weight_file(path, reason))?;
        let read = |(name, entry): (&str, &Entry)| -> Result<(String, StoredTensor), Error> {
            let tensor = entry.read(file);
            let tensor =
                tensor.map_err(|reason| Error::weight_file(path, format!("tensor `{name}` {reason}")))?;
            Ok((name.to_owned(), tensor))
        };
        wanted().map(read).collect()
    }
}

/// Tensors by name, and the file's licence.
type Contents = (BTreeMap<String, Entry>, Option<String>);

fn read_entries(file: &mut RegularFile, start: &[u8]) -> Result<Contents, String> {
    // A safetensors file begins with the length of its JSON header (8 bytes), then `{`.
    if start.get(8) == Some(&b'{') {
        return TensorHeader::read(file).map(of_safetensors);
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok((checkpoint::of_archive(file)?, None));
    }
    if start.get(TAR..).is_some_and(|magic| magic.starts_with(b"ustar")) {
        return Err(
            "it is a checkpoint of PyTorch 0.1, which is not supported; save it with a newer PyTorch".into(),
        );
    }
    // A pickle begins with its protocol. The two oldest protocols begin with a number or a container instead.
    match start.first() {
        Some(0x80 | b'L' | b'(' | b'}' | b']' | b'c') => Ok((checkpoint::of_pickles(file)?, None)),
        _ => Err("it is neither a safetensors file nor a PyTorch checkpoint".to_owned()),
    }
}

fn of_safetensors(header: TensorHeader) -> Contents {
    let licence = ["license", "licence"].iter().find_map(|key| header.metadata.get(*key)).cloned();
    let entry = |(name, place): (String, crate::storage::tensor_header::TensorPlace)| {
        let number = FloatType::of(place.dtype)?;
        let extent = place.bytes / number.size() as u64;
        let entry = Entry { shape: place.shape, number, start: place.start, extent, stride: None, crc: None };
        Some((name, entry))
    };
    (header.tensors.into_iter().filter_map(entry).collect(), licence)
}

/// Refuses tensors that claim more memory than is plausible for a file of `length` bytes.
fn check_cost<'a>(entries: impl Iterator<Item = &'a Entry>, length: u64) -> Result<(), String> {
    let claimed = entries.fold(0_u64, |sum, entry| sum.saturating_add(entry.cost()));
    let limit = length.saturating_mul(MOST_SHARED).max(SHARED_AT_LEAST);
    match claimed > limit.min(MAX_VALUES) {
        false => Ok(()),
        true => Err(format!(
            "its tensors claim {} MB of memory, and it has {} MB: it may be hostile and is refused",
            claimed >> 20,
            length >> 20
        )),
    }
}
