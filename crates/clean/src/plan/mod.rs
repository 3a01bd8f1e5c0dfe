//! What happens to each image of a data set. In: suggestions and decisions. Out: a [`CleanPlan`] for people and programs to
//! read, a [`Journal`] of decisions, and files that are moved and can be moved back ([`apply`], [`undo`]).

mod journal;
mod log;
mod moves;
mod question;
mod table;

pub use journal::{Decision, Decisions, Journal};
pub use moves::{Applied, Left, apply, moved, recover, undo};
pub use question::question;

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use sciurus_data::fs::{InsidePath, OutputKind, Root, read_regular, write_whole};
use sciurus_data::{ContentHash, CorrectedFile, Correction, Corrections};
use serde::{Deserialize, Serialize};

use crate::error::CleanError;
use crate::issue::Issue;
use sciurus_insight::InsightError;

/// Folder for state inside a data set. Folders whose name begins with a dot are never classes.
const STATE_FOLDER: &str = ".sciurus";
/// Most bytes of a plan; a plan for a million images has a third of that.
const LARGEST: u64 = 1 << 30;

/// Version of the plan that this build writes, and the newest it reads.
const FORMAT: u32 = 1;

/// What happens to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CleanAction {
    /// It stays as it is.
    Keep,
    /// It gets another label.
    Relabel,
    /// It leaves the data set. Its file is moved, not deleted.
    SetAside,
}

/// One image of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanItem {
    /// The file, relative to the data set's folder.
    pub path: PathBuf,
    /// Fingerprint of its bytes when they were looked at. A file that has changed since is left alone.
    pub content: ContentHash,
    /// Its present label.
    pub label: String,
    /// What happens to it.
    pub action: CleanAction,
    /// The new label, if it is relabelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How certain it is that something is wrong with it (0..=1, 1 = certain).
    pub score: f64,
    /// The issues that were found, the worst first.
    pub issues: Vec<IssueScore>,
    /// The evidence for them in words; without an issue, what was seen instead. Never empty.
    pub reason: String,
    /// Items with the same number form one card and are decided together: copies of each other, or similar outliers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<usize>,
    /// The label it probably should have, if its own may be wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<Suggestion>,
    /// Whether somebody decided the action. Otherwise it's a proposal, which [`apply`] leaves alone.
    #[serde(default)]
    pub decided: bool,
}

/// A suggested label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The label.
    pub label: String,
    /// Its probability (0..=1), from a model that was not trained on the image.
    pub probability: f64,
}

/// One issue of an image, with its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssueScore {
    /// Its name, such as `label` or `near_duplicate`.
    pub name: String,
    /// How certain it is (0..=1, 1 = certain).
    pub score: f64,
}

/// What happens to each image of a folder, worst first. It is saved as a JSON file with a few lines per item, made to be read,
/// edited and diffed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanPlan {
    /// Version of the file format.
    format: u32,
    /// The data set's folder.
    pub folder: PathBuf,
    /// The model that made the suggestions.
    pub model: String,
    /// The images, worst first.
    pub items: Vec<PlanItem>,
}

/// The plan as it is saved, with a hash that shows whether somebody has edited it. An edited plan is not overwritten unless the
/// user asks for it.
#[derive(Serialize, Deserialize)]
struct PlanFile<P> {
    #[serde(flatten)]
    plan: P,
    checksum: ContentHash,
}

impl CleanPlan {
    /// A plan for a folder, from items that are sorted worst first. The folder should be absolute: the plan is applied to no
    /// other.
    pub fn new(folder: impl Into<PathBuf>, model: impl Into<String>, items: Vec<PlanItem>) -> Self {
        Self { format: FORMAT, folder: folder.into(), model: model.into(), items }
    }

    /// The items that don't stay as they are, worst first.
    pub fn changes(&self) -> impl Iterator<Item = &PlanItem> {
        self.items.iter().filter(|item| item.action != CleanAction::Keep)
    }

    /// The changes that somebody decided, worst first.
    pub fn decided(&self) -> impl Iterator<Item = &PlanItem> {
        self.changes().filter(|item| item.decided)
    }

    /// How many changes are proposals that nobody decided.
    #[must_use]
    pub fn proposals(&self) -> usize {
        self.changes().filter(|item| !item.decided).count()
    }

    /// Decides everything that is still a proposal as it is proposed: for those who ask for it.
    pub fn accept_proposals(&mut self) {
        self.items.iter_mut().for_each(|item| item.decided = true);
    }

    /// Writes the plan: as Parquet (one row per image) if the file's name ends in `.parquet`, else as JSON. The file appears
    /// under its name only when complete.
    ///
    /// # Errors
    /// It cannot be written, or a path is not Unicode.
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

