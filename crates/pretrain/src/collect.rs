//! The photos to learn from. In: folders, and photos that must not be seen. Out: small copies, each with its label.
//!
//! A photo is left out if it has the bytes or the name of one that must not be seen, or is a copy of one, in another size, crop or
//! quality too; by the test that `sciurus clean` uses for copies. Crops are searched for only in collections of which that is to be
//! expected, because it takes a hundred times as long. Files with the same bytes are taken once.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use rayon::prelude::*;
use sciurus::data::{ContentHash, DecodeLimits, RgbImage, decode, resized};
use sciurus::photos::{DuplicateOptions, PixelReport, SeenPhotos, jpeg};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::{Folders, say};

/// Shorter side of the copies that the student sees, in pixels.
const SIDE: u32 = 160;
/// JPEG quality of the copies.
const QUALITY: u8 = 92;

/// A photo to learn from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Photo {
    /// The file that it came from.
    pub(crate) source: PathBuf,
    /// Fingerprint of that file: the name of the copy.
    pub(crate) content: ContentHash,
    /// Where it lay: the collection and the folder in it.
    pub(crate) label: String,
}

impl Photo {
    /// The copy that the student sees, relative to the folder of copies.
    pub(crate) fn copy(&self) -> String {
        format!("{}.jpg", self.content)
    }
}

/// The folder of copies.
pub(crate) fn folder(work: &Path) -> PathBuf {
    work.join("photos")
}

/// Collects the photos of folders, but those to be left out.
pub(crate) fn photos(work: &Path, folders: &Folders) -> anyhow::Result<Vec<Photo>> {
    let list = work.join("photos.json");
    if list.exists() {
        return Ok(serde_json::from_slice(&fs::read(&list)?)?);
    }
    fs::create_dir_all(folder(work))?;
    let unseen = Unseen::new(&folders.leave_out)?;
    let mut all = Vec::new();
    let searches = folders.photos.iter().map(|folder| (folder, Search::Copies));
    let searches = searches.chain(folders.related.iter().map(|folder| (folder, Search::CropsToo)));
    for (collection, search) in searches {
        let taken = collect((collection, search), &unseen, &folder(work))?;
        say(&format!("{}: {}", collection.display(), taken.told()));
        all.extend(taken.photos);
    }
    let mut contents = HashSet::new();
    all.retain(|photo| contents.insert(photo.content));
    all.sort_by_key(|photo| photo.content);
    say(&format!("{} photos, after leaving out files that are there twice", all.len()));
    fs::write(&list, serde_json::to_vec(&all)?)?;
    Ok(all)
}

/// About as many photos, the same in every run.
pub(crate) fn limited(mut photos: Vec<Photo>, limit: Option<usize>) -> Vec<Photo> {
    // They are in the order of their hashes, which is as good as any other.
    photos.truncate(limit.unwrap_or(usize::MAX));
    photos
}

/// What was found in a folder.
struct Taken {
    photos: Vec<Photo>,
    copies: usize,
    unreadable: usize,
}

impl Taken {
    fn told(&self) -> String {
        let Self { photos, copies, unreadable } = self;
        format!(
            "{} photos; left out: {copies} that must not be seen, {unreadable} not readable",
            photos.len()
        )
    }
}

