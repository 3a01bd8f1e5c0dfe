//! Reading local files within limits. In: a path. Out: bytes, or what is wrong with it.

use crate::source::SourceDown;
use sciurus_data::fs::open_regular;
use sciurus_photos::text::{DETAIL, WORDS, plain};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The error for anything but a regular file: a pipe would wait for its writer, and a device may be endless.
const NO_FILE: &str = "not a regular file; name a regular file instead";

/// Opens a regular file for reading, and returns its size in bytes. Refuses a pipe, a device or a folder, even behind a
/// link, and never waits.
pub(crate) fn open(path: &Path) -> Result<(File, u64), String> {
    open_regular(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => NO_FILE.to_owned(),
        _ => error.to_string(),
    })
}

/// The bytes of a regular file, at most `limit`. A file that claims to be empty isn't read: such files of the operating
/// system can be endless.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let (file, size) = open(path)?;
    match size {
        0 => Ok(Vec::new()),
        size if size > limit => Err(larger(limit)),
        _ => capped(file, limit),
    }
}

/// Everything that a reader returns, if it's at most `limit` bytes.
pub(crate) fn capped(reader: impl Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit { Err(larger(limit)) } else { Ok(bytes) }
}

/// The error for something that is larger than allowed.
pub(crate) fn larger(limit: u64) -> String {
    format!("larger than {limit} bytes")
}

/// The error for a source on this machine that can't be used.
pub(crate) fn down(path: &Path, detail: impl AsRef<str>) -> SourceDown {
    let path = plain(&path.display().to_string(), WORDS);
    SourceDown::Local { path, detail: plain(detail.as_ref(), DETAIL) }
}

/// Whether a file name has an image extension.
pub(crate) fn is_picture(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
    let endings = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];
    endings.contains(&ending.as_str())
}

/// Whether a path, with `/` between its parts, is in a folder named like the class, or in no folder at all: unsorted
/// photos belong to every class.
pub(crate) fn belongs(path: &str, class: &str) -> bool {
    path.rsplit_once('/').is_none_or(|(folders, _)| folders.split('/').any(|folder| folder == class))
}

/// Folders that a message names.
const NAMED: usize = 5;

/// Why nothing in a folder or archive belongs to a class: the names of its pictures, with `/` between their parts, say which
/// classes there are.
pub(crate) fn none_of(class: &str, pictures: &[&str]) -> String {
    let parent = |name: &&str| name.rsplit('/').nth(1).map(|folder| format!("`{folder}`"));
    let folders: BTreeSet<String> = pictures.iter().filter_map(parent).collect();
    let mut named: Vec<String> = folders.iter().take(NAMED).cloned().collect();
    if folders.len() > NAMED {
        named.push(format!("{} more", folders.len() - NAMED));
    }
    match named.is_empty() {
        true => "it has no photos".to_owned(),
        false => format!(
            "no folder in it is named `{class}`, only {}; gather one of those by its name",
            named.join(", ")
        ),
    }
}
