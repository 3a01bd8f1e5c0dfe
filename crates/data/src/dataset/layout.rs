//! Where the classes are. In: a folder. Out: its class folders, with their splits if the folder is organised by split; or what
//! the folder looks like, if that is not clear.
//!
//! Recognised are `CLASS/…`; `SPLIT/CLASS/…` with folders for train and for valid or test, however they are spelled; and
//! `CLASS/SPLIT/…`.

use super::item::Split;
use super::left_out::{self, LeftOut, LeftOutReason, holds_pictures, relative};
use super::note::Note;
use super::split_word::split_word;
use crate::error::{DataError, Depth};
use crate::image::begins_like_picture;
use crate::skip::{SkipReason, Skipped};
use std::collections::{BTreeMap, BTreeSet};
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
    /// What is not read, on purpose.
    pub(crate) left_out: Vec<LeftOut>,
    /// Images that lie beside class folders instead of in one.
    pub(crate) loose: Vec<Skipped>,
    /// What was guessed.
    pub(crate) notes: Vec<Note>,
}

/// Finds the class folders of a root. With a `level`, those so many levels below the root (below the split folders, if there
/// are some), without asking whether they look like classes.
pub(crate) fn find(root: &Path, level: Option<usize>) -> Result<Layout, DataError> {
    let mut layout = Layout::default();
    let folders = read_folder(root, root, &mut layout)?;
    let splits = split_folders(root, &folders)?;
    if !splits.is_empty() {
        by_split(root, &folders, splits, level, &mut layout)?;
    } else if let Some(classes) = splits_in_classes(root, &folders, &mut layout) {
        layout.classes = classes;
    } else {
        let classes = at_level(root, folders, level.unwrap_or(1), &mut layout)?;
        if level.is_none() {
            question(root, &classes, &mut layout)?;
        }
        layout.classes = class_folders(classes, None);
    }
    if layout.classes.is_empty() {
        return Err(no_classes(root, layout.loose.len()));
    }
    check_names(root, &layout)?;
    Ok(layout)
}

fn by_split(
    root: &Path,
    folders: &[PathBuf],
    splits: Vec<(Split, PathBuf)>,
    level: Option<usize>,
    layout: &mut Layout,
) -> Result<(), DataError> {
    // Any other folder next to `train` and `valid` is not a class.
    let others = folders.iter().filter(|folder| splits.iter().all(|(_, split)| split != *folder));
    layout.left_out.extend(others.map(|folder| LeftOut::new(root, folder, LeftOutReason::BesideSplits)));
    // An archive was unpacked into a folder of its own name: `seg_train/seg_train/CLASS`.
    let is_wrapped = splits.iter().any(|(split, folder)| *split == Split::Train && wrapped(folder).is_some());
    let mut read = Vec::new();
    for (split, folder) in splits {
        let mut folders = read_folder(root, &folder, layout)?;
        let inner = if is_wrapped { wrapped(&folder) } else { None };
        if let Some(inner) = &inner {
            folders = read_folder(root, inner, layout)?;
        }
        let folders = at_level(root, folders, level.unwrap_or(1), layout)?;
        if split == Split::Train && folders.is_empty() {
            return Err(without_classes(&folder));
        }
        let folder = inner.unwrap_or(folder);
        if level.is_none() {
            question(&folder, &folders, layout)?;
        }
        layout.classes.extend(class_folders(folders, Some(split)));
        read.push((split, relative(root, &folder)));
    }
    if !read.iter().all(|(split, folder)| *folder == Path::new(&split.to_string())) {
        layout.notes.push(Note::SplitFolders { folders: read });
    }
    Ok(())
}

/// The folder with the class folders, if this one has nothing but one folder in it, or one in one.
fn wrapped(folder: &Path) -> Option<PathBuf> {
    match &subfolders(folder)[..] {
        [only] if !holds_pictures(folder) => chain(only),
        _ => None,
    }
}

fn no_classes(root: &Path, images: usize) -> DataError {
    let path = root.to_owned();
    match images {
        0 => DataError::NoClassFolders { path },
        _ => DataError::ImagesWithoutClassFolders { path, images, table: table_in(root) },
    }
}

/// The photos of a split lie side by side, as in competitions that give a table of labels.
fn without_classes(split: &Path) -> DataError {
    let table = split.parent().and_then(table_in);
    DataError::SplitWithoutClasses { path: split.to_owned(), table }
}

/// A table beside the photos that may hold their labels.
fn table_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_table = |path: &PathBuf| {
        path.is_file()
            && path
                .extension()
                .is_some_and(|end| ["csv", "tsv"].iter().any(|known| end.eq_ignore_ascii_case(known)))
    };
    entries.filter(is_table).min()
}

