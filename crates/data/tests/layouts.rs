//! Folders as people have them: what is read, what is said about it, and that every file is accounted for.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::ImageFormat;
use proptest::prelude::*;
use sciurus_data::{ImageDataset, LeftOutReason, Note, Split, Splitter};
use std::path::{Path, PathBuf};
use support::{class_folders, encoded, picture, write};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn photo(seed: u32) -> Vec<u8> {
    encoded(&picture(40, 30, seed), ImageFormat::Jpeg)
}

fn build(root: &Path) -> ImageDataset {
    ImageDataset::from_folder(root).build().unwrap_or_else(|error| panic!("{error}"))
}

fn refused(root: &Path) -> String {
    let error = ImageDataset::from_folder(root).build().unwrap_err().to_string();
    error.replace(&root.display().to_string(), "ROOT").replace('\\', "/")
}

fn told(dataset: &ImageDataset) -> Vec<String> {
    dataset.notes.iter().map(Note::to_string).collect()
}

/// How many of train, valid and test.
fn counts(dataset: &ImageDataset) -> [usize; 3] {
    Split::ALL.map(|split| dataset.split(split).count())
}

/// Files below a folder, links not followed.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.file_type().unwrap().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

fn accounted_for(dataset: &ImageDataset) -> usize {
    let left_out: usize = dataset.left_out.iter().map(|left_out| left_out.files).sum();
    dataset.items.len() + dataset.skipped.len() + left_out
}

#[test]
fn names_that_cameras_give_are_photos() {
    let root = folder();
    for (at, name) in
        ["red/_MG_0001.JPG", "red/_MG_0002.JPG", "grey/_DSC0001.JPG", "grey/_DSC0002.JPG"].iter().enumerate()
    {
        write(root.path().join(name), &photo(at as u32));
    }
    write(root.path().join("red/_rejected/a.jpg"), &photo(9));
    write(root.path().join("red/._MG_0001.JPG"), b"what macOS keeps");
    let dataset = build(root.path());
    assert_eq!(dataset.items.len(), 4);
    let left_out: Vec<_> =
        dataset.left_out.iter().map(|left_out| (left_out.path.to_str().unwrap(), left_out.why)).collect();
    assert_eq!(
        left_out,
        [("red/._MG_0001.JPG", LeftOutReason::Dot), ("red/_rejected", LeftOutReason::Underscore)]
    );
    assert_eq!(accounted_for(&dataset), files(root.path()));
}

#[test]
fn what_systems_and_network_drives_keep_is_passed_over() {
    let root = folder();
    class_folders(root.path(), &["red", "grey"], 3);
    for name in
        ["red/Thumbs.db", "desktop.ini", "grey/@eaDir/00.jpg/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/a.jpg"]
    {
        write(root.path().join(name), &photo(30));
    }
    let dataset = build(root.path());
    assert_eq!((dataset.items.len(), dataset.skipped.len(), dataset.vocab.len()), (6, 0, 2));
    assert_eq!(dataset.left_out.iter().filter(|left_out| left_out.why == LeftOutReason::System).count(), 4);
    assert_eq!(accounted_for(&dataset), files(root.path()));
}

