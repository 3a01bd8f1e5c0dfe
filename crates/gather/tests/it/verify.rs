//! What is verified before a photo is kept, with a source of our own: copies within and across classes, size, order,
//! and files that were there before.

use crate::world::{gather, run, shared};
use sciurus_data::{DecodeLimits, RgbImage, decode_file};
use sciurus_gather::{
    Control, Cursor, Ending, FoundImage, Gather, GatherError, GatherEvent, Gathered, ImageKind, ImageSource,
    KeyNeed, Ledger, Licence, Opening, Page, Query, Rejection, Searching, SourceId, SourceInfo, Telling,
};
use sciurus_photos::jpeg;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Files by class, each with its name, kind and content.
#[derive(Debug, Default)]
struct Own(HashMap<String, Vec<(String, ImageKind, Vec<u8>)>>);

impl Own {
    fn with(mut self, class: &str, name: &str, kind: ImageKind, content: Vec<u8>) -> Self {
        self.0.entry(class.into()).or_default().push((name.into(), kind, content));
        self
    }

    fn photo(self, class: &str, name: &str, content: &[u8]) -> Self {
        self.with(class, name, ImageKind::Photo, content.to_vec())
    }
}

impl ImageSource for Own {
    fn info(&self) -> SourceInfo {
        let key = KeyNeed::None;
        let (what, limits, training) = ("own", "none", "allowed");
        SourceInfo { id: SourceId::Folder, what, limits, key, licences: Telling::Always, training }
    }

    fn search<'s>(&'s self, query: &'s Query, _: Option<&'s Cursor>) -> Searching<'s> {
        let found = self.0.get(&query.class).into_iter().flatten().map(|(name, kind, _)| {
            let url = format!("file:///{}/{name}", query.class).parse().unwrap();
            let mut image = FoundImage::new(SourceId::Folder, name.clone(), url);
            (image.licence, image.kind) = (Licence::Cc0, *kind);
            image
        });
        let items = found.collect();
        Box::pin(async move { Ok(Page { items, next: None }) })
    }

    fn open<'s>(&'s self, image: &'s FoundImage) -> Option<Opening<'s>> {
        let mut all = self.0.values().flatten();
        let content = all.find(|(name, _, _)| *name == image.source_id).unwrap().2.clone();
        Some(Box::pin(async move { Ok(content) }))
    }
}

fn own(source: Own, classes: &[&str], into: &Path, per_class: usize) -> Gather {
    gather(classes.iter().map(|class| (*class).to_owned()), into, per_class)
        .sources(Vec::new())
        .own_source(Arc::new(source))
}

fn rejected(events: &[GatherEvent]) -> Vec<(String, Rejection)> {
    let reasons = events.iter().filter_map(|event| match event {
        GatherEvent::Rejected { url, reason, .. } => Some((url.path().to_owned(), reason.clone())),
        _ => None,
    });
    reasons.collect()
}

fn photo(number: usize) -> Option<RgbImage> {
    let folder = shared()?.join("data/hymenoptera/val/ants");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(decode_file(&files[number], &DecodeLimits::default()).unwrap())
}

fn file(image: &RgbImage) -> Vec<u8> {
    jpeg(image, 92).unwrap()
}

