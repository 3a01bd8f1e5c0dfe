//! Carries a plan out on files, and undoes it. Nothing is deleted, nothing is overwritten, nothing outside the folder is
//! touched. After a crash, the next call finishes what was begun.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use sciurus_data::ContentHash;
use sciurus_data::fs::{FileError, InsidePath, Kind, Root};
use sciurus_photos::{LEDGER_FILE, follow_moves};
use serde::Serialize;

use super::log::{Batch, Log, Move, is_missing};
use super::{CleanAction, CleanPlan, PlanItem};
use crate::error::CleanError;

/// Where images that leave the data set go. Folders whose name begins with an underscore are never classes.
const SET_ASIDE: &str = "_set_aside";
/// Most bytes of a file that can be moved. It is read first, to check that it is the one that was looked at.
const LARGEST: u64 = 4 << 30;
/// Why a file stays: every name that it could have in the new folder is taken.
const NAME_TAKEN: &str = "all names it could have there are taken";

/// The result of carrying a plan out, or undoing it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Files that were moved: from, to, relative to the folder.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// Files that were left where they are, and why.
    pub left: Vec<Left>,
    /// Changes of the plan that were left because nobody decided them.
    #[serde(skip_serializing_if = "is_zero")]
    pub proposals: usize,
    /// Why the ledger of gathered photos still has their old paths; `None` if it was updated, or there is no ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Applied {
    /// Nothing was moved.
    fn nothing(left: Vec<Left>) -> Self {
        Self { left, ..Self::default() }
    }

    /// Updates the folder's ledger after the moves. The files are already in place by then, so it is not an error if the ledger
    /// cannot be written (because a `gather` is running in the folder): the next `gather` finds the files by their content.
    fn followed(mut self, root: &Root) -> Self {
        if !self.moved.is_empty() {
            self.ledger = follow_moves(root.path()).err().map(|error| error.to_string());
        }
        self
    }
}

/// A file that was left where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Moves the files of a plan whose change somebody decided: relabelled ones into the folder of the new label, set-aside ones into
/// `_set_aside/`. Proposals are counted and left; see [`CleanPlan::accept_proposals`]. An interrupted call is finished first. Files that have changed since the plan was made, links, files behind a link, and
/// missing files are left alone and listed.
///
/// # Errors
/// The plan is of another folder, the folder cannot be written, its log of moves is not ours, another process is moving files in it, or a move fails. In that
/// last case all moves of this call are reversed.
pub fn apply(plan: &CleanPlan, root: &Path) -> Result<Applied, CleanError> {
    let place = Place::of(plan, root);
    let other = || CleanError::OtherFolder { plan: plan.folder.clone(), folder: root.to_owned() };
    if place == Place::Other {
        return Err(other());
    }
    let root = Root::open(root)?;
    let mut log = Log::open(&root)?;
    finish(&mut log, &root)?;
    let mut names = Names::default();
    let (mut moves, mut left) = (Vec::new(), Vec::new());
    for item in plan.decided() {
        match planned(item, &root, &mut names) {
            Ok(planned) => moves.push(planned),
            Err(reason) => left.push(Left { path: item.path.clone(), reason }),
        }
    }
    if place == Place::Gone && moves.is_empty() && !left.is_empty() {
        return Err(other());
    }
    let folders = missing_folders(&moves, &root);
    let batch = Batch { number: 0, undoes: None, moves, given_up: Vec::new(), folders };
    Ok(Applied { proposals: plan.proposals(), ..carry_out(&mut log, &root, batch, left)? })
}

/// The folder of a plan, beside the one that it is to be applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Same,
    Other,
    /// It is not there any more: the data set may have been moved with its plan.
    Gone,
}

impl Place {
    fn of(plan: &CleanPlan, root: &Path) -> Self {
        match (plan.folder.canonicalize(), root.canonicalize()) {
            (Ok(of_plan), Ok(root)) if of_plan == root => Self::Same,
            (Ok(_), Ok(_)) => Self::Other,
            _ => Self::Gone,
        }
    }
}

