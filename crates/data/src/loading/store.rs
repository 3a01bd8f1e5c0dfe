//! Keeps prepared photos, so each is decoded once per run and not in every epoch. In: items and a pipeline. Out:
//! pixels, from memory, or from cache files that may be deleted at any time, or decoded anew.

use super::memory;
use crate::dataset::ImageDataset;
use crate::dataset::{ContentHash, ImageItem};
use crate::image::{RgbImage, decode, read_file, read_patiently};
use crate::skip::SkipReason;
use crate::transform::Pipeline;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;
use walkdir::WalkDir;

/// Options of a [`PhotoStore`].
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `memory_budget` | a quarter of the machine's memory | bytes of pixels kept in memory |
/// | `disk_budget` | 20 GiB | bytes that the cache folder may grow to, over all runs |
/// | `cache_folder` | `sciurus/pixels` in the system's cache folder | where pixels beyond the memory budget go; `None`: nowhere, they are decoded in every epoch |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoStoreOptions {
    /// Bytes of pixels kept in memory.
    pub memory_budget: u64,
    /// Bytes that the cache folder may grow to, over all runs. Beyond that, files of other pipelines are removed, those
    /// unchanged for longest first.
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
    kept: Mutex<HashMap<Key, CachedPhoto>>,
    memory_used: AtomicU64,
    disk: Mutex<Disk>,
    decodes: AtomicU64,
}

/// The state of the cache folder.
#[derive(Debug, Default)]
struct Disk {
    /// Bytes in it, once they have been counted.
    used: Option<u64>,
    /// The pipelines this store was used with.
    in_use: BTreeSet<ContentHash>,
}

/// The hash of the file's bytes, and of what is done once to its pixels.
type Key = (ContentHash, ContentHash);

/// Failures are kept too, so a damaged photo is tried once and not in every epoch. Those of the machine aren't kept.
type CachedPhoto = Result<Arc<RgbImage>, SkipReason>;

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
        Self { options, kept, memory_used: zero(), disk: Mutex::default(), decodes: zero() }
    }

    /// An item's pixels after the steps that `pipeline` does once. They're the same bytes, wherever they come from.
    ///
    /// # Errors
    /// The reason why the photo can't be used; also if the file's content changed since the data set was built.
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
        if prepared.as_ref().is_err_and(SkipReason::is_machine_fault) {
            return prepared;
        }
        if !self.keep_in_memory(key, &prepared)
            && let Ok(image) = &prepared
        {
            self.keep_on_disk(key, image);
        }
        prepared
    }

    /// How many photos have been decoded so far.
    #[must_use]
    pub fn decodes(&self) -> u64 {
        self.decodes.load(Ordering::Relaxed)
    }

    /// Bytes of pixels in memory.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.memory_used.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Key, CachedPhoto>> {
        // The map is consistent even if a thread panicked while it held the lock: it only ever inserts.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn keep_in_memory(&self, key: Key, prepared: &CachedPhoto) -> bool {
        let bytes = prepared.as_ref().map_or(0, |image| image.as_raw().len() as u64);
        let room = reserve(&self.memory_used, bytes, self.options.memory_budget);
        if room && self.kept().insert(key, prepared.clone()).is_some() {
            // Another thread stored the same photo meanwhile.
            self.memory_used.fetch_sub(bytes, Ordering::Relaxed);
        }
        room
    }

    /// The cache is only for speed: a full or read-only disk costs time, not the run.
    fn keep_on_disk(&self, key: Key, image: &RgbImage) {
        if let Some(path) = self.file(key)
            && self.reserve_on_disk((HEAD + image.as_raw().len()) as u64)
        {
            let _ = write_atomically(&path, image);
        }
    }

    /// Whether there is room in the cache folder, perhaps after removing files of other pipelines.
    fn reserve_on_disk(&self, bytes: u64) -> bool {
        let Some(cache) = self.options.cache_folder.as_deref().filter(|_| bytes <= self.options.disk_budget)
        else {
            return false;
        };
        let mut disk = self.disk();
        let mut used = disk.used.unwrap_or_else(|| size_of(cache));
        let fits = |used: u64| used.saturating_add(bytes) <= self.options.disk_budget;
        if !fits(used) {
            for folder in pipelines_by_age(cache, &disk.in_use) {
                let before = size_of(&folder);
                let _ = fs::remove_dir_all(&folder);
                used = used.saturating_sub(before.saturating_sub(size_of(&folder)));
                if fits(used) {
                    break;
                }
            }
        }
        let room = fits(used);
        disk.used = Some(if room { used + bytes } else { used });
        room
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // If a thread panicked while it held the lock, the count is off by one photo at worst.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, (content, once): Key) -> Option<PathBuf> {
        let folder = self.options.cache_folder.as_ref()?.join(format!("v{CACHE_VERSION}-{once}"));
        Some(folder.join(content.to_string()))
    }

    fn read(&self, key: Key) -> Option<RgbImage> {
        self.disk().in_use.insert(key.1);
        parse(&read_patiently(&self.file(key)?, self.options.disk_budget).ok()?)
    }
}

