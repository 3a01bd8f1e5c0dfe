//! Photos that were downloaded but not decided on. In: bytes. Out: a file of ours in a folder of ours, which gets its
//! name or is removed.

use crate::error::GatherError;
use sciurus_data::ContentHash;
use sciurus_data::fs::{InsidePath, Kind, Root};
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

/// The folder of files that aren't decided on yet.
const PARTS: &str = ".gather-parts";

/// A file that isn't decided on yet. It's removed when this is dropped, unless it's kept.
#[derive(Debug)]
pub(crate) struct Part {
    root: Arc<Root>,
    /// `None` once it has been kept.
    path: Option<InsidePath>,
}

impl Part {
    /// Writes the bytes of the run's photo with this number to a file of its own.
    pub(crate) fn new(root: &Arc<Root>, number: u64, content: ContentHash, bytes: &[u8]) -> io::Result<Self> {
        let path = place(&format!("{number}-{content}"))?;
        let mut file = root.create_new(&path)?;
        let part = Self { root: Arc::clone(root), path: Some(path) };
        file.write_all(bytes)?;
        Ok(part)
    }

    /// Gives the file its name in one step, unless the name is taken.
    pub(crate) fn keep(mut self, place: &InsidePath) -> Result<(), GatherError> {
        let Some(path) = &self.path else { return Ok(()) };
        let moved = self.root.move_new(path, place);
        moved.map_err(|source| GatherError::io("write", &self.root.place(place), source))?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // If it can't be removed, the next run removes it when it begins.
            let _ = self.root.remove_file(path);
        }
    }
}

/// Files that a killed run left, by content; creates the folder if needed. Only files with names of ours count.
pub(crate) fn left(root: &Arc<Root>) -> Result<HashMap<ContentHash, Vec<Part>>, GatherError> {
    let parts = InsidePath::ours(PARTS);
    let wrong = |source| GatherError::io("list", &root.place(&parts), source);
    root.create_folder(&parts).map_err(wrong)?;
    let mut left: HashMap<ContentHash, Vec<Part>> = HashMap::new();
    for name in root.names(Some(&parts)).map_err(wrong)? {
        let Some(name) = name.to_str().filter(|name| is_ours(name)) else { continue };
        let path = place(name).map_err(wrong)?;
        if root.kind(&path).map_err(wrong)? == Some(Kind::File) {
            // If it wasn't written completely, its content doesn't match its name, and it has no entry.
            let content = sciurus_photos::content_hash(root, &path).unwrap_or(ContentHash::of(b""));
            left.entry(content).or_default().push(Part { root: Arc::clone(root), path: Some(path) });
        }
    }
    Ok(left)
}

/// Removes the folder if it's empty; somebody may have put something there.
pub(crate) fn remove_folder(root: &Root) {
    let _ = root.remove_folder(&InsidePath::ours(PARTS));
}

/// Whether a name is one that [`Part::new`] gives: a number and a content hash.
fn is_ours(name: &str) -> bool {
    name.split_once('-').is_some_and(|(number, content)| {
        number.parse::<u64>().is_ok() && content.parse::<ContentHash>().is_ok()
    })
}

fn place(name: &str) -> io::Result<InsidePath> {
    InsidePath::new(format!("{PARTS}/{name}")).map_err(io::Error::other)
}
