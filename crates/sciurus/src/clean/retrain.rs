//! Measures what cleaning achieved: trains before and after, and compares both models on the same reviewed photos.
//!
//! In: the decisions, and settings to train with. Out: two runs to train, then a [`Comparison`]. Both models are measured with
//! the decided labels, because a wrong label in the validation set counts a right prediction as a mistake and would hide the
//! effect of cleaning.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sciurus_clean::plan::Journal;
use sciurus_data::Split;
use sciurus_insight::{Comparison, compare_many};

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
        let named = |what: &str| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            folder.with_file_name(format!("{name}-{what}"))
        };
        let file = named("plan").with_extension("json");
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(|source| Error::io(parent, source))?;
        }
        plan.save(&file)?;
        let with =
            |plan| TrainSettings { run: RunSettings { plan, ..settings.run.clone() }, ..settings.clone() };
        Ok(Self {
            before: (with(None), named("before")),
            after: (with(Some(file)), named("after")),
            decided: plan.items.len(),
            changes: plan.changes().count(),
            reviewed: plan.items.iter().filter(|item| valid.contains(&*item.path)).count(),
            valid: valid.len(),
        })
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
