//! Where the classes are. In: a folder. Out: its class folders, with their splits if the folder is organised by split.
//!
//! Two layouts are recognised: `CLASS/…`, and `train/CLASS/…` with `valid/CLASS/…` (or `val` or `validation`) and
//! perhaps `test/CLASS/…`.

use super::item::Split;
use super::scan::{left_out, relative};
use crate::error::DataError;
use crate::image::recognise;
use crate::skip::{SkipReason, Skipped};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A folder whose images share a label, and its split if it's inside a split folder.
#[derive(Debug, Clone)]
pub(crate) struct ClassFolder {
    pub(crate) path: PathBuf,
    pub(crate) label: String,
    pub(crate) split: Option<Split>,
}

/// What the root folder contains.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) classes: Vec<ClassFolder>,
    /// Names of files and folders left out on purpose, relative to the root.
    pub(crate) left_out: Vec<PathBuf>,
    /// Images that lie beside class folders instead of in one.
    pub(crate) loose: Vec<Skipped>,
}

/// Finds the class folders of a root.
pub(crate) fn find(root: &Path) -> Result<Layout, DataError> {
    let mut layout = Layout::default();
    let folders = read_folder(root, root, &mut layout)?;
    let splits = split_folders(root, &folders)?;
    if splits.is_empty() {
        layout.classes = class_folders(folders, None);
    } else {
        // Any other folder next to `train` and `valid` is not a class.
        let others = folders.into_iter().filter(|folder| splits.iter().all(|(_, split)| split != folder));
        layout.left_out.extend(others.map(|folder| relative(root, &folder)));
    }
    for (split, folder) in splits {
        let folders = read_folder(root, &folder, &mut layout)?;
        layout.classes.extend(class_folders(folders, Some(split)));
    }
    layout.left_out.sort();
    if layout.classes.is_empty() {
        return Err(no_classes(root, layout.loose.len()));
    }
    Ok(layout)
}

fn no_classes(root: &Path, images: usize) -> DataError {
    let path = root.to_owned();
    match images {
        0 => DataError::NoClassFolders { path },
        _ => DataError::ImagesWithoutClassFolders { path, images },
    }
}

/// The subfolders of a folder, sorted. Notes what is left out and which images lie beside the subfolders.
fn read_folder(root: &Path, folder: &Path, layout: &mut Layout) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::FolderUnreadable { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable)?.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    let mut folders = Vec::new();
    for path in paths {
        if path.file_name().is_some_and(left_out) {
            layout.left_out.push(relative(root, &path));
        } else if path.is_dir() {
            folders.push(path);
        } else if looks_like_image(&path) {
            let reason = SkipReason::OutsideClassFolder;
            layout.loose.push(Skipped { path: relative(root, &path), reason });
        }
    }
    Ok(folders)
}

fn looks_like_image(path: &Path) -> bool {
    let mut start = Vec::new();
    let is_file = path.is_file();
    is_file
        && File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).is_ok()
        && recognise(&start).is_ok()
}

/// The names a folder of validation images may have.
const VALID_NAMES: [&str; 3] = ["valid", "val", "validation"];

/// The split folders, if the root is organised by split: it has `train`, and next to it one of [`VALID_NAMES`], `test`
/// or nothing else.
fn split_folders(root: &Path, folders: &[PathBuf]) -> Result<Vec<(Split, PathBuf)>, DataError> {
    let named = |name: &str| folders.iter().find(|folder| folder.ends_with(name)).cloned();
    let (Some(train), test) = (named("train"), named("test")) else {
        return Ok(Vec::new());
    };
    let valid: Vec<&str> = VALID_NAMES.into_iter().filter(|name| named(name).is_some()).collect();
    if let [first, second, ..] = valid[..] {
        return Err(DataError::TwoValidFolders { path: root.to_owned(), names: [first, second] });
    }
    let valid = valid.first().and_then(|name| named(name));
    if valid.is_none() && test.is_none() && folders.len() > 1 {
        return only_train(root, &train, folders).map(|()| Vec::new());
    }
    let found = [(Split::Train, Some(train)), (Split::Valid, valid), (Split::Test, test)];
    Ok(found.into_iter().filter_map(|(split, folder)| Some((split, folder?))).collect())
}

/// `train` may be one class of several (a locomotive), but hardly if it has subfolders.
fn only_train(root: &Path, train: &Path, folders: &[PathBuf]) -> Result<(), DataError> {
    if read_folder(root, train, &mut Layout::default())?.is_empty() {
        return Ok(());
    }
    let neighbours = folders.iter().filter(|folder| *folder != train).map(|folder| relative(root, folder));
    let neighbours = neighbours.map(|folder| format!("`{}`", folder.display())).collect();
    Err(DataError::UnknownSplitFolder { path: root.to_owned(), neighbours })
}

fn class_folders(folders: Vec<PathBuf>, split: Option<Split>) -> Vec<ClassFolder> {
    let label = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let class = |path: PathBuf| ClassFolder { label: label(&path).unwrap_or_default(), path, split };
    folders.into_iter().map(class).collect()
}