/// Undoes the last [`apply`] that is not yet wholly undone: every file goes back to where it was. A file whose old path is taken
/// is left and listed, and waits for the next call; a missing one is listed once. Does nothing if there is nothing to undo.
///
/// # Errors
/// As [`apply`].
pub fn undo(root: &Path) -> Result<Applied, CleanError> {
    let root = Root::open(root)?;
    if is_missing(root.path()) {
        return Ok(Applied::default());
    }
    let mut log = Log::open(&root)?;
    finish(&mut log, &root)?;
    let Some(batch) = log.last_applied() else { return Ok(Applied::default()) };
    let (mut moves, mut given_up, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for Move { from, to, .. } in batch.moves.into_iter().rev() {
        match way_back(&root, &from, &to) {
            Ok(content) => moves.push(Move { from: to, to: from, content }),
            Err(reason) => {
                left.push(Left { path: to.clone().into(), reason: reason.text });
                given_up.extend(reason.is_final.then_some(to));
            }
        }
    }
    let back = Batch { number: 0, undoes: Some(batch.number), moves, given_up, folders: batch.folders };
    carry_out(&mut log, &root, back, left)
}

/// Where the files that were moved, and not moved back, lie now, and where each lay before the first move; relative to the folder.
///
/// # Errors
/// The log of moves is not ours, or cannot be read.
pub fn moved(root: &Path) -> Result<HashMap<PathBuf, PathBuf>, CleanError> {
    if is_missing(root) {
        return Ok(HashMap::new());
    }
    let mut before: HashMap<InsidePath, InsidePath> = HashMap::new();
    for Move { from, to, .. } in Log::open(&Root::open(root)?)?.applied() {
        let first = before.remove(&from).unwrap_or(from);
        before.insert(to, first);
    }
    Ok(before.into_iter().map(|(now, before)| (now.into(), before.into())).collect())
}

/// Finishes what a crash interrupted, if anything, and updates the ledger. [`apply`] and [`undo`] do this first.
///
/// # Errors
/// As [`apply`]. A folder whose log is not ours stays as it is.
pub fn recover(root: &Path) -> Result<Option<Applied>, CleanError> {
    // Without a log there is nothing to finish, and opening one would write to a folder that may be read-only.
    if is_missing(root) {
        return Ok(None);
    }
    let root = Root::open(root)?;
    if !Log::is_unfinished(&root)? {
        return Ok(None);
    }
    let mut log = Log::open(&root)?;
    let Some(batch) = log.unfinished() else { return Ok(None) };
    finished(&mut log, &root, batch, Vec::new()).map(Some)
}

fn finish(log: &mut Log, root: &Root) -> Result<(), CleanError> {
    let Some(batch) = log.unfinished() else { return Ok(()) };
    finished(log, root, batch, Vec::new()).map(drop)
}

fn carry_out(log: &mut Log, root: &Root, batch: Batch, left: Vec<Left>) -> Result<Applied, CleanError> {
    if batch.moves.is_empty() && batch.given_up.is_empty() {
        return Ok(Applied::nothing(left));
    }
    let batch = log.begin(batch)?;
    finished(log, root, batch, left)
}

/// Carries out a batch of the log as far as possible. `left` are files that were left before.
fn finished(log: &mut Log, root: &Root, batch: Batch, mut left: Vec<Left>) -> Result<Applied, CleanError> {
    let stayed: HashMap<usize, &str> = perform(log, root, &batch)?.into_iter().collect();
    let mut moved = Vec::new();
    for (place, Move { from, to, .. }) in batch.moves.into_iter().enumerate() {
        match stayed.get(&place) {
            Some(reason) => left.push(Left { path: from.into(), reason: (*reason).to_owned() }),
            None => moved.push((from.into(), to.into())),
        }
    }
    Ok(Applied { moved, left, ..Applied::default() }.followed(root))
}

/// The index of a move in its batch, and why it was not made.
type Stayed = (usize, &'static str);

/// Makes the remaining moves of a batch, or reverses all of them if one fails. Returns the moves that are no longer possible.
fn perform(log: &mut Log, root: &Root, batch: &Batch) -> Result<Vec<Stayed>, CleanError> {
    match forward(root, batch) {
        Ok(stayed) => {
            if batch.undoes.is_some() {
                remove_folders(root, &batch.folders);
            }
            log.done_but_for(batch.number, stayed.iter().map(|(place, _)| *place).collect())?;
            Ok(stayed)
        }
        Err((failed, error)) => {
            // If this fails too, the next call tries again, because the batch is still unfinished in the log. An error in
            // reversing a move that was never made does not matter: what stopped the move may stop its way back as well.
            for (place, moved) in batch.moves.iter().enumerate().rev() {
                let back = Move { from: moved.to.clone(), to: moved.from.clone(), content: moved.content };
                match step(root, &back) {
                    Err(error) if place < failed => return Err(error),
                    _ => {}
                }
            }
            if batch.undoes.is_none() {
                remove_folders(root, &batch.folders);
            }
            log.rolled_back(batch.number)?;
            Err(error)
        }
    }
}

/// Makes the moves in order. The error holds the index of the move that failed.
fn forward(root: &Root, batch: &Batch) -> Result<Vec<Stayed>, (usize, CleanError)> {
    let mut stayed = Vec::new();
    for (place, moved) in batch.moves.iter().enumerate() {
        if let Some(reason) = step(root, moved).map_err(|error| (place, error))? {
            stayed.push((place, reason));
        }
    }
    Ok(stayed)
}

/// Makes one move, unless it is already done; returns why it is no longer possible, if so. Between a crash and the call that
/// finishes its moves, people may have changed files, and what they did stands.
fn step(root: &Root, Move { from, to, content }: &Move) -> Result<Option<&'static str>, CleanError> {
    if from.is_hidden() || to.is_hidden() {
        return Ok(Some("its name begins with a dot, so it is not a photo"));
    }
    let failed = |path: &InsidePath, source| FileError::write(&root.place(path), source);
    let is_it =
        |path: &InsidePath| root.read(path, LARGEST).is_ok_and(|bytes| ContentHash::of(&bytes) == *content);
    let kinds = (
        root.kind(from).map_err(|source| failed(from, source))?,
        root.kind(to).map_err(|source| failed(to, source))?,
    );
    match kinds {
        (Some(Kind::File), None) => match root.move_new(from, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(NAME_TAKEN)),
            moved => Ok(moved.map(|()| None).map_err(|source| failed(to, source))?),
        },
        // A kill between the two halves of a move (link, then unlink) left both names.
        (Some(Kind::File), Some(_))
            if root.is_same_file(from, to).map_err(|source| failed(to, source))? =>
        {
            root.remove_file(from).map_err(|source| failed(from, source))?;
            Ok(None)
        }
        // It was already moved. A file with its old name came later.
        (_, Some(Kind::File)) if is_it(to) => Ok(None),
        (Some(_), Some(_)) => Ok(Some(NAME_TAKEN)),
        (Some(_), None) => Ok(Some("it is no longer a file")),
        (None, _) => Ok(Some("it no longer exists")),
    }
}

