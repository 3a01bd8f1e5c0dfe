//! A folder laid out as it was before decisions moved its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sciurus::as_it_was;
use sciurus::clean::plan::{CleanAction, CleanPlan, PlanItem, apply, undo};
use sciurus::data::ContentHash;

/// The files of a folder with their bytes, links followed, without what is ours.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).follow_links(true).into_iter().flatten();
    let files =
        files.filter(|entry| entry.file_type().is_file() && !entry.path().to_string_lossy().contains("/."));
    files
        .map(|entry| {
            (entry.path().strip_prefix(folder).unwrap().to_owned(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn files_are_where_they_were_before_the_first_move() {
    let folder = tempfile::Builder::new().prefix("photos").tempdir().unwrap();
    let root = folder.path();
    for (path, bytes) in [("red/1.jpg", "a"), ("red/2.jpg", "b"), ("grey/1.jpg", "c"), ("grey/2.jpg", "d")] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), bytes).unwrap();
    }
    let before = contents(root);
    let into = root.join("runs/photos");
    assert_eq!(as_it_was(root, &into).unwrap(), None);
    assert!(!into.exists(), "nothing was moved, so there is nothing to lay out");

    let item = |path: &str, bytes: &[u8], action, to: Option<&str>| PlanItem {
        path: path.into(),
        content: ContentHash::of(bytes),
        label: path.split('/').next().unwrap().to_owned(),
        action,
        to: to.map(str::to_owned),
        score: 1.0,
        issues: Vec::new(),
        reason: String::new(),
        card: None,
        suggested: None,
        decided: true,
    };
    let moves = |items| apply(&CleanPlan::new(root, "test", items), root).unwrap();
    moves(vec![
        item("red/1.jpg", b"a", CleanAction::Relabel, Some("grey")),
        item("red/2.jpg", b"b", CleanAction::SetAside, None),
    ]);
    // The same file once more, and one that goes back.
    let again = contents(root).into_iter().find(|(_, bytes)| bytes == b"a").unwrap().0;
    moves(vec![item(again.to_str().unwrap(), b"a", CleanAction::SetAside, None)]);
    moves(vec![item("grey/2.jpg", b"d", CleanAction::Relabel, Some("red"))]);
    undo(root).unwrap();
    assert_eq!(as_it_was(root, &into).unwrap(), Some(2));
    assert_eq!(contents(&into), before);
}
