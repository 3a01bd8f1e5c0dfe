//! Reads every file once, in parallel. In: a root and its labelled files. Out: for every file, in the order of their
//! paths, a [`Found`] image or the reason to skip it.

use super::item::{ContentHash, Split};
use super::left_out::{self, LeftOut, relative};
use crate::image::{DecodeLimits, read_file, read_header};
use crate::skip::{SkipReason, Skipped};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use walkdir::WalkDir;

/// How far a long task has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub done: usize,
    /// Files in all.
    pub total: usize,
}

/// What the labeler knows about a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Tag {
    /// Exactly one, unless the data set is multi-label.
    pub(crate) labels: Vec<String>,
    pub(crate) split: Option<Split>,
    /// Files of one group stay in one split.
    pub(crate) group: Option<String>,
}

/// A file with its label, not opened yet.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) tag: Tag,
    pub(crate) problem: Option<SkipReason>,
}

/// A usable image.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) tag: Tag,
    pub(crate) content: ContentHash,
    pub(crate) bytes: u64,
    pub(crate) size: (u32, u32),
}

/// The files below a folder.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Each file, relative to the root, with the reason if it can't be used.
    pub(crate) files: Vec<(PathBuf, Option<SkipReason>)>,
    /// What was passed over on purpose.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Lists every file below a folder. Symbolic links are followed; circular ones are reported.
pub(crate) fn walk(root: &Path, folder: &Path) -> Walked {
    let mut walked = Walked::default();
    let mut walk = WalkDir::new(folder).follow_links(true).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let (path, is_folder) = match &entry {
            Ok(entry) => (entry.path(), entry.file_type().is_dir()),
            Err(error) => (error.path().unwrap_or(folder), false),
        };
        let why = if is_folder { left_out::folder(path) } else { left_out::file(path) };
        if let Some(why) = why {
            walked.left_out.push(LeftOut::new(root, path, why));
            if is_folder {
                walk.skip_current_dir();
            }
            continue;
        }
        let path = relative(root, path);
        let problem = match entry {
            Ok(_) if is_folder => continue,
            Ok(_) if path.to_str().is_some() => None,
            Ok(_) => Some(SkipReason::NameNotText),
            Err(error) => Some(match error.io_error() {
                Some(io) => SkipReason::from(io),
                None => SkipReason::Unreadable { detail: "its links form a circle".to_owned() },
            }),
        };
        // Reports are text, so show as much of the path as text can.
        let path = if path.to_str().is_some() { path } else { path.to_string_lossy().into_owned().into() };
        walked.files.push((path, problem));
    }
    walked
}

/// What items are sorted by: the path with `/` between its parts, the same on every system.
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
) -> Vec<Result<Found, (Tag, Skipped)>> {
    let files = once_each(root, files);
    let (done, total) = (AtomicUsize::new(0), files.len());
    let examine = |file: Listed| {
        let result = look(root, file, limits);
        progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
        result
    };
    files.into_par_iter().map(examine).collect()
}

/// Lists a file that has several names through links only once: under its real name if that was listed too, else under
/// the first. Otherwise its names would count as copies of each other, perhaps in several classes, until none was left.
fn once_each(root: &Path, mut files: Vec<Listed>) -> Vec<Listed> {
    let mut folders: HashMap<PathBuf, Option<PathBuf>> = HashMap::new();
    let mut places: Vec<Option<PathBuf>> = Vec::with_capacity(files.len());
    for file in &files {
        let path = root.join(&file.path);
        let real = |path: &Path| path.canonicalize().ok();
        let folder = path.parent().unwrap_or(root);
        let folder = folders.entry(folder.to_owned()).or_insert_with_key(|folder| real(folder)).clone();
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        let place = match (is_link, folder, path.file_name()) {
            (false, Some(folder), Some(name)) => Some(folder.join(name)),
            _ => real(&path),
        };
        places.push(place);
    }
    let real_root = root.canonicalize().ok();
    let is_own = |place: &Path, path: &Path| real_root.as_ref().is_some_and(|root| root.join(path) == place);
    let mut first: HashMap<&Path, usize> = HashMap::new();
    for own in [true, false] {
        for (index, place) in places.iter().enumerate() {
            let Some(place) = place.as_deref() else { continue };
            if files[index].problem.is_none() && is_own(place, &files[index].path) == own {
                first.entry(place).or_insert(index);
            }
        }
    }
    let keeper = |index: usize| places[index].as_deref().and_then(|place| first.get(place)).copied();
    let same: Vec<(usize, usize)> = (0..files.len())
        .filter_map(|index| keeper(index).filter(|keeper| *keeper != index).map(|keeper| (index, keeper)))
        .collect();
    for (index, keeper) in same {
        let of = files[keeper].path.clone();
        files[index].problem.get_or_insert(SkipReason::SameFile { of });
    }
    files
}

fn look(root: &Path, file: Listed, limits: &DecodeLimits) -> Result<Found, (Tag, Skipped)> {
    let Listed { path, tag, problem } = file;
    let read = || {
        problem.map_or(Ok(()), Err)?;
        let bytes = read_file(&root.join(&path), limits)?;
        let header = read_header(&bytes, limits)?;
        Ok((ContentHash::of(&bytes), bytes.len() as u64, header.size))
    };
    match read() {
        Ok((content, bytes, size)) => Ok(Found { path, tag, content, bytes, size }),
        Err(reason) => Err((tag, Skipped { path, reason })),
    }
}