/// The subfolders of a folder, sorted. Notes what is left out and which images lie beside the subfolders.
fn read_folder(root: &Path, folder: &Path, layout: &mut Layout) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::FolderUnreadable { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable)?.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    let mut folders = Vec::new();
    for path in paths {
        let is_folder = path.is_dir();
        let why = if is_folder { left_out::folder(&path) } else { left_out::file(&path) };
        if let Some(why) = why {
            layout.left_out.push(LeftOut::new(root, &path, why));
        } else if is_folder {
            folders.push(path);
        } else if begins_like_picture(&path) {
            let reason = SkipReason::OutsideClassFolder;
            layout.loose.push(Skipped { path: relative(root, &path), reason });
        } else {
            layout.left_out.push(LeftOut::new(root, &path, LeftOutReason::NotAPicture));
        }
    }
    Ok(folders)
}

/// The folders `level` levels down, if these are on the first.
fn at_level(
    root: &Path,
    mut folders: Vec<PathBuf>,
    level: usize,
    layout: &mut Layout,
) -> Result<Vec<PathBuf>, DataError> {
    for _ in 1..level {
        let mut deeper = Vec::new();
        for folder in folders {
            deeper.extend(read_folder(root, &folder, layout)?);
        }
        folders = deeper;
    }
    Ok(folders)
}

/// The split folders, if the root is organised by split: one for train that has subfolders, and next to it one for valid, one
/// for test or nothing else.
fn split_folders(root: &Path, folders: &[PathBuf]) -> Result<Vec<(Split, PathBuf)>, DataError> {
    // Folders of one data set differ in the split only: `seg_train` and `seg_test`.
    let mut sets: BTreeMap<String, Vec<(Split, &PathBuf)>> = BTreeMap::new();
    for folder in folders {
        if let Some((split, rest)) = split_word(&name(folder)) {
            sets.entry(rest).or_default().push((split, folder));
        }
    }
    let mut sets: Vec<_> =
        sets.into_values().filter(|set| set.iter().any(|(split, _)| *split == Split::Train)).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let Some(set) = sets.into_iter().next() else { return Ok(Vec::new()) };
    let of = |wanted: Split| -> Vec<&PathBuf> {
        set.iter().filter(|(split, _)| *split == wanted).map(|(_, folder)| *folder).collect()
    };
    let train = of(Split::Train)[0];
    if set.len() == 1 && folders.len() > 1 {
        return only_train(root, train, folders).map(|()| Vec::new());
    }
    let beside = set.iter().map(|(_, folder)| *folder).filter(|folder| *folder != train);
    if subfolders(train).is_empty() && !beside.clone().any(|folder| !subfolders(folder).is_empty()) {
        // A train beside a plane and a test tube, or two folders of photos without labels.
        return match set.len() == folders.len() && !folders.is_empty() {
            true => Err(without_classes(train)),
            false => Ok(Vec::new()),
        };
    }
    let mut found = Vec::new();
    for split in Split::ALL {
        match of(split)[..] {
            [] => {}
            [folder] => found.push((split, folder.clone())),
            [first, second, ..] => match usual(split, &of(split)) {
                // `dev` or `eval` beside `valid` is something else.
                Some(folder) => found.push((split, folder)),
                None => {
                    let names = [first, second].map(|folder| name(folder));
                    return Err(DataError::TwoSplitFolders { path: root.to_owned(), split, names });
                }
            },
        }
    }
    Ok(found)
}

/// Of several folders that may all be this split, the only one with a usual name.
fn usual(split: Split, folders: &[&PathBuf]) -> Option<PathBuf> {
    const DOUBTFUL: [&str; 6] = ["dev", "development", "eval", "evaluation", "holdout", "trn"];
    let is_usual = |folder: &&&PathBuf| {
        let name = name(folder).to_lowercase();
        split_word(&name).is_some_and(|(word, _)| word == split)
            && !DOUBTFUL.iter().any(|doubtful| name.contains(doubtful))
    };
    let mut usual = folders.iter().filter(is_usual);
    match (usual.next(), usual.next()) {
        (Some(folder), None) => Some((*folder).clone()),
        _ => None,
    }
}

/// `train` may be one class of several (a locomotive), but hardly if it has subfolders.
fn only_train(root: &Path, train: &Path, folders: &[PathBuf]) -> Result<(), DataError> {
    if subfolders(train).is_empty() {
        return Ok(());
    }
    let neighbours = folders.iter().filter(|folder| *folder != train).map(|folder| relative(root, folder));
    let neighbours = neighbours.map(|folder| format!("`{}`", folder.display())).collect();
    Err(DataError::UnknownSplitFolder { path: train.to_owned(), neighbours })
}

/// `CLASS/train/…` and `CLASS/valid/…`: the class folders by split, if every class folder has nothing but split folders.
fn splits_in_classes(root: &Path, folders: &[PathBuf], layout: &mut Layout) -> Option<Vec<ClassFolder>> {
    let mut classes = Vec::new();
    for folder in folders {
        let inner = subfolders(folder);
        let splits: Option<Vec<(Split, PathBuf)>> = inner
            .into_iter()
            .map(|inner| {
                split_word(&name(&inner)).filter(|(_, rest)| rest.is_empty()).map(|(split, _)| (split, inner))
            })
            .collect();
        let splits = splits.filter(|splits| splits.iter().any(|(split, _)| *split == Split::Train))?;
        if holds_pictures(folder) {
            return None;
        }
        let label = name(folder);
        classes.extend(splits.into_iter().map(|(split, path)| ClassFolder {
            path,
            label: label.clone(),
            split: Some(split),
        }));
    }
    let splits: BTreeSet<Split> = classes.iter().filter_map(|class| class.split).collect();
    if splits.len() < 2 {
        return None;
    }
    for folder in folders {
        read_folder(root, folder, layout).ok()?;
    }
    layout.notes.push(Note::SplitsInClasses { splits: splits.into_iter().collect() });
    Some(classes)
}

