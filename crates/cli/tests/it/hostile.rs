//! Folders and files from strangers, and machines at their limits, as a user meets them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sciurus::data::ContentHash;

use crate::support::{Ran, command, drawn, sciurus, shared, train};

/// Every file, link and folder below a folder, links not followed.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = fs::symlink_metadata(&path).unwrap();
            let what = match () {
                () if kind.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                () if kind.is_dir() => {
                    open.push(path.clone());
                    "folder".to_owned()
                }
                () if kind.is_file() => ContentHash::of(&fs::read(&path).unwrap()).to_string(),
                () => "something else".to_owned(),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), what);
        }
    }
    found
}

/// A folder `photos` of drawn pictures from a stranger, beside files of the user.
fn world() -> tempfile::TempDir {
    let folder = drawn(6);
    fs::create_dir(folder.path().join("victim")).unwrap();
    fs::write(folder.path().join("victim/id_rsa"), "key").unwrap();
    fs::write(folder.path().join("victim/photo.jpg"), "a photo").unwrap();
    folder
}

/// Runs the shell with `$0` as the program: for limits of the machine.
fn shell(folder: &Path, script: &str) -> Ran {
    let told = command(folder, &[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sciurus")]).current_dir(folder);
    for (name, value) in told.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap().into()
}

fn state(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder.join("photos/.sciurus")).unwrap();
    fs::write(folder.join("photos/.sciurus").join(name), text).unwrap();
}

const MOVES: &str = r#"{"entry":"begun","number":1,"undoes":null,"moves":[{"from":"../victim/id_rsa","to":"acorn/stolen.png","content":"HASH"}],"folders":[]}
"#;

#[test]
fn a_log_that_a_folder_brought_moves_nothing() {
    let folder = world();
    let hash = ContentHash::of(b"key").to_string();
    for text in [MOVES.replace("HASH", &hash), MOVES.replace(",\"content\":\"HASH\"", "")] {
        state(folder.path(), "moves.jsonl", &text);
        let before = tree(folder.path());
        let undone = sciurus(folder.path(), &["clean", "photos", "--undo"]).expect(2);
        assert!(
            undone.err.contains("moves.jsonl is not a log of moves that Sciurus wrote"),
            "{}",
            undone.err
        );
        // Not even when it is trusted: the path leads out of the folder.
        sciurus(folder.path(), &["clean", "photos", "--undo", "--trust-state"]).expect(2);
        assert_eq!(tree(folder.path()), before);
    }
}

#[test]
fn a_plain_look_goes_on_beside_a_foreign_log_and_says_so() {
    let Some(models) = shared("models") else { return };
    let folder = world();
    let hash = ContentHash::of(b"key").to_string();
    state(folder.path(), "moves.jsonl", &MOVES.replace("HASH", &hash));
    state(folder.path(), "decisions.jsonl", "{\"entry\":\"decided\"}\n");
    let before = tree(folder.path());
    let mut looked = command(folder.path(), &["clean", "photos", "--arch", "squeezenet1_1"]);
    let looked: Ran = looked.env("SCIURUS_MODELS", models).output().unwrap().into();
    assert!(looked.code < 2, "{}", looked.err);
    assert!(looked.err.contains("note:") && looked.err.contains("moves.jsonl"), "{}", looked.err);
    assert!(looked.err.contains("decisions.jsonl is not a journal of decisions"), "{}", looked.err);
    let mut after = tree(folder.path());
    after.retain(|path, _| !path.starts_with("cache") && !path.starts_with("data"));
    assert_eq!(after, before);
}

#[test]
fn photos_behind_links_stay_where_they_are() {
    let folder = world();
    let photos = folder.path().join("photos");
    // Two classes that hold a link to one pool, and a photo of it that a plan wants moved.
    fs::create_dir(folder.path().join("pool")).unwrap();
    fs::copy(photos.join("leaf/leaf-000.png"), folder.path().join("pool/p.png")).unwrap();
    symlink("../../pool", photos.join("acorn/pool")).unwrap();
    symlink("../../pool", photos.join("leaf/pool")).unwrap();
    let content = ContentHash::of(&fs::read(folder.path().join("pool/p.png")).unwrap());
    let item = |path: &str| {
        serde_json::json!({"path": path, "content": content, "label": "acorn", "action": "set_aside",
            "score": 1.0, "issues": [], "reason": ""})
    };
    let plan = serde_json::json!({"format": 1, "folder": "photos", "model": "x",
        "items": [item("acorn/pool/p.png"), item("leaf/pool/p.png")]});
    fs::write(folder.path().join("plan.json"), plan.to_string()).unwrap();
    let before = tree(&folder.path().join("pool"));
    let applied =
        sciurus(folder.path(), &["clean", "photos", "--apply", "plan.json", "--proposals"]).expect(1);
    assert_eq!(applied.out.matches("is a link").count(), 2, "{}", applied.out);
    assert_eq!(tree(&folder.path().join("pool")), before);
    // The same file under two names is one photo.
    let looked = sciurus(folder.path(), &["inspect", "photos", "--json"]).expect(1);
    let looked: serde_json::Value = serde_json::from_str(&looked.out).unwrap();
    assert_eq!(looked["summary"]["items"], 13, "{looked}");
    let skipped = looked["summary"]["skipped"].to_string();
    assert!(skipped.contains("same_file") && skipped.contains("leaf/pool/p.png"), "{skipped}");
}

#[test]
fn results_replace_nothing_but_results() {
    let Some(models) = shared("models") else { return };
    let folder = world();
    let path = folder.path();
    let run = |arguments: &[&str]| -> Ran {
        command(path, arguments).env("SCIURUS_MODELS", &models).output().unwrap().into()
    };
    let clean = ["clean", "photos", "--arch", "squeezenet1_1", "-q"];
    let with = |more: &[&'static str]| [&clean[..], more].concat();
    symlink("victim/id_rsa", path.join("link.html")).unwrap();
    for file in ["victim/photo.jpg", "victim/id_rsa"] {
        for option in ["--plan", "--html"] {
            let refused = run(&with(&[option, file])).expect(2);
            assert!(refused.err.contains("--force"), "{}", refused.err);
        }
        let refused = run(&["inspect", "photos", "--sheet", file]).expect(2);
        assert!(refused.err.contains("--force"), "{}", refused.err);
    }
    for file in ["link.html", "/dev/null", "victim"] {
        let refused = run(&with(&["--html", file, "--force"])).expect(2);
        assert!(refused.err.contains("never replaced"), "{}", refused.err);
    }
    let refused = run(&with(&["--journal", "victim/photo.jpg"])).expect(2);
    assert!(refused.err.contains("is not a journal"), "{}", refused.err);
    assert_eq!(fs::read(path.join("victim/id_rsa")).unwrap(), b"key");
    assert_eq!(fs::read(path.join("victim/photo.jpg")).unwrap(), b"a photo");

    // Results of ours are replaced, until somebody edits them.
    for _ in 0..2 {
        assert!(run(&with(&["--plan", "plan.json", "--html", "page.html"])).code < 2);
        sciurus(path, &["inspect", "photos", "--sheet", "sheet.png"]).expect(0);
    }
    let edited = fs::read_to_string(path.join("plan.json")).unwrap().replacen("\"keep\"", "\"set_aside\"", 1);
    fs::write(path.join("plan.json"), &edited).unwrap();
    assert!(run(&with(&["--plan", "plan.json"])).expect(2).err.contains("plan.json"));
    assert_eq!(fs::read_to_string(path.join("plan.json")).unwrap(), edited);
    assert!(run(&with(&["--plan", "plan.json", "--force"])).code < 2);
}

#[test]
fn names_and_labels_cannot_steer_a_terminal() {
    let folder = drawn(4);
    let photos = folder.path().join("photos");
    let evil = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}b";
    fs::rename(photos.join("leaf"), photos.join(evil)).unwrap();
    fs::write(photos.join(format!("{evil}/{evil}.jpg")), "no photo").unwrap();
    let labels = format!(
        "path,label\n{evil}.png,{evil}\nacorn/acorn-000.png,{evil}\nacorn/acorn-001.png,b\u{1b}[5m\n"
    );
    fs::write(folder.path().join("labels.csv"), labels).unwrap();
    let trained = train(folder.path(), "run", "--epochs 1 --freeze-epochs 0");
    let model = folder.path().join("run/model.sciurus").display().to_string();
    let evil_photo = format!("photos/{evil}");
    for ran in [
        trained.expect(0),
        sciurus(folder.path(), &["inspect", "photos"]).expect(1),
        sciurus(folder.path(), &["inspect", "photos", "--json"]).expect(1),
        sciurus(folder.path(), &["interpret", "run"]).expect(0),
        sciurus(folder.path(), &["predict", &model, &evil_photo]).expect(1),
        sciurus(folder.path(), &["predict", &model, &evil_photo, "--format", "csv"]).expect(1),
        sciurus(folder.path(), &["predict", &model, &evil_photo, "--json"]).expect(1),
        sciurus(folder.path(), &["predict", &evil_photo, "x"]).expect(2),
        sciurus(folder.path(), &["inspect", &format!("photos/{evil}/none")]).expect(2),
        sciurus(folder.path(), &["inspect", "photos", "--csv", "labels.csv"]),
        sciurus(folder.path(), &["train", &format!("--{evil}")]).expect(2),
        sciurus(folder.path(), &["clean", &format!("photos/{evil}"), "--undo"]),
    ] {
        for text in [&ran.out, &ran.err] {
            let steers = |c: char| c != '\n' && c != '\t' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(steers), "{text:?}");
        }
    }
}

