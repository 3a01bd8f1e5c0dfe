//! What is to become of the images of a data set. In: suggestions and decisions. Out: a [`CleanPlan`] that people and programs
//! read, a [`Journal`] of what was decided, and files that are moved and can be moved back ([`apply`], [`undo`]).

mod journal;
mod log;
mod moves;
mod table;

pub use journal::{Decision, Decisions, Journal};
pub use moves::{Applied, Left, apply, recover, undo};

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use sciurus_data::fs::{InsidePath, OutputKind, Root, read_regular, write_whole};
use sciurus_data::{ContentHash, CorrectedFile, Correction, Corrections};
use serde::{Deserialize, Serialize};

use crate::error::CleanError;
use crate::issue::Issue;
use sciurus_insight::InsightError;

/// Folder of state inside a data set; names with a dot are no classes.
const STATE_FOLDER: &str = ".sciurus";
/// Bytes of a plan at most: one of a million images has a third of that.
const LARGEST: u64 = 1 << 30;

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

/// A plan's file: the plan, and the hash that tells one that somebody edited, which is not replaced unasked, from one that
/// nobody did.
#[derive(Serialize, Deserialize)]
struct PlanFile<P> {
    #[serde(flatten)]
    plan: P,
    checksum: ContentHash,
}

impl CleanPlan {
    /// A plan for a folder.
    pub fn new(folder: impl Into<PathBuf>, model: impl Into<String>, items: Vec<PlanItem>) -> Self {
        Self { format: FORMAT, folder: folder.into(), model: model.into(), items }
    }

    /// Writes the file, as Parquet (a row for each image) if its name ends so, else as JSON; it appears under its name only when
    /// complete.
    ///
    /// # Errors
    /// It cannot be written, or a path is no Unicode.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CleanError> {
        let path = path.as_ref();
        if table::is_table(path) {
            return table::save(self, path);
        }
        let failed = |error: serde_json::Error| {
            CleanError::Insight(InsightError::Write { path: path.to_owned(), source: error.into() })
        };
        let file = PlanFile { plan: self, checksum: self.hash().map_err(failed)? };
        let json = serde_json::to_string_pretty(&file).map_err(failed)? + "\n";
        Ok(write_whole(path, |file| file.write_all(json.as_bytes()))?)
    }

    /// A plan as this program wrote it, to be told from one that was edited and from any other file.
    pub const OUTPUT: OutputKind = OutputKind { what: "a plan", is_ours: is_untouched };

    /// Reads a plan and checks that it can do no harm: paths stay inside the folder, new labels are names of folders.
    ///
    /// # Errors
    /// The file cannot be read, is no plan or a newer one's, or an item makes no sense.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CleanError> {
        let path = path.as_ref();
        let refuse = |reason: String| CleanError::Plan { path: path.to_owned(), reason };
        let plan: Self = if table::is_table(path) {
            table::load(path)?
        } else {
            let bytes = read_regular(path, LARGEST)
                .map_err(|source| InsightError::Read { path: path.to_owned(), source })?;
            serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?
        };
        if plan.format > FORMAT {
            return Err(refuse(format!("it has format {}, this version reads up to {FORMAT}", plan.format)));
        }
        plan.items.iter().try_for_each(PlanItem::check).map_err(refuse)?;
        Ok(plan)
    }

    fn hash(&self) -> Result<ContentHash, serde_json::Error> {
        Ok(ContentHash::of(&serde_json::to_vec(self)?))
    }

    /// Puts what was decided in the place of what was suggested; images that moved are known by their content. Returns how
    /// many items were decided.
    pub fn decide(&mut self, decisions: &Decisions) -> usize {
        let corrections = decisions.corrections();
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
        InsidePath::new(&self.path).map_err(|error| error.to_string())?;
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

/// Whether a plan is as it was written.
fn is_untouched(bytes: &[u8]) -> bool {
    // Nobody edits Parquet by hand; that a file is of ours must do.
    let is_table = bytes.starts_with(b"PAR1") && table::is_ours(bytes);
    let is_unchanged = |file: PlanFile<CleanPlan>| file.plan.hash().is_ok_and(|hash| hash == file.checksum);
    is_table || serde_json::from_slice(bytes).is_ok_and(is_unchanged)
}

impl PlanItem {
    /// Whether nobody needs to look: a copy with equal pixels and the same label, or a file that cannot be read.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        let has = |issue: Issue| self.issues.iter().any(|found| found.name == issue.name());
        self.action == CleanAction::SetAside
            && (has(Issue::Unreadable) || (has(Issue::ExactDuplicate) && !has(Issue::AcrossClasses)))
    }
}

/// Believes the state that a folder brought: its log of moves, and its journal or the one that is named. Says how many entries
/// they have that were not this user's.
///
/// # Errors
/// A file of state is damaged, or is something else.
pub fn trust_state(folder: &Path, journal: Option<&Path>) -> Result<usize, CleanError> {
    let moves = if log::is_missing(folder) { 0 } else { log::Log::adopt(&Root::open(folder)?)? };
    let place = match journal {
        Some(path) => Some(journal::JournalPlace::of_file(path)?),
        None => journal::JournalPlace::of_folder(folder)?,
    };
    Ok(moves + place.map_or(Ok(0), |place| place.adopt())?)
}

/// Whether a label can be the name of a class folder.
fn is_label(label: &str) -> bool {
    let mut parts = Path::new(label).components();
    let is_one_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == label);
    is_one_name
        && InsidePath::new(label).is_ok()
        && !label.starts_with(['_', '.'])
        && !label.contains(['/', '\\', '\0'])
}