/// Folders on the top that hold the parts of a data set: its photos …
const OF_PHOTOS: [&str; 10] =
    ["images", "image", "imgs", "img", "photos", "pictures", "pics", "jpegimages", "jpegs", "data"];
/// … and what is known about them.
const OF_NOTES: [&str; 15] = [
    "annotations",
    "annotation",
    "labels",
    "label",
    "masks",
    "mask",
    "segmentations",
    "segmentation",
    "trimaps",
    "metadata",
    "bboxes",
    "xmls",
    "xml",
    "json",
    "docs",
];

/// Asks whether folders look like classes: most trees that are read wrongly have another level on top, or hold the parts of a
/// data set side by side.
fn question(root: &Path, folders: &[PathBuf], layout: &mut Layout) -> Result<(), DataError> {
    let is_one_of = |folder: &Path, words: &[&str]| words.contains(&name(folder).to_lowercase().as_str());
    let (photos, others): (Vec<_>, Vec<_>) = folders.iter().partition(|folder| is_one_of(folder, &OF_PHOTOS));
    if !photos.is_empty() && !others.is_empty() && others.iter().all(|other| is_one_of(other, &OF_NOTES)) {
        let (photos, notes) = (photos[0].clone(), name(others[0]));
        return Err(DataError::PartsOfADataSet {
            path: root.to_owned(),
            photos,
            notes,
            table: table_in(root),
        });
    }
    let inner = match folders {
        [only] => chain(only).map(|folder| subfolders(&folder)),
        _ => None,
    };
    let ends = inner.as_deref().unwrap_or(folders);
    if !ends.is_empty() && ends.iter().all(|folder| is_cameras(&name(folder))) {
        let folders = ends.iter().map(|folder| name(folder)).collect();
        return Err(DataError::CameraFolders { path: root.to_owned(), folders });
    }
    let below: Vec<Vec<PathBuf>> = folders
        .iter()
        .map(|folder| if holds_pictures(folder) { Vec::new() } else { subfolders(folder) })
        .collect();
    if folders.is_empty() || below.iter().any(Vec::is_empty) {
        return Ok(());
    }
    if let [only] = folders {
        let deeper = |deeper| DataError::OneLevelDeeper { path: root.to_owned(), deeper };
        return chain(only).map_or(Ok(()), |folder| Err(deeper(folder)));
    }
    let names = |folders: &[PathBuf]| folders.iter().map(|folder| name(folder)).collect::<BTreeSet<_>>();
    let mut seen = BTreeSet::new();
    // Years and numbers are sessions, not classes.
    let is_word = |name: &String| name.chars().any(char::is_alphabetic);
    let repeats =
        below.iter().any(|below| names(below).into_iter().filter(is_word).any(|name| !seen.insert(name)));
    let depth = Depth {
        path: root.to_owned(),
        top: names(folders).into_iter().collect(),
        below: below.iter().flat_map(|below| names(below)).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    if repeats {
        return Err(DataError::ClassesDeeper(depth));
    }
    layout.notes.push(Note::PhotosDeeper(depth));
    Ok(())
}

/// Whether a camera or phone names its own folders like this: `100APPLE`, `101_PANA`, `202611__`. Source: the DCF standard,
/// three digits and five capitals, digits or underscores.
fn is_cameras(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() == 8
        && bytes[..3].iter().all(u8::is_ascii_digit)
        && bytes[3..].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
        // A date, such as 20261129, is nobody's standard.
        && !bytes.iter().all(u8::is_ascii_digit)
}

/// The folder that a chain of folders in folders leads to, if that one has class folders.
fn chain(folder: &Path) -> Option<PathBuf> {
    let mut folder = folder.to_owned();
    loop {
        if holds_pictures(&folder) {
            return None;
        }
        match &subfolders(&folder)[..] {
            [] => return None,
            [only] => folder = only.clone(),
            _ => return Some(folder),
        }
    }
}

/// The folders in a folder that could hold photos, sorted.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let mut folders = left_out::folders_in(folder);
    folders.retain(|folder| left_out::folder(folder).is_none());
    folders
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn class_folders(folders: Vec<PathBuf>, split: Option<Split>) -> Vec<ClassFolder> {
    folders.into_iter().map(|path| ClassFolder { label: name(&path), path, split }).collect()
}

/// Two classes that look the same would be learnt as two.
fn check_names(root: &Path, layout: &Layout) -> Result<(), DataError> {
    match super::item::looking_alike(layout.classes.iter().map(|class| class.label.as_str())) {
        Some([first, second]) => Err(DataError::SameLooking { path: root.to_owned(), first, second }),
        None => Ok(()),
    }
}
