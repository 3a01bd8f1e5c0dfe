//! Looks at every file once, in parallel. In: a root and the folders of its classes. Out: for every file, in the order
//! of their paths, a [`Found`] image or the reason to skip it.

use crate::decode::{DecodeLimits, read_file, read_header};
use crate::item::{ContentHash, Split};
use crate::skip::{SkipReason, Skipped};
use rayon::prelude::*;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use walkdir::WalkDir;

/// How far a long task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub done: usize,
    /// Files in all.
    pub total: usize,
}

/// A folder whose images share a label, and its split if a folder above says so.
#[derive(Debug, Clone)]
pub(crate) struct ClassFolder {
    pub(crate) path: PathBuf,
    pub(crate) label: String,
    pub(crate) split: Option<Split>,
}

/// A file below a class folder (`folder` is the index of that folder), not yet looked at.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) folder: usize,
    problem: Option<SkipReason>,
}

/// A usable image.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) folder: usize,
    pub(crate) content: ContentHash,
    pub(crate) bytes: u64,
    pub(crate) size: (u32, u32),
}

/// Files and folders whose names begin with `_` or `.` are left out on purpose.
pub(crate) fn left_out(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'_' | b'.'))
}

/// Lists every file below a class folder; symbolic links are followed, loops of them are reported.
pub(crate) fn list(root: &Path, folder: usize, class: &ClassFolder) -> Vec<Listed> {
    let walk = WalkDir::new(&class.path).follow_links(true).min_depth(1);
    let walk = walk.into_iter().filter_entry(|entry| !left_out(entry.file_name()));
    walk.filter_map(|entry| match entry {
        Ok(entry) if entry.file_type().is_dir() => None,
        Ok(entry) => {
            let path = relative(root, entry.path());
            Some(match path.to_str() {
                Some(_) => Listed { path, folder, problem: None },
                // Reports hold text, so the path is shown as well as text can.
                None => {
                    let path = path.to_string_lossy().into_owned().into();
                    Listed { path, folder, problem: Some(SkipReason::NameNotText) }
                }
            })
        }
        Err(error) => {
            let path = relative(root, error.path().unwrap_or(&class.path));
            if path.file_name().is_some_and(left_out) {
                return None;
            }
            let problem = match error.io_error() {
                Some(io) => SkipReason::from(io),
                None => SkipReason::Unreadable { detail: "its links lead in a circle".to_owned() },
            };
            Some(Listed { path, folder, problem: Some(problem) })
        }
    })
    .collect()
}

/// A path below the root, without the root.
pub(crate) fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

/// The order of items: by path with `/` between its parts, the same on every system.
pub(crate) fn portable(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(OsStr::to_string_lossy).collect();
    parts.join("/")
}

/// Reads every listed file once: hashes it, recognises its format and checks its header.
pub(crate) fn examine(
    root: &Path,
    files: Vec<Listed>,
    limits: &DecodeLimits,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Vec<Result<Found, (usize, Skipped)>> {
    let (done, total) = (AtomicUsize::new(0), files.len());
    let examine = |file: Listed| {
        let result = look(root, &file, limits);
        progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
        result.map_err(|reason| (file.folder, Skipped { path: file.path, reason }))
    };
    files.into_par_iter().map(examine).collect()
}

fn look(root: &Path, file: &Listed, limits: &DecodeLimits) -> Result<Found, SkipReason> {
    if let Some(problem) = &file.problem {
        return Err(problem.clone());
    }
    let bytes = read_file(&root.join(&file.path), limits)?;
    let header = read_header(&bytes, limits)?;
    Ok(Found {
        path: file.path.clone(),
        folder: file.folder,
        content: ContentHash::of(&bytes),
        bytes: bytes.len() as u64,
        size: header.size,
    })
}
