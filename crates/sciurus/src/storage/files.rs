//! Writes files so that a crash leaves either the old or the new file, never half of one.

use std::io::Write;
use std::path::Path;

use sciurus_data::fs::{sealed, write_whole};
use serde::Serialize;

use crate::Error;

/// Writes `bytes` to a file beside `path`, then renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Ok(write_whole(path, |file| file.write_all(bytes))?)
}

/// Writes a value as readable JSON, with a seal that proves that this user's Sciurus wrote it.
pub(crate) fn write_sealed_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Run { path: path.to_owned(), reason: error.to_string() })?;
    write(path, sealed(&json).as_bytes())
}
