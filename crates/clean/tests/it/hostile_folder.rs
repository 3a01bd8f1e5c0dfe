//! Folders made to do harm: whatever their logs, plans, journals and links say, nothing outside changes, nothing inside is lost,
//! and what was moved goes back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sciurus_clean::CleanError;
use sciurus_clean::plan::{
    CleanAction, CleanPlan, Decisions, Journal, PlanItem, apply, recover, trust_state, undo,
};
use sciurus_data::ContentHash;

/// What stands under a name: a file with its bytes, a link with its target, or a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    File(Vec<u8>),
    Link(PathBuf),
    Folder,
}

/// Everything below a folder, links not followed, but for one folder.
fn tree(root: &Path, but_for: Option<&Path>) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if but_for == Some(path.as_path()) {
                continue;
            }
            let kind = fs::symlink_metadata(&path).unwrap();
            let entry = match () {
                () if kind.is_symlink() => Entry::Link(fs::read_link(&path).unwrap()),
                () if kind.is_dir() => {
                    open.push(path.clone());
                    Entry::Folder
                }
                () => Entry::File(fs::read(&path).unwrap()),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
        }
    }
    found
}

/// Contents of files and targets of links, wherever they lie, without state of ours.
fn contents(root: &Path) -> Vec<Entry> {
    let all = tree(root, Some(&root.join(".sciurus")));
    let mut contents: Vec<Entry> = all.into_values().filter(|entry| *entry != Entry::Folder).collect();
    contents.sort();
    contents
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A folder of photos in a folder of other things.
struct World {
    outer: tempfile::TempDir,
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("victim/id_rsa", "key"),
            ("victim/deep/x.jpg", "x"),
            ("pool/1.jpg", "pool 1"),
            ("secret.jpg", "secret"),
            ("moves.jsonl", "not a log"),
            ("root/red/1.jpg", "red 1"),
            ("root/red/2.jpg", "red 2"),
            ("root/grey/1.jpg", "grey 1"),
            ("root/grey/.hidden.jpg", "hidden"),
            ("root/ledger.jsonl", "{}"),
        ] {
            write(&outer.path().join(path), bytes.as_bytes());
        }
        let root = outer.path().join("root");
        Self { outer, root }
    }

    fn outside(&self) -> BTreeMap<PathBuf, Entry> {
        tree(self.outer.path(), Some(&self.root))
    }

    /// The same names, with the absolute path of this world where they ask for one.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(name.replace("OUTER", self.outer.path().to_str().unwrap()))
    }

    fn link(&self, name: &str, target: &str) {
        let place = self.root.join(name);
        let _ = fs::create_dir_all(place.parent().unwrap());
        // Where the name is taken, the world stays as it is.
        let _ = symlink(self.path(target), place);
    }
}

/// Paths as a hostile file would name them.
const PATHS: &[&str] = &[
    "red/1.jpg",
    "red/2.jpg",
    "grey/1.jpg",
    "red/../grey/1.jpg",
    "../victim/id_rsa",
    "../secret.jpg",
    "red/../../victim/id_rsa",
    "OUTER/victim/id_rsa",
    "/etc/hostname",
    "red/linked/x.jpg",
    "red/linked/id_rsa",
    "linked/1.jpg",
    "red/pool/1.jpg",
    "grey/pool/1.jpg",
    "grey/.hidden.jpg",
    "ledger.jsonl",
    ".sciurus/moves.jsonl",
    ".sciurus",
    "red",
    "",
    ".",
    "..",
    "_set_aside/x",
    "new/1.jpg",
    "red/1.jpg/x",
    "./red/1.jpg",
];

const LINKS: &[&str] = &[
    "red/linked",
    "linked",
    "red/pool",
    "grey/pool",
    "_set_aside",
    "black",
    ".sciurus",
    "red/link.jpg",
    "new",
];

const TARGETS: &[&str] = &[
    "../victim",
    "../../victim",
    "OUTER/victim",
    "OUTER/pool",
    "../../pool",
    "OUTER/secret.jpg",
    ".",
    "..",
    "red",
    "../red",
    "nowhere",
    "/",
    "/dev",
];

fn names(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(from).prop_map(str::to_owned)
}

/// What a plan says of a path: the hash of what is really there, reached in any way, so that only the path can stop it.
fn item(world: &World, path: &str, action: u8, to: &str) -> PlanItem {
    let path = world.path(path);
    let bytes = match path.starts_with("/dev") {
        true => Vec::new(),
        false => fs::read(world.root.join(&path)).unwrap_or_default(),
    };
    PlanItem {
        label: path.iter().next().map_or_else(String::new, |part| part.to_string_lossy().into_owned()),
        content: ContentHash::of(&bytes),
        path,
        action: [CleanAction::Keep, CleanAction::Relabel, CleanAction::SetAside][usize::from(action)],
        to: Some(to.to_owned()),
        score: 1.0,
        issues: Vec::new(),
        reason: String::new(),
        card: None,
        suggested: None,
        decided: true,
    }
}

