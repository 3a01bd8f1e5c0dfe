//! Plans on real folders: applied, taken back, interrupted anywhere; journals cut at every byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sciurus_clean::CleanError;
use sciurus_clean::plan::{
    Applied, CleanAction, CleanPlan, Decision, Decisions, IssueScore, Journal, PlanItem, Suggestion, apply,
    recover, undo,
};
use sciurus_data::{ContentHash, Correction};

pub(crate) fn item(path: &str, bytes: &[u8], action: CleanAction, to: Option<&str>) -> PlanItem {
    let label = Path::new(path).iter().next().unwrap().to_str().unwrap().to_owned();
    PlanItem {
        path: path.into(),
        content: ContentHash::of(bytes),
        label,
        action,
        to: to.map(str::to_owned),
        score: 0.9,
        issues: Vec::new(),
        reason: String::new(),
        card: None,
        suggested: None,
        decided: true,
    }
}

/// Files and folders with their contents, without the log.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() == ".sciurus" {
                continue;
            }
            let relative = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                found.insert(relative, None);
                open.push(path);
            } else {
                found.insert(relative, Some(fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found
}

pub(crate) fn write(root: &Path, path: &str, bytes: &[u8]) {
    fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    fs::write(root.join(path), bytes).unwrap();
}

pub(crate) fn squirrels() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in
        [("red/1.jpg", "a"), ("red/2.jpg", "b"), ("grey/1.jpg", "c"), ("grey/3 é\n.jpg", "d")]
    {
        write(folder.path(), path, bytes.as_bytes());
    }
    folder
}

pub(crate) fn plan(root: &Path) -> CleanPlan {
    let items = vec![
        item("red/1.jpg", b"a", CleanAction::Relabel, Some("grey")),
        item("red/2.jpg", b"b", CleanAction::SetAside, None),
        item("grey/1.jpg", b"c", CleanAction::Keep, None),
        item("grey/3 é\n.jpg", b"d", CleanAction::Relabel, Some("black")),
    ];
    CleanPlan::new(root, "test", items)
}

#[test]
fn files_move_never_over_others_and_go_back() {
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    let applied = apply(&plan(root), root).unwrap();
    assert_eq!(applied.left, []);
    // grey/1.jpg was there first, and is untouched.
    for (path, bytes) in
        [("grey/1.jpg", "c"), ("grey/1-2.jpg", "a"), ("_set_aside/red/2.jpg", "b"), ("black/3 é\n.jpg", "d")]
    {
        assert_eq!(fs::read(root.join(path)).unwrap(), bytes.as_bytes(), "{path}");
    }
    assert_eq!(apply(&plan(root), root).unwrap().left.len(), 3, "what has moved is gone from its place");
    assert_eq!(undo(root).unwrap().left, []);
    assert_eq!(tree(root), before);
    assert_eq!(undo(root).unwrap().moved, [], "nothing is left to take back");
}

#[test]
fn a_plan_is_the_same_as_json_and_as_parquet() {
    let folder = squirrels();
    let mut plan = plan(folder.path());
    plan.items[1].issues = vec![IssueScore { name: "near_duplicate".into(), score: 0.9 }];
    plan.items[1].card = Some(3);
    plan.items[2].suggested = Some(Suggestion { label: "red".into(), probability: 0.75 });
    for name in ["plan.json", "plan.parquet"] {
        let path = folder.path().join(name);
        plan.save(&path).unwrap();
        assert_eq!(CleanPlan::load(&path).unwrap(), plan, "{name}");
        let cut = fs::read(&path).unwrap();
        fs::write(&path, &cut[..cut.len() / 2]).unwrap();
        assert!(CleanPlan::load(&path).unwrap_err().to_string().contains(name));
    }
    let none = CleanPlan::new("x", "y", Vec::new());
    none.save(folder.path().join("none.parquet")).unwrap();
    assert_eq!(CleanPlan::load(folder.path().join("none.parquet")).unwrap(), none);
}

#[test]
fn what_changed_or_is_a_link_stays_and_is_named() {
    let folder = squirrels();
    let root = folder.path();
    fs::write(root.join("red/1.jpg"), "edited").unwrap();
    fs::remove_file(root.join("red/2.jpg")).unwrap();
    #[cfg(unix)]
    {
        fs::remove_file(root.join("grey/3 é\n.jpg")).unwrap();
        std::os::unix::fs::symlink("1.jpg", root.join("grey/3 é\n.jpg")).unwrap();
    }
    let before = tree(root);
    let applied = apply(&plan(root), root).unwrap();
    let reasons: Vec<&str> = applied.left.iter().map(|left| left.reason.as_str()).collect();
    assert!(reasons[0].contains("changed") && reasons[1].contains("no longer exists"), "{reasons:?}");
    #[cfg(unix)]
    {
        assert!(reasons[2].contains("symbolic link"), "{reasons:?}");
        assert_eq!(tree(root), before);
    }
}

#[test]
fn going_back_leaves_what_somebody_put_there_meanwhile() {
    let folder = squirrels();
    let root = folder.path();
    apply(&plan(root), root).unwrap();
    fs::write(root.join("red/1.jpg"), "new").unwrap();
    write(root, "black/mine.txt", b"mine");
    let undone = undo(root).unwrap();
    assert_eq!(undone.left.len(), 1);
    assert_eq!(fs::read(root.join("red/1.jpg")).unwrap(), b"new");
    assert_eq!(fs::read(root.join("grey/1-2.jpg")).unwrap(), b"a");
    assert!(root.join("black/mine.txt").exists() && root.join("red/2.jpg").exists());
}

#[test]
fn an_interrupted_apply_is_finished_by_the_next_command() {
    let whole = squirrels();
    apply(&plan(whole.path()), whole.path()).unwrap();
    let (log, after) = (fs::read(whole.path().join(".sciurus/moves.jsonl")).unwrap(), tree(whole.path()));
    let line_end =
        |line: usize| log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(line).unwrap().0 + 1;
    // The first line says what the file is, the second one what is about to happen.
    let (head, begun) = (line_end(0), line_end(1));
    let moves = [
        ("red/1.jpg", "grey/1-2.jpg"),
        ("red/2.jpg", "_set_aside/red/2.jpg"),
        ("grey/3 é\n.jpg", "black/3 é\n.jpg"),
    ];
    for done in 0..=moves.len() {
        // Killed after so many moves; or in the middle of one, which left both names.
        for both in [false, true] {
            let folder = squirrels();
            let root = folder.path();
            write(root, ".sciurus/moves.jsonl", &log[..begun]);
            for (index, (from, to)) in moves.iter().take(done).enumerate() {
                fs::create_dir_all(root.join(to).parent().unwrap()).unwrap();
                match both && index + 1 == done {
                    true => fs::hard_link(root.join(from), root.join(to)).unwrap(),
                    false => fs::rename(root.join(from), root.join(to)).unwrap(),
                }
            }
            recover(root).unwrap();
            assert_eq!(tree(root), after, "{done} {both}");
            undo(root).unwrap();
            assert_eq!(tree(root), tree(squirrels().path()));
        }
    }
    // Killed while the log was written: nothing had moved.
    for cut in head..begun - 1 {
        let folder = squirrels();
        write(folder.path(), ".sciurus/moves.jsonl", &log[..cut]);
        recover(folder.path()).unwrap();
        assert_eq!(tree(folder.path()), tree(squirrels().path()), "cut at {cut}");
    }
}

#[test]
fn what_has_no_place_to_go_stays_and_the_others_move() {
    let folder = squirrels();
    let root = folder.path();
    // A file stands where a class folder is wanted.
    fs::write(root.join("black"), "in the way").unwrap();
    let before = tree(root);
    let applied = apply(&plan(root), root).unwrap();
    assert_eq!((applied.moved.len(), applied.left.len()), (2, 1));
    assert!(applied.left[0].reason.contains("black"), "{applied:?}");
    assert_eq!(undo(root).unwrap().left, []);
    assert_eq!(tree(root), before);
}

#[test]
fn an_undo_that_was_blocked_is_not_done() {
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    apply(&plan(root), root).unwrap();
    fs::write(root.join("red/1.jpg"), "new").unwrap();
    let first = undo(root).unwrap();
    assert_eq!((first.moved.len(), first.left.len()), (2, 1));
    // Blocked still, and still not forgotten.
    let second = undo(root).unwrap();
    assert_eq!((second.moved.len(), second.left.len()), (0, 1));
    fs::remove_file(root.join("red/1.jpg")).unwrap();
    let third = undo(root).unwrap();
    assert_eq!((third.moved.len(), third.left.len()), (1, 0));
    assert_eq!(tree(root), before);
    assert_eq!(undo(root).unwrap(), Applied::default());
}

#[test]
fn a_file_that_is_gone_does_not_hold_up_what_came_before() {
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    let mut plan = plan(root);
    let last = plan.items.split_off(2);
    apply(&plan, root).unwrap();
    plan.items = last;
    apply(&plan, root).unwrap();
    fs::remove_file(root.join("black/3 é\n.jpg")).unwrap();
    let undone = undo(root).unwrap();
    assert_eq!((undone.moved.len(), undone.left.len()), (0, 1));
    assert_eq!(undo(root).unwrap().moved.len(), 2);
    let without = |tree: BTreeMap<PathBuf, Option<Vec<u8>>>| {
        tree.into_iter().filter(|(path, _)| !path.ends_with("3 é\n.jpg")).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(without(tree(root)), without(before));
}

#[test]
fn a_new_file_at_the_old_name_stops_no_recovery() {
    let whole = squirrels();
    apply(&plan(whole.path()), whole.path()).unwrap();
    let log = fs::read_to_string(whole.path().join(".sciurus/moves.jsonl")).unwrap();
    let begun: String = log.split_inclusive('\n').take(2).collect();
    let folder = squirrels();
    let root = folder.path();
    write(root, ".sciurus/moves.jsonl", begun.as_bytes());
    // Moved before the kill; then somebody put other files at an old name and at a new one.
    fs::rename(root.join("red/1.jpg"), root.join("grey/1-2.jpg")).unwrap();
    fs::write(root.join("red/1.jpg"), "new").unwrap();
    write(root, "_set_aside/red/2.jpg", b"somebody's");
    assert!(recover(root).unwrap().is_some());
    assert!(recover(root).unwrap().is_none());
    for (path, bytes) in [
        ("red/1.jpg", "new"),
        ("grey/1-2.jpg", "a"),
        ("red/2.jpg", "b"),
        ("_set_aside/red/2.jpg", "somebody's"),
        ("black/3 é\n.jpg", "d"),
    ] {
        assert_eq!(fs::read(root.join(path)).unwrap(), bytes.as_bytes(), "{path}");
    }
    // What was moved goes back, but for the file whose name is taken.
    let undone = undo(root).unwrap();
    assert_eq!((undone.moved.len(), undone.left.len()), (1, 1));
    assert_eq!(fs::read(root.join("_set_aside/red/2.jpg")).unwrap(), b"somebody's");
}

#[test]
fn a_file_that_stands_in_a_plan_twice_moves_once() {
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    let mut plan = plan(root);
    plan.items.push(item("red//1.jpg", b"a", CleanAction::SetAside, None));
    let applied = apply(&plan, root).unwrap();
    assert_eq!((applied.moved.len(), applied.left.len()), (3, 1));
    assert!(applied.left[0].reason.contains("twice"));
    assert_eq!(undo(root).unwrap().left, []);
    assert_eq!(tree(root), before);
}

#[test]
fn a_plan_that_would_do_harm_is_refused() {
    let folder = squirrels();
    let path = folder.path().join("clean.json");
    let harmful = [
        item("../red/1.jpg", b"", CleanAction::SetAside, None),
        item("/etc/passwd", b"", CleanAction::SetAside, None),
        item("red/../../1.jpg", b"", CleanAction::SetAside, None),
        item("red/1.jpg", b"", CleanAction::Relabel, None),
        item("red/1.jpg", b"", CleanAction::Relabel, Some("..")),
        item("red/1.jpg", b"", CleanAction::Relabel, Some("a/b")),
        item("red/1.jpg", b"", CleanAction::Relabel, Some("_set_aside")),
        item("red/1.jpg", b"", CleanAction::Relabel, Some("")),
    ];
    for harmful in harmful {
        CleanPlan::new("squirrels", "test", vec![harmful.clone()]).save(&path).unwrap();
        let error = CleanPlan::load(&path).unwrap_err().to_string();
        assert!(error.contains("clean.json"), "{harmful:?}: {error}");
    }
    plan(folder.path()).save(&path).unwrap();
    assert_eq!(CleanPlan::load(&path).unwrap(), plan(folder.path()));
    fs::write(&path, "{}").unwrap();
    assert!(CleanPlan::load(&path).is_err());
}

fn decision(bytes: &[u8], action: CleanAction) -> Decision {
    Decision {
        path: "red/a.jpg".into(),
        content: ContentHash::of(bytes),
        issue: None,
        action,
        old: "red".into(),
        new: None,
        score: 0.5,
        model: "test".into(),
        time: "2026-11-24T12:00:00Z".into(),
    }
}

#[test]
fn a_journal_keeps_what_was_acknowledged_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let mut journal = Journal::open(&path).unwrap();
    let mut ends = vec![0];
    for byte in 0..5_u8 {
        journal.decide(decision(&[byte], CleanAction::SetAside)).unwrap();
        ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    drop(journal);
    let text = fs::read(&path).unwrap();
    // The first line, which says what the file is, appears whole.
    let head = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in head..=text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        let acknowledged = ends.iter().rposition(|end| *end <= cut).unwrap();
        assert_eq!(journal.decisions().len(), acknowledged, "cut at {cut}");
        journal.decide(decision(b"next", CleanAction::Keep)).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().decisions().len(), acknowledged + 1);
    }
}