#[test]
fn split_folders_may_be_spelled_in_the_usual_ways() {
    for [train, valid, test] in [
        ["Train", "Valid", "Test"],
        ["TRAIN", "VAL", "TEST"],
        ["training", "validation", "testing"],
        ["training_set", "validation_set", "test_set"],
        ["Training Data", "Validation Data", "Test Data"],
        ["train2017", "val2017", "test2017"],
        ["01_train", "02_valid", "03_test"],
        ["train_images", "dev_images", "test_images"],
        ["seg_train", "seg_val", "seg_test"],
    ] {
        let root = folder();
        for (name, count) in [(train, 4), (valid, 2), (test, 1)] {
            class_folders(&root.path().join(name), &["red", "grey"], count);
        }
        let dataset = build(root.path());
        assert_eq!((dataset.splitter, counts(&dataset)), (Splitter::Folder, [8, 4, 2]), "{train}");
        assert!(told(&dataset)[0].contains(&format!("`{train}` as train")), "{:?}", told(&dataset));
        assert_eq!(accounted_for(&dataset), files(root.path()));
    }
    // Two of them do, too; and what was there twice is read once.
    let root = folder();
    for (name, count) in [("seg_train/seg_train", 4), ("seg_test/seg_test", 2)] {
        class_folders(&root.path().join(name), &["red", "grey"], count);
    }
    write(root.path().join("seg_pred/seg_pred/1.jpg"), &photo(1));
    let dataset = build(root.path());
    assert_eq!(counts(&dataset), [6, 2, 4]);
    assert!(told(&dataset)[0].contains("`seg_test/seg_test` as test"), "{:?}", told(&dataset));
    assert_eq!(dataset.left_out[0].why, LeftOutReason::BesideSplits);
    assert_eq!(accounted_for(&dataset), files(root.path()));
}

#[test]
fn the_usual_spelling_needs_no_word() {
    let root = folder();
    for (name, count) in [("train", 4), ("valid", 2)] {
        for label in ["red", "grey"] {
            for i in 0..count {
                let seed =
                    7 * i + if label == "red" { 100 } else { 0 } + if name == "train" { 0 } else { 50 };
                write(root.path().join(name).join(label).join(format!("{i}.jpg")), &photo(seed));
            }
        }
    }
    assert_eq!(told(&build(root.path())), Vec::<String>::new());
}

#[test]
fn splits_may_lie_in_class_folders() {
    let root = folder();
    for class in ["red", "grey"] {
        class_folders(&root.path().join(class), &["train", "test"], 3);
    }
    write(root.path().join("red/notes.txt"), b"seen in May");
    let dataset = build(root.path());
    assert_eq!(dataset.vocab.labels(), ["grey", "red"]);
    assert_eq!(counts(&dataset), [4, 2, 6]);
    assert!(
        told(&dataset)[0].starts_with("each class folder has folders for train, test"),
        "{:?}",
        told(&dataset)
    );
    assert_eq!(accounted_for(&dataset), files(root.path()));
}

#[test]
fn a_tree_with_another_level_on_top_is_questioned() {
    let root = folder();
    class_folders(&root.path().join("dataset"), &["red", "grey"], 3);
    assert_eq!(
        refused(root.path()),
        "the class folders are not in ROOT, but deeper: give ROOT/dataset instead"
    );
    std::fs::rename(root.path().join("dataset"), root.path().join("inner")).unwrap();
    std::fs::create_dir(root.path().join("dataset")).unwrap();
    std::fs::rename(root.path().join("inner"), root.path().join("dataset/dataset")).unwrap();
    assert!(refused(root.path()).ends_with("give ROOT/dataset/dataset instead"));

    let root = folder();
    for top in ["night", "day"] {
        class_folders(&root.path().join(top), &["red", "grey"], 3);
    }
    assert_eq!(
        refused(root.path()),
        "are `day`, `night` the classes in ROOT, or `grey`, `red`? Photos lie only in the latter, which are folders of the \
         former. For the former, set `label_level` to 1; for the latter, to 2, or give one folder, such as ROOT/day"
    );
    let at = |level: usize| ImageDataset::from_folder(root.path()).label_level(level).build();
    assert_eq!(at(1).unwrap().vocab.labels(), ["day", "night"]);
    let second = at(2).unwrap();
    assert_eq!((second.vocab.labels(), second.items.len()), (&["grey".to_owned(), "red".to_owned()][..], 12));
    assert_eq!(accounted_for(&second), files(root.path()));
    assert!(at(0).unwrap_err().to_string().starts_with("label_level is 0"));
    assert!(at(3).is_err());
}

