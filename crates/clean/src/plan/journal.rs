//! The journal of decisions: one line of JSON each, append-only. A decision that was acknowledged survives a kill at any byte.

use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use sciurus_data::fs::{InsidePath, LineFormat, Lines, Root};
use sciurus_data::{ContentHash, CorrectedFile, Corrections};
use serde::{Deserialize, Serialize};

use super::{CleanAction, is_copy};
use crate::error::CleanError;

/// The journal's path inside a data set's folder.
const IN_FOLDER: &str = ".sciurus/decisions.jsonl";

const FORMAT: LineFormat =
    LineFormat { name: "decisions", what: "journal of decisions", doing: "writing decisions" };

/// What somebody decided about an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of the image's bytes. The decision applies to the same bytes under any path, unless it was about which of
    /// several copies to keep.
    pub content: ContentHash,
    /// What happens to it.
    pub action: CleanAction,
    /// The label it had.
    pub old: String,
    /// The label it gets, if it is relabelled.
    pub new: Option<String>,
    /// The worst issue that was found with it.
    #[serde(default)]
    pub issue: Option<String>,
    /// The model's score for that issue (0..=1, 1 = certain).
    pub score: f64,
    /// The model that gave the score.
    pub model: String,
    /// When it was decided, as RFC 3339.
    pub time: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    Decided(Decision),
    /// Undoes the last decision that still stands.
    Undone {
        path: PathBuf,
        content: ContentHash,
        time: String,
    },
}

/// The decisions that still stand, in order. The last one about an image counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions(Vec<Decision>);

impl Decisions {
    /// Reads the journal of a data set's folder, even while another process writes it. Empty if there is no journal.
    ///
    /// # Errors
    /// The journal cannot be read, or was not written by this user's Sciurus on this machine.
    pub fn of_folder(folder: &Path) -> Result<Self, CleanError> {
        let place = JournalPlace::of_folder(folder)?;
        place.map_or_else(|| Ok(Self::default()), |place| place.read())
    }

    /// The decisions about a folder's photos, from its own journal or from `journal`. Decisions that somebody else left in the
    /// folder are ignored; the second value then says why.
    ///
    /// # Errors
    /// `journal` cannot be read, or was not written by this user's Sciurus on this machine.
    pub fn at(folder: &Path, journal: Option<&Path>) -> Result<(Self, Option<CleanError>), CleanError> {
        match journal {
            Some(file) => Ok((Self::read(file)?, None)),
            None => Ok(Self::of_folder(folder)
                .map_or_else(|error| (Self::default(), Some(error)), |own| (own, None))),
        }
    }

    /// Reads a journal elsewhere. Empty if there is no such file.
    ///
    /// # Errors
    /// As [`Decisions::of_folder`].
    pub fn read(path: &Path) -> Result<Self, CleanError> {
        // Asked first, because the folder may be missing too, and opening it would be an error.
        if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Self::default());
        }
        JournalPlace::of_file(path)?.read()
    }

    /// The decisions as corrections of the data set.
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

/// The decisions about a data set, and the file they are appended to: `decisions.jsonl`. It has one writer at a time.
#[derive(Debug)]
pub struct Journal {
    lines: Lines,
    decisions: Decisions,
}

impl Journal {
    /// Opens the journal of a data set's folder, `.sciurus/decisions.jsonl`, or creates it. If a kill left half a line at its
    /// end, that line was never acknowledged, and is removed.
    ///
    /// # Errors
    /// The file cannot be read or written, another process is writing to it, or it does not belong to this user.
    pub fn of_folder(folder: &Path) -> Result<Self, CleanError> {
        let root = Root::open(folder)?;
        let path = InsidePath::ours(IN_FOLDER);
        JournalPlace { root, path }.open()
    }

    /// Opens `journal`, or the folder's own; creates it if there is none.
    ///
    /// # Errors
    /// As [`Journal::of_folder`].
    pub fn at(folder: &Path, journal: Option<&Path>) -> Result<Self, CleanError> {
        journal.map_or_else(|| Self::of_folder(folder), Self::open)
    }

    /// Opens a journal elsewhere; creates it, and its folder, if necessary.
    ///
    /// # Errors
    /// As [`Journal::of_folder`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CleanError> {
        let path = path.as_ref();
        Root::create(path.parent().unwrap_or(Path::new("")))?;
        JournalPlace::of_file(path)?.open()
    }

    /// Records a decision. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; the decision then does not count.
    pub fn decide(&mut self, decision: Decision) -> Result<(), CleanError> {
        let entry = Entry::Decided(decision);
        self.lines.append(&entry)?;
        self.decisions.take(entry);
        Ok(())
    }

    /// Records several decisions. When this returns, they are on the disk, which was waited for once.
    ///
    /// # Errors
    /// The file cannot be written; those before the failure count.
    pub fn decide_all(&mut self, decisions: impl IntoIterator<Item = Decision>) -> Result<(), CleanError> {
        let mut decisions = decisions.into_iter().peekable();
        while let Some(decision) = decisions.next() {
            let entry = Entry::Decided(decision);
            match decisions.peek() {
                Some(_) => self.lines.append_lightly(&entry)?,
                None => self.lines.append(&entry)?,
            }
            self.decisions.take(entry);
        }
        Ok(())
    }

    /// Undoes the last decision and returns it; an earlier one about the same image counts again.
    ///
    /// # Errors
    /// The file cannot be written; the decision then stands.
    pub fn undo(&mut self, time: &str) -> Result<Option<Decision>, CleanError> {
        let Some(last) = self.decisions.last().cloned() else { return Ok(None) };
        let entry = Entry::Undone { path: last.path.clone(), content: last.content, time: time.to_owned() };
        self.lines.append(&entry)?;
        self.decisions.take(entry);
        Ok(Some(last))
    }

    /// The decisions as corrections of the data set.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        self.decisions.corrections()
    }

    /// All decisions that still stand, in order.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The journal's file.
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
    /// The journal in a data set's folder; `None` if the folder has none.
    pub(super) fn of_folder(folder: &Path) -> Result<Option<Self>, CleanError> {
        let root = Root::open(folder)?;
        let path = InsidePath::ours(IN_FOLDER);
        Ok(root.is_free(&path).map_or(true, |free| !free).then_some(Self { root, path }))
    }

    /// A journal that the user named.
    pub(super) fn of_file(path: &Path) -> Result<Self, CleanError> {
        let (root, path) = Root::of_file(path)?;
        Ok(Self { root, path })
    }

    /// Trusts a journal that somebody else wrote; returns how many entries it has.
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
