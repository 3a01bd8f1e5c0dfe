//! What was decided, one line of JSON each, only ever appended to. A decision that was acknowledged survives a kill at any byte.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sciurus_data::ContentHash;
use serde::{Deserialize, Serialize};

use super::CleanAction;
use crate::InsightError;

/// What somebody decided about an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Fingerprint of the image's bytes: the decision holds wherever and under whatever name the same bytes lie.
    pub content: ContentHash,
    /// What is to become of it.
    pub action: CleanAction,
    /// The label it had.
    pub old: String,
    /// The label it gets, if it is relabelled.
    pub new: Option<String>,
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
        content: ContentHash,
        time: String,
    },
}

/// The decisions about a data set: `decisions.jsonl`.
///
/// The last decision about an image counts. One process writes at a time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// In order, without those that were undone.
    decisions: Vec<Decision>,
    /// Place of the last decision about each image.
    last: HashMap<ContentHash, usize>,
}

impl Journal {
    /// Opens a journal, or begins one. The half of a line that a kill left at its end was never acknowledged, and is removed.
    ///
    /// # Errors
    /// The file cannot be read or written, another process writes to it, or a line is none of a journal's.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, InsightError> {
        let path = path.into();
        let write = |source| InsightError::Write { path: path.clone(), source };
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(write)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(InsightError::Journal {
                    path,
                    reason: "another process is writing to it; wait until it is done".into(),
                });
            }
            Err(TryLockError::Error(error)) if error.kind() != std::io::ErrorKind::Unsupported => {
                return Err(write(error));
            }
            _ => {}
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|source| InsightError::Read { path: path.clone(), source })?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(write)?;
        let mut journal = Self { path: path.clone(), file, decisions: Vec::new(), last: HashMap::new() };
        for (number, line) in
            text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty())
        {
            let entry = serde_json::from_slice(line).map_err(|error| InsightError::Journal {
                path: path.clone(),
                reason: format!(
                    "line {}: {error}; restore the file, or move it away to begin anew",
                    number + 1
                ),
            })?;
            journal.take(entry);
        }
        Ok(journal)
    }

    /// Writes a decision down. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; the decision does not count then.
    pub fn decide(&mut self, decision: Decision) -> Result<(), InsightError> {
        let entry = Entry::Decided(decision);
        self.append(&entry)?;
        self.take(entry);
        Ok(())
    }

    /// Takes the last decision back and returns it; the one before it about the same image counts again.
    ///
    /// # Errors
    /// The file cannot be written; the decision stands then.
    pub fn undo(&mut self, time: &str) -> Result<Option<Decision>, InsightError> {
        let Some(last) = self.decisions.last().cloned() else { return Ok(None) };
        let entry = Entry::Undone { content: last.content, time: time.to_owned() };
        self.append(&entry)?;
        self.take(entry);
        Ok(Some(last))
    }

    /// What was decided about an image.
    #[must_use]
    pub fn decision(&self, content: &ContentHash) -> Option<&Decision> {
        self.last.get(content).map(|place| &self.decisions[*place])
    }

    /// All decisions that were not undone, in order.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, entry: &Entry) -> Result<(), InsightError> {
        let failed = |source| InsightError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let place = self.file.stream_position().map_err(failed)?;
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|source| {
            // Half a line must not stand before the next one.
            let _ =
                self.file.set_len(place).and_then(|()| self.file.seek(SeekFrom::Start(place)).map(|_| ()));
            failed(source)
        })
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Decided(decision) => {
                self.last.insert(decision.content, self.decisions.len());
                self.decisions.push(decision);
            }
            Entry::Undone { .. } => {
                let Some(undone) = self.decisions.pop() else { return };
                let before = self.decisions.iter().rposition(|earlier| earlier.content == undone.content);
                match before {
                    Some(place) => self.last.insert(undone.content, place),
                    None => self.last.remove(&undone.content),
                };
            }
        }
    }
}