#[test]
fn folders_of_sessions_in_class_folders_are_read_and_told() {
    let root = folder();
    class_folders(&root.path().join("red"), &["tom", "kim"], 2);
    class_folders(&root.path().join("grey"), &["rex"], 3);
    let dataset = build(root.path());
    assert_eq!(dataset.vocab.labels(), ["grey", "red"]);
    let told = told(&dataset);
    assert!(told.iter().any(|note| note.contains("only folders (`kim`, `rex`, `tom`)")), "{told:?}");
    // One photo in a class folder itself shows that it is one.
    write(root.path().join("red/a.jpg"), &photo(77));
    assert!(!build(root.path()).notes.iter().any(|note| matches!(note, Note::PhotosDeeper(_))));
}

#[test]
fn the_parts_of_a_data_set_are_not_its_classes() {
    let root = folder();
    for i in 0..3 {
        write(root.path().join(format!("images/Birman_{i}.jpg")), &photo(i));
        write(root.path().join(format!("annotations/trimaps/Birman_{i}.png")), &photo(i));
    }
    let said = refused(root.path());
    assert!(said.starts_with("ROOT/images and `annotations` look like the photos of a data set"), "{said}");
    assert!(said.contains("`name_pattern`") && said.contains("`csv`"), "{said}");
    assert_eq!(ImageDataset::from_folder(root.path()).label_level(1).build().unwrap().vocab.len(), 2);

    let root = folder();
    for i in 0..3 {
        write(root.path().join(format!("train/cat.{i}.jpg")), &photo(i));
        write(root.path().join(format!("test/{i}.jpg")), &photo(i));
    }
    write(root.path().join("train.csv"), b"id,label");
    let said = refused(root.path());
    assert!(said.starts_with("the photos in ROOT/train are in no class folders"), "{said}");
    assert!(said.contains("if ROOT/train.csv has their labels, set `csv` to it"), "{said}");
}

#[test]
fn folders_of_runs_are_never_classes() {
    let root = folder();
    class_folders(root.path(), &["red", "grey"], 3);
    for run in ["runs/a-1", "runs/a-2", "out/first", "red/run"] {
        for name in ["run.json", "config.toml"] {
            write(root.path().join(run).join(name), b"{}");
        }
        write(root.path().join(run).join("report.jpg"), &photo(3));
    }
    write(root.path().join("runs/plot.jpg"), &photo(4));
    let dataset = build(root.path());
    assert_eq!((dataset.vocab.labels().len(), dataset.items.len()), (2, 6));
    let left_out: Vec<_> =
        dataset.left_out.iter().map(|left_out| (left_out.path.to_str().unwrap(), left_out.files)).collect();
    assert_eq!(left_out, [("out", 3), ("red/run", 3), ("runs", 7)]);
    assert!(dataset.left_out.iter().all(|left_out| left_out.why == LeftOutReason::Run));
    assert_eq!(accounted_for(&dataset), files(root.path()));

    // Before the first run has begun, and where somebody's class is called so.
    std::fs::remove_dir_all(root.path().join("runs")).unwrap();
    std::fs::create_dir(root.path().join("runs")).unwrap();
    assert_eq!(build(root.path()).vocab.len(), 2);
    for i in 0..3 {
        write(root.path().join(format!("runs/{i}.jpg")), &photo(20 + i));
    }
    assert_eq!(build(root.path()).vocab.labels(), ["grey", "red", "runs"]);
}

#[test]
fn a_class_that_nothing_measures_is_trained_and_named() {
    let root = folder();
    class_folders(&root.path().join("train"), &["black", "grey", "red"], 3);
    class_folders(&root.path().join("valid"), &["grey", "red"], 2);
    std::fs::create_dir(root.path().join("valid/black")).unwrap();
    let dataset = build(root.path());
    assert_eq!((dataset.vocab.len(), counts(&dataset)), (3, [9, 4, 0]));
    let told = told(&dataset);
    assert!(
        told.contains(
            &"no validation photo shows `black`: nothing measures how well it is recognised; add some"
                .to_owned()
        ),
        "{told:?}"
    );
}

