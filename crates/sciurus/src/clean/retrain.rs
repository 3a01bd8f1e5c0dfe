//! Measures what cleaning achieved: trains before and after, and compares both models on the same reviewed photos.
//!
//! In: the decisions, and settings to train with. Out: two runs to train, then a [`Comparison`]. Both models are measured with
//! the decided labels, because a wrong label in the validation set counts a right prediction as a mistake and would hide the
//! effect of cleaning.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sciurus_clean::plan::{Journal, moved};
use sciurus_data::Split;
use sciurus_insight::{Comparison, compare_many};
use walkdir::WalkDir;

use super::Cleaner;
use crate::Error;
use crate::run::{Run, RunSettings, TrainSettings};

/// Two runs that show what cleaning achieved.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrain {
    /// Settings and folder of the run on the photos as they are.
    pub before: (TrainSettings, PathBuf),
    /// The same with the decisions applied.
    pub after: (TrainSettings, PathBuf),
    /// Photos with a decision.
    pub decided: usize,
    /// How many of them change.
    pub changes: usize,
    /// Photos of the validation set with a decision.
    pub reviewed: usize,
    /// Photos in the validation set.
    pub valid: usize,
}

impl Retrain {
    /// Writes the decisions as a plan beside `folder`, and prepares both runs: `FOLDER-before` and `FOLDER-after`.
    ///
    /// # Errors
    /// Nothing has been decided yet, or the plan cannot be written.
    pub fn prepare(
        cleaner: &Cleaner,
        journal: &Journal,
        settings: &TrainSettings,
        folder: &Path,
    ) -> Result<Self, Error> {
        if journal.decisions().is_empty() {
            let reason = "nothing has been decided yet; review the photos first".to_owned();
            return Err(Error::Run { path: journal.path().to_owned(), reason });
        }
        let mut plan = cleaner.plan()?;
        // Undecided photos stay as they are, because a proposal is not a decision.
        let decided = journal.corrections();
        plan.items.retain(|item| decided.find(&item.path, &item.content).is_some());
        plan.decide(journal.decisions());
        let valid: HashSet<&Path> = cleaner.dataset().split(Split::Valid).map(|item| &*item.path).collect();
        let file = Self::beside(folder, "plan").with_extension("json");
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(|source| Error::io(parent, source))?;
        }
        plan.save(&file)?;
        let with =
            |plan| TrainSettings { run: RunSettings { plan, ..settings.run.clone() }, ..settings.clone() };
        Ok(Self {
            before: (with(None), Self::beside(folder, "before")),
            after: (with(Some(file)), Self::beside(folder, "after")),
            decided: plan.items.len(),
            changes: plan.changes().count(),
            reviewed: plan.items.iter().filter(|item| valid.contains(&*item.path)).count(),
            valid: valid.len(),
        })
    }

    /// Where a part of the experiment lies: `FOLDER-WHAT`.
    #[must_use]
    pub fn beside(folder: &Path, what: &str) -> PathBuf {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        folder.with_file_name(format!("{name}-{what}"))
    }

    /// Compares both runs once they are trained. The first one is measured with the decided labels too.
    ///
    /// # Errors
    /// A run did not finish, or its photos are multi-label.
    pub fn compare(&self) -> Result<Comparison, Error> {
        let after = Run::open(&self.after.1)?.predictions()?;
        let before = Run::open(&self.before.1)?.predictions()?.measured_as(&after)?;
        Ok(compare_many(&[before], &[after])?)
    }
}

/// Lays out a folder of photos in `into` as it was before files were moved by decisions, as links to the photos. Returns how many
/// files are elsewhere now; `None`, and nothing is made, if none is.
///
/// # Errors
/// The log of moves is not ours, or `into` cannot be written.
pub fn as_it_was(folder: &Path, into: &Path) -> Result<Option<usize>, Error> {
    let moved = moved(folder)?;
    if moved.is_empty() {
        return Ok(None);
    }
    let root = std::path::absolute(folder).map_err(|source| Error::io(folder, source))?;
    let is_left_out = |path: &Path| {
        path.iter().any(|part| part.as_encoded_bytes().first().is_some_and(|first| *first == b'.'))
    };
    // The links may lie in the folder of photos itself.
    let links = std::path::absolute(into).map_err(|source| Error::io(into, source))?;
    let entries = WalkDir::new(&root).into_iter().filter_entry(|entry| entry.path() != links);
    let files = entries.flatten().filter(|entry| !entry.file_type().is_dir());
    for file in files {
        let now = file.path().strip_prefix(&root).unwrap_or(file.path());
        let before = moved.get(now).map_or(now, PathBuf::as_path);
        if is_left_out(before) {
            continue;
        }
        let place = into.join(before);
        let made =
            place.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| link(file.path(), &place));
        made.map_err(|source| Error::io(&place, source))?;
    }
    Ok(Some(moved.len()))
}

#[cfg(unix)]
fn link(photo: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(photo, place)
}

/// Symbolic links need a privilege on Windows.
#[cfg(not(unix))]
fn link(photo: &Path, place: &Path) -> std::io::Result<()> {
    std::fs::hard_link(photo, place).or_else(|_| std::fs::copy(photo, place).map(drop))
}
