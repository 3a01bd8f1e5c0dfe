//! The ledger of a folder of photos: where each came from and under what licence. In: entries, one by one. Out:
//! `ledger.jsonl` next to the photos. Photos are found again by content after they were moved.

mod attribution;
mod counts;
mod error;
mod licence;
mod lines;
mod source_id;
pub mod text;

pub use attribution::{ATTRIBUTION_FILE, attribution, follow_moves, write_attribution};
pub use counts::licences;
pub use error::LedgerError;
pub use licence::{Licence, NotALicence};
pub use source_id::{NotASource, SourceId};

use lines::Tail;
use sciurus_data::ContentHash;
use sciurus_data::fs::{InsidePath, Lock, Root, read_regular};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use url::Url;
use walkdir::WalkDir;

/// One photo that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The file relative to the folder, with `/` between its parts.
    pub file: String,
    /// The class it was gathered for.
    pub class: String,
    /// Where it was downloaded from.
    pub url: Url,
    /// The page that shows it.
    pub landing_url: Option<Url>,
    /// Its licence.
    pub licence: Licence,
    /// The text of the licence.
    pub licence_url: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// A sentence that gives credit.
    pub attribution: Option<String>,
    /// Fingerprint of the file's bytes, as an [`ImageItem`](sciurus_data::ImageItem) has it.
    pub hash: ContentHash,
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// When it was kept, such as `2026-11-24T12:00:00Z`.
    pub time: String,
    /// The source that found it.
    pub source: SourceId,
    /// Its id at the source; empty if it has none.
    pub source_id: String,
}

/// The entries of a ledger file, in the order in which they were written.
///
/// ```
/// use sciurus_photos::Ledger;
///
/// let folder = tempfile::tempdir()?;
/// let ledger = Ledger::open(folder.path())?;
/// assert!(ledger.entries().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    path: PathBuf,
    entries: Vec<LedgerEntry>,
}

impl Ledger {
    /// Reads a ledger file. A last line that was cut short, for example by a crash, is skipped.
    ///
    /// # Errors
    /// The file can't be read, or a line other than the last is not an entry.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, LedgerError> {
        let path = path.into();
        let (root, name) = Root::of_file(&path)?;
        let missing = || LedgerError::io("read", &path, std::io::ErrorKind::NotFound.into());
        let entries = lines::read(&root, &name, Tail::Leave)?.ok_or_else(missing)?;
        Ok(Self { path, entries })
    }

    /// The ledger of a folder, for appending; empty if there is none yet. A last line that was cut short is removed.
    ///
    /// # Errors
    /// As for [`Ledger::read`], except that the file may be missing.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let path = folder.as_ref().join(LEDGER_FILE);
        let (root, name) = Root::of_file(&path)?;
        let entries = lines::read(&root, &name, Tail::Mend)?.unwrap_or_default();
        Ok(Self { path, entries })
    }

    /// The photos that were kept, in order.
    #[must_use]
    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// Adds an entry at the end of the file.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn append(&mut self, entry: LedgerEntry) -> Result<(), LedgerError> {
        let (root, name) = Root::of_file(&self.path)?;
        lines::append(&root, &name, &entry)?;
        self.entries.push(entry);
        Ok(())
    }

    /// The same ledger with each file where it is now: files that were moved are found below `root` by their content.
    /// Entries whose file is gone stay as they are. Nothing is written; see [`Ledger::save`].
    ///
    /// # Errors
    /// The folder can't be listed.
    pub fn refreshed(&self, root: impl AsRef<Path>) -> Result<Self, LedgerError> {
        let root = &Root::open(root)?;
        let missing: Vec<usize> = (0..self.entries.len()).filter(|&at| !self.is_there(root, at)).collect();
        if missing.is_empty() {
            return Ok(self.clone());
        }
        let claimed: HashSet<&str> = (0..self.entries.len())
            .filter(|at| missing.binary_search(at).is_err())
            .map(|at| self.entries[at].file.as_str())
            .collect();
        let mut places = contents(root.path(), &claimed)?;
        let mut refreshed = self.clone();
        for at in missing {
            let entry = &mut refreshed.entries[at];
            if let Some(place) = places.get_mut(&entry.hash).and_then(Vec::pop) {
                entry.file = place;
            }
        }
        Ok(refreshed)
    }

    fn is_there(&self, root: &Root, at: usize) -> bool {
        let entry = &self.entries[at];
        entry.place().is_some_and(|place| content_hash(root, &place) == Some(entry.hash))
    }

    /// Rewrites all entries; the file appears whole or not at all.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn save(&self) -> Result<(), LedgerError> {
        let (root, name) = Root::of_file(&self.path)?;
        let write = |file: &mut dyn Write| {
            self.entries.iter().try_for_each(|entry| file.write_all(&lines::line(entry)))
        };
        Ok(root.write(&name, |file| write(file))?)
    }
}

impl LedgerEntry {
    /// The file as a path inside the folder; `None` if the ledger's path leads elsewhere, or to a file of state. A
    /// ledger may come from anywhere.
    #[must_use]
    pub fn place(&self) -> Option<InsidePath> {
        InsidePath::portable(&self.file).ok().filter(|place| !place.is_hidden())
    }
}

/// The name of the ledger in a data set's folder: one line of JSON per photo.
pub const LEDGER_FILE: &str = "ledger.jsonl";

/// The name of the lock of a folder while photos are gathered into it.
const LOCK_FILE: &str = ".gather.lock";

/// Makes sure that only one process writes a folder's ledger, while the lock is held.
///
/// # Errors
/// Another process holds it, or it can't be written.
pub fn lock_gathering(root: &Root) -> Result<Lock, LedgerError> {
    let lock = Lock::take(root, &InsidePath::ours(LOCK_FILE), "gathering photos")?;
    root.sweep();
    Ok(lock)
}

/// Largest file that is read; no photo is larger.
const LARGEST_FILE: u64 = 1 << 30;

/// The fingerprint of a file in the folder; `None` if it can't be read.
pub fn content_hash(root: &Root, path: &InsidePath) -> Option<ContentHash> {
    root.read(path, LARGEST_FILE).ok().map(|bytes| ContentHash::of(&bytes))
}

/// Files below a folder by their content, with some exceptions. Of files with equal content, the first by name comes
/// last.
fn contents(root: &Path, but_for: &HashSet<&str>) -> Result<HashMap<ContentHash, Vec<String>>, LedgerError> {
    let mut found: HashMap<ContentHash, Vec<String>> = HashMap::new();
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().first() == Some(&b'.');
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        let entry = entry.map_err(|error| LedgerError::io("list", root, error.into()))?;
        let Some(place) = entry.file_type().is_file().then(|| place(root, entry.path())).flatten() else {
            continue;
        };
        if but_for.contains(place.as_str()) {
            continue;
        }
        if let Ok(bytes) = read_regular(entry.path(), LARGEST_FILE) {
            found.entry(ContentHash::of(&bytes)).or_default().push(place);
        }
    }
    found.values_mut().for_each(|places| places.reverse());
    Ok(found)
}

/// A path relative to the folder, with `/` between its parts.
fn place(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.strip_prefix(root).ok()?.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

/// Asks the operating system to write a folder's ledger to disk.
pub fn sync_ledger(root: &Root) {
    if let Ok(file) = root.reader(&InsidePath::ours(LEDGER_FILE)) {
        // What a power cut loses is downloaded again; nothing depends on this.
        let _ = file.sync_all();
    }
}
