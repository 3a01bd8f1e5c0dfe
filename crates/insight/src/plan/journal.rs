//! What was decided, one line of JSON each, only ever appended to. A decision that was acknowledged survives a kill at any byte.

use std::path::{Path, PathBuf};

use sciurus_data::{ContentHash, CorrectedFile, Corrections};
use serde::{Deserialize, Serialize};

use super::lines::{Advice, Lines};
use super::{CleanAction, is_copy};
use crate::InsightError;

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

/// The decisions about a data set: `decisions.jsonl`.
///
/// The last decision about an image counts. One process writes at a time.
#[derive(Debug)]
pub struct Journal {
    lines: Lines,
    /// In order, without those that were undone.
    decisions: Vec<Decision>,
}

impl Journal {
    /// Opens a journal, or begins one. The half of a line that a kill left at its end was never acknowledged, and is removed.
    ///
    /// # Errors
    /// The file cannot be read or written, another process writes to it, or a line is none of a journal's.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, InsightError> {
        let advice = Advice {
            busy: "another process is writing to it; wait until it is done",
            damaged: "restore the file, or move it away to begin anew",
        };
        let (lines, entries) = Lines::open(path.into(), advice)?;
        let mut journal = Self { lines, decisions: Vec::new() };
        entries.into_iter().for_each(|entry| journal.take(entry));
        Ok(journal)
    }

    /// Writes a decision down. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; the decision does not count then.
    pub fn decide(&mut self, decision: Decision) -> Result<(), InsightError> {
        let entry = Entry::Decided(decision);
        self.lines.append(&entry)?;
        self.take(entry);
        Ok(())
    }

    /// Takes the last decision back and returns it; the one before it about the same image counts again.
    ///
    /// # Errors
    /// The file cannot be written; the decision stands then.
    pub fn undo(&mut self, time: &str) -> Result<Option<Decision>, InsightError> {
        let Some(last) = self.decisions.last().cloned() else { return Ok(None) };
        let entry =
            Entry::Undone { path: last.path.clone(), content: last.content, time: time.to_owned() };
        self.lines.append(&entry)?;
        self.take(entry);
        Ok(Some(last))
    }

    /// What was decided, as corrections of the data set.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        Corrections::new(self.decisions.iter().map(|decision| CorrectedFile {
            path: decision.path.clone(),
            content: decision.content,
            correction: decision.action.correction(decision.new.as_ref()),
            as_copy: decision.issue.as_deref().is_some_and(is_copy),
        }))
    }

    /// All decisions that were not undone, in order.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lines.path()
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Decided(decision) => self.decisions.push(decision),
            Entry::Undone { .. } => drop(self.decisions.pop()),
        }
    }
}
