//! A cache of embeddings by content, so that each photo is embedded only once. In: rows. Out: the same rows in later calls, from
//! a file that may be deleted at any time.
//!
//! The file has records `content (16 bytes), features (f32, little endian), checksum (8 bytes)`. A bit that flipped on the disk
//! would change the proposal for a photo, so a record with a wrong checksum is reported and not used.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sciurus_data::ContentHash;
use sciurus_data::fs::{FileError, Root};

/// Most bytes of a cache file: eight million photos with ResNet-18.
const LARGEST: u64 = 16 << 30;
/// Bytes of the hash that detects a damaged record.
const CHECKSUM: usize = 8;

/// Rows by content, in memory and, if a path is given, in a file.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) rows: HashMap<ContentHash, Vec<f32>>,
    file: Option<(PathBuf, File)>,
    fault: Option<String>,
}

impl Cache {
    /// Reads the rows of a file, `[content, width]`. If the file cannot be used, starts empty and records why.
    pub(crate) fn open(path: Option<PathBuf>, width: usize) -> Self {
        let mut cache = Self { rows: HashMap::new(), file: None, fault: None };
        if let Some(path) = path
            && let Err(error) = cache.read(&path, width)
        {
            cache.give_up(&path, &error);
        }
        cache
    }

    fn read(&mut self, path: &Path, width: usize) -> Result<(), FileError> {
        let failed = |source| FileError::read(path, source);
        Root::create(path.parent().unwrap_or(Path::new("")))?;
        let (root, name) = Root::of_file(path)?;
        let bytes = match root.read(&name, LARGEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        let size = size_of::<ContentHash>() + width * size_of::<f32>() + CHECKSUM;
        // A kill may have left an incomplete record at the end; it is skipped.
        let records = bytes.chunks_exact(size);
        let total = records.len();
        let whole: Vec<&[u8]> = records.filter(|record| is_whole(record)).collect();
        self.rows = whole.iter().filter_map(|record| row(record)).collect();
        if whole.len() < total {
            let damaged = total - whole.len();
            self.fault = Some(format!(
                "{damaged} of {total} records in {} were damaged and are ignored; their photos are read again",
                path.display()
            ));
        }
        if whole.len() * size < bytes.len() {
            root.write(&name, |file| whole.iter().try_for_each(|record| file.write_all(record)))?;
        }
        let file = root.appender(&name).map_err(|source| FileError::write(path, source))?;
        self.file = Some((path.to_owned(), file));
        Ok(())
    }

    /// Stores rows `[content, feature]`, row-major.
    pub(crate) fn keep(&mut self, contents: &[ContentHash], features: &[f32]) {
        if contents.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        for (content, row) in contents.iter().zip(features.chunks_exact(features.len() / contents.len())) {
            let start = bytes.len();
            bytes.extend(content.0);
            bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
            bytes.extend(checksum(&bytes[start..]));
            self.rows.insert(*content, row.to_vec());
        }
        let Some((path, file)) = &mut self.file else { return };
        // A single write, so that records of two processes are not interleaved.
        if let Err(source) = file.write_all(&bytes) {
            let error = FileError::write(path, source);
            let path = path.clone();
            self.give_up(&path, &error);
        }
    }

    /// What was wrong with the file, if anything.
    pub(crate) fn into_fault(self) -> Option<String> {
        self.fault
    }

    /// Continues without the file.
    fn give_up(&mut self, path: &Path, error: &FileError) {
        self.file = None;
        let folder = path.parent().unwrap_or(path).display().to_string();
        self.fault = Some(format!("embeddings cannot be cached in {folder}: {error}"));
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash = ContentHash::of(bytes);
    std::array::from_fn(|place| hash.0[place])
}

fn is_whole(record: &[u8]) -> bool {
    record.split_last_chunk::<CHECKSUM>().is_some_and(|(body, found)| checksum(body) == *found)
}

fn row(record: &[u8]) -> Option<(ContentHash, Vec<f32>)> {
    let (body, _) = record.split_last_chunk::<CHECKSUM>()?;
    let (content, features) = body.split_first_chunk()?;
    let features = features.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
    Some((ContentHash(*content), features.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_costs_one_row_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.embeddings");
        let contents: Vec<ContentHash> = (0..5_u8).map(|n| ContentHash::of(&[n])).collect();
        let mut cache = Cache::open(Some(path.clone()), 3);
        cache.keep(&contents, &(0..15).map(|n| n as f32).collect::<Vec<_>>());
        assert_eq!(cache.into_fault(), None);
        let bytes = std::fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            let cache = Cache::open(Some(path.clone()), 3);
            assert_eq!(cache.rows.len(), 4);
            assert!(cache.rows.iter().all(|(content, row)| {
                let at = contents.iter().position(|known| known == content).unwrap() as f32;
                row == &[3.0 * at, 3.0 * at + 1.0, 3.0 * at + 2.0]
            }));
            assert!(cache.into_fault().is_some_and(|fault| fault.contains("1 of 5 records")));
            assert_eq!(Cache::open(Some(path.clone()), 3).into_fault(), None);
        }
        // An incomplete record at the end, as a kill leaves it, is skipped without a report.
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let mut cache = Cache::open(Some(path.clone()), 3);
        assert_eq!(cache.rows.len(), 4);
        cache.keep(&contents[4..], &[12.0, 13.0, 14.0]);
        assert_eq!(cache.into_fault(), None);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn without_a_place_to_write_there_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let mut cache = Cache::open(Some(folder.path().join("file/x.embeddings")), 1);
        cache.keep(&[ContentHash::of(b"")], &[1.0]);
        assert_eq!(cache.rows.len(), 1);
        assert!(cache.into_fault().is_some_and(|fault| fault.contains("cannot be cached")));
    }
}
