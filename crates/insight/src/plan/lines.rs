//! A file of JSON lines that is only ever appended to, by one process at a time. A line that was acknowledged survives a kill at any
//! byte. The journal of decisions and the log of moves are such files.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::InsightError;

/// Tries to lock a file, and pauses between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// What errors about a file say, besides its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    /// Where another process writes to it.
    pub(super) busy: &'static str,
    /// Where a line is none of its own.
    pub(super) damaged: &'static str,
}

/// The file, open and locked.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Opens a file, or begins one, and returns what its lines say. The half of a line that a kill left at its end was never
    /// acknowledged, and is removed.
    ///
    /// # Errors
    /// The file cannot be read or written, another process writes to it, or a line is none of its own.
    pub(super) fn open<T: DeserializeOwned>(
        path: PathBuf,
        advice: Advice,
    ) -> Result<(Self, Vec<T>), InsightError> {
        let write = |source| InsightError::Write { path: path.clone(), source };
        let file = File::options().read(true).append(true).create(true).open(&path).map_err(write)?;
        match lock(&file) {
            Err(TryLockError::WouldBlock) => {
                return Err(InsightError::Lines { path, reason: advice.busy.to_owned() });
            }
            // Some network drives know no locks.
            Err(TryLockError::Error(error)) if error.kind() != ErrorKind::Unsupported => {
                return Err(write(error));
            }
            _ => {}
        }
        let text = fs::read(&path).map_err(|source| InsightError::Read { path: path.clone(), source })?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64).map_err(write)?;
        let lines =
            text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let parse = |(number, line)| {
            serde_json::from_slice(line).map_err(|error| InsightError::Lines {
                path: path.clone(),
                reason: format!("line {}: {error}; {}", number + 1, advice.damaged),
            })
        };
        let entries = lines.map(parse).collect::<Result<_, _>>()?;
        Ok((Self { path, file }, entries))
    }

    /// Appends a line. When this returns, it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; it then ends as it did before.
    pub(super) fn append(&mut self, entry: &impl Serialize) -> Result<(), InsightError> {
        let failed = |source| InsightError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let length = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|source| {
            // Half a line must not stand before the next one.
            let _ = self.file.set_len(length);
            failed(source)
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Locks a file, waiting a little: a process that this one has just begun may hold its handles for a moment.
fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}
