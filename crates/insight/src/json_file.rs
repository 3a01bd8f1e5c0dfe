//! Plain data in JSON files, read whole and written whole.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use crate::{InsightError, whole_file};

/// Reads the whole of `path`.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, InsightError> {
    serde_json::from_slice(&bytes(path)?).map_err(|source| InsightError::Parse { path: path.into(), source })
}

/// Reads the whole of `path` as it is.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, InsightError> {
    fs::read(path).map_err(|source| InsightError::Read { path: path.into(), source })
}

/// Writes a file whole.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), InsightError> {
    whole_file::write(path, |writer| {
        serde_json::to_writer(&mut *writer, value)?;
        writer.write_all(b"\n")
    })
}

/// The same, for people to read.
pub(crate) fn save_pretty<T: Serialize>(path: &Path, value: &T) -> Result<(), InsightError> {
    whole_file::write(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, value)?;
        writer.write_all(b"\n")
    })
}