#[test]
fn a_run_has_one_writer_and_the_second_hears_who_it_is() {
    let folder = drawn(20);
    let path = folder.path();
    let mut first =
        command(path, &["train", "photos", "--run", "run", "--no-pretrained", "--arch", "resnet10_narrow"])
            .args(["--image-size", "64", "--batch-size", "8", "--epochs", "400", "--checkpoint-seconds", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    while !path.join("run/checkpoint.safetensors").exists() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = sciurus(path, &["train", "--resume", "run"]).expect(2);
    assert!(second.err.contains(&format!("process {} is training this run", first.id())), "{}", second.err);
    let third = train(path, "run", "--epochs 1").expect(2);
    assert!(third.err.contains("run"), "{}", third.err);
    // Asked to end by the system, it saves what it has and says that it was cut short.
    let asked = Command::new("kill").arg(first.id().to_string()).status().unwrap();
    assert!(asked.success());
    assert_eq!(first.wait().unwrap().code(), Some(143));
    assert!(path.join("run/model.sciurus").exists());
    let events = fs::read_to_string(path.join("run/events.jsonl")).unwrap();
    assert!(events.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn too_few_file_handles_are_an_error_and_not_bad_photos() {
    let folder = drawn(40);
    for verb in
        ["inspect photos", "train photos --no-pretrained --arch resnet10_narrow --image-size 64 --epochs 1"]
    {
        for handles in 6..16 {
            let ran = shell(folder.path(), &format!("ulimit -n {handles}; exec \"$0\" {verb}"));
            let all = ran.code == 0 && !ran.out.contains("left out:");
            assert!(
                all || ran.code == 2 || ran.code > 100,
                "{handles}: {} {} {}",
                ran.code,
                ran.out,
                ran.err
            );
        }
    }
}

#[test]
fn cleaning_works_without_a_home_that_can_be_written() {
    let Some(models) = shared("models") else { return };
    let folder = drawn(6);
    // A file where folders are wanted: not even root can write below it.
    fs::write(folder.path().join("home"), "").unwrap();
    let run = |arguments: &[&str]| -> Ran {
        let mut run = command(folder.path(), arguments);
        run.env("SCIURUS_MODELS", &models).env("HOME", "home");
        run.env("XDG_CACHE_HOME", folder.path().join("home/x"))
            .env("XDG_DATA_HOME", folder.path().join("home/x"));
        run.output().unwrap().into()
    };
    fs::copy(folder.path().join("photos/leaf/leaf-000.png"), folder.path().join("photos/leaf/copy.png"))
        .unwrap();
    let looked = run(&["clean", "photos", "--arch", "squeezenet1_1"]);
    assert!(looked.code < 2, "{}", looked.err);
    assert!(looked.err.contains("can't be kept for the next time"), "{}", looked.err);
    let before = tree(&folder.path().join("photos"));
    run(&["clean", "photos", "--arch", "squeezenet1_1", "--auto"]).expect(0);
    if Path::new("/etc/machine-id").exists() {
        run(&["clean", "photos", "--undo"]).expect(0);
        let mut after = tree(&folder.path().join("photos"));
        after.retain(|path, _| !path.starts_with(".sciurus"));
        assert_eq!(after, before);
    }
}

#[test]
fn absurd_numbers_of_threads_are_refused_at_once() {
    let folder = drawn(4);
    let started = Instant::now();
    for threads in ["100000", "0", "1025"] {
        let refused = sciurus(folder.path(), &["predict", "x", "photos", "--threads", threads]).expect(2);
        assert!(refused.err.contains("choose 1 to 1024"), "{}", refused.err);
    }
    let config = "folder = \"photos\"\nthreads = 100000\nweights = \"random\"\narch = \"resnet10_narrow\"\nimage_size = 64\n";
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let refused = sciurus(folder.path(), &["train", "--config", "config.toml"]).expect(2);
    assert!(refused.err.contains("threads"), "{}", refused.err);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_demo_draws_over_nothing_behind_a_link() {
    let folder = world();
    fs::create_dir(folder.path().join("sciurus-demo")).unwrap();
    fs::write(folder.path().join("sciurus-demo/.sciurus-demo"), "").unwrap();
    symlink("../victim", folder.path().join("sciurus-demo/acorn")).unwrap();
    let before = tree(&folder.path().join("victim"));
    let refused = sciurus(folder.path(), &["demo"]).expect(2);
    assert!(refused.err.contains("is a link"), "{}", refused.err);
    assert_eq!(tree(&folder.path().join("victim")), before);
}

#[test]
fn a_run_from_a_stranger_may_be_looked_at_and_moves_nothing() {
    let folder = drawn(8);
    train(folder.path(), "run", "--epochs 1 --freeze-epochs 0").expect(0);
    let record = fs::read_to_string(folder.path().join("run/run.json")).unwrap();
    fs::write(folder.path().join("run/run.json"), record.replacen("\"seed\": 42", "\"seed\": 43", 1))
        .unwrap();
    let before = tree(&folder.path().join("photos"));
    for verb in ["--auto", "--undo"] {
        let refused = sciurus(folder.path(), &["clean", "run", verb]).expect(2);
        assert!(refused.err.contains("--trust-state"), "{}", refused.err);
    }
    assert_eq!(tree(&folder.path().join("photos")), before);
    sciurus(folder.path(), &["clean", "run", "--undo", "--trust-state"]).expect(0);
    sciurus(folder.path(), &["clean", "run", "--undo"]).expect(0);
    // What stands under the name of a file of the run is not written over through a link.
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    fs::remove_file(folder.path().join("run/model.sciurus")).unwrap();
    for name in ["history.csv", "events.jsonl"] {
        fs::remove_file(folder.path().join("run").join(name)).unwrap();
        symlink("../mine.txt", folder.path().join("run").join(name)).unwrap();
        sciurus(folder.path(), &["train", "--resume", "run"]).expect(2);
        fs::remove_file(folder.path().join("run").join(name)).unwrap();
        fs::write(folder.path().join("run").join(name), "").unwrap();
    }
    assert_eq!(fs::read(folder.path().join("mine.txt")).unwrap(), b"mine");
}
