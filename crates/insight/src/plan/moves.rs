//! A plan carried out on files, and taken back. Nothing is deleted, nothing is overwritten; a crash in the middle is finished
//! by the next call.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use sciurus_data::ContentHash;
use serde::Serialize;

use super::files::{exists, is_same, move_new};
use super::log::{Batch, Log, Move};
use super::{CleanAction, CleanPlan, PlanItem};
use crate::InsightError;

/// Where images that leave the data set go; names with an underscore are no classes.
const SET_ASIDE: &str = "_set_aside";

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Files that were moved: from, to, relative to the folder.
    pub moved: Vec<(PathBuf, PathBuf)>,
    /// Files that were left where they are, and why.
    pub left: Vec<Left>,
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
/// before is finished first. Files that have changed since the plan was made, links, and files that are gone are left, and named.
///
/// # Errors
/// The folder cannot be written, or a move fails; then all moves of this call are taken back.
pub fn apply(plan: &CleanPlan, root: &Path) -> Result<Applied, InsightError> {
    let mut log = Log::open(root)?;
    finish(&mut log, root)?;
    let mut taken = HashSet::new();
    let (mut moves, mut left) = (Vec::new(), Vec::new());
    for item in plan.items.iter().filter(|item| item.action != CleanAction::Keep) {
        match planned(item, root, &mut taken) {
            Ok(to) => moves.push(Move { from: item.path.clone(), to }),
            Err(reason) => left.push(Left { path: item.path.clone(), reason }),
        }
    }
    let folders = missing_folders(&moves, root);
    let moved = carry_out(&mut log, root, Batch { number: 0, undoes: None, moves, folders })?;
    Ok(Applied { moved, left })
}

/// Takes the last [`apply`] that was not taken back, back: every file lies where it lay. A file that is gone, or whose old place
/// is taken, is left, and named. Without an apply to take back nothing happens.
///
/// # Errors
/// As [`apply`].
pub fn undo(root: &Path) -> Result<Applied, InsightError> {
    let mut log = Log::open(root)?;
    finish(&mut log, root)?;
    let Some(batch) = log.last_applied() else { return Ok(Applied::default()) };
    let (mut moves, mut left) = (Vec::new(), Vec::new());
    for Move { from, to } in batch.moves.into_iter().rev() {
        let reason = match (exists(&root.join(&to)), exists(&root.join(&from))) {
            (false, _) => Some("is gone"),
            (true, true) => Some("cannot go back: another file lies there now"),
            (true, false) => None,
        };
        match reason {
            Some(reason) => left.push(Left { path: to, reason: reason.to_owned() }),
            None => moves.push(Move { from: to, to: from }),
        }
    }
    let back = Batch { number: 0, undoes: Some(batch.number), moves, folders: batch.folders };
    let moved = carry_out(&mut log, root, back)?;
    Ok(Applied { moved, left })
}

/// Finishes what a crash interrupted, if anything was, and says whether. [`apply`] and [`undo`] do so first.
///
/// # Errors
/// As [`apply`].
pub fn recover(root: &Path) -> Result<bool, InsightError> {
    // Without a log there is nothing to finish, and a folder that is only read must not be written to.
    if !root.join(super::log::FOLDER).exists() {
        return Ok(false);
    }
    finish(&mut Log::open(root)?, root)
}

fn finish(log: &mut Log, root: &Path) -> Result<bool, InsightError> {
    match log.unfinished() {
        None => Ok(false),
        Some(batch) => perform(log, root, &batch).map(|()| true),
    }
}

fn carry_out(log: &mut Log, root: &Path, batch: Batch) -> Result<Vec<(PathBuf, PathBuf)>, InsightError> {
    if batch.moves.is_empty() && batch.undoes.is_none() {
        return Ok(Vec::new());
    }
    let batch = log.begin(batch)?;
    perform(log, root, &batch)?;
    Ok(batch.moves.into_iter().map(|moved| (moved.from, moved.to)).collect())
}

/// Does what is left to do of a batch, or takes all of it back.
fn perform(log: &mut Log, root: &Path, batch: &Batch) -> Result<(), InsightError> {
    match forward(root, batch) {
        Ok(()) => {
            if batch.undoes.is_some() {
                remove_folders(root, &batch.folders);
            }
            log.done(batch.number)
        }
        Err(error) => {
            // If this fails too, the next call tries again: the batch is still unfinished in the log.
            batch.moves.iter().rev().try_for_each(|Move { from, to }| step(root, to, from))?;
            if batch.undoes.is_none() {
                remove_folders(root, &batch.folders);
            }
            log.rolled_back(batch.number)?;
            Err(error)
        }
    }
}

fn forward(root: &Path, batch: &Batch) -> Result<(), InsightError> {
    for Move { from, to } in &batch.moves {
        if let Some(folder) = root.join(to).parent() {
            fs::create_dir_all(folder)
                .map_err(|source| InsightError::Write { path: folder.to_owned(), source })?;
        }
        step(root, from, to)?;
    }
    Ok(())
}

/// One move, unless it is done already.
fn step(root: &Path, from: &Path, to: &Path) -> Result<(), InsightError> {
    let (from, to) = (root.join(from), root.join(to));
    let failed = |source| InsightError::Write { path: to.clone(), source };
    match (exists(&from), exists(&to)) {
        (true, false) => move_new(&from, &to).map_err(failed),
        // A kill between the two halves of a move left both names.
        (true, true) if is_same(&from, &to).map_err(failed)? => fs::remove_file(&from).map_err(failed),
        (true, true) => Err(failed(std::io::ErrorKind::AlreadyExists.into())),
        // Moved before, or taken away by somebody in the meantime: nothing to do.
        (false, _) => Ok(()),
    }
}

/// Where a file goes, or why it stays.
fn planned(item: &PlanItem, root: &Path, taken: &mut HashSet<PathBuf>) -> Result<PathBuf, String> {
    let path = root.join(&item.path);
    let metadata = fs::symlink_metadata(&path).map_err(|_| "is gone".to_owned())?;
    if metadata.is_symlink() {
        return Err(
            "is a symbolic link, which may not lead to its file from elsewhere; move it yourself".to_owned()
        );
    }
    let bytes = fs::read(&path).map_err(|error| format!("cannot be read: {error}"))?;
    if ContentHash::of(&bytes) != item.content {
        return Err("has changed since the plan was made; make a new plan".to_owned());
    }
    let wanted = match (item.action, &item.to) {
        (CleanAction::Relabel, Some(label)) => relabelled(&item.path, &item.label, label)?,
        _ => Path::new(SET_ASIDE).join(&item.path),
    };
    let free = |to: &PathBuf| !taken.contains(to) && !exists(&root.join(to));
    let to = numbered(&wanted).find(free).ok_or("has no free name there")?;
    taken.insert(to.clone());
    Ok(to)
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
fn missing_folders(moves: &[Move], root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = moves
        .iter()
        .flat_map(|moved| moved.to.ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty() && !exists(&root.join(folder)))
        .map(Path::to_owned)
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Removes folders that were made for a batch. One in which somebody has put something since is not empty, and stays.
fn remove_folders(root: &Path, folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        let _ = fs::remove_dir(root.join(folder));
    }
}
