//! Writing files so that a reader finds the old one or the new one, never half a file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::InsightError;

/// Writes a file beside `path` and renames it into place.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), InsightError> {
    let partial = partial_path(path);
    write_through(&partial, fill).and_then(|()| fs::rename(&partial, path)).map_err(|source| {
        // The first error is the one to tell; a left-over partial file is only untidy.
        let _ = fs::remove_file(&partial);
        InsightError::Write { path: path.into(), source }
    })
}

fn write_through(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    fill(&mut writer)?;
    // On disk before the rename: after a power cut the name must not point at an empty file.
    writer.into_inner()?.sync_all()
}

/// In the same folder, because a rename is atomic only within one file system; with the process id, so that two
/// processes do not write into the same file.
fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}