/// Names that a plan has used so far.
#[derive(Default)]
struct Names {
    from: HashSet<InsidePath>,
    to: HashSet<InsidePath>,
}

/// Where a file goes, or why it stays.
fn planned(item: &PlanItem, root: &Root, names: &mut Names) -> Result<Move, String> {
    let from = InsidePath::new(&item.path).map_err(|error| error.to_string())?;
    if is_ours(&from) {
        return Err("it is one of Sciurus's own files, or its name begins with a dot".to_owned());
    }
    if !names.from.insert(from.clone()) {
        return Err("it is in the plan twice; only the first entry counts".to_owned());
    }
    match root.kind(&from).map_err(|error| format!("it cannot be moved: {error}"))? {
        Some(Kind::File) => {}
        Some(Kind::Link) => {
            return Err("it is a symbolic link, which may break when moved; move it yourself".to_owned());
        }
        Some(_) => return Err("it is not a file".to_owned()),
        None => return Err("it no longer exists".to_owned()),
    }
    let bytes = root.read(&from, LARGEST).map_err(|error| format!("it cannot be read: {error}"))?;
    if ContentHash::of(&bytes) != item.content {
        return Err("it has changed since the plan was made; make a new plan".to_owned());
    }
    let wanted = match (item.action, &item.to) {
        (CleanAction::Relabel, Some(label)) => relabelled(&item.path, &item.label, label)?,
        _ => Path::new(SET_ASIDE).join(&item.path),
    };
    let to = free_name(&wanted, root, &names.to)?;
    names.to.insert(to.clone());
    Ok(Move { from, to, content: item.content })
}

/// The first free name for a file: `wanted`, or that name with a number.
fn free_name(wanted: &Path, root: &Root, taken: &HashSet<InsidePath>) -> Result<InsidePath, String> {
    for path in numbered(wanted) {
        let to = InsidePath::new(path).map_err(|error| error.to_string())?;
        let cannot = |error: io::Error| format!("it cannot be moved to {}: {error}", to.as_path().display());
        if !taken.contains(&to) && root.is_free(&to).map_err(cannot)? {
            return Ok(to);
        }
    }
    Err(NAME_TAKEN.to_owned())
}

