//! Plain data in JSON files, read and written whole. In: a path and a value. Out: a file, or a value.

use std::io::Write;
use std::path::Path;

use sciurus_data::fs::{read_regular, write_whole};
use serde::{Serialize, de::DeserializeOwned};

use crate::InsightError;

/// Most bytes of a file: more than the predictions of ten million photos need.
const LARGEST: u64 = 4 << 30;

/// Reads and parses `path`.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, InsightError> {
    serde_json::from_slice(&bytes(path)?).map_err(|source| InsightError::Parse { path: path.into(), source })
}

/// Reads the bytes of `path`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, InsightError> {
    read_regular(path, LARGEST).map_err(|source| InsightError::Read { path: path.into(), source })
}

/// Writes a file whole.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), InsightError> {
    write_whole(path, |writer| {
        serde_json::to_writer(&mut *writer, value)?;
        writer.write_all(b"\n")
    })?;
    Ok(())
}
