//! The header of a safetensors file: which tensors it has and where they are. Nothing else of the file is read.
//!
//! In: the length (8 bytes) and the JSON at the start of such a file. Out: a [`TensorHeader`] whose tensors fill the rest of the
//! file without gaps or overlaps. Limits keep a hostile header from costing more than a few megabytes.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::Dtype;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::storage::regular::RegularFile;

/// Most bytes of a header. Ours have less than 200 kB besides their labels; 100,000 labels of 100 letters fit.
const MAX_HEADER: u64 = 32 << 20;
/// Most tensors in a file. A checkpoint of ResNet-101, the largest file that we write, has about 4,000.
const MAX_TENSORS: usize = 16_384;
/// Most metadata entries.
const MAX_TEXTS: usize = 1_000;
/// Most dimensions of a tensor.
const MAX_RANK: usize = 16;
/// Bytes of the header's length.
const LENGTH: u64 = 8;
/// Key of the metadata.
const METADATA: &str = "__metadata__";

/// The parsed header of a safetensors file.
#[derive(Debug)]
pub(crate) struct TensorHeader {
    /// Metadata texts by key.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Tensors by name.
    pub(crate) tensors: BTreeMap<String, TensorPlace>,
}

/// A tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorPlace {
    /// How its numbers are stored.
    pub(crate) dtype: Dtype,
    /// Its shape.
    pub(crate) shape: Vec<usize>,
    /// Where its bytes begin, from the start of the file.
    pub(crate) start: u64,
    /// Its number of bytes, exactly as many as its shape and type need.
    pub(crate) bytes: u64,
}

impl TensorHeader {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// It cannot be read, is not a header, is above a limit, or its tensors don't fill the rest of the file exactly.
    pub(crate) fn read(file: &mut RegularFile) -> Result<Self, String> {
        let len = file.len();
        let length = json_length(&file.read_at(0, LENGTH.min(len)).map_err(|e| e.to_string())?, len)?;
        Self::parse(&file.read_at(LENGTH, length).map_err(|e| e.to_string())?, len)
    }

    fn parse(json: &[u8], file_len: u64) -> Result<Self, String> {
        let listed: Listed = serde_json::from_slice(json).map_err(|error| format!("its header: {error}"))?;
        let data_start = LENGTH + json.len() as u64;
        let mut tensors = BTreeMap::new();
        for (name, info) in listed.tensors {
            let place = info.place(data_start).map_err(|reason| format!("tensor `{name}` {reason}"))?;
            tensors.insert(name, place);
        }
        check_gapless(&tensors, data_start, file_len)?;
        Ok(Self { metadata: listed.metadata, tensors })
    }
}

/// The length of the JSON, which must be within the file and the limit.
fn json_length(bytes: &[u8], file_len: u64) -> Result<u64, String> {
    let Some(length) = bytes.first_chunk() else {
        return Err(format!("it has only {file_len} bytes"));
    };
    match u64::from_le_bytes(*length) {
        length if length > file_len - LENGTH => {
            Err("its header is longer than the file: it is truncated, or not a model file".to_owned())
        }
        length if length > MAX_HEADER => {
            Err(format!("its header has {} MB, and at most {} MB are read", length >> 20, MAX_HEADER >> 20))
        }
        length => Ok(length),
    }
}

/// Checks that tensors follow each other without gaps, and end where the file ends.
fn check_gapless(
    tensors: &BTreeMap<String, TensorPlace>,
    data_start: u64,
    file_len: u64,
) -> Result<(), String> {
    let mut places: Vec<(u64, u64, &str)> =
        tensors.iter().map(|(name, place)| (place.start, place.bytes, name.as_str())).collect();
    places.sort_unstable();
    let mut end = data_start;
    for (start, bytes, name) in places {
        if start != end {
            return Err(format!("tensor `{name}` does not begin where the one before it ends"));
        }
        end += bytes;
    }
    match end == file_len {
        true => Ok(()),
        false => Err(format!("its tensors end at byte {end}, but it has {file_len} bytes: it is damaged")),
    }
}

/// A header as it is in the file.
struct Listed {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Info>,
}

/// A tensor as a header describes it; offsets count from the header's end.
#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Info {
    fn place(self, data_start: u64) -> Result<TensorPlace, &'static str> {
        let Self { dtype, shape, data_offsets: (start, end) } = self;
        if shape.len() > MAX_RANK {
            return Err("has too many dimensions");
        }
        let bits = shape
            .iter()
            .try_fold(dtype.bitsize() as u64, |bits, size| bits.checked_mul(*size as u64))
            .filter(|bits| bits.is_multiple_of(8));
        let start = start.checked_add(data_start);
        match (start, end.checked_add(data_start), bits) {
            (Some(start), Some(end), Some(bits)) if end.checked_sub(start) == Some(bits / 8) => {
                Ok(TensorPlace { dtype, shape, start, bytes: bits / 8 })
            }
            _ => Err("does not have the bytes that its shape and type need"),
        }
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Listing)
    }
}

/// Counts tensors while it reads them, so that too many are refused before they fill the memory.
struct Listing;

impl<'de> Visitor<'de> for Listing {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let (mut metadata, mut tensors) = (None, BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                if metadata.replace(map.next_value::<Texts>()?.0).is_some() {
                    return Err(A::Error::custom("the metadata are there twice"));
                }
                continue;
            }
            if tensors.len() == MAX_TENSORS {
                return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
            }
            if tensors.contains_key(&name) {
                return Err(A::Error::custom(format!("two tensors are called `{}`", shortened(&name))));
            }
            tensors.insert(name, map.next_value()?);
        }
        Ok(Listed { metadata: metadata.unwrap_or_default(), tensors })
    }
}

/// Metadata texts by key, counted while they are read.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextList).map(Self)
    }
}

struct TextList;

impl<'de> Visitor<'de> for TextList {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((key, text)) = map.next_entry()? {
            if texts.len() == MAX_TEXTS {
                return Err(A::Error::custom(format!("more than {MAX_TEXTS} metadata entries")));
            }
            if texts.insert(key, text).is_some() {
                return Err(A::Error::custom("two metadata entries have the same key"));
            }
        }
        Ok(texts)
    }
}

/// A text from a file, shortened to fit into a line of an error message.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 400;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
