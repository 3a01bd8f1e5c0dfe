//! The folder of photos that are kept. In: photos that arrived. Out: files under safe names, never over another one, each
//! with an entry in the ledger; and what the folder holds when a run begins.
//!
//! A photo is kept in three steps: its bytes lie in a file of ours, its entry is written, its file gets its name. A run
//! killed between the last two is finished by the next one, so there is never a photo without an entry.

use crate::error::GatherError;
use crate::ledger::{Ledger, LedgerEntry, file_hash};
use crate::names;
use crate::source::FoundImage;
use jiff::Timestamp;
use sciurus_data::{
    ContentHash, DecodeLimits, DuplicateOptions, KnownReports, PixelReport, Sameness, SeenPhotos,
    inspect_pixels,
};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempPath;

/// The folder of files that are not decided yet.
pub(crate) const PARTS: &str = ".gather-parts";

/// What is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    root: PathBuf,
    ledger: Ledger,
    seen: SeenPhotos,
    /// The file of each photo in `seen`.
    files: Vec<String>,
    /// Content of photos whose files are gone: not to be kept again.
    gone: HashMap<ContentHash, String>,
}

impl Kept {
    /// What the folder of this ledger holds; finishes what a killed run had begun.
    pub(crate) fn open(
        root: &Path,
        ledger: &Ledger,
        (options, limits): (DuplicateOptions, &DecodeLimits),
    ) -> Result<Self, GatherError> {
        let parts = root.join(PARTS);
        fs::create_dir_all(&parts).map_err(|source| GatherError::io("write", &parts, source))?;
        finish(root, &parts, ledger)?;
        let ledger = ledger.refreshed(root)?;
        let mut kept = Self {
            root: root.to_owned(),
            ledger,
            seen: SeenPhotos::new(options),
            files: Vec::new(),
            gone: HashMap::new(),
        };
        kept.look(limits);
        Ok(kept)
    }

    /// Looks at all photos that are there, in the ledger's order.
    fn look(&mut self, limits: &DecodeLimits) {
        let paths: Vec<PathBuf> =
            self.ledger.entries().iter().map(|entry| entry.file.clone().into()).collect();
        let found = inspect_pixels(&self.root, &paths, &KnownReports::new(), limits, |_| {});
        for file in &found.files {
            self.remember(&file.report, file.path.to_string_lossy().replace('\\', "/"));
        }
        let there: HashSet<ContentHash> = found.files.iter().map(|file| file.report.content).collect();
        let missing = self.ledger.entries().iter().filter(|entry| !there.contains(&entry.hash));
        self.gone = missing.map(|entry| (entry.hash, entry.file.clone())).collect();
    }

    fn remember(&mut self, report: &PixelReport, file: String) {
        self.seen.push(report);
        self.files.push(file);
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the file of an entry lies in its class's folder.
    pub(crate) fn is_in(&self, entry: &LedgerEntry, folder: &str) -> bool {
        let inside = entry.file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        inside && self.root.join(&entry.file).is_file()
    }

    /// The file that a photo is a copy of, and in what.
    pub(crate) fn copy_of(&self, report: &PixelReport) -> Option<(String, Sameness)> {
        if let Some(file) = self.gone.get(&report.content) {
            return Some((file.clone(), Sameness::Bytes));
        }
        let (place, sameness) = self.seen.copy_of(report)?;
        Some((self.files.get(place).cloned().unwrap_or_default(), sameness))
    }

    /// Keeps a photo, whose bytes lie in `part`.
    pub(crate) fn keep(
        &mut self,
        photo: &Photo<'_>,
        part: TempPath,
        now: SystemTime,
    ) -> Result<String, GatherError> {
        let folder = self.root.join(photo.folder);
        fs::create_dir_all(&folder).map_err(|source| GatherError::io("write", &folder, source))?;
        let file = self.free_name(photo);
        self.ledger.append(photo.entry(file.clone(), now))?;
        rename(part, &self.root.join(&file))?;
        self.remember(photo.report, file.clone());
        Ok(file)
    }

    /// A name that no file has.
    fn free_name(&self, photo: &Photo<'_>) -> String {
        let (stem, folder) = (names::stem(photo.image), photo.folder);
        let ending = photo.report.format.extensions().first().copied().unwrap_or("jpg");
        let mut name = format!("{folder}/{stem}.{ending}");
        let mut number = 2;
        while self.root.join(&name).symlink_metadata().is_ok() {
            name = format!("{folder}/{stem}-{number}.{ending}");
            number += 1;
        }
        name
    }
}

/// A photo that is to be kept.
#[derive(Debug)]
pub(crate) struct Photo<'p> {
    pub(crate) class: &'p str,
    pub(crate) folder: &'p str,
    pub(crate) image: &'p FoundImage,
    pub(crate) report: &'p PixelReport,
}

impl Photo<'_> {
    fn entry(&self, file: String, now: SystemTime) -> LedgerEntry {
        let image = self.image.clone();
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let time = Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default();
        LedgerEntry {
            file,
            class: self.class.to_owned(),
            url: image.image_url,
            landing_url: image.landing_url,
            licence: image.licence,
            licence_url: image.licence_url,
            creator: image.creator,
            attribution: image.attribution,
            hash: self.report.content,
            width: self.report.width,
            height: self.report.height,
            time: time.to_string(),
            source: image.source,
            source_id: image.source_id,
        }
    }
}

/// Gives a file its name in one step, unless the name is taken.
pub(crate) fn rename(part: TempPath, place: &Path) -> Result<(), GatherError> {
    part.persist_noclobber(place).map_err(|error| GatherError::io("write", place, error.error))
}

/// Gives files their names whose entries were written before the run was killed, and removes what was not decided.
fn finish(root: &Path, parts: &Path, ledger: &Ledger) -> Result<(), GatherError> {
    let wrong = |source| GatherError::io("list", parts, source);
    let mut undecided = HashMap::new();
    for part in fs::read_dir(parts).map_err(wrong)? {
        let path = part.map_err(wrong)?.path();
        if let Some(hash) = file_hash(&path) {
            undecided.insert(hash, path);
        }
    }
    for entry in ledger.entries() {
        let place = root.join(&entry.file);
        if place.symlink_metadata().is_err()
            && let Some(part) = undecided.remove(&entry.hash)
        {
            rename(TempPath::try_from_path(part).map_err(wrong)?, &place)?;
        }
    }
    for part in fs::read_dir(parts).map_err(wrong)? {
        let path = part.map_err(wrong)?.path();
        fs::remove_file(&path).map_err(|source| GatherError::io("remove", &path, source))?;
    }
    Ok(())
}