#[test]
fn copies_are_found_within_and_across_classes() {
    let (Some(a), Some(b)) = (photo(0), photo(1)) else { return };
    let (width, height) = a.dimensions();
    let crop =
        image::imageops::crop_imm(&a, width / 14, height / 16, width * 6 / 7, height * 7 / 8).to_image();
    let mirrored = image::imageops::flip_horizontal(&a);
    let small = image::imageops::thumbnail(&a, 150, 140);
    let tiny = image::imageops::thumbnail(&b, 90, 200);
    let source = Own::default()
        .photo("x", "a", &file(&a))
        .photo("x", "again", &file(&a))
        .photo("x", "low", &jpeg(&a, 40).unwrap())
        .photo("x", "crop", &file(&crop))
        .photo("x", "tiny", &file(&tiny))
        .photo("y", "mirrored", &file(&mirrored))
        .photo("y", "small", &file(&small))
        .photo("y", "b", &file(&b));
    let folder = tempfile::tempdir().unwrap();
    let (gathered, events) = run(own(source, &["x", "y"], folder.path(), 5));
    let count =
        |class: usize, reason: &str| gathered.classes[class].rejected.get(reason).copied().unwrap_or(0);
    assert_eq!((gathered.classes[0].kept, gathered.classes[1].kept), (1, 1), "{:?}", rejected(&events));
    assert_eq!(
        (count(0, "exact duplicate"), count(0, "near duplicate"), count(0, "too small")),
        (1, 2, 1),
        "{gathered}"
    );
    assert_eq!(count(1, "near duplicate"), 2, "{gathered}");
    let (_, across) = rejected(&events).into_iter().find(|(path, _)| path.ends_with("mirrored")).unwrap();
    assert!(
        across.to_string().contains("a copy of x/folder-a.jpg") && across.to_string().contains("mirrored"),
        "{across}"
    );
    assert_eq!(gathered.ending, Ending::Short);
}

#[test]
fn drawings_come_last_and_names_of_others_are_left_alone() {
    let photos: Option<Vec<RgbImage>> = (0..5).map(photo).collect();
    let Some(photos) = photos else { return };
    let kinds =
        [ImageKind::Drawing, ImageKind::Unknown, ImageKind::Photo, ImageKind::Drawing, ImageKind::Photo];
    let source = || {
        let all = photos.iter().zip(kinds).enumerate();
        all.fold(Own::default(), |own, (number, (image, kind))| {
            own.with("x", &number.to_string(), kind, file(image))
        })
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("x")).unwrap();
    std::fs::write(folder.path().join("x/folder-2.jpg"), "mine").unwrap();
    let (gathered, _) = run(own(source(), &["x"], folder.path(), 4));
    assert_eq!(gathered.ending, Ending::Complete);
    let ledger = Ledger::read(folder.path().join("ledger.jsonl")).unwrap();
    let files: Vec<&str> = ledger.entries().iter().map(|entry| entry.file.as_str()).collect();
    assert_eq!(files, ["x/folder-2-2.jpg", "x/folder-4.jpg", "x/folder-1.jpg", "x/folder-0.jpg"]);
    assert_eq!(std::fs::read(folder.path().join("x/folder-2.jpg")).unwrap(), b"mine");
    // One photo is set aside by cleaning: it is made good with the next one, and does not come back itself.
    std::fs::create_dir_all(folder.path().join("_set_aside")).unwrap();
    std::fs::rename(folder.path().join("x/folder-4.jpg"), folder.path().join("_set_aside/4.jpg")).unwrap();
    let (gathered, _) = run(own(source(), &["x"], folder.path(), 4));
    assert_eq!((gathered.ending, gathered.classes[0].kept), (Ending::Complete, 4), "{gathered}");
    let ledger = Ledger::read(folder.path().join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.entries()[4].file, "x/folder-3.jpg");
}

#[test]
fn two_runs_do_not_work_in_one_folder() {
    let Some(image) = photo(0) else { return };
    let source = || Own::default().photo("x", "a", &file(&image));
    let folder = tempfile::tempdir().unwrap();
    let other = own(source(), &["x"], folder.path(), 1).build().unwrap();
    let first = own(source(), &["x"], folder.path(), 1).build().unwrap();
    let said = Arc::new(std::sync::Mutex::new(None));
    let heard = Arc::clone(&said);
    let tried = first.run_blocking(move |event: &GatherEvent| {
        if matches!(event, GatherEvent::ClassStarted { .. }) {
            let thread =
                |run: &sciurus_gather::GatherRun| run.run_blocking(|_: &GatherEvent| Control::Continue).err();
            *heard.lock().unwrap() =
                std::thread::scope(|scope| scope.spawn(|| thread(&other)).join().unwrap());
        }
        Control::Continue
    });
    let gathered: Gathered = tried.unwrap();
    assert_eq!(gathered.ending, Ending::Complete);
    assert!(matches!(
        said.lock().unwrap().take(),
        Some(GatherError::File(sciurus_data::fs::FileError::Busy { .. }))
    ));
}
