//! Writing files so that a crash leaves the old one or the new one, never half of one.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::Error;

/// Writes `bytes` to a file beside `path`, then renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part-{}", std::process::id()));
    let written = write_through(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|source| {
        // The write has failed already; a part that cannot be removed either changes nothing about that.
        let _ = std::fs::remove_file(&part);
        Error::io(path, source)
    })
}

fn write_through(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a value as readable JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Run { path: path.to_owned(), reason: error.to_string() })?;
    write(path, &json)
}
