//! Reading what lies on this machine, within limits. In: a path. Out: bytes, or what is wrong with it.

use crate::source::SourceDown;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The bytes of a regular file of at most so many.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    capped(File::open(path).map_err(|error| error.to_string())?, limit)
}

/// All that a reader gives, if that is at most so many bytes.
pub(crate) fn capped(reader: impl Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > limit { Err(format!("larger than {limit} bytes")) } else { Ok(bytes) }
}

pub(crate) fn down(path: &Path, detail: String) -> SourceDown {
    SourceDown::Local { path: path.display().to_string(), detail }
}

/// Whether a name ends like a picture's.
pub(crate) fn is_picture(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
    let endings = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];
    endings.contains(&ending.as_str())
}

/// Whether a path, with `/` between its parts, lies in a folder named like the class, or in no folder at all: what nobody
/// has sorted belongs to every class.
pub(crate) fn belongs(path: &str, class: &str) -> bool {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    folders.is_empty() || folders.contains(&class)
}
