//! A cache in one file: records of one size, found by content. In: bytes for a [`ContentHash`]. Out: the same bytes in later
//! calls, or nothing if they were damaged. The file may be deleted at any time.
//!
//! A record is `content (16 bytes), payload, checksum (8 bytes)`. Records are only ever appended, each batch by a single
//! write, so two processes may share a file. Of two records for one content the later one counts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use super::{FileError, Root};
use crate::ContentHash;

/// Bytes of the hash that detects a damaged record.
const CHECKSUM: usize = 8;
const CONTENT: usize = size_of::<ContentHash>();
/// Contents are read in pieces of at least so many bytes of the file, or one record.
const PIECE: u64 = 1 << 20;

/// Records of one size by content, in memory and, if a path is given, in a file.
///
/// ```
/// use sciurus_data::{ContentHash, fs::Records};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("x.records");
/// let content = ContentHash::of(b"a photo");
/// Records::open(Some(path.clone()), 3).keep(&[content], b"abc");
/// let records = Records::open(Some(path), 3);
/// assert_eq!(records.get(&content).as_deref(), Some(&b"abc"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Records {
    /// Bytes of a payload.
    width: usize,
    places: RwLock<HashMap<ContentHash, Place>>,
    file: Option<(PathBuf, Mutex<File>)>,
    /// Records that turned out to be damaged.
    damaged: AtomicUsize,
    /// Why the file can't be used, or not be written any more.
    fault: OnceLock<String>,
}

/// Where a payload is.
#[derive(Debug, Clone)]
enum Place {
    /// In the file, from this byte on.
    At(u64),
    Here(Vec<u8>),
}

impl Records {
    /// The records of a file, each with a payload of `width` bytes. Without a path, or if the file can't be used, they are only
    /// in memory; [`Records::fault`] says why.
    #[must_use]
    pub fn open(path: Option<PathBuf>, width: usize) -> Self {
        let (places, damaged, fault) = (RwLock::default(), AtomicUsize::new(0), OnceLock::new());
        let mut records = Self { width, places, file: None, damaged, fault };
        if let Some(path) = path
            && let Err(error) = records.read(&path)
        {
            records.goes_on_without(&path, &error);
        }
        records
    }

    /// Bytes of a record.
    fn size(&self) -> u64 {
        (CONTENT + self.width + CHECKSUM) as u64
    }

    fn read(&mut self, path: &Path) -> Result<(), FileError> {
        Root::create(path.parent().unwrap_or(Path::new("")))?;
        let (root, name) = Root::of_file(path)?;
        let mut file = root.appender(&name).map_err(|source| FileError::write(path, source))?;
        let places = self.contents(&mut file).map_err(|source| FileError::read(path, source))?;
        self.places = RwLock::new(places);
        self.file = Some((path.to_owned(), Mutex::new(file)));
        Ok(())
    }

    /// Where the record of each content begins. What a kill left of a last record is cut off.
    fn contents(&self, file: &mut File) -> std::io::Result<HashMap<ContentHash, Place>> {
        let size = self.size();
        let length = file.metadata()?.len();
        let whole = length - length % size;
        if whole < length {
            file.set_len(whole)?;
        }
        let mut places = HashMap::new();
        let mut piece = vec![0; (PIECE / size).max(1) as usize * size as usize];
        let mut at = 0;
        file.rewind()?;
        while at < whole {
            let bytes = &mut piece[..(whole - at).min(PIECE.max(size) / size * size) as usize];
            file.read_exact(bytes)?;
            for record in bytes.chunks_exact(size as usize) {
                if let Some((content, _)) = record.split_first_chunk() {
                    places.insert(ContentHash(*content), Place::At(at));
                }
                at += size;
            }
        }
        Ok(places)
    }

    /// The payload of a content; `None` if there is none, or it is damaged.
    #[must_use]
    pub fn get(&self, content: &ContentHash) -> Option<Vec<u8>> {
        let place = self.places.read().unwrap_or_else(PoisonError::into_inner).get(content).cloned();
        match place? {
            Place::Here(payload) => Some(payload),
            Place::At(at) => {
                let payload = self.payload(content, at);
                if payload.is_none() {
                    self.damaged.fetch_add(1, Ordering::Relaxed);
                    self.places.write().unwrap_or_else(PoisonError::into_inner).remove(content);
                }
                payload
            }
        }
    }