/// Whether a path is one of our own files, which are never moved.
fn is_ours(path: &InsidePath) -> bool {
    path.is_hidden() || [LEDGER_FILE, "ATTRIBUTION.md"].iter().any(|name| path.as_path() == Path::new(name))
}

/// Why a file cannot go back.
struct NoWay {
    text: String,
    /// Whether trying again is pointless.
    is_final: bool,
}

/// The content of a file that can go back to where it was.
fn way_back(root: &Root, from: &InsidePath, to: &InsidePath) -> Result<ContentHash, NoWay> {
    let waits = |text: String| NoWay { text, is_final: false };
    let unclear = |error: io::Error| waits(format!("it cannot be moved back: {error}"));
    match root.kind(to).map_err(unclear)? {
        Some(Kind::File) => {}
        Some(_) => return Err(waits("it cannot be moved back: it is no longer a file".to_owned())),
        None => return Err(NoWay { text: "it no longer exists".to_owned(), is_final: true }),
    }
    if !root.is_free(from).map_err(unclear)? {
        let text = "it cannot be moved back: another file is there now; move that one, then undo again";
        return Err(waits(text.to_owned()));
    }
    root.read(to, LARGEST).map(|bytes| ContentHash::of(&bytes)).map_err(unclear)
}

/// The path with the new label: `train/red/a.jpg` becomes `train/grey/a.jpg`. Replaces the topmost folder named like the label.
fn relabelled(path: &Path, old: &str, new: &str) -> Result<PathBuf, String> {
    let mut parts: Vec<&std::ffi::OsStr> = path.iter().collect();
    let folders = parts.len() - 1;
    match parts[..folders].iter().position(|part| *part == old) {
        Some(place) => {
            parts[place] = new.as_ref();
            Ok(parts.iter().collect())
        }
        None => Err(format!("it is not in a folder named `{old}`; write a corrected CSV file instead")),
    }
}

/// `a.jpg`, `a-2.jpg`, `a-3.jpg`, ...
fn numbered(path: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    let name = move |number: usize| {
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    std::iter::once(path.to_owned()).chain((2..100_000).map(name))
}

/// Folders that the moves need and that don't exist yet, parents first.
fn missing_folders(moves: &[Move], root: &Root) -> Vec<InsidePath> {
    let above = |moved: &Move| {
        std::iter::successors(moved.to.folder(), InsidePath::folder).collect::<Vec<InsidePath>>()
    };
    let mut folders: Vec<InsidePath> = moves.iter().flat_map(above).collect();
    folders.sort();
    folders.dedup();
    folders.retain(|folder| root.is_free(folder).unwrap_or(false));
    folders
}

/// Removes folders that were created for a batch. A folder that somebody has put something into is not empty, and stays.
fn remove_folders(root: &Root, folders: &[InsidePath]) {
    for folder in folders.iter().rev() {
        let _ = root.remove_folder(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something stops a move after it was planned, such as a folder that somebody else removed.
    #[test]
    fn a_move_that_fails_takes_the_others_back() {
        let folder = tempfile::tempdir().unwrap();
        let inside = |path: &str| InsidePath::new(path).unwrap();
        for (path, bytes) in [("red/1.jpg", "1"), ("red/2.jpg", "2"), ("black", "in the way")] {
            std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(path), bytes).unwrap();
        }
        let step = |from: &str, to: &str, bytes: &str| Move {
            from: inside(from),
            to: inside(to),
            content: ContentHash::of(bytes.as_bytes()),
        };
        let moves = vec![step("red/1.jpg", "grey/1.jpg", "1"), step("red/2.jpg", "black/2.jpg", "2")];
        let batch =
            Batch { number: 0, undoes: None, moves, given_up: Vec::new(), folders: vec![inside("grey")] };
        let root = Root::open(folder.path()).unwrap();
        let mut log = Log::open(&root).unwrap();
        let error = carry_out(&mut log, &root, batch, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("black"), "{error}");
        assert!(root.is_free(&inside("grey")).unwrap());
        assert_eq!(root.read(&inside("red/1.jpg"), 9).unwrap(), b"1");
        drop(log);
        assert!(recover(folder.path()).unwrap().is_none());
        assert_eq!(undo(folder.path()).unwrap(), Applied::default());
    }
}
