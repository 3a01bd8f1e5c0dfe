//! Processes that write journals and move files are killed at random moments, hundreds of times: nothing acknowledged is lost, no
//! file is lost, changed or doubled, and everything goes back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::RngExt;
use sciurus_clean::plan::{CleanAction, CleanPlan, Decision, Journal, PlanItem, apply, recover, undo};
use sciurus_data::{ContentHash, Seed};

/// Times that each of the two is killed.
const KILLS: usize = 100;
/// Tells the child, which is this same program, what to work on.
const WORK: &str = "SCIURUS_TEST_WORK";
/// So many kills at least come in the middle of moves; on a slow machine that takes more kills.
const AMID: usize = KILLS / 10;
/// Files in the tree.
const FILES: usize = 60;

/// This program again, running one of the tests below that are not tests.
fn child(test: &str, work: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(WORK, work)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn work() -> PathBuf {
    std::env::var_os(WORK).map(PathBuf::from).unwrap()
}

/// Lets the child live for up to so many microseconds after its first word, then kills it. Returns what it acknowledged.
fn killed(mut child: Child, microseconds: u64) -> Vec<String> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    while !first.contains("go") {
        first.clear();
        assert!(output.read_line(&mut first).unwrap() > 0, "the child ended before it began");
    }
    std::thread::sleep(Duration::from_micros(microseconds));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    // A last line without its end was not acknowledged in full.
    let whole = rest.rfind('\n').map_or("", |end| &rest[..end]);
    whole.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "the child of another test"]
#[allow(clippy::print_stdout, reason = "its parent listens")]
fn writes_decisions() {
    let mut journal = Journal::open(work()).unwrap();
    println!("go");
    for number in journal.decisions().len().. {
        let decision = Decision {
            path: format!("red/{number}.jpg").into(),
            content: ContentHash::of(number.to_string().as_bytes()),
            action: CleanAction::SetAside,
            old: "red".into(),
            new: None,
            issue: None,
            score: 0.9,
            model: "test".into(),
            time: "2026-11-24T12:00:00Z".into(),
        };
        journal.decide(decision).unwrap();
        println!("{number}");
    }
}

#[test]
fn no_decision_that_was_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let mut rng = Seed(1).rng(&[]);
    let (mut acknowledged, mut between) = (0, 0);
    for _ in 0..KILLS {
        let said = killed(child("kill::writes_decisions", &path), rng.random_range(0..4000));
        if let Some(last) = said.last() {
            acknowledged = last.parse::<usize>().unwrap() + 1;
        }
        let journal = Journal::open(&path).unwrap();
        // One may be on the disk that could not be acknowledged any more.
        let kept = journal.decisions().len();
        assert!(kept == acknowledged || kept == acknowledged + 1, "{kept} kept, {acknowledged} acknowledged");
        between += usize::from(kept > acknowledged);
        for (number, decision) in journal.decisions().iter().enumerate() {
            assert_eq!(decision.content, ContentHash::of(number.to_string().as_bytes()));
        }
        acknowledged = kept;
    }
    assert!(acknowledged > KILLS, "the kills came too early to prove anything: {acknowledged}, {between}");
}

fn content(number: usize) -> Vec<u8> {
    format!("photo {number}").into_bytes()
}

fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| !path.iter().any(|part| part == ".sciurus"))
        .map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

/// Half of the files get another label or leave; both classes have a file of each name.
fn plan(root: &Path) -> CleanPlan {
    let item = |number: usize| PlanItem {
        path: place(number),
        content: ContentHash::of(&content(number)),
        label: ["red", "grey"][number % 2].into(),
        action: [CleanAction::Relabel, CleanAction::SetAside, CleanAction::Keep][number % 3],
        to: (number.is_multiple_of(3)).then(|| ["grey", "red"][number % 2].into()),
        score: 0.9,
        issues: Vec::new(),
        reason: String::new(),
        card: None,
        suggested: None,
        decided: true,
    };
    CleanPlan::new(root, "test", (0..FILES).map(item).collect())
}

fn place(number: usize) -> PathBuf {
    Path::new(["red", "grey"][number % 2]).join(format!("{}.jpg", number / 2))
}

#[test]
#[ignore = "the child of another test"]
#[allow(clippy::print_stdout, reason = "its parent listens")]
fn moves_there_and_back() {
    let root = work();
    println!("go");
    loop {
        apply(&plan(&root), &root).unwrap();
        undo(&root).unwrap();
    }
}

#[test]
fn no_file_is_lost_changed_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..FILES {
        fs::create_dir_all(root.join(place(number)).parent().unwrap()).unwrap();
        fs::write(root.join(place(number)), content(number)).unwrap();
    }
    let before = tree(root);
    let sorted = |tree: &BTreeMap<PathBuf, Vec<u8>>| {
        let mut contents: Vec<Vec<u8>> = tree.values().cloned().collect();
        contents.sort();
        contents
    };
    let mut rng = Seed(2).rng(&[]);
    let (mut kills, mut amid) = (0, 0);
    while kills < KILLS || amid < AMID {
        assert!(kills < 20 * KILLS, "hardly any kill came in the middle of moves: {amid} of {kills}");
        kills += 1;
        killed(child("kill::moves_there_and_back", root), rng.random_range(0..20_000));
        let left = tree(root);
        assert_eq!(sorted(&left), sorted(&before), "a file is lost, changed or doubled");
        recover(root).unwrap();
        let recovered = tree(root);
        amid += usize::from(recovered != left);
        assert_eq!(sorted(&recovered), sorted(&before));
        undo(root).unwrap();
        assert_eq!(tree(root), before, "not everything went back");
    }
}
