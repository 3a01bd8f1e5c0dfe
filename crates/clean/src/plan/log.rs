//! The log of a folder's moves. What a batch is about to do is on the disk before it happens.

use std::collections::HashSet;
use std::path::Path;

use sciurus_data::ContentHash;
use sciurus_data::fs::{FileError, InsidePath, LineFormat, Lines, Root};
use serde::{Deserialize, Serialize};

use crate::error::CleanError;

const FORMAT: LineFormat = LineFormat { name: "moves", what: "log of moves", doing: "moving files" };

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) from: InsidePath,
    pub(super) to: InsidePath,
    /// Its content, which tells it from another file that has taken one of its names since.
    pub(super) content: ContentHash,
}

/// Files that move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) number: u64,
    /// The batch that this one undoes.
    pub(super) undoes: Option<u64>,
    pub(super) moves: Vec<Move>,
    /// Old paths of files of the undone batch that no longer exist. Later undos don't look for them again.
    #[serde(default)]
    pub(super) given_up: Vec<InsidePath>,
    /// Folders that a batch creates, and that the batch undoing it removes.
    pub(super) folders: Vec<InsidePath>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    /// A batch is about to be carried out.
    Begun(Batch),
    /// A batch was carried out, except for the moves at these places.
    Done {
        number: u64,
        #[serde(default)]
        left: Vec<usize>,
    },
    /// Every move of a batch was reversed.
    RolledBack { number: u64 },
}

/// The log, held by one process at a time.
#[derive(Debug)]
pub(super) struct Log {
    lines: Lines,
    entries: Vec<Entry>,
}

impl Log {
    /// Opens the log of a data set's folder; creates it if necessary.
    pub(super) fn open(root: &Root) -> Result<Self, CleanError> {
        let path = path();
        // Half a line at the end may be cut off: either its batch had moved nothing yet, or the recovery will find out again
        // that the batch is complete.
        let (lines, entries) = Lines::open(root, &path, FORMAT).map_err(|error| match error {
            // Name the data folder, because that is what the user must make writable.
            FileError::ReadOnly { source, .. } => {
                FileError::ReadOnly { path: root.path().to_owned(), source }
            }
            other => other,
        })?;
        Ok(Self { lines, entries })
    }

    /// Whether a batch was begun and not finished. Writes nothing.
    pub(super) fn is_unfinished(root: &Root) -> Result<bool, CleanError> {
        let entries = Lines::read(root, &path(), FORMAT)?;
        Ok(matches!(entries.as_deref(), Some([.., Entry::Begun(_)])))
    }

    /// Trusts a log that somebody else wrote; returns how many entries it has.
    pub(super) fn adopt(root: &Root) -> Result<usize, CleanError> {
        Ok(Lines::adopt::<Entry>(root, &path(), FORMAT)?)
    }

    /// The batch that was begun and neither done nor rolled back.
    pub(super) fn unfinished(&self) -> Option<Batch> {
        match self.entries.last() {
            Some(Entry::Begun(batch)) => Some(batch.clone()),
            _ => None,
        }
    }

    /// The last finished batch that is not itself an undo and still has moves to undo; with only those moves.
    pub(super) fn last_applied(&self) -> Option<Batch> {
        let done: Vec<_> = self.done().filter(|(batch, _)| batch.undoes.is_none()).collect();
        done.into_iter().rev().find_map(|(batch, left)| {
            let moves = self.standing(batch, left);
            (!moves.is_empty()).then(|| Batch { moves, ..batch.clone() })
        })
    }

    /// The moves of all batches that still stand, in the order in which they were made.
    pub(super) fn applied(&self) -> Vec<Move> {
        let done = self.done().filter(|(batch, _)| batch.undoes.is_none());
        done.flat_map(|(batch, left)| self.standing(batch, left)).collect()
    }

    /// The finished batches, each with the places of the moves that were not made.
    fn done(&self) -> impl Iterator<Item = (&Batch, &[usize])> {
        self.entries.iter().filter_map(|entry| {
            let Entry::Done { number, left } = entry else { return None };
            let begun = self.entries.iter().find_map(|entry| match entry {
                Entry::Begun(batch) if batch.number == *number => Some(batch),
                _ => None,
            });
            Some((begun?, &left[..]))
        })
    }

    /// The moves of a batch that were made, and neither undone since nor given up.
    fn standing(&self, batch: &Batch, left: &[usize]) -> Vec<Move> {
        let undone: Vec<_> =
            self.done().filter(|(undoing, _)| undoing.undoes == Some(batch.number)).collect();
        // Old paths of files that went back, or were given up.
        let settled: HashSet<&InsidePath> = undone
            .iter()
            .flat_map(|(undoing, left)| made(undoing, left).map(|back| &back.from).chain(&undoing.given_up))
            .collect();
        made(batch, left).filter(|moved| !settled.contains(&moved.to)).cloned().collect()
    }

    /// Records what is about to happen, and returns the batch with its number.
    pub(super) fn begin(&mut self, mut batch: Batch) -> Result<Batch, CleanError> {
        batch.number =
            self.entries.iter().filter(|entry| matches!(entry, Entry::Begun(_))).count() as u64 + 1;
        self.append(Entry::Begun(batch.clone()))?;
        Ok(batch)
    }

    pub(super) fn done_but_for(&mut self, number: u64, left: Vec<usize>) -> Result<(), CleanError> {
        self.append(Entry::Done { number, left })
    }

    pub(super) fn rolled_back(&mut self, number: u64) -> Result<(), CleanError> {
        self.append(Entry::RolledBack { number })
    }

    fn append(&mut self, entry: Entry) -> Result<(), CleanError> {
        self.lines.append(&entry)?;
        self.entries.push(entry);
        Ok(())
    }
}

/// The moves of a batch except those at the places in `left`.
fn made<'b>(batch: &'b Batch, left: &[usize]) -> impl Iterator<Item = &'b Move> {
    let left: HashSet<usize> = left.iter().copied().collect();
    batch.moves.iter().enumerate().filter(move |(place, _)| !left.contains(place)).map(|(_, moved)| moved)
}

fn path() -> InsidePath {
    InsidePath::ours(".sciurus/moves.jsonl")
}

/// Whether a folder has no log, and so nothing to finish.
pub(super) fn is_missing(root: &Path) -> bool {
    root.join(super::STATE_FOLDER).symlink_metadata().is_err()
}