#[test]
fn photos_that_measure_and_were_learnt_from_are_counted() {
    let root = folder();
    for part in ["train", "valid"] {
        class_folders(&root.path().join(part), &["grey", "red"], 3);
    }
    write(root.path().join("valid/red/new.jpg"), &photo(9));
    let told = told(&build(root.path()));
    let expected = "6 of the 7 validation photos are training photos too (valid/grey/00.jpg is the same file as train/grey/00.jpg)";
    assert!(told[0].starts_with(expected), "{told:?}");
}

#[test]
fn classes_that_look_the_same_are_refused() {
    for (pair, why) in [
        (["cat", "cat "], "`cat` and `cat␣`: they differ in spaces around the name"),
        ([" cat", "cat"], "`␣cat` and `cat`: they differ in spaces"),
        (
            ["caf\u{e9}", "cafe\u{301}"],
            "`cafe\\u{301}` and `caf\\u{e9}`: they differ in how accents are encoded",
        ),
    ] {
        let root = folder();
        class_folders(root.path(), &pair, 2);
        let said = ImageDataset::from_folder(root.path()).build().unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
    let root = folder();
    class_folders(root.path(), &["Cat", "cat"], 2);
    assert!(
        told(&build(root.path()))
            .iter()
            .any(|note| note.starts_with("`Cat` and `cat` differ in upper and lower case only"))
    );
}

/// A tree of folders with files of every kind in it.
#[derive(Debug, Clone)]
enum Tree {
    Photo(u32),
    Text,
    Empty,
    Folder(Vec<(String, Tree)>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let file = prop_oneof![4 => any::<u32>().prop_map(|seed| Tree::Photo(seed % 50)), 1 => Just(Tree::Text), 1 => Just(Tree::Empty)];
    let name = prop_oneof![
        3 => "[a-c]{1,2}",
        1 => "[a-c]{1,2}\\.jpg",
        1 => Just("_MG_1.JPG".to_owned()),
        1 => Just("_aside".to_owned()),
        1 => Just(".hidden".to_owned()),
        1 => Just("train".to_owned()),
        1 => Just("Valid".to_owned()),
        1 => Just("test".to_owned()),
        1 => Just("runs".to_owned()),
        1 => Just("Thumbs.db".to_owned()),
        1 => Just("@eaDir".to_owned()),
        1 => Just("run.json".to_owned()),
        1 => Just("config.toml".to_owned()),
    ];
    file.prop_recursive(4, 60, 6, move |inner| {
        proptest::collection::vec((name.clone(), inner), 1..7).prop_map(Tree::Folder)
    })
}

fn grow(tree: &Tree, path: &Path) {
    match tree {
        Tree::Folder(entries) => {
            std::fs::create_dir_all(path).unwrap();
            for (name, tree) in entries {
                let path: PathBuf = path.join(name);
                if !path.exists() {
                    grow(tree, &path);
                }
            }
        }
        Tree::Photo(seed) => std::fs::write(path, photo(*seed)).unwrap(),
        Tree::Text => std::fs::write(path, "words").unwrap(),
        Tree::Empty => std::fs::write(path, "").unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is there is used, skipped or left out: once each.
    #[test]
    fn every_file_is_accounted_for(tree in trees(), is_mixed: bool, level in prop_oneof![2 => Just(None), 2 => Just(Some(1)), 1 => Just(Some(2))]) {
        let root = folder();
        let path = root.path();
        // Most trees on their own are no data set.
        if is_mixed {
            class_folders(path, &["grey", "red"], 2);
        }
        grow(&tree, &path.join("c"));
        for dataset in [
            ImageDataset::from_folder(path).label_level(level).build(),
            ImageDataset::from_name_pattern(path, "^(.)").build(),
        ].into_iter().flatten() {
            prop_assert_eq!(accounted_for(&dataset), files(path), "{:?} {:?}", dataset.left_out, dataset.skipped);
        }
    }
}