    /// Recognises a plan that nobody has edited since this program wrote it, so that only such a file is overwritten.
    pub const OUTPUT: OutputKind = OutputKind { what: "a plan", is_ours: is_untouched };

    /// Reads a plan and checks that it is harmless: paths stay inside the folder, and new labels are folder names.
    ///
    /// # Errors
    /// The file cannot be read, is not a plan, was written by a newer version, or contains an item that cannot be used.
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
            return Err(refuse(format!(
                "it has format {}, and this version reads up to {FORMAT}",
                plan.format
            )));
        }
        plan.items.iter().try_for_each(PlanItem::check).map_err(refuse)?;
        Ok(plan)
    }

    fn hash(&self) -> Result<ContentHash, serde_json::Error> {
        Ok(ContentHash::of(&serde_json::to_vec(self)?))
    }

    /// Replaces suggestions by decisions. Images that were moved are recognised by their content. Returns how many items were
    /// decided.
    pub fn decide(&mut self, decisions: &Decisions) -> usize {
        let corrections = decisions.corrections();
        let mut decided = 0;
        for item in &mut self.items {
            let Some(correction) = corrections.find(&item.path, &item.content) else { continue };
            (item.action, item.to) = match correction.clone() {
                Correction::Keep => (CleanAction::Keep, None),
                // It was carried out: the image lies where it belongs.
                Correction::Relabel(label) if label == item.label => (CleanAction::Keep, None),
                Correction::Relabel(label) => (CleanAction::Relabel, Some(label)),
                Correction::LeaveOut => (CleanAction::SetAside, None),
            };
            item.decided = true;
            decided += 1;
        }
        decided
    }

    /// The plan as corrections of a data set, for training without moving files.
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
    /// The action as a correction; `to` is the new label.
    fn correction(self, to: Option<&String>) -> Correction {
        match (self, to) {
            (Self::Relabel, Some(label)) => Correction::Relabel(label.clone()),
            (Self::SetAside, _) => Correction::LeaveOut,
            (Self::Keep | Self::Relabel, _) => Correction::Keep,
        }
    }
}

/// Whether an issue is about copies. A decision about one copy then does not apply to the others, although their content is
/// the same.
fn is_copy(issue: &str) -> bool {
    let copies = [Issue::ExactDuplicate, Issue::NearDuplicate, Issue::AcrossClasses, Issue::AcrossSplits];
    copies.iter().any(|copy| copy.name() == issue)
}

impl PlanItem {
    /// Checks that its path stays inside the folder and its new label is usable.
    fn check(&self) -> Result<(), String> {
        let shown = self.path.display();
        InsidePath::new(&self.path).map_err(|error| error.to_string())?;
        match (self.action, &self.to) {
            (CleanAction::Relabel, None) => {
                Err(format!("`{shown}` has the action `relabel` but no new label; give one in `to`"))
            }
            (CleanAction::Relabel, Some(label)) if !is_label(label) => Err(format!(
                "`{shown}`: `{label}` cannot be a label; use a folder name that does not begin with _ or ."
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a plan is unchanged since it was written.
fn is_untouched(bytes: &[u8]) -> bool {
    // Nobody edits Parquet by hand, so it is enough that the table is one of ours.
    let is_table = bytes.starts_with(b"PAR1") && table::is_ours(bytes);
    let is_unchanged = |file: PlanFile<CleanPlan>| file.plan.hash().is_ok_and(|hash| hash == file.checksum);
    is_table || serde_json::from_slice(bytes).is_ok_and(is_unchanged)
}

impl PlanItem {
    /// Whether it can be set aside without review: a copy with equal pixels and the same label, or a broken picture.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        let has = |issue: Issue| self.issues.iter().any(|found| found.name == issue.name());
        self.action == CleanAction::SetAside
            && (has(Issue::Unreadable) || (has(Issue::ExactDuplicate) && !has(Issue::AcrossClasses)))
    }
}

/// Trusts the state that came with a folder: its log of moves, and `journal` or its own journal. Returns how many entries were
/// not this user's.
///
/// # Errors
/// A state file is damaged, or is something else.
pub fn trust_state(folder: &Path, journal: Option<&Path>) -> Result<usize, CleanError> {
    let moves = if log::is_missing(folder) { 0 } else { log::Log::adopt(&Root::open(folder)?)? };
    let place = match journal {
        Some(path) => Some(journal::JournalPlace::of_file(path)?),
        None => journal::JournalPlace::of_folder(folder)?,
    };
    Ok(moves + place.map_or(Ok(0), |place| place.adopt())?)
}

/// Whether a label can be a class folder's name.
fn is_label(label: &str) -> bool {
    let mut parts = Path::new(label).components();
    let is_one_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == label);
    is_one_name
        && InsidePath::new(label).is_ok()
        && !label.starts_with(['_', '.'])
        && !label.contains(['/', '\\', '\0'])
}
