//! What was decided, one line of JSON each, only ever appended to. A decision that was acknowledged survives a kill at any byte.

use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use sciurus_data::fs::{InsidePath, LineFormat, Lines, Root};
use sciurus_data::{ContentHash, CorrectedFile, Corrections};
use serde::{Deserialize, Serialize};

use super::{CleanAction, is_copy};
use crate::error::CleanError;

/// The journal of a data set, in its folder.
const IN_FOLDER: &str = ".sciurus/decisions.jsonl";

const FORMAT: LineFormat =
    LineFormat { name: "decisions", what: "journal of decisions", doing: "writing decisions" };

/// What somebody decided about an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of the image's bytes: the decision holds wherever and under whatever name the same bytes lie, unless it was
    /// about which of several copies to keep.
    pub content: ContentHash,
    /// What is to become of it.
    pub action: CleanAction,
    /// The label it had.
    pub old: String,
    /// The label it gets, if it is relabelled.
    pub new: Option<String>,
    /// What seemed to be wrong with it most.
    #[serde(default)]
    pub issue: Option<String>,
    /// How surely something was wrong with it, by the model (0..=1).
    pub score: f64,
    /// The model that said so.
    pub model: String,
    /// When, as RFC 3339.
    pub time: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Decided(Decision),
    /// The last decision that was not undone is undone.
    Undone {
        path: PathBuf,
        content: ContentHash,
        time: String,
    },
}

/// The decisions that were not undone, in order. The last one about an image counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions(Vec<Decision>);

impl Decisions {
    /// Reads the journal of a data set's folder, beside a process that writes it too; none without one.
    ///
    /// # Errors
    /// The journal cannot be read, or was not written by this user's Sciurus on this machine.
    pub fn of_folder(folder: &Path) -> Result<Self, CleanError> {
        let place = JournalPlace::of_folder(folder)?;
        place.map_or_else(|| Ok(Self::default()), |place| place.read())
    }

    /// What was decided about a folder's photos, in its journal or the one that is named. Decisions that somebody else left in the
    /// folder count for nothing; why is the second value.
    ///
    /// # Errors
    /// The journal that is named cannot be read, or is not ours.
    pub fn at(folder: &Path, journal: Option<&Path>) -> Result<(Self, Option<CleanError>), CleanError> {
        match journal {
            Some(file) => Ok((Self::read(file)?, None)),
            None => Ok(Self::of_folder(folder)
                .map_or_else(|error| (Self::default(), Some(error)), |own| (own, None))),
        }
    }

    /// The same of a journal elsewhere.
    ///
    /// # Errors
    /// As [`Decisions::of_folder`].
    pub fn read(path: &Path) -> Result<Self, CleanError> {
        // Its folder may not be there either.
        if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Self::default());
        }
        JournalPlace::of_file(path)?.read()
    }

    /// What was decided, as corrections of the data set.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        Corrections::new(self.iter().map(|decision| CorrectedFile {
            path: decision.path.clone(),
            content: decision.content,
            correction: decision.action.correction(decision.new.as_ref()),
            as_copy: decision.issue.as_deref().is_some_and(is_copy),
        }))
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Decided(decision) => self.0.push(decision),
            Entry::Undone { .. } => drop(self.0.pop()),
        }
    }
}

impl FromIterator<Entry> for Decisions {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut decisions = Self::default();
        entries.into_iter().for_each(|entry| decisions.take(entry));
        decisions
    }
}

impl Deref for Decisions {
    type Target = [Decision];

    fn deref(&self) -> &[Decision] {
        &self.0
    }
}

/// The decisions about a data set, and the file they are added to: `decisions.jsonl`. It has one writer at a time.
#[derive(Debug)]
pub struct Journal {
    lines: Lines,
    decisions: Decisions,
}

impl Journal {
    /// Opens the journal of a data set's folder, `.sciurus/decisions.jsonl`, or begins it. The half of a line that a kill left
    /// at its end was never acknowledged, and is removed.
    ///
    /// # Errors
    /// The file cannot be read or written, another process writes to it, or it is not this user's.
    pub fn of_folder(folder: &Path) -> Result<Self, CleanError> {
        let root = Root::open(folder)?;
        let path = InsidePath::ours(IN_FOLDER);
        JournalPlace { root, path }.open()
    }

    /// The journal of a folder, or the one that is named, begun if there is none.
    ///
    /// # Errors
    /// As [`Journal::of_folder`].
    pub fn at(folder: &Path, journal: Option<&Path>) -> Result<Self, CleanError> {
        journal.map_or_else(|| Self::of_folder(folder), Self::open)
    }

    /// The same of a journal elsewhere, in a folder that is made if need be.
    ///
    /// # Errors
    /// As [`Journal::of_folder`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CleanError> {
        let path = path.as_ref();
        Root::create(path.parent().unwrap_or(Path::new("")))?;
        JournalPlace::of_file(path)?.open()
    }

    /// Writes a decision down. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; the decision does not count then.
    pub fn decide(&mut self, decision: Decision) -> Result<(), CleanError> {
        let entry = Entry::Decided(decision);
        self.lines.append(&entry)?;
        self.decisions.take(entry);
        Ok(())
    }

    /// Takes the last decision back and returns it; the one before it about the same image counts again.
    ///
    /// # Errors
    /// The file cannot be written; the decision stands then.
    pub fn undo(&mut self, time: &str) -> Result<Option<Decision>, CleanError> {
        let Some(last) = self.decisions.last().cloned() else { return Ok(None) };
        let entry = Entry::Undone { path: last.path.clone(), content: last.content, time: time.to_owned() };
        self.lines.append(&entry)?;
        self.decisions.take(entry);
        Ok(Some(last))
    }

    /// What was decided, as corrections of the data set.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        self.decisions.corrections()
    }

    /// All decisions that were not undone, in order.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lines.place()
    }
}

/// Where a journal is.
pub(super) struct JournalPlace {
    root: Root,
    path: InsidePath,
}

impl JournalPlace {
    /// In a data set's folder; none if the folder has no state at all.
    pub(super) fn of_folder(folder: &Path) -> Result<Option<Self>, CleanError> {
        let root = Root::open(folder)?;
        let path = InsidePath::ours(IN_FOLDER);
        Ok(root.is_free(&path).map_or(true, |free| !free).then_some(Self { root, path }))
    }

    /// A file that somebody named.
    pub(super) fn of_file(path: &Path) -> Result<Self, CleanError> {
        let (root, path) = Root::of_file(path)?;
        Ok(Self { root, path })
    }

    /// Believes a journal that somebody else wrote; says how many entries there are.
    pub(super) fn adopt(&self) -> Result<usize, CleanError> {
        Ok(Lines::adopt::<Entry>(&self.root, &self.path, FORMAT)?)
    }

    fn read(&self) -> Result<Decisions, CleanError> {
        let entries = Lines::read::<Entry>(&self.root, &self.path, FORMAT)?;
        Ok(entries.into_iter().flatten().collect())
    }

    fn open(&self) -> Result<Journal, CleanError> {
        let (lines, entries) = Lines::open(&self.root, &self.path, FORMAT)?;
        Ok(Journal { lines, decisions: entries.into_iter().collect() })
    }
}
