//! A plan carried out on files, and taken back. Nothing is deleted, nothing is overwritten, nothing outside the folder is
//! touched; a crash in the middle is finished by the next call.

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

/// Where images that leave the data set go; names with an underscore are no classes.
const SET_ASIDE: &str = "_set_aside";
/// Bytes of a file that is moved: it is read first, to see that it is the one that was looked at.
const LARGEST: u64 = 4 << 30;

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Files that were moved: from, to, relative to the folder.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// Files that were left where they are, and why.
    pub left: Vec<Left>,
    /// Why the ledger of gathered photos still names their old places; `None` where it names the new ones, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
}

impl Applied {
    /// Nothing was moved.
    fn nothing(left: Vec<Left>) -> Self {
        Self { left, ..Self::default() }
    }

    /// The same, with the folder's ledger following the moves. The files lie where they should by then, so a ledger that cannot
    /// be written, as somebody gathers into the folder, ends nothing: the next run of `gather` finds the files by their content.
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

/// Moves the files of a plan: to relabel into the folder of the new label, to set aside into `_set_aside/`. What was interrupted
/// before is finished first. Files that have changed since the plan was made, links, what lies behind a link, and files that are
/// gone are left, and named.
///
/// # Errors
/// The folder cannot be written, its log of moves is not ours, another process is moving files in it, or a move fails; then all
/// moves of this call are taken back.
pub fn apply(plan: &CleanPlan, root: &Path) -> Result<Applied, CleanError> {
    let root = Root::open(root)?;
    let mut log = Log::open(&root)?;
    finish(&mut log, &root)?;
    let mut names = Names::default();
    let (mut moves, mut left) = (Vec::new(), Vec::new());
    for item in plan.items.iter().filter(|item| item.action != CleanAction::Keep) {
        match planned(item, &root, &mut names) {
            Ok(planned) => moves.push(planned),
            Err(reason) => left.push(Left { path: item.path.clone(), reason }),
        }
    }
    let folders = missing_folders(&moves, &root);
    let batch = Batch { number: 0, undoes: None, moves, given_up: Vec::new(), folders };
    carry_out(&mut log, &root, batch, left)
}

/// Takes the last [`apply`] back that is not wholly taken back: every file lies where it lay. A file whose old place is taken is
/// left, and named, and waits for the next call; one that is gone is named once. Without an apply to take back nothing happens.
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

/// Finishes what a crash interrupted, if anything was; the ledger follows. [`apply`] and [`undo`] do so first.
///
/// # Errors
/// As [`apply`]; a folder whose log is not ours stays as it is.
pub fn recover(root: &Path) -> Result<Option<Applied>, CleanError> {
    // Without a log there is nothing to finish, and a folder that is only read must not be written to.
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

/// A batch of the log carried out as far as it can be, with what was left besides.
fn finished(log: &mut Log, root: &Root, batch: Batch, mut left: Vec<Left>) -> Result<Applied, CleanError> {
    let stayed: HashMap<usize, &str> = perform(log, root, &batch)?.into_iter().collect();
    let mut moved = Vec::new();
    for (place, Move { from, to, .. }) in batch.moves.into_iter().enumerate() {
        match stayed.get(&place) {
            Some(reason) => left.push(Left { path: from.into(), reason: (*reason).to_owned() }),
            None => moved.push((from.into(), to.into())),
        }
    }
    Ok(Applied { moved, left, ledger: None }.followed(root))
}

/// The place of a move in its batch, and why it was not made.
type Stayed = (usize, &'static str);

/// Does what is left to do of a batch, or takes all of it back. Returns the moves that cannot be made any more.
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
            // If this fails too, the next call tries again: the batch is still unfinished in the log. What stopped a move may
            // stop its way back as well, which does not matter where it was not made.
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

/// Makes the moves in order; where one fails, its place and why.
fn forward(root: &Root, batch: &Batch) -> Result<Vec<Stayed>, (usize, CleanError)> {
    let mut stayed = Vec::new();
    for (place, moved) in batch.moves.iter().enumerate() {
        if let Some(reason) = step(root, moved).map_err(|error| (place, error))? {
            stayed.push((place, reason));
        }
    }
    Ok(stayed)
}

/// One move, unless it is done already; or why it cannot be made any more. Files come and go between a crash and the call that
/// finishes its moves, and what somebody did meanwhile stands.
fn step(root: &Root, Move { from, to, content }: &Move) -> Result<Option<&'static str>, CleanError> {
    if from.is_hidden() || to.is_hidden() {
        return Ok(Some("begins with a dot, and is no photo"));
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
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some("has no free name there")),
            moved => Ok(moved.map(|()| None).map_err(|source| failed(to, source))?),
        },
        // A kill between the two halves of a move left both names.
        (Some(Kind::File), Some(_))
            if root.is_same_file(from, to).map_err(|source| failed(to, source))? =>
        {
            root.remove_file(from).map_err(|source| failed(from, source))?;
            Ok(None)
        }
        // It was moved before; if something has its old name, that came later.
        (_, Some(Kind::File)) if is_it(to) => Ok(None),
        (Some(_), Some(_)) => Ok(Some("has no free name there")),
        (Some(_), None) => Ok(Some("is no file any more")),
        (None, _) => Ok(Some("is gone")),
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
        return Err("is a file of Sciurus or begins with a dot, and is no photo".to_owned());
    }
    if !names.from.insert(from.clone()) {
        return Err("stands in the plan twice; its first line counts".to_owned());
    }
    match root.kind(&from).map_err(|error| format!("is not moved: {error}"))? {
        Some(Kind::File) => {}
        Some(Kind::Link) => {
            return Err(
                "is a symbolic link, which may not lead to its file from elsewhere; move it yourself"
                    .to_owned(),
            );
        }
        Some(_) => return Err("is no file".to_owned()),
        None => return Err("is gone".to_owned()),
    }
    let bytes = root.read(&from, LARGEST).map_err(|error| format!("cannot be read: {error}"))?;
    if ContentHash::of(&bytes) != item.content {
        return Err("has changed since the plan was made; make a new plan".to_owned());
    }
    let wanted = match (item.action, &item.to) {
        (CleanAction::Relabel, Some(label)) => relabelled(&item.path, &item.label, label)?,
        _ => Path::new(SET_ASIDE).join(&item.path),
    };
    let to = free_name(&wanted, root, &names.to)?;
    names.to.insert(to.clone());
    Ok(Move { from, to, content: item.content })
}

