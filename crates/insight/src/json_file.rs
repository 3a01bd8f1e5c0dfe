//! Plain data in JSON files, read whole and written whole.

use std::io::Write;
use std::path::Path;

use sciurus_data::fs::{read_regular, write_whole};
use serde::{Serialize, de::DeserializeOwned};

use crate::InsightError;

/// Bytes of a file at most: the predictions of ten million photos have less.
const LARGEST: u64 = 4 << 30;

/// Reads the whole of `path`.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<T, InsightError> {
    serde_json::from_slice(&bytes(path)?).map_err(|source| InsightError::Parse { path: path.into(), source })
}

/// Reads the whole of `path` as it is.
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