/// How a log says that its batch was done.
const DONE: &str = "{\"entry\":\"done\",\"number\":1}\n";

/// A log as somebody would write it who wants files moved: begun and not done, or done so that it can be undone.
fn log(world: &World, moves: &[(String, String)], end: &str) -> String {
    let text = |path: &str| world.path(path).to_str().unwrap().to_owned();
    let moves: Vec<_> = moves
        .iter()
        .map(|(from, to)| {
            let bytes = fs::read(world.root.join(world.path(from))).unwrap_or_default();
            serde_json::json!({"from": text(from), "to": text(to), "content": ContentHash::of(&bytes)})
        })
        .collect();
    let begun = serde_json::json!({
        "entry": "begun", "number": 1, "undoes": null, "moves": moves, "folders": ["red", "../victim/deep", ".."],
    });
    format!("{begun}\n{end}")
}

/// Whatever was refused must have been refused for a reason that is told.
fn told<T>(result: Result<T, CleanError>) -> Option<T> {
    result.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_outside_changes_and_nothing_inside_is_lost(
        links in prop::collection::vec((names(LINKS), names(TARGETS)), 0..4),
        logged in prop::collection::vec((names(PATHS), names(PATHS)), 0..4),
        (has_log, is_done, is_trusted) in any::<(bool, bool, bool)>(),
        items in prop::collection::vec((names(PATHS), 0..3_u8, names(&["grey", "red", "black", "..", ".sciurus", "linked"])), 0..8),
        steps in prop::collection::vec(0..4_u8, 1..6),
    ) {
        let world = World::new();
        for (name, target) in &links {
            world.link(name, target);
        }
        if has_log {
            // Through a linked `.sciurus` this may write outside, so before anything is looked at.
            let state = world.root.join(".sciurus");
            if fs::symlink_metadata(&state).is_err() {
                write(&state.join("moves.jsonl"), log(&world, &logged, if is_done { DONE } else { "" }).as_bytes());
            }
        }
        let (outside, inside) = (world.outside(), contents(&world.root));
        let before = tree(&world.root, Some(&world.root.join(".sciurus")));
        let plan = CleanPlan::new(
            &world.root,
            "test",
            items.iter().map(|(path, action, to)| item(&world, path, *action, to)).collect(),
        );
        if is_trusted {
            told(trust_state(&world.root, None));
        }
        for step in steps {
            match step {
                0 => drop(told(recover(&world.root))),
                1 => drop(told(apply(&plan, &world.root))),
                2 => drop(told(undo(&world.root))),
                _ => drop(told(Decisions::of_folder(&world.root))),
            }
            prop_assert_eq!(&world.outside(), &outside);
            prop_assert_eq!(&contents(&world.root), &inside);
        }
        while told(undo(&world.root)).is_some_and(|undone| !undone.moved.is_empty()) {}
        prop_assert_eq!(&world.outside(), &outside);
        prop_assert_eq!(&contents(&world.root), &inside);
        if !(has_log && is_trusted) {
            prop_assert_eq!(tree(&world.root, Some(&world.root.join(".sciurus"))), before);
        }
    }
}

#[test]
fn a_log_that_came_with_the_folder_moves_nothing_until_it_is_trusted() {
    let world = World::new();
    let moves = [("red/1.jpg".to_owned(), "new/1.jpg".to_owned())];
    let text = log(&world, &moves, "").replace("[\"red\",\"../victim/deep\",\"..\"]", "[]");
    write(&world.root.join(".sciurus/moves.jsonl"), text.as_bytes());
    for error in [recover(&world.root).map(drop), undo(&world.root).map(drop)] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("moves.jsonl is not a log of moves that Sciurus wrote"), "{error}");
    }
    assert!(world.root.join("red/1.jpg").exists());
    assert_eq!(trust_state(&world.root, None).unwrap(), 1);
    assert!(recover(&world.root).unwrap().is_some());
    assert!(!world.root.join("red/1.jpg").exists() && world.root.join("new/1.jpg").exists());
    assert_eq!(undo(&world.root).unwrap().moved.len(), 1);
    assert!(world.root.join("red/1.jpg").exists());
}

#[test]
fn state_behind_a_link_is_neither_read_nor_written() {
    let world = World::new();
    let outside = world.outside();
    world.link(".sciurus", "OUTER/victim");
    for error in [
        Journal::of_folder(&world.root).map(drop),
        Decisions::of_folder(&world.root).map(drop),
        recover(&world.root).map(drop),
        apply(&CleanPlan::new(&world.root, "test", Vec::new()), &world.root).map(drop),
    ] {
        let error = error.unwrap_err();
        let text = format!("{error} {:?}", std::error::Error::source(&error));
        assert!(text.contains("link"), "{text}");
    }
    assert_eq!(world.outside(), outside);
    fs::remove_file(world.root.join(".sciurus")).unwrap();
    world.link(".sciurus/decisions.jsonl", "OUTER/moves.jsonl");
    assert!(Journal::of_folder(&world.root).is_err() && Decisions::of_folder(&world.root).is_err());
    assert_eq!(world.outside(), outside);
}
