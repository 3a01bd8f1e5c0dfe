//! What is to become of the images of a data set. In: suggestions and decisions. Out: a [`CleanPlan`] that people and programs
//! read, a [`Journal`] of what was decided, and files that are moved and can be moved back ([`apply`], [`undo`]).

mod files;
mod journal;
mod lines;
mod log;
mod moves;

pub use journal::{Decision, Journal};
pub use moves::{Applied, Left, apply, recover, undo};

use std::path::{Component, Path, PathBuf};

use sciurus_data::{ContentHash, CorrectedFile, Correction, Corrections};
use serde::{Deserialize, Serialize};

use crate::clean::Issue;
use crate::{InsightError, json_file};

/// Version of the plan that this build writes, and the newest it reads.
const FORMAT: u32 = 1;

/// What is to become of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CleanAction {
    /// It stays as it is.
    Keep,
    /// It gets another label.
    Relabel,
    /// It leaves the data set. Its file is moved, never deleted.
    SetAside,
}

/// One image of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanItem {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of its bytes: what was looked at. A file that has changed since is left alone.
    pub content: ContentHash,
    /// The label it has.
    pub label: String,
    /// What is to become of it.
    pub action: CleanAction,
    /// The new label, to relabel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How surely something is wrong with it (0..=1, 1 = surely wrong).
    pub score: f64,
    /// What was found, the worst first.
    pub issues: Vec<IssueScore>,
    /// The same in words.
    pub reason: String,
    /// Items with the same number are one card, to be looked at and decided together: copies of each other, or images
    /// that are alike and belong nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<usize>,
    /// The label it probably should have, where it may have a wrong one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<Suggestion>,
}

/// A label that an image may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The label.
    pub label: String,
    /// Its probability (0..=1), by a model that did not see the image.
    pub probability: f64,
}

/// One thing that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssueScore {
    /// Its name, such as `label` or `near_duplicate`.
    pub name: String,
    /// How surely (0..=1, 1 = surely).
    pub score: f64,
}

/// What is to become of the images of a folder, worst first. A JSON file with an item on a few lines, to be read, edited and
/// compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanPlan {
    /// Version of this file.
    format: u32,
    /// The data set's folder, as it was named.
    pub folder: PathBuf,
    /// What made the suggestions.
    pub model: String,
    /// The images, worst first.
    pub items: Vec<PlanItem>,
}

impl CleanPlan {
    /// A plan for a folder.
    pub fn new(folder: impl Into<PathBuf>, model: impl Into<String>, items: Vec<PlanItem>) -> Self {
        Self { format: FORMAT, folder: folder.into(), model: model.into(), items }
    }

    /// Writes the file; it appears under its name only when complete.
    ///
    /// # Errors
    /// It cannot be written, or a path is no Unicode.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InsightError> {
        json_file::save_pretty(path.as_ref(), self)
    }

    /// Reads a plan and checks that it can do no harm: paths stay inside the folder, new labels are names of folders.
    ///
    /// # Errors
    /// The file cannot be read, is no plan or a newer one's, or an item makes no sense.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InsightError> {
        let path = path.as_ref();
        let refuse = |reason: String| InsightError::Plan { path: path.to_owned(), reason };
        let bytes = json_file::bytes(path)?;
        let plan: Self = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        if plan.format > FORMAT {
            return Err(refuse(format!("it has format {}, this version reads up to {FORMAT}", plan.format)));
        }
        plan.items.iter().try_for_each(PlanItem::check).map_err(refuse)?;
        Ok(plan)
    }

    /// Puts what was decided in the place of what was suggested; images that moved are known by their content. Returns how
    /// many items were decided.
    pub fn decide(&mut self, journal: &Journal) -> usize {
        let corrections = journal.corrections();
        let mut decided = 0;
        for item in &mut self.items {
            let Some(correction) = corrections.find(&item.path, &item.content) else { continue };
            (item.action, item.to) = match correction.clone() {
                Correction::Keep => (CleanAction::Keep, None),
                Correction::Relabel(label) => (CleanAction::Relabel, Some(label)),
                Correction::LeaveOut => (CleanAction::SetAside, None),
            };
            decided += 1;
        }
        decided
    }

    /// The plan as corrections of a data set that is only read.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        Corrections::new(self.items.iter().map(|item| CorrectedFile {
            path: item.path.clone(),
            content: item.content,
            correction: item.action.correction(item.to.as_ref()),
            as_copy: item.issues.first().is_some_and(|issue| is_copy(&issue.name)),
        }))
    }
}

impl CleanAction {
    /// What it does to an image; `to` is the new label.
    fn correction(self, to: Option<&String>) -> Correction {
        match (self, to) {
            (Self::Relabel, Some(label)) => Correction::Relabel(label.clone()),
            (Self::SetAside, _) => Correction::LeaveOut,
            (Self::Keep | Self::Relabel, _) => Correction::Keep,
        }
    }
}

/// Whether an issue is that there is another copy, so that what becomes of one file says nothing of the other.
fn is_copy(issue: &str) -> bool {
    [Issue::ExactDuplicate, Issue::NearDuplicate].iter().any(|copy| copy.name() == issue)
}

impl PlanItem {
    /// What is wrong with it, if anything is.
    fn check(&self) -> Result<(), String> {
        let shown = self.path.display();
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if self.path.as_os_str().is_empty() || !inside(&self.path) {
            return Err(format!("`{shown}` leads out of the folder; paths are relative to it"));
        }
        match (self.action, &self.to) {
            (CleanAction::Relabel, None) => {
                Err(format!("`{shown}` is to be relabelled; say `to` which label"))
            }
            (CleanAction::Relabel, Some(label)) if !is_label(label) => Err(format!(
                "`{shown}`: `{label}` is no label; it must be the name of a folder, not beginning with _ or ."
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a label can be the name of a class folder.
fn is_label(label: &str) -> bool {
    let mut parts = Path::new(label).components();
    let is_one_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == label);
    is_one_name && !label.starts_with(['_', '.']) && !label.contains(['/', '\\', '\0'])
}