fn collect((collection, search): (&Path, Search), unseen: &Unseen, into: &Path) -> anyhow::Result<Taken> {
    let name = collection.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_hidden =
        |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let mut files: Vec<PathBuf> = WalkDir::new(collection)
        .into_iter()
        .filter_entry(|entry| !is_hidden(entry))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    anyhow::ensure!(!files.is_empty(), "{}: there are no files", collection.display());
    files.sort();
    let (copies, unreadable) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let take = |file: &PathBuf| -> anyhow::Result<Option<Photo>> {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        let parent = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let photo = Photo {
            source: file.clone(),
            content: ContentHash::of(&bytes),
            label: format!("{name}/{parent}"),
        };
        let copy = into.join(photo.copy());
        // A run that was killed had found that it may be seen.
        if copy.exists() {
            return Ok(Some(photo));
        }
        let limits = DecodeLimits::default();
        let (Ok(report), Ok(image)) = (PixelReport::of(&bytes, &limits), decode(&bytes, &limits)) else {
            unreadable.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        if unseen.has_name(file) || unseen.has(&report, search) {
            copies.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        let small = jpeg(&small(image), QUALITY).with_context(|| format!("{}: no copy", file.display()))?;
        // Under its name only when complete: a run that is killed would take a part of it for the whole.
        let part = copy.with_extension("part");
        fs::write(&part, small)?;
        fs::rename(part, copy)?;
        Ok(Some(photo))
    };
    let photos: Vec<Option<Photo>> = files.par_iter().map(take).collect::<anyhow::Result<_>>()?;
    Ok(Taken {
        photos: photos.into_iter().flatten().collect(),
        copies: copies.into_inner(),
        unreadable: unreadable.into_inner(),
    })
}

/// The photo with its shorter side at most [`SIDE`] pixels long.
fn small(image: RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let shorter = width.min(height);
    if shorter <= SIDE {
        return image;
    }
    let scaled = |side: u32| (f64::from(side) * f64::from(SIDE) / f64::from(shorter)).round() as u32;
    resized(image, scaled(width), scaled(height))
}

/// How thoroughly a collection is searched for photos that must not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// By name, bytes and perceptual hash.
    Copies,
    /// In windows of all of them too.
    CropsToo,
}

/// Photos that must not be seen.
pub(crate) struct Unseen {
    contents: HashSet<ContentHash>,
    names: HashSet<String>,
    by_hash: SeenPhotos,
    in_windows: SeenPhotos,
}

impl Unseen {
    /// Reads the photos of folders, and the names that they once had, from a column `source_path` of a `labels.csv`.
    pub(crate) fn new(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let photos =
            |window_limit| SeenPhotos::new(DuplicateOptions { window_limit, ..DuplicateOptions::default() });
        let mut unseen = Self {
            contents: HashSet::new(),
            names: HashSet::new(),
            by_hash: photos(0),
            in_windows: photos(usize::MAX),
        };
        for folder in folders {
            let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
            let files: Vec<PathBuf> = entries
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .filter(|entry| entry.file_type().is_file())
                .map(walkdir::DirEntry::into_path)
                .collect();
            unseen.names.extend(files.iter().map(|file| stem(file)));
            unseen.names.extend(former_names(&folder.join("labels.csv"))?);
            let read = |file: &PathBuf| PixelReport::of(&fs::read(file).ok()?, &DecodeLimits::default()).ok();
            let reports: Vec<Option<PixelReport>> = files.par_iter().map(read).collect();
            for report in reports.into_iter().flatten() {
                unseen.contents.insert(report.content);
                unseen.by_hash.push(&report);
                unseen.in_windows.push(&report);
            }
        }
        Ok(unseen)
    }

    /// Whether one of them has the file's name, but for its ending.
    pub(crate) fn has_name(&self, file: &Path) -> bool {
        self.names.contains(&stem(file))
    }

    /// Whether a photo is one of them, or a copy of one.
    pub(crate) fn has(&self, report: &PixelReport, search: Search) -> bool {
        let photos = if search == Search::CropsToo { &self.in_windows } else { &self.by_hash };
        self.contents.contains(&report.content) || photos.copy_of(report).is_some()
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn former_names(table: &Path) -> anyhow::Result<Vec<String>> {
    if !table.is_file() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_path(table)?;
    let column = reader.headers()?.iter().position(|name| name == "source_path");
    let rows = reader.records().collect::<Result<Vec<_>, _>>()?;
    Ok(rows.iter().filter_map(|row| Some(stem(Path::new(row.get(column?)?)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that no other is a copy of.
    fn picture(seed: u32) -> RgbImage {
        RgbImage::from_fn(160, 120, |x, y| {
            let wave = |shift: u32| {
                (((x * (3 + seed) + y * (shift + 2 * seed)) / 7 + x * y / (9 + seed)) % 256) as u8
            };
            [wave(1), wave(5), wave(11)].into()
        })
    }

    #[test]
    fn nothing_that_is_measured_is_seen_whatever_became_of_it() {
        let (photos, measured, work) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &Path, name: &str, image: &RgbImage, quality: u8| {
            fs::create_dir_all(folder.join("class")).unwrap();
            fs::write(folder.join("class").join(name), jpeg(image, quality).unwrap()).unwrap();
        };
        write(measured.path(), "kept-back.jpg", &picture(1), 90);
        fs::write(measured.path().join("labels.csv"), "file,source_path\nkept-back.jpg,data/once (1).png\n")
            .unwrap();
        write(photos.path(), "the same bytes.jpg", &picture(1), 90);
        write(photos.path(), "recompressed.jpg", &picture(1), 50);
        write(photos.path(), "smaller.jpg", &resized(picture(1), 100, 75), 90);
        write(photos.path(), "once (1).jpg", &picture(2), 90);
        write(photos.path(), "another.jpg", &picture(5), 90);
        fs::write(photos.path().join("class/notes.txt"), "not a photo").unwrap();
        let folders = Folders {
            photos: vec![photos.path().to_owned()],
            related: Vec::new(),
            leave_out: vec![measured.path().to_owned()],
        };
        let taken = super::photos(work.path(), &folders).unwrap();
        let names: Vec<String> = taken.iter().map(|photo| stem(&photo.source)).collect();
        assert_eq!(names, ["another"]);
    }

    #[test]
    fn crops_are_left_out_of_collections_where_they_are_to_be_expected() {
        let folder = tempfile::tempdir().unwrap();
        let whole = picture(3);
        fs::write(folder.path().join("whole.jpg"), jpeg(&whole, 95).unwrap()).unwrap();
        let unseen = Unseen::new(&[folder.path().to_owned()]).unwrap();
        let crop = RgbImage::from_fn(110, 84, |x, y| *whole.get_pixel(x + 30, y + 20));
        let report = PixelReport::of(&jpeg(&crop, 95).unwrap(), &DecodeLimits::default()).unwrap();
        assert!(unseen.has(&report, Search::CropsToo));
    }
}
