//! Keeps prepared photos, so that each is decoded once per run and not once per epoch. In: items and a pipeline. Out:
//! pixels, from memory, else from files that may be deleted at any time, else decoded.

use crate::dataset::ImageDataset;
use crate::decode::{RgbImage, decode, read_file};
use crate::item::{ContentHash, ImageItem};
use crate::memory;
use crate::pipeline::Pipeline;
use crate::skip::SkipReason;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Options of a [`PhotoStore`].
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `memory_budget` | a quarter of the machine's memory | bytes of pixels kept in memory |
/// | `disk_budget` | 20 GiB | bytes of pixels written to the cache folder by this store |
/// | `cache_folder` | `sciurus/pixels` in the system's cache folder | where pixels beyond the memory budget go; `None`: nowhere, they are decoded in every epoch |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoStoreOptions {
    /// Bytes of pixels kept in memory.
    pub memory_budget: u64,
    /// Bytes of pixels that this store writes to the cache folder at most.
    pub disk_budget: u64,
    /// Where pixels beyond the memory budget go.
    pub cache_folder: Option<PathBuf>,
}

impl Default for PhotoStoreOptions {
    fn default() -> Self {
        Self {
            memory_budget: memory::total_bytes() / 4,
            disk_budget: 20 << 30,
            cache_folder: dirs::cache_dir().map(|folder| folder.join("sciurus").join("pixels")),
        }
    }
}

/// Prepared photos, shared by all loaders of a run.
///
/// ```no_run
/// use sciurus_data::{ImageDataset, PhotoStore, Preprocessing};
///
/// let dataset = ImageDataset::from_folder("squirrels").build()?;
/// let (store, pipeline) = (PhotoStore::default(), Preprocessing::default().pipeline());
/// let photo = store.photo(&dataset, &dataset.items[0], &pipeline);
/// assert_eq!(photo.map(|photo| photo.dimensions()), Ok((224, 224)));
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct PhotoStore {
    options: PhotoStoreOptions,
    kept: Mutex<HashMap<Key, Kept>>,
    memory_used: AtomicU64,
    disk_used: AtomicU64,
    decodes: AtomicU64,
}

/// The file's bytes, and what is done once to its pixels.
type Key = (ContentHash, ContentHash);

/// Failures are kept too: a damaged photo is tried once, not in every epoch.
type Kept = Result<Arc<RgbImage>, SkipReason>;

impl Default for PhotoStore {
    fn default() -> Self {
        Self::new(PhotoStoreOptions::default())
    }
}

impl PhotoStore {
    /// An empty store.
    #[must_use]
    pub fn new(options: PhotoStoreOptions) -> Self {
        let (kept, zero) = (Mutex::default(), || AtomicU64::new(0));
        Self { options, kept, memory_used: zero(), disk_used: zero(), decodes: zero() }
    }

    /// An item's pixels after what `pipeline` does once. Bytes are the same wherever they come from.
    ///
    /// # Errors
    ///
    /// Says why the photo cannot be used; also if the file's content changed since the data set was built.
    pub fn photo(
        &self,
        dataset: &ImageDataset,
        item: &ImageItem,
        pipeline: &Pipeline,
    ) -> Result<Arc<RgbImage>, SkipReason> {
        let key = (item.content, pipeline.once_key());
        if let Some(kept) = self.kept().get(&key) {
            return kept.clone();
        }
        if let Some(image) = self.read(key) {
            let image = Ok(Arc::new(image));
            self.keep_in_memory(key, &image);
            return image;
        }
        self.decodes.fetch_add(1, Ordering::Relaxed);
        let prepared = prepare(dataset, item, pipeline).map(Arc::new);
        if !self.keep_in_memory(key, &prepared)
            && let Ok(image) = &prepared
        {
            self.keep_on_disk(key, image);
        }
        prepared
    }

    /// How many photos were decoded so far.
    #[must_use]
    pub fn decodes(&self) -> u64 {
        self.decodes.load(Ordering::Relaxed)
    }

    /// Bytes of pixels in memory.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory_used.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Kept>> {
        // The map is whole even if a thread panicked while it held the lock: an insertion is all that is done then.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn keep_in_memory(&self, key: Key, prepared: &Kept) -> bool {
        let bytes = prepared.as_ref().map_or(0, |image| image.as_raw().len() as u64);
        let room = reserve(&self.memory_used, bytes, self.options.memory_budget);
        if room && self.kept().insert(key, prepared.clone()).is_some() {
            // Another thread kept the same photo meanwhile.
            self.memory_used.fetch_sub(bytes, Ordering::Relaxed);
        }
        room
    }

    /// The cache is a convenience: a full or read-only disk costs time, not the run.
    fn keep_on_disk(&self, key: Key, image: &RgbImage) {
        if let Some(path) = self.file(key)
            && reserve(&self.disk_used, image.as_raw().len() as u64, self.options.disk_budget)
        {
            let _ = write_atomically(&path, image);
        }
    }

    fn file(&self, (content, once): Key) -> Option<PathBuf> {
        let folder = self.options.cache_folder.as_ref()?.join(format!("v{CACHE_VERSION}-{once}"));
        Some(folder.join(content.to_string()))
    }

    fn read(&self, key: Key) -> Option<RgbImage> {
        parse(&fs::read(self.file(key)?).ok()?)
    }
}

/// Adds to a sum unless it would exceed its budget.
fn reserve(used: &AtomicU64, bytes: u64, budget: u64) -> bool {
    let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= budget);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

fn prepare(dataset: &ImageDataset, item: &ImageItem, pipeline: &Pipeline) -> Result<RgbImage, SkipReason> {
    let bytes = read_file(&dataset.path(item), &dataset.limits)?;
    // Kept pixels are found by the content that was listed, so they must be of that content.
    if ContentHash::of(&bytes) != item.content {
        return Err(SkipReason::Changed);
    }
    Ok(pipeline.prepare(decode(&bytes, &dataset.limits)?))
}

/// Changes whenever decoding or a transform changes what it makes of the same file and settings.
const CACHE_VERSION: u32 = 1;

/// Magic, width, height (little-endian), checksum of the pixels, pixels.
const MAGIC: &[u8; 8] = b"SCIPIX\0\x01";
const HEAD: usize = 8 + 4 + 4 + 16;

fn write_atomically(path: &Path, image: &RgbImage) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(&image.width().to_le_bytes())?;
    file.write_all(&image.height().to_le_bytes())?;
    file.write_all(&ContentHash::of(image.as_raw()).0)?;
    file.write_all(image.as_raw())?;
    file.persist(path)?;
    Ok(())
}

/// The image in a cache file, or `None` if the file is not exactly what was written.
fn parse(bytes: &[u8]) -> Option<RgbImage> {
    let (head, pixels) = bytes.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    if head[..8] != MAGIC[..] || head[16..] != ContentHash::of(pixels).0 {
        return None;
    }
    let (width, height) = (number(8)?, number(12)?);
    let whole = u64::from(width) * u64::from(height) * 3 == pixels.len() as u64;
    if whole { RgbImage::from_raw(width, height, pixels.to_vec()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_file_is_read_back_only_if_every_byte_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        let image = RgbImage::from_fn(5, 4, |x, y| [x as u8, y as u8, 9].into());
        write_atomically(&path, &image).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(parse(&bytes), Some(image));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(parse(&wrong), None, "byte {at}");
            assert_eq!(parse(&bytes[..at]), None, "cut at {at}");
        }
    }
}
