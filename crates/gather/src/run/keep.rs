//! The folder of kept photos. In: photos that were downloaded. Out: files under safe names, never over another one,
//! each with an entry in the ledger; and what the folder contains when a run begins.
//!
//! A photo is kept in three steps: write its bytes to a file of ours, write its ledger entry, give the file its name.
//! If a run is killed between the last two, the next one finishes the job, so there's never a photo without an entry.

use super::part::{self, Part};
use crate::error::GatherError;
use crate::names;
use crate::source::FoundImage;
use jiff::Timestamp;
use sciurus_data::fs::{InsidePath, Kind, Root};
use sciurus_data::{ContentHash, DecodeLimits};
use sciurus_photos::{DuplicateOptions, KnownReports, PixelReport, Sameness, SeenPhotos, inspect_pixels};
use sciurus_photos::{Ledger, LedgerEntry};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// The photos that are kept.
#[derive(Debug)]
pub(crate) struct Kept {
    root: Arc<Root>,
    ledger: Ledger,
    seen: SeenPhotos,
    /// The file of each photo in `seen`.
    files: Vec<String>,
    /// Content of photos whose files were removed: they must not be kept again.
    gone: HashMap<ContentHash, String>,
}

impl Kept {
    /// What the folder of this ledger contains. Finishes what a killed run had begun.
    pub(crate) fn open(
        root: &Arc<Root>,
        ledger: &Ledger,
        (options, limits): (DuplicateOptions, &DecodeLimits),
    ) -> Result<Self, GatherError> {
        finish(root, ledger)?;
        let ledger = ledger.refreshed(root.path())?;
        let mut kept = Self {
            root: Arc::clone(root),
            ledger,
            seen: SeenPhotos::new(options),
            files: Vec::new(),
            gone: HashMap::new(),
        };
        kept.look(limits)?;
        Ok(kept)
    }

    /// Inspects all photos that are there, in the ledger's order.
    fn look(&mut self, limits: &DecodeLimits) -> Result<(), GatherError> {
        let is_file = |place: &InsidePath| matches!(self.root.kind(place), Ok(Some(Kind::File)));
        let places = self.ledger.entries().iter().filter_map(LedgerEntry::place).filter(is_file);
        let paths: Vec<PathBuf> = places.map(PathBuf::from).collect();
        let found = inspect_pixels(self.root.path(), &paths, &KnownReports::default(), limits, |_| {
            ControlFlow::Continue(())
        })?;
        for file in &found.files {
            self.remember(&file.report, file.path.to_string_lossy().replace('\\', "/"));
        }
        let there: HashSet<ContentHash> = found.files.iter().map(|file| file.report.content).collect();
        let missing = self.ledger.entries().iter().filter(|entry| !there.contains(&entry.hash));
        self.gone = missing.map(|entry| (entry.hash, entry.file.clone())).collect();
        Ok(())
    }

    fn remember(&mut self, report: &PixelReport, file: String) {
        self.seen.push(report);
        self.files.push(file);
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the file of an entry is in its class's folder.
    pub(crate) fn is_in(&self, entry: &LedgerEntry, folder: &str) -> bool {
        let inside = entry.file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        inside && entry.place().is_some_and(|place| matches!(self.root.kind(&place), Ok(Some(Kind::File))))
    }

    /// The file that a photo is a copy of, and in what they are the same.
    pub(crate) fn copy_of(&self, report: &PixelReport) -> Option<(String, Sameness)> {
        if let Some(file) = self.gone.get(&report.content) {
            return Some((file.clone(), Sameness::Bytes));
        }
        let (place, sameness) = self.seen.copy_of(report)?;
        Some((self.files.get(place).cloned().unwrap_or_default(), sameness))
    }

    /// Keeps a photo, whose bytes are in `part`. Returns the place of its entry in the ledger.
    pub(crate) fn keep(
        &mut self,
        photo: &Photo<'_>,
        part: Part,
        now: SystemTime,
    ) -> Result<usize, GatherError> {
        let wrong = |source| GatherError::io("write", &self.root.path().join(photo.folder), source);
        let folder = InsidePath::new(photo.folder).map_err(std::io::Error::other).map_err(wrong)?;
        self.root.create_folder(&folder).map_err(wrong)?;
        let (file, place) = self.free_name(photo).map_err(wrong)?;
        self.ledger.append(photo.entry(file.clone(), now))?;
        part.keep(&place)?;
        self.remember(photo.report, file);
        Ok(self.ledger.entries().len() - 1)
    }

    /// A free file name.
    fn free_name(&self, photo: &Photo<'_>) -> std::io::Result<(String, InsidePath)> {
        let (stem, folder) = (names::stem(photo.image), photo.folder);
        let ending = photo.report.format.extensions().first().copied().unwrap_or("jpg");
        let mut name = format!("{folder}/{stem}.{ending}");
        for number in 2_u64.. {
            let place = InsidePath::new(&name).map_err(std::io::Error::other)?;
            if self.root.is_free(&place)? {
                return Ok((name, place));
            }
            name = format!("{folder}/{stem}-{number}.{ending}");
        }
        Err(std::io::ErrorKind::AlreadyExists.into())
    }
}

/// A photo to be kept.
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

/// Gives files their names if their entries were written before the run was killed, and removes the undecided ones.
pub(crate) fn finish(root: &Arc<Root>, ledger: &Ledger) -> Result<(), GatherError> {
    let mut undecided = part::left(root)?;
    for entry in ledger.entries() {
        let free = |place: &InsidePath| root.is_free(place).unwrap_or(false);
        if let Some(place) = entry.place().filter(free)
            && let Some(part) = undecided.get_mut(&entry.hash).and_then(Vec::pop)
        {
            part.keep(&place)?;
        }
    }
    Ok(())
}
