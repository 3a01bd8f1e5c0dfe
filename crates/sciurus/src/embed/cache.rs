//! A cache of embeddings by content, so that each photo is embedded only once.

use std::path::PathBuf;

use sciurus_data::ContentHash;
use sciurus_data::fs::Records;

/// Rows by content: little-endian `f32` in [`Records`], whose checksums matter here, because a bit that flipped on the disk would
/// change the proposal for a photo.
#[derive(Debug)]
pub(super) struct Cache(Records);

impl Cache {
    /// The rows of a file, `[content, width]`. If the file cannot be used, starts empty and records why.
    pub(super) fn open(path: Option<PathBuf>, width: usize) -> Self {
        Self(Records::open(path, width * size_of::<f32>()))
    }

    pub(super) fn row(&self, content: &ContentHash) -> Option<Vec<f32>> {
        let bytes = self.0.get(content)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    /// Stores rows `[content, feature]`, row-major.
    pub(super) fn keep(&self, contents: &[ContentHash], features: &[f32]) {
        let bytes: Vec<u8> = features.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.keep(contents, &bytes);
    }

    /// What was wrong with the file, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        self.0.fault()
    }
}
