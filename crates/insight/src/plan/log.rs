//! The log of a folder's moves: what a batch is about to do is on the disk before it does it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Advice, Lines};
use crate::InsightError;

/// Folder inside the data set; names with a dot are no classes.
pub(super) const FOLDER: &str = ".sciurus";

/// One file, relative to the data set's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
}

/// Files that move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// The batch that this one takes back.
    pub(super) undoes: Option<u64>,
    pub(super) moves: Vec<Move>,
    /// Folders that did not exist before: made by a batch, and removed by the one that takes it back.
    pub(super) folders: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    /// About to be done.
    Begun(Batch),
    /// Done.
    Done { number: u64 },
    /// Every move of it was taken back.
    RolledBack { number: u64 },
}

/// The log, held by one process at a time.
#[derive(Debug)]
pub(super) struct Log {
    lines: Lines,
    entries: Vec<Entry>,
}

impl Log {
    /// Opens the log of a data set's folder, and begins it if need be.
    pub(super) fn open(root: &Path) -> Result<Self, InsightError> {
        let folder = root.join(FOLDER);
        let advice = Advice {
            busy: "another process is moving files here; wait until it is done",
            damaged: "restore the file from a backup",
        };
        // Half a line at its end: its batch had moved nothing yet, or its end is found out again.
        let opened = fs::create_dir_all(&folder)
            .map_err(|source| InsightError::Write { path: folder.clone(), source })
            .and_then(|()| Lines::open(folder.join("moves.jsonl"), advice));
        match opened {
            Ok((lines, entries)) => Ok(Self { lines, entries }),
            Err(InsightError::Write { source, .. })
                if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                Err(InsightError::ReadOnly { path: root.to_owned(), source })
            }
            Err(error) => Err(error),
        }
    }

    /// The batch that was begun and neither done nor rolled back.
    pub(super) fn unfinished(&self) -> Option<Batch> {
        match self.entries.last() {
            Some(Entry::Begun(batch)) => Some(batch.clone()),
            _ => None,
        }
    }

    /// The last batch that was done, is no undoing, and was not taken back.
    pub(super) fn last_applied(&self) -> Option<Batch> {
        let is_done = |number: u64| self.entries.contains(&Entry::Done { number });
        let batches = || {
            self.entries.iter().filter_map(|entry| match entry {
                Entry::Begun(batch) if is_done(batch.number) => Some(batch),
                _ => None,
            })
        };
        let is_undone = |number: u64| batches().any(|batch| batch.undoes == Some(number));
        batches().rfind(|batch| batch.undoes.is_none() && !is_undone(batch.number)).cloned()
    }

    /// Writes down what is about to happen, and returns it with its number.
    pub(super) fn begin(&mut self, mut batch: Batch) -> Result<Batch, InsightError> {
        batch.number =
            self.entries.iter().filter(|entry| matches!(entry, Entry::Begun(_))).count() as u64 + 1;
        self.append(Entry::Begun(batch.clone()))?;
        Ok(batch)
    }

    pub(super) fn done(&mut self, number: u64) -> Result<(), InsightError> {
        self.append(Entry::Done { number })
    }

    pub(super) fn rolled_back(&mut self, number: u64) -> Result<(), InsightError> {
        self.append(Entry::RolledBack { number })
    }

    fn append(&mut self, entry: Entry) -> Result<(), InsightError> {
        self.lines.append(&entry)?;
        self.entries.push(entry);
        Ok(())
    }
}
