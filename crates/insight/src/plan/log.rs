//! The log of a folder's moves: what a batch is about to do is on the disk before it does it.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Log {
    /// Opens the log of a data set's folder, and begins it if need be.
    pub(super) fn open(root: &Path) -> Result<Self, InsightError> {
        let folder = root.join(FOLDER);
        let refuse = |path: &Path, source: std::io::Error| match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                InsightError::ReadOnly { path: root.to_owned(), source }
            }
            _ => InsightError::Write { path: path.to_owned(), source },
        };
        fs::create_dir_all(&folder).map_err(|source| refuse(&folder, source))?;
        let path = folder.join("moves.jsonl");
        let file = File::options().read(true).append(true).create(true).open(&path);
        let file = file.map_err(|source| refuse(&path, source))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(InsightError::Moves {
                    path,
                    reason: "another process is moving files here; wait until it is done".into(),
                });
            }
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
                return Err(InsightError::Write { path, source: error });
            }
            _ => {}
        }
        let text = fs::read(&path).map_err(|source| InsightError::Read { path: path.clone(), source })?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        // Half a line: its batch had moved nothing yet, or its end is found out again.
        file.set_len(whole as u64).map_err(|source| InsightError::Write { path: path.clone(), source })?;
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(|error| {
            InsightError::Moves {
                path: path.clone(),
                reason: format!("{error}; restore the file from a backup"),
            }
        })?;
        Ok(Self { path, file, entries })
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
        let failed = |source| InsightError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let length = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|source| {
            let _ = self.file.set_len(length);
            failed(source)
        })?;
        self.entries.push(entry);
        Ok(())
    }
}