/// The first of the names that a file may have, and nothing has.
fn free_name(wanted: &Path, root: &Root, taken: &HashSet<InsidePath>) -> Result<InsidePath, String> {
    for path in numbered(wanted) {
        let to = InsidePath::new(path).map_err(|error| error.to_string())?;
        let cannot = |error: io::Error| format!("cannot go to {}: {error}", to.as_path().display());
        if !taken.contains(&to) && root.is_free(&to).map_err(cannot)? {
            return Ok(to);
        }
    }
    Err("has no free name there".to_owned())
}

/// Whether a path is of state, which is never moved.
fn is_ours(path: &InsidePath) -> bool {
    path.is_hidden() || [LEDGER_FILE, "ATTRIBUTION.md"].iter().any(|name| path.as_path() == Path::new(name))
}

/// Why a file does not go back.
struct NoWay {
    text: String,
    /// Whether asking again is of no use.
    is_final: bool,
}

/// The content of a file that can go back to where it lay.
fn way_back(root: &Root, from: &InsidePath, to: &InsidePath) -> Result<ContentHash, NoWay> {
    let waits = |text: String| NoWay { text, is_final: false };
    let unclear = |error: io::Error| waits(format!("cannot go back: {error}"));
    match root.kind(to).map_err(unclear)? {
        Some(Kind::File) => {}
        Some(_) => return Err(waits("cannot go back: it is no file any more".to_owned())),
        None => return Err(NoWay { text: "is gone".to_owned(), is_final: true }),
    }
    if !root.is_free(from).map_err(unclear)? {
        let text = "cannot go back: another file lies there now; move that one, and undo again";
        return Err(waits(text.to_owned()));
    }
    root.read(to, LARGEST).map(|bytes| ContentHash::of(&bytes)).map_err(unclear)
}

/// `train/red/a.jpg` with `grey` for `red`: the folder nearest to the root that is named like the label.
fn relabelled(path: &Path, old: &str, new: &str) -> Result<PathBuf, String> {
    let mut parts: Vec<&std::ffi::OsStr> = path.iter().collect();
    let folders = parts.len() - 1;
    match parts[..folders].iter().position(|part| *part == old) {
        Some(place) => {
            parts[place] = new.as_ref();
            Ok(parts.iter().collect())
        }
        None => Err(format!("does not lie in a folder named `{old}`; write a new CSV file instead")),
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

/// Folders that the moves need and that are not there, parents first.
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

/// Removes folders that were made for a batch. One in which somebody has put something since is not empty, and stays.
fn remove_folders(root: &Root, folders: &[InsidePath]) {
    for folder in folders.iter().rev() {
        let _ = root.remove_folder(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stops a move after it was planned, such as a folder that somebody else removed from under it.
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
