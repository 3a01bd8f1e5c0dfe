//! From a folder to a data set, and what a folder can have wrong.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::ImageFormat;
use sciurus_data::{
    DataError, ImageDataset, ImageDatasetBuilder, LeftOut, LeftOutReason, SkipReason, Split, Splitter, verify,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{class_folders, encoded, picture, write};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn error(root: &Path) -> String {
    let error = ImageDataset::from_folder(root).build().unwrap_err().to_string();
    let said = error.replace(&root.display().to_string(), "ROOT").replace('\\', "/");
    assert!(!said.ends_with('.') && said.contains("ROOT"), "{error}");
    said
}

#[test]
fn a_folder_per_class_is_read_in_the_order_of_paths() {
    let root = folder();
    class_folders(root.path(), &["red", "grey"], 5);
    write(root.path().join("red/nested/deep/a.png"), &encoded(&picture(20, 30, 0), ImageFormat::Png));
    write(root.path().join("_junk/a.jpg"), b"");
    write(root.path().join("red/.DS_Store"), b"x");
    write(root.path().join("labels.csv"), b"a,b");
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let dataset = ImageDataset::from_folder(root.path())
        .on_progress(move |_| _ = counter.fetch_add(1, Ordering::Relaxed))
        .build()
        .unwrap();

    assert_eq!(calls.load(Ordering::Relaxed), 11);
    assert_eq!(dataset.vocab.labels(), ["grey", "red"]);
    assert_eq!((dataset.items.len(), dataset.skipped.len()), (11, 0));
    assert!(dataset.items.is_sorted_by_key(|item| &item.path));
    assert!(dataset.items.iter().enumerate().all(|(i, item)| item.id.index() == i));
    let left_out = |path: &str, why| LeftOut { path: path.into(), files: 1, why };
    assert_eq!(
        dataset.left_out,
        [
            left_out("_junk", LeftOutReason::Underscore),
            left_out("labels.csv", LeftOutReason::NotAPicture),
            left_out("red/.DS_Store", LeftOutReason::Dot)
        ]
    );
    let nested = dataset.items.iter().find(|item| item.path.ends_with("a.png")).unwrap();
    assert_eq!((dataset.label(nested).as_str(), nested.width, nested.height), ("red", 20, 30));
    assert_eq!(
        (dataset.class_counts(Split::Train), dataset.class_counts(Split::Valid)),
        (vec![4, 5], vec![1, 1])
    );
    assert!(dataset.path(nested).is_file());

    let text = serde_json::to_string(&dataset).unwrap();
    assert_eq!(serde_json::from_str::<ImageDataset>(&text).unwrap(), dataset);
}

#[test]
fn the_fingerprint_is_of_the_content_not_of_the_place() {
    let (one, two) = (folder(), folder());
    let build = |root: &TempDir, seed| ImageDataset::from_folder(root.path()).seed(seed).build().unwrap();
    for root in [&one, &two] {
        class_folders(root.path(), &["red", "grey"], 6);
    }
    assert_eq!(build(&one, 1).fingerprint(), build(&two, 1).fingerprint());
    assert_ne!(build(&one, 1).fingerprint(), build(&one, 2).fingerprint());
    write(two.path().join("red/00.jpg"), &encoded(&picture(9, 9, 9), ImageFormat::Jpeg));
    assert_ne!(build(&one, 1).fingerprint(), build(&two, 1).fingerprint());
}

#[test]
fn bad_files_are_skipped_with_a_reason() {
    let root = folder();
    class_folders(root.path(), &["red", "grey"], 3);
    let whole = encoded(&picture(50, 50, 1), ImageFormat::Jpeg);
    for (name, bytes) in [
        ("empty.jpg", &b""[..]),
        ("page.jpg", b"<!doctype html>"),
        ("urls.txt", b"http"),
        ("cut.jpg", &whole[..whole.len() - 100]),
    ] {
        write(root.path().join("red").join(name), bytes);
    }
    write(root.path().join("loose.jpg"), &whole);
    std::fs::create_dir(root.path().join("red/folder.jpg")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", root.path().join("red/link.jpg")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(".", root.path().join("red/circle")).unwrap();

    let dataset = ImageDataset::from_folder(root.path()).build().unwrap();
    let reason = |name: &str| {
        let skipped = dataset.skipped.iter().find(|skipped| skipped.path.ends_with(name));
        skipped.unwrap_or_else(|| panic!("{name} in {:?}", dataset.skipped)).reason.clone()
    };
    assert_eq!(reason("empty.jpg"), SkipReason::Empty);
    assert_eq!(reason("page.jpg"), SkipReason::WebPage);
    assert_eq!(reason("urls.txt"), SkipReason::Text);
    assert_eq!(reason("cut.jpg"), SkipReason::Truncated);
    assert_eq!(reason("loose.jpg"), SkipReason::OutsideClassFolder);
    #[cfg(unix)]
    {
        assert_eq!(reason("link.jpg"), SkipReason::NotFound);
        assert!(matches!(reason("circle"), SkipReason::Unreadable { .. }));
    }
    assert_eq!(dataset.items.len(), 6);
}

#[test]
fn split_folders_decide_the_split() {
    let root = folder();
    class_folders(&root.path().join("train"), &["ants", "bees"], 4);
    class_folders(&root.path().join("val"), &["ants", "bees"], 2);
    class_folders(&root.path().join("test"), &["bees"], 1);
    let build = |splitter: Option<Splitter>| {
        let builder = ImageDataset::from_folder(root.path());
        splitter.into_iter().fold(builder, ImageDatasetBuilder::split_by).build()
    };
    for name in ["val", "valid", "validation"] {
        let folder = root.path().join(name);
        if name != "val" {
            std::fs::rename(root.path().join("val"), &folder).unwrap();
        }
        for splitter in [None, Some(Splitter::Folder)] {
            let dataset = build(splitter).unwrap();
            assert_eq!(dataset.splitter, Splitter::Folder);
            let counts = Split::ALL.map(|split| dataset.class_counts(split));
            assert_eq!(counts, [vec![4, 4], vec![2, 2], vec![0, 1]]);
        }
        for splitter in [Splitter::default(), Splitter::Random { valid_fraction: 0.5 }] {
            let error = build(Some(splitter)).unwrap_err();
            assert!(matches!(error, DataError::OwnSplitFolders { .. }), "{error}");
            assert!(
                error
                    .to_string()
                    .ends_with("leave out `split`, `valid_fraction` and `fold`, or set `split` to folder")
            );
        }
        std::fs::rename(folder, root.path().join("val")).unwrap();
    }

    // A test folder leaves the choice of the validation set open.
    std::fs::remove_dir_all(root.path().join("val")).unwrap();
    for splitter in [None, Some(Splitter::default())] {
        let dataset = build(splitter).unwrap();
        let counts = Split::ALL.map(|split| dataset.class_counts(split));
        assert_eq!(counts, [vec![3, 3], vec![1, 1], vec![0, 1]]);
    }
}

#[test]
fn train_is_a_class_only_if_it_holds_no_folders() {
    let root = folder();
    class_folders(root.path(), &["plane", "train"], 2);
    let dataset = ImageDataset::from_folder(root.path()).build().unwrap();
    assert_eq!(dataset.vocab.labels(), ["plane", "train"]);

    class_folders(&root.path().join("train"), &["ants", "bees"], 2);
    class_folders(&root.path().join("extra"), &["ants", "bees"], 2);
    let said = error(root.path());
    let expected = "ROOT/train has subfolders, so it looks like a split, but next to it are only `extra`, `plane` \
                    and none for valid or test; rename the folder";
    assert!(said.starts_with(expected), "{said}");
    std::fs::remove_dir_all(root.path().join("plane")).unwrap();
    std::fs::rename(root.path().join("extra"), root.path().join("validation")).unwrap();
    assert_eq!(ImageDataset::from_folder(root.path()).build().unwrap().splitter, Splitter::Folder);
}

#[test]
fn a_folder_that_is_no_data_set_is_explained() {
    let root = folder();
    assert!(error(&root.path().join("nosuch")).contains("does not exist"));
    assert!(error(root.path()).starts_with("no class folders in ROOT; put the images of each class"));
    let image = encoded(&picture(20, 20, 0), ImageFormat::Jpeg);
    write(root.path().join("a.jpg"), &image);
    assert!(error(root.path()).starts_with("1 image is directly in ROOT, so it has no label; if a table"));
    assert!(error(&root.path().join("a.jpg")).contains("is a file, not a folder"));
    write(root.path().join("red/a.jpg"), &image);
    assert!(error(root.path()).starts_with("only one class, `red`, in ROOT"));
    write(root.path().join("grey/a.jpg"), b"text");
    assert!(error(root.path()).starts_with(
        "class folder ROOT/grey has no readable image (1 file skipped, the first because: grey/a.jpg: text"
    ));
    write(root.path().join("grey/b.jpg"), &image);
    write(root.path().join("red/b.jpg"), &image);
    assert!(error(root.path()).starts_with("class `grey` in ROOT has only one readable image"));
}

#[test]
fn split_folders_that_contradict_are_explained() {
    let root = folder();
    class_folders(&root.path().join("train"), &["ants", "bees"], 2);
    class_folders(&root.path().join("valid"), &["ants", "wasps"], 2);
    assert!(
        error(root.path())
            .starts_with("ROOT/valid has photos of `wasps`, but ROOT/train has none to learn from")
    );
    class_folders(&root.path().join("val"), &["ants", "bees"], 2);
    assert!(error(root.path()).contains("two folders that could be for valid, `val` and `valid`"));
    std::fs::rename(root.path().join("valid"), root.path().join("validation")).unwrap();
    assert!(error(root.path()).contains("two folders that could be for valid, `val` and `validation`"));

    let flat = folder();
    class_folders(flat.path(), &["ants", "bees"], 2);
    let by = |splitter| ImageDataset::from_folder(flat.path()).split_by(splitter).build();
    assert!(matches!(by(Splitter::Folder), Err(DataError::NoSplitFolders { .. })));
    assert!(matches!(by(Splitter::Random { valid_fraction: 1.0 }), Err(DataError::ValidFraction { .. })));
    let none = by(Splitter::Random { valid_fraction: 0.1 });
    assert!(matches!(none, Err(DataError::EmptySplit { split: Split::Valid, .. })));
}

#[test]
fn the_summary_answers_the_five_questions_and_verify_finds_damage() {
    let root = folder();
    class_folders(root.path(), &["red", "grey"], 5);
    let png = encoded(&picture(300, 200, 1), ImageFormat::Png);
    write(root.path().join("red/broken.png"), &png[..png.len() / 2]);
    write(root.path().join("red/text.txt"), b"text");
    let dataset = ImageDataset::from_folder(root.path()).build().unwrap();
    let summary = dataset.summary();
    assert_eq!((summary.items, summary.classes[1].items(), summary.imbalance), (11, 6, 1.2));
    assert_eq!(summary.splits, [(Split::Train, 9), (Split::Valid, 2), (Split::Test, 0)]);
    assert_eq!((summary.width.min, summary.width.median, summary.width.max), (60, 70, 300));
    assert_eq!((summary.height.min, summary.height.max, summary.skipped.len()), (70, 200, 1));

    let damaged = verify(&dataset, |_| {}).unwrap();
    assert_eq!(damaged.len(), 1);
    assert_eq!(
        (damaged[0].path.as_path(), &damaged[0].reason),
        (Path::new("red/broken.png"), &SkipReason::Truncated)
    );
}

#[test]
fn real_folders_are_read() {
    let Some(data) = support::shared_data() else { return };
    let bears = ImageDataset::from_folder(data.join("bears_google_huang")).build().unwrap();
    assert_eq!(bears.vocab.labels(), ["black", "grizzly", "teddys"]);
    assert!(
        bears.skipped.iter().any(|skipped| skipped.path.ends_with("urls_teddys.txt")),
        "{:?}",
        bears.skipped
    );
    assert!(bears.items.iter().any(|item| item.path.ends_with("00000080.php")));

    let squirrels = ImageDataset::from_folder(data.join("squirrels_red_grey")).build().unwrap();
    assert_eq!(
        (squirrels.items.len(), squirrels.left_out[0].path.as_path(), squirrels.left_out[0].why),
        (330, Path::new("_junk"), LeftOutReason::Underscore)
    );

    let hymenoptera = ImageDataset::from_folder(data.join("hymenoptera")).build().unwrap();
    assert_eq!(hymenoptera.class_counts(Split::Valid), [70, 83]);
}
