//! What a data set passes over on purpose. In: a folder. Out: each file or folder that is not read, with the number of files in
//! it, so that the numbers of used, skipped and left-out files add up to the files that are there.

use crate::image::begins_like_picture;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fmt;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A file or folder that was passed over on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Path relative to the data set's root.
    pub path: PathBuf,
    /// How many files that is: 1, or those in the folder and below it.
    pub files: usize,
    /// Why it was passed over.
    pub why: LeftOutReason,
}

impl LeftOut {
    pub(super) fn new(root: &Path, path: &Path, why: LeftOutReason) -> Self {
        Self { path: relative(root, path), files: count(path), why }
    }
}

/// Why a file or folder was passed over. `Display` is meant for the user, after "left out".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// A folder whose name begins with `_`.
    Underscore,
    /// A file or folder whose name begins with `.`.
    Dot,
    /// What systems and network drives keep among photos: `Thumbs.db`, `@eaDir`, `$RECYCLE.BIN` and the like.
    System,
    /// A folder that `sciurus train` made, or one of such folders.
    Run,
    /// A folder next to `train` and `valid`.
    BesideSplits,
    /// A file next to the class folders that is no picture.
    NotAPicture,
    /// A file that a table doesn't list.
    NotListed,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Underscore => "folders whose names begin with _",
            Self::Dot => "names that begin with a dot",
            Self::System => "kept by the system or a network drive",
            Self::Run => "folders that `sciurus train` made",
            Self::BesideSplits => "folders beside train, valid and test",
            Self::NotAPicture => "beside the class folders, not pictures",
            Self::NotListed => "not in the table",
        })
    }
}

/// Files of Windows, in lower case.
const SYSTEM_FILES: [&str; 3] = ["thumbs.db", "ehthumbs.db", "desktop.ini"];
/// Folders of Windows, Synology, QNAP and Linux, in lower case. Some hold thumbnails, which would be read as copies.
const SYSTEM_FOLDERS: [&str; 6] =
    ["@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "lost+found"];

fn is_one_of(name: &OsStr, known: &[&str]) -> bool {
    name.to_str().is_some_and(|name| known.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// Why a file is passed over: its name begins with a dot, or is the system's. Cameras write photos whose names begin with `_`.
pub(super) fn file(path: &Path) -> Option<LeftOutReason> {
    let name = path.file_name()?;
    match name.as_encoded_bytes().first() {
        Some(b'.') => Some(LeftOutReason::Dot),
        _ => is_one_of(name, &SYSTEM_FILES).then_some(LeftOutReason::System),
    }
}

/// Why a folder is passed over: its name begins with a dot or with `_`, or is the system's; or it is of runs.
pub(super) fn folder(path: &Path) -> Option<LeftOutReason> {
    let name = path.file_name()?;
    match name.as_encoded_bytes().first() {
        Some(b'.') => Some(LeftOutReason::Dot),
        Some(b'_') => Some(LeftOutReason::Underscore),
        _ if is_one_of(name, &SYSTEM_FOLDERS) => Some(LeftOutReason::System),
        _ => is_of_runs(path).then_some(LeftOutReason::Run),
    }
}

/// Whether a folder is one that `sciurus train` made, or a folder of such folders.
fn is_of_runs(folder: &Path) -> bool {
    if is_run(folder) {
        return true;
    }
    let folders = folders_in(folder);
    let runs = folders.iter().filter(|folder| is_run(folder)).count();
    match folder.file_name().is_some_and(|name| name == "runs") {
        // The first run may only have begun.
        true => runs > 0 || WalkDir::new(folder).into_iter().flatten().all(|entry| is_nothing(&entry)),
        false => runs > 0 && runs == folders.len() && !holds_pictures(folder),
    }
}

/// The folders in a folder, links to folders among them, sorted. Files are not touched: there may be very many.
pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_folder = |entry: &DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
    };
    let mut folders: Vec<PathBuf> = entries.flatten().filter(is_folder).map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// Whether pictures lie directly in a folder.
pub(super) fn holds_pictures(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries
        .flatten()
        .map(|entry| entry.path())
        .any(|path| file(&path).is_none() && begins_like_picture(&path))
}

/// A folder, or a file that is passed over by its name, such as a lock.
fn is_nothing(entry: &walkdir::DirEntry) -> bool {
    entry.file_type().is_dir() || file(entry.path()).is_some()
}

fn is_run(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("run.json") && (has("config.toml") || has("events.jsonl"))
}

/// How many files a path stands for.
fn count(path: &Path) -> usize {
    if !path.is_dir() {
        return 1;
    }
    let is_folder = |entry: &walkdir::DirEntry| entry.file_type().is_dir();
    WalkDir::new(path).into_iter().filter(|entry| !entry.as_ref().is_ok_and(is_folder)).count()
}

/// A path below the root, without the root.
pub(super) fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}
