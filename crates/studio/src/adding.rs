//! Photos that somebody brings: dropped, pasted, chosen, or taken by a camera. In: bytes, and the name of a class. Out: a
//! file in the folder of that class, with those bytes, under a name that was free; or why not.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sciurus::data::fs::{InsidePath, Kind, Root};
use sciurus::data::{ContentHash, DecodeLimits, ImageItem, Labeler, Note, Split, counted, one_line};
use sciurus::gather::class_folder;
use sciurus::photos::{PixelReport, content_hash};
use serde::Serialize;

use crate::fault::Fault;
use crate::project::Project;

/// Where a photo is before it has its name.
const PARTS: &str = ".studio-parts";
/// Photos of one name that are numbered.
const NUMBERS: usize = 100_000;

/// Photos that were added since the studio was started, by their content.
#[derive(Debug, Default)]
pub(crate) struct Adding(Mutex<HashMap<ContentHash, InsidePath>>);

/// What became of a photo.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Added {
    /// It is there now.
    File {
        /// Where.
        file: String,
        content: ContentHash,
    },
    /// It was there before.
    Copy {
        /// Where.
        of: String,
    },
}

/// A photo that somebody brings.
#[derive(Debug)]
pub(crate) struct Brought<'b> {
    /// The class that it is to have.
    pub(crate) class: &'b str,
    /// What its file was called.
    pub(crate) name: &'b str,
    pub(crate) bytes: &'b [u8],
}

impl Adding {
    /// Puts a photo into the folder of its class. Only one at a time is decoded.
    pub(crate) fn add(
        &self,
        folder: &Path,
        project: Option<&Project>,
        photo: &Brought<'_>,
    ) -> Result<Added, Fault> {
        let root = Root::open(folder).map_err(sciurus::Error::from)?;
        let class = place_of(photo.class, &root, project)?;
        let mut added = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let report = PixelReport::of(photo.bytes, &DecodeLimits::default())
            .map_err(|reason| Fault::Bad(reason.to_string()))?;
        let content = report.content;
        let in_project = project.and_then(|project| InsidePath::new(&project.item(content)?.path).ok());
        let known = [in_project, added.get(&content).cloned()];
        if let Some(of) = known.into_iter().flatten().find(|place| is_file(&root, place)) {
            return Ok(Added::Copy { of: shown(&of) });
        }
        let ending = report.format.extensions().first().copied().unwrap_or("jpg");
        let kept = keep(&root, (&class, photo.name, ending), content, photo.bytes)?;
        if let Added::File { file, .. } = &kept {
            added.extend(InsidePath::new(file).ok().map(|place| (content, place)));
        }
        Ok(kept)
    }
}

/// Refuses a folder whose classes are not on its top, where a new class would go that is gathered.
pub(crate) fn check_flat(folder: &Path, project: Option<&Project>) -> Result<(), Fault> {
    let root = Root::open(folder).map_err(sciurus::Error::from)?;
    // A name that no class of anybody's has.
    let place = place_of("a class that is new here", &root, project)?;
    match place.as_path().iter().count() {
        1 => Ok(()),
        _ => Err(Fault::Bad(
            "the photos of this folder lie in train and valid, and which photo goes where is not for gathering to say; gather \
             into an empty folder"
                .to_owned(),
        )),
    }
}

/// Whether a class can have this name: one that the library gives to a folder, and no other one's in small or large letters.
pub(crate) fn check_name(class: &str, project: Option<&Project>) -> Result<(), Fault> {
    let labels = project.map_or(&[][..], |project| project.dataset.vocab.labels());
    let shown = one_line(class);
    if class_folder(class).as_deref() != Some(class) {
        return Err(Fault::Bad(format!(
            "`{shown}` cannot be a class: its folder has the same name, so use letters, digits and spaces"
        )));
    }
    match labels.iter().find(|label| *label != class && label.to_lowercase() == class.to_lowercase()) {
        Some(label) => {
            Err(Fault::Bad(format!("there is the class `{}`; write it in the same way", one_line(label))))
        }
        None => Ok(()),
    }
}

/// The folder that photos of a class go to: where its other photos are, or beside those of the others; of training photos, if
/// they lie by split.
fn place_of(class: &str, root: &Root, project: Option<&Project>) -> Result<InsidePath, Fault> {
    let Some(project) = project else {
        check_name(class, None)?;
        not_deep(root)?;
        return inside(Path::new(class));
    };
    check_labels(project)?;
    let dataset = &project.dataset;
    let is_of = |item: &&ImageItem| dataset.label(item) == class;
    if dataset.vocab.class(class).is_none() {
        check_name(class, Some(project))?;
    }
    let of_train = || dataset.split(Split::Train);
    let like =
        of_train().find(is_of).or_else(|| dataset.items.iter().find(is_of)).or_else(|| of_train().next());
    let like = like.ok_or_else(|| Fault::Missing("there is no photo in this folder".to_owned()))?;
    let mut parts: Vec<&std::ffi::OsStr> = like.path.parent().into_iter().flat_map(Path::iter).collect();
    let label = dataset.label(like);
    let place = parts.iter().position(|part| *part == &*label);
    let place =
        place.ok_or_else(|| Fault::Bad("the labels of these photos are not names of folders".to_owned()))?;
    parts[place] = class.as_ref();
    parts.truncate(place + 1 + usize::from(splits_in_classes(project)));
    inside(&parts.iter().collect::<PathBuf>())
}

