//! Folders made to do harm, gathered into: whatever their ledgers, journals and links say, nothing outside changes.

use crate::world::{run, web};
use proptest::prelude::*;
use sciurus_data::ContentHash;
use sciurus_gather::{Gather, Ledger, refetch, trust_journal};
use sciurus_photos::follow_moves;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Every file, link and folder below a folder, links not followed.
fn tree(root: &Path, but_for: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = fs::symlink_metadata(&path).unwrap();
            let what = match () {
                () if path == but_for => continue,
                () if kind.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                () if kind.is_dir() => {
                    open.push(path.clone());
                    "folder".to_owned()
                }
                () => ContentHash::of(&fs::read(&path).unwrap()).to_string(),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), what);
        }
    }
    found
}

/// A folder `root` from a stranger, beside files of the user and photos to gather from.
fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in [
        ("victim/id_rsa", "key"),
        ("victim/1.jpg", "mine"),
        ("root/red/0.jpg", "a photo"),
        ("root/red/mine.txt", "notes"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let photo =
        image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(3 * x) as u8, (5 * y) as u8, (x * y) as u8]));
    fs::create_dir_all(folder.path().join("source/red")).unwrap();
    photo.save(folder.path().join("source/red/a.png")).unwrap();
    folder
}

/// A line of a ledger.
fn entry(file: &str, content: &str) -> String {
    let entry = serde_json::json!({
        "file": file, "class": "red", "url": "http://127.0.0.1:1/x.jpg", "landing_url": null, "licence": "cc0",
        "licence_url": null, "creator": null, "attribution": null, "hash": ContentHash::of(content.as_bytes()),
        "width": 1, "height": 1, "time": "2026-11-28T00:00:00Z", "source": "urls", "source_id": "",
    });
    format!("{entry}\n")
}

fn gather(folder: &Path) {
    let source = folder.join("source").to_string_lossy().parse().unwrap();
    let asked = Gather::new(folder.join("root"), ["red".parse().unwrap()]).per_class(2).min_size(10);
    let run = asked.sources(vec![source]).web(web()).build().unwrap();
    // Refused or not: what counts is what it touched.
    let _ = run.run_blocking(|_: &sciurus_gather::GatherEvent| sciurus_gather::Control::Continue);
}

#[test]
fn what_the_test_gathers_from_is_gathered() {
    let folder = world();
    gather(folder.path());
    let ledger = Ledger::read(folder.path().join("root/ledger.jsonl")).unwrap();
    assert_eq!(ledger.entries().len(), 1);
    assert!(folder.path().join("root").join(&ledger.entries()[0].file).is_file());
    let line = entry("red/0.jpg", "a photo");
    fs::write(folder.path().join("ledger.jsonl"), line).unwrap();
    assert_eq!(Ledger::read(folder.path().join("ledger.jsonl")).unwrap().entries().len(), 1);
}

#[test]
fn files_of_others_among_the_parts_stay() {
    let folder = world();
    let parts = folder.path().join("root/.gather-parts");
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join("thesis.odt"), "years of work").unwrap();
    let left = format!("7-{}", ContentHash::of(b"x"));
    fs::write(parts.join(&left), "half").unwrap();
    gather(folder.path());
    assert_eq!(fs::read_to_string(parts.join("thesis.odt")).unwrap(), "years of work");
    assert!(!parts.join(left).exists(), "what a killed run left is swept");
}

#[test]
fn a_journal_of_somebody_else_is_gone_on_with_only_when_it_is_trusted() {
    let folder = world();
    let root = folder.path().join("root");
    let journal = "{\"record\":\"started\",\"run\":\"x\",\"rules\":\"y\",\"ledger\":0}\n";
    fs::write(root.join(".gather.jsonl"), journal).unwrap();
    gather(folder.path());
    assert_eq!(fs::read_to_string(root.join(".gather.jsonl")).unwrap(), journal);
    assert!(!root.join("ledger.jsonl").exists());
    assert_eq!(trust_journal(&root).unwrap(), 1);
    gather(folder.path());
    assert!(root.join("ledger.jsonl").exists());
}

const LINKS: &[&str] = &[
    ".gather-parts",
    ".gather.jsonl",
    ".gather.lock",
    "ledger.jsonl",
    ".ledger.jsonl.part",
    ".ATTRIBUTION.md.part",
    "ATTRIBUTION.md",
    "red/linked",
    "new",
];
const TARGETS: &[&str] =
    &["../victim", "../../victim", "../victim/id_rsa", "../victim/new", "red", "/dev/null"];
const FILES: &[&str] = &[
    "../victim/id_rsa",
    "../x.jpg",
    "/tmp/sciurus-must-not-write-this.jpg",
    "red/linked/1.jpg",
    "red/linked/new.jpg",
    "red/0.jpg",
    "red/gone.jpg",
    "..\\x",
    "new/x.jpg",
    ".gather.jsonl",
    "",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_outside_a_hostile_folder_changes(
        links in prop::collection::vec((prop::sample::select(LINKS), prop::sample::select(TARGETS)), 0..4),
        files in prop::collection::vec((prop::sample::select(FILES), prop::sample::select(&["key", "mine", "a photo", "else"][..])), 0..4),
        has_journal: bool,
    ) {
        let folder = world();
        let root = folder.path().join("root");
        for (name, target) in &links {
            let _ = symlink(target, root.join(name));
        }
        let ledger: String = files.iter().map(|(file, content)| entry(file, content)).collect();
        if root.join("ledger.jsonl").symlink_metadata().is_err() && !files.is_empty() {
            fs::write(root.join("ledger.jsonl"), &ledger).unwrap();
        }
        if has_journal && root.join(".gather.jsonl").symlink_metadata().is_err() {
            fs::write(root.join(".gather.jsonl"), "{\"record\":\"ended\"}\n").unwrap();
        }
        fs::write(folder.path().join("from.jsonl"), &ledger).unwrap();
        let before = tree(folder.path(), &root);
        let inside = fs::read(root.join("red/mine.txt")).unwrap();
        let _ = follow_moves(&root);
        gather(folder.path());
        if let Ok(ledger) = Ledger::read(folder.path().join("from.jsonl")) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime.block_on(refetch(&ledger, &root, &web(), |_, _| {}));
        }
        prop_assert_eq!(tree(folder.path(), &root), before);
        prop_assert_eq!(fs::read(root.join("red/mine.txt")).unwrap(), inside);
        prop_assert!(!Path::new("/tmp/sciurus-must-not-write-this.jpg").exists());
        prop_assert!(fs::read(root.join("red/0.jpg")).is_ok_and(|bytes| bytes == b"a photo"));
    }
}

/// A run keeps working where its own files are what they should be.
#[test]
fn a_folder_of_ours_is_gathered_into_again() {
    let folder = world();
    gather(folder.path());
    let root = folder.path().join("root");
    let before = tree(&root, Path::new(""));
    let (gathered, _) = run(Gather::new(&root, ["red".parse().unwrap()])
        .per_class(1)
        .min_size(10)
        .sources(vec![folder.path().join("source").to_string_lossy().parse().unwrap()])
        .web(web()));
    assert_eq!(gathered.classes[0].kept, 1);
    let mut after = tree(&root, Path::new(""));
    let journal = Path::new(".gather.jsonl");
    assert!(after.remove(journal).is_some());
    assert_eq!(after, before.into_iter().filter(|(path, _)| path != journal).collect());
}