#[test]
fn decisions_are_taken_back_one_by_one_and_fit_a_copy_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let mut journal = Journal::open(&path).unwrap();
    assert!(Journal::open(&path).unwrap_err().to_string().contains("is writing decisions here"));
    journal.decide(decision(b"a", CleanAction::SetAside)).unwrap();
    journal.decide(decision(b"b", CleanAction::Keep)).unwrap();
    journal.decide(decision(b"a", CleanAction::Keep)).unwrap();
    let found = |journal: &Journal, bytes: &[u8]| {
        journal.corrections().find("b.jpg".as_ref(), &ContentHash::of(bytes)).cloned()
    };
    assert_eq!(found(&journal, b"a"), Some(Correction::Keep));
    journal.undo("now").unwrap();
    assert_eq!(found(&journal, b"a"), Some(Correction::LeaveOut));
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.decisions().len(), 2);

    let moved = item("elsewhere/x.png", b"a", CleanAction::Keep, None);
    let mut plan =
        CleanPlan::new("copy", "test", vec![moved, item("red/c.jpg", b"c", CleanAction::Keep, None)]);
    assert_eq!(plan.decide(journal.decisions()), 1);
    assert_eq!(plan.items[0].action, CleanAction::SetAside);
    assert_eq!(journal.undo("now").unwrap().map(|undone| undone.content), Some(ContentHash::of(b"b")));
    assert_eq!(journal.undo("now").unwrap().map(|undone| undone.content), Some(ContentHash::of(b"a")));
    assert_eq!(journal.undo("now").unwrap(), None);
    assert_eq!(found(&journal, b"a"), None);

    // That one of two copies leaves says nothing of the other.
    let copy = Decision { issue: Some("exact_duplicate".into()), ..decision(b"a", CleanAction::SetAside) };
    journal.decide(copy).unwrap();
    assert_eq!(found(&journal, b"a"), None);
    let corrections = journal.corrections();
    assert_eq!(corrections.find("red/a.jpg".as_ref(), &ContentHash::of(b"a")), Some(&Correction::LeaveOut));

    // Elsewhere, where nothing is yet.
    let new = folder.path().join("new/er/decisions.jsonl");
    assert!(Decisions::read(&new).unwrap().is_empty() && !folder.path().join("new").exists());
    Journal::open(&new).unwrap().decide(decision(b"a", CleanAction::Keep)).unwrap();
    assert_eq!(Decisions::read(&new).unwrap().len(), 1);

    // A file of notes is no journal, and keeps its last line.
    let notes = folder.path().join("notes.txt");
    fs::write(&notes, "buy nuts\nand acorns").unwrap();
    let error = Journal::open(&notes).unwrap_err().to_string();
    assert!(error.contains("notes.txt is not a journal"), "{error}");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "buy nuts\nand acorns");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_only_read_says_so_and_keeps_everything() {
    use std::os::unix::fs::PermissionsExt;
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    fs::set_permissions(root, fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere.
    let is_root = fs::write(root.join("probe"), "").is_ok();
    let error = apply(&plan(root), root);
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    if !is_root {
        assert!(error.unwrap_err().to_string().contains("copy"));
        assert_eq!(tree(root), before);
    }
}

#[test]
fn proposals_stay_until_they_are_accepted_and_plans_keep_to_their_folder() {
    let folder = squirrels();
    let root = folder.path();
    let before = tree(root);
    let mut plan = plan(root);
    plan.items.iter_mut().for_each(|item| item.decided = false);
    let changes = plan.changes().count();
    let applied = apply(&plan, root).unwrap();
    assert_eq!((applied.moved.len(), applied.proposals, tree(root)), (0, changes, before.clone()));

    // The same photos, in another folder.
    plan.accept_proposals();
    let copy = squirrels();
    let error = apply(&plan, copy.path()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the plan is for {}, not for {}; make a plan of this folder",
            root.display(),
            copy.path().display()
        )
    );
    assert_eq!(tree(copy.path()), before);
    assert_eq!(apply(&plan, root).unwrap().moved.len(), changes);

    // A data set that was moved as a whole takes its plan along; one of other photos does not.
    plan.folder = root.join("gone");
    let gone = plan;
    let strange = tempfile::tempdir().unwrap();
    assert!(matches!(apply(&gone, strange.path()), Err(CleanError::OtherFolder { .. })));
    assert_eq!(apply(&gone, copy.path()).unwrap().moved.len(), changes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any tree, any plan: apply, then undo, and nothing has happened.
    #[test]
    fn apply_then_undo_is_the_identity(
        files in prop::collection::btree_map("(red|grey|train/red|_x)/[a-c é]{1,3}(-2)?(\\.jpg)?", prop::collection::vec(any::<u8>(), 0..4), 1..12),
        actions in prop::collection::vec((0..3_u8, "(red|grey|new)", any::<bool>()), 12),
        times in 1..4_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (path, bytes) in &files {
            write(root, path, bytes);
        }
        let before = tree(root);
        let mut count = 0;
        for round in 0..times {
            let now: Vec<_> = tree(root).into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
            let items = now.iter().zip(actions.iter().cycle().skip(round)).map(|((path, bytes), (action, to, decided))| {
                let action = [CleanAction::Keep, CleanAction::Relabel, CleanAction::SetAside][usize::from(*action)];
                let mut planned = item(path.to_str().unwrap(), bytes, action, Some(to));
                planned.decided = *decided;
                planned.label = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
                planned
            });
            let plan = CleanPlan::new(root, "test", items.collect());
            let applied = apply(&plan, root).unwrap();
            count += usize::from(!applied.moved.is_empty());
            let is_decided = |path: &PathBuf| plan.decided().any(|item| item.path == *path);
            prop_assert!(applied.moved.iter().all(|(from, _)| is_decided(from)), "only what somebody decided moves");
            prop_assert_eq!(applied.proposals + plan.decided().count(), plan.changes().count());
            let contents = |tree: BTreeMap<PathBuf, Option<Vec<u8>>>| {
                let mut contents: Vec<_> = tree.into_values().flatten().collect();
                contents.sort();
                contents
            };
            prop_assert_eq!(contents(tree(root)), contents(before.clone()), "no file is lost or doubled");
        }
        for _ in 0..count {
            prop_assert_eq!(undo(root).unwrap().left.len(), 0);
        }
        prop_assert_eq!(tree(root), before);
    }
}