/// Adds to a sum unless it would exceed its budget.
fn reserve(used: &AtomicU64, bytes: u64, budget: u64) -> bool {
    let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= budget);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

/// Bytes in all files of a folder.
fn size_of(folder: &Path) -> u64 {
    let files = WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// The folders that stores made for pipelines not in use, those unchanged for longest first. Nothing else in the cache
/// folder is ever touched.
fn pipelines_by_age(cache: &Path, in_use: &BTreeSet<ContentHash>) -> Vec<PathBuf> {
    let unused = |entry: &fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (version, once) = name.strip_prefix('v')?.split_once('-')?;
        let (version, once): (u32, ContentHash) = (version.parse().ok()?, once.parse().ok()?);
        let unused = version != CACHE_VERSION || !in_use.contains(&once);
        (unused && entry.file_type().ok()?.is_dir()).then_some(())
    };
    let entries = fs::read_dir(cache).into_iter().flatten().flatten().filter(|entry| unused(entry).is_some());
    let aged = entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    let mut folders: Vec<_> = aged.collect();
    folders.sort();
    folders.into_iter().map(|(_, path)| path).collect()
}

fn prepare(dataset: &ImageDataset, item: &ImageItem, pipeline: &Pipeline) -> Result<RgbImage, SkipReason> {
    let bytes = read_file(&dataset.path(item), &dataset.limits)?;
    // Cached pixels are looked up by the content that was listed, so they must be of that content.
    if ContentHash::of(&bytes) != item.content {
        return Err(SkipReason::Changed);
    }
    Ok(pipeline.prepare(decode(&bytes, &dataset.limits)?))
}

/// Increase this whenever decoding or a transform gives different pixels for the same file and settings.
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

/// The image in a cache file, or `None` if the file isn't exactly what was written.
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
    #[cfg(unix)]
    use std::time::{Duration, SystemTime};

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

    #[test]
    #[cfg(unix)]
    fn the_cache_folder_stays_within_its_budget_and_the_oldest_pipelines_go_first() {
        let cache = tempfile::tempdir().unwrap();
        let image = RgbImage::new(10, 10);
        let once = |name: &str| ContentHash::of(name.as_bytes());
        let folder = |name| cache.path().join(format!("v{CACHE_VERSION}-{}", once(name)));
        let one_file = (HEAD + 300) as u64;
        let store = |files| {
            let (cache_folder, disk_budget) = (Some(cache.path().to_owned()), files * one_file);
            PhotoStore::new(PhotoStoreOptions { memory_budget: 0, disk_budget, cache_folder })
        };
        let keep = |store: &PhotoStore, content: &str, pipeline: &str| {
            let key = (ContentHash::of(content.as_bytes()), once(pipeline));
            if store.read(key).is_none() {
                store.keep_on_disk(key, &image);
            }
            assert!(size_of(cache.path()) <= store.options.disk_budget);
            store.read(key).is_some()
        };

        // Three runs filled the folder; the second is the oldest.
        for (pipeline, seconds) in [("first", 200), ("second", 100), ("third", 300)] {
            assert!(keep(&store(4), "a", pipeline));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::open(folder(pipeline)).unwrap().set_modified(time).unwrap();
        }
        let users_own = cache.path().join("v1-photos");
        fs::create_dir(&users_own).unwrap();
        fs::write(users_own.join("a.jpg"), vec![0; one_file as usize]).unwrap();

        let last = store(4);
        assert!(keep(&last, "a", "third"), "it is read and so in use");
        assert!(keep(&last, "a", "fourth"));
        assert!(folder("first").exists() && !folder("second").exists() && folder("third").exists());
        assert!(keep(&last, "b", "fourth"));
        assert!(!folder("first").exists() && folder("third").exists());
        assert!(!keep(&last, "c", "fourth"), "what is in use is not removed");
        assert!(folder("third").exists() && users_own.join("a.jpg").exists());

        let none = store(0);
        none.keep_on_disk((once("d"), once("fifth")), &image);
        assert!(
            folder("third").exists() && !folder("fifth").exists(),
            "no budget: nothing is written or removed"
        );
    }
}