    fn payload(&self, content: &ContentHash, at: u64) -> Option<Vec<u8>> {
        let mut record = vec![0; self.size() as usize];
        {
            let mut file = self.file.as_ref()?.1.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(at)).ok()?;
            file.read_exact(&mut record).ok()?;
        }
        let (body, found) = record.split_last_chunk::<CHECKSUM>()?;
        let is_whole = body.starts_with(&content.0) && checksum(body) == *found;
        is_whole.then(|| body[CONTENT..].to_vec())
    }

    /// Stores payloads, one after the other, for as many contents. Nothing is stored if they don't fit.
    pub fn keep(&self, contents: &[ContentHash], payloads: &[u8]) {
        if contents.is_empty() || payloads.len() != contents.len() * self.width {
            return;
        }
        let mut bytes = Vec::with_capacity(contents.len() * self.size() as usize);
        for (content, payload) in contents.iter().zip(payloads.chunks_exact(self.width)) {
            let start = bytes.len();
            bytes.extend(content.0);
            bytes.extend(payload);
            bytes.extend(checksum(&bytes[start..]));
        }
        let first = self.append(&bytes);
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        for (nth, (content, payload)) in contents.iter().zip(payloads.chunks_exact(self.width)).enumerate() {
            let here = || Place::Here(payload.to_vec());
            let place = first.map_or_else(here, |first| Place::At(first + nth as u64 * self.size()));
            places.insert(*content, place);
        }
    }

    /// Writes records at the end of the file, and returns where they begin; `None` if they can only stay in memory.
    fn append(&self, bytes: &[u8]) -> Option<u64> {
        if self.fault.get().is_some() {
            return None;
        }
        let (path, file) = self.file.as_ref()?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.write_all(bytes).and_then(|()| file.stream_position()) {
            Ok(end) => Some(end - bytes.len() as u64),
            Err(source) => {
                self.goes_on_without(path, &FileError::write(path, source));
                None
            }
        }
    }

    /// What was wrong with the file until now, if anything: damaged records, whose photos have to be read again, or a folder
    /// that can't be written.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let damaged = self.damaged.load(Ordering::Relaxed);
        match (self.fault.get(), &self.file) {
            (None, Some((path, _))) if damaged > 0 => {
                let path = path.display();
                Some(match damaged {
                    1 => format!("a damaged record in {path} is ignored; its photo is read again"),
                    _ => format!(
                        "{damaged} damaged records in {path} are ignored; their photos are read again"
                    ),
                })
            }
            (fault, _) => fault.cloned(),
        }
    }

    /// From now on nothing is written.
    fn goes_on_without(&self, path: &Path, error: &FileError) {
        let folder = path.parent().unwrap_or(path).display();
        // Whoever is first has said it.
        let _ =
            self.fault.set(format!("what was found can't be kept for the next time in {folder}: {error}"));
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash = ContentHash::of(bytes);
    std::array::from_fn(|place| hash.0[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(count: u8) -> Vec<ContentHash> {
        (0..count).map(|n| ContentHash::of(&[n])).collect()
    }

    #[test]
    fn a_flipped_bit_costs_one_record_and_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/x.records");
        let contents = contents(5);
        Records::open(Some(path.clone()), 4).keep(&contents, b"aaaabbbbccccddddeeee");
        let bytes = std::fs::read(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, flipped).unwrap();
            let records = Records::open(Some(path.clone()), 4);
            let found: Vec<Option<Vec<u8>>> = contents.iter().map(|content| records.get(content)).collect();
            let broken = bit / 8 / 28;
            for (nth, payload) in found.iter().enumerate() {
                let whole = [b'a' + nth as u8; 4];
                assert_eq!(payload.as_deref(), (nth != broken).then_some(&whole[..]), "{bit}, {nth}");
            }
            // Of a damaged content nobody knows whose it was.
            let is_told = records.fault().is_some_and(|fault| fault.contains("a damaged record in"));
            assert_eq!(is_told, bit / 8 % 28 >= CONTENT, "{bit}");
            records.keep(&contents[broken..=broken], &[b'a' + broken as u8; 4]);
            let records = Records::open(Some(path.clone()), 4);
            assert!(contents.iter().all(|content| records.get(content).is_some()));
            assert_eq!(records.fault(), None, "the later record counts");
        }
    }

    #[test]
    fn what_a_kill_left_of_the_last_record_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.records");
        let contents = contents(3);
        Records::open(Some(path.clone()), 2).keep(&contents, b"aabbcc");
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let records = Records::open(Some(path.clone()), 2);
            let left = length / 26;
            assert_eq!(contents.iter().filter(|content| records.get(content).is_some()).count(), left);
            records.keep(&contents[left..], &b"aabbcc"[2 * left..]);
            assert_eq!((std::fs::read(&path).unwrap(), records.fault()), (bytes.clone(), None));
        }
    }

    #[test]
    fn two_programs_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = || Some(folder.path().join("x.records"));
        let contents = contents(200);
        let (one, other) = (Records::open(path(), 1), Records::open(path(), 1));
        for (nth, content) in contents.iter().enumerate() {
            let writer = if nth % 2 == 0 { &one } else { &other };
            writer.keep(&[*content], &[nth as u8]);
            assert_eq!(writer.get(content), Some(vec![nth as u8]), "read where it was written");
        }
        let all = Records::open(path(), 1);
        assert!(contents.iter().enumerate().all(|(nth, content)| all.get(content) == Some(vec![nth as u8])));
    }

    #[test]
    fn without_a_place_to_write_all_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let records = Records::open(Some(folder.path().join("file/x.records")), 1);
        let content = ContentHash::of(b"");
        records.keep(&[content], b"a");
        records.keep(&[ContentHash::of(b"b")], b"too long");
        assert_eq!(records.get(&content), Some(b"a".to_vec()));
        assert_eq!(records.get(&ContentHash::of(b"b")), None);
        assert!(records.fault().is_some_and(|fault| fault.contains("can't be kept")));
    }
}