fn check_labels(project: &Project) -> Result<(), Fault> {
    match project.dataset.labeler {
        Labeler::Folder => Ok(()),
        _ => Err(Fault::Bad(
            "the labels of these photos are in a table; add photos to the table, and to its folder"
                .to_owned(),
        )),
    }
}

fn splits_in_classes(project: &Project) -> bool {
    project.dataset.notes.iter().any(|note| matches!(note, Note::SplitsInClasses { .. }))
}

/// A folder that is no data set yet takes classes on its top, unless it seems to have them deeper.
fn not_deep(root: &Root) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::Bad(format!("this folder cannot be listed: {error}"));
    for name in root.names(None).map_err(failed)? {
        let Ok(place) = InsidePath::new(&name) else { continue };
        let is_class = !place.is_hidden() && !name.as_encoded_bytes().starts_with(b"_");
        if !is_class || !matches!(root.kind(&place), Ok(Some(Kind::Folder))) {
            continue;
        }
        let is_folder = |inner: std::ffi::OsString| {
            let inner = InsidePath::new(place.as_path().join(inner)).ok();
            inner.is_some_and(|inner| matches!(root.kind(&inner), Ok(Some(Kind::Folder))))
        };
        if root.names(Some(&place)).map_err(failed)?.into_iter().any(is_folder) {
            let name = one_line(&name.to_string_lossy());
            return Err(Fault::Bad(format!(
                "{name} has folders in it, so it is not clear where a class belongs; choose an empty folder, or a data set"
            )));
        }
    }
    Ok(())
}

fn is_file(root: &Root, place: &InsidePath) -> bool {
    matches!(root.kind(place), Ok(Some(Kind::File)))
}

/// Writes a photo whole, then gives it its name in one step, unless the name was taken meanwhile.
fn keep(
    root: &Root,
    (class, name, ending): (&InsidePath, &str, &str),
    content: ContentHash,
    bytes: &[u8],
) -> Result<Added, Fault> {
    let part = inside(&Path::new(PARTS).join(content.to_string()))?;
    root.write(&part, |file| file.write_all(bytes)).map_err(sciurus::Error::from)?;
    let kept = named(root, &part, (class, &stem(name), ending), content);
    if !matches!(kept, Ok(Added::File { .. })) {
        // Nobody knows of it under the name that it has now.
        let _ = root.remove_file(&part);
    }
    // Only if it is empty.
    let _ = root.remove_folder(&InsidePath::ours(PARTS));
    kept
}

/// Gives a photo the first name that is free. One that has the same bytes is the same photo: a folder that is no data set yet
/// has no list to look it up in.
fn named(
    root: &Root,
    part: &InsidePath,
    (class, stem, ending): (&InsidePath, &str, &str),
    content: ContentHash,
) -> Result<Added, Fault> {
    for number in 1..NUMBERS {
        let name = if number == 1 { format!("{stem}.{ending}") } else { format!("{stem}-{number}.{ending}") };
        let to = inside(&class.as_path().join(name))?;
        match root.move_new(part, &to) {
            Ok(()) => return Ok(Added::File { file: shown(&to), content }),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Fault::Bad(format!("it cannot be written to {}: {error}", shown(class))));
            }
            Err(_) if content_hash(root, &to) == Some(content) => return Ok(Added::Copy { of: shown(&to) }),
            Err(_) => {}
        }
    }
    Err(Fault::Bad(format!("there are {} of this name already", counted(NUMBERS, "photo"))))
}

fn inside(path: &Path) -> Result<InsidePath, Fault> {
    InsidePath::new(path).map_err(|error| Fault::Bad(error.to_string()))
}

/// The name of a photo without its ending: as its file was called, as far as every system accepts it.
fn stem(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    class_folder(stem).unwrap_or_else(|| "photo".to_owned())
}

fn shown(place: &InsidePath) -> String {
    place.as_path().to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_it_was_as_far_as_that_is_safe() {
        for (given, name) in [
            ("IMG 1234.JPG", "IMG 1234"),
            ("../../etc/passwd", "passwd"),
            ("C:\\photos\\oak.png", "oak"),
            (".htaccess", "photo"),
            ("a<b>&\"c.jpg", "a-b-&-c"),
            ("", "photo"),
            ("...", "photo"),
            ("nul.png", "class nul"),
            ("Eichhörnchen.webp", "Eichhörnchen"),
        ] {
            assert_eq!(stem(given), name, "{given}");
        }
    }
}
