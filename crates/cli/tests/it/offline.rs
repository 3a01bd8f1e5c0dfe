//! The whole road on a machine that has nothing: no network, no weights, an empty home.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ran, drawn};

/// `sciurus` with these arguments on a machine where nobody answers and nothing was ever installed.
pub(crate) fn bare(folder: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sciurus"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", home);
    for proxy in ["https_proxy", "http_proxy", "ALL_PROXY"] {
        command.env(proxy, "http://127.0.0.1:9");
    }
    command
}

fn ran(mut command: Command) -> Ran {
    command.output().unwrap().into()
}

#[test]
fn every_verb_works_with_nothing_at_hand() {
    let (folder, home) = (drawn(16), tempfile::tempdir().unwrap());
    let run = |arguments: &[&str]| ran(bare(folder.path(), home.path(), arguments));
    run(&["inspect", "photos"]).expect(0);
    let small = ["--epochs", "1", "--image-size", "96", "--run", "run"];
    let trained = run(&[&["train", "photos"][..], &small].concat()).expect(0);
    assert!(trained.out.contains("hazel from built in"), "{}", trained.out);
    // One line says what was chosen, why, and how to have the other.
    let said: Vec<&str> = trained.err.lines().filter(|line| line.contains("hazel")).collect();
    let whole = |line: &&str| {
        ["instead of resnet18", "could not be fetched", "SCIURUS_MODELS", "--arch"]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(said.len() == 1 && whole(&said[0]), "{}", trained.err);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("run/run.json")).unwrap()).unwrap();
    assert_eq!(record["settings"]["arch"], "hazel", "it is recorded what was chosen");

    let cleaned = run(&["clean", "photos", "--worst", "1"]);
    assert!(cleaned.code <= 1 && cleaned.err.contains("hazel is used"), "{}{}", cleaned.out, cleaned.err);
    run(&["predict", "run", "photos/acorn/acorn-003.png"]).expect(0);
    run(&["interpret", "run"]).expect(0);
    run(&["lr-find", "photos", "--image-size", "96", "--steps", "20"]).expect(0);
}

#[test]
fn downloads_that_are_turned_off_are_not_tried_and_a_network_that_was_named_is_an_error() {
    let (folder, home) = (drawn(4), tempfile::tempdir().unwrap());
    let train = ["train", "photos", "--epochs", "1", "--image-size", "64", "--quiet"];
    let offline = ran(bare(folder.path(), home.path(), &[&train[..], &["--offline"]].concat())).expect(0);
    assert!(offline.err.contains("downloads are turned off"), "{}", offline.err);
    let mut command = bare(folder.path(), home.path(), &train);
    let offline = ran({
        command.env("SCIURUS_OFFLINE", "1");
        command
    })
    .expect(0);
    assert!(offline.err.contains("downloads are turned off"), "{}", offline.err);

    let named =
        ran(bare(folder.path(), home.path(), &[&train[..], &["--arch", "resnet18", "--offline"]].concat()));
    assert!(named.code == 2 && named.err.contains("resnet18"), "{}", named.err);
    let resumed = ran(bare(folder.path(), home.path(), &["train", "--resume", "nowhere"]));
    assert_eq!(resumed.code, 2);
}

/// A server that takes connections and never answers costs seconds, not minutes.
#[test]
fn a_publisher_that_does_not_answer_is_soon_given_up() {
    let (folder, home) = (drawn(4), tempfile::tempdir().unwrap());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let mut command =
        bare(folder.path(), home.path(), &["train", "photos", "--epochs", "1", "--image-size", "64"]);
    command.env("https_proxy", &proxy).env("ALL_PROXY", &proxy).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = Instant::now();
    let mut running = command.spawn().unwrap();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let begun = lines.map_while(Result::ok).find(|line| line.contains("hazel from built in"));
    assert!(begun.is_some() && started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    running.kill().unwrap();
    running.wait().unwrap();
}

/// A head in seconds: a run like any other, measured on photos that its heads never saw.
#[test]
fn instant_training_gives_a_run_like_any_other_and_is_faster_the_second_time() {
    let (folder, home) = (drawn(20), tempfile::tempdir().unwrap());
    let run = |arguments: &[&str]| ran(bare(folder.path(), home.path(), arguments));
    let first = run(&["train", "photos", "--instant", "--run", "first", "--offline"]).expect(0);
    assert!(first.out.contains("of 40 wrong") && first.out.contains("fine-tune it all"), "{}", first.out);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let ran = run(arguments);
        serde_json::from_str(ran.out.lines().last().unwrap()).unwrap()
    };
    // What the file says of a photo is what the head says that was fitted on all of them.
    let one = json(&["predict", "--json", "first", "photos/leaf/leaf-007.png"]);
    assert_eq!(one["label"], "leaf", "{one}");
    run(&["interpret", "first"]).expect(0);
    let cleaned = run(&["clean", "first", "--worst", "1", "--offline"]);
    assert!(cleaned.code <= 1, "{}", cleaned.err);

    let started = Instant::now();
    let second = run(&["train", "photos", "--instant", "--run", "second", "--offline", "--quiet"]).expect(0);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}: {}", started.elapsed(), second.err);
    let [first, second] =
        ["first", "second"].map(|run| std::fs::read(folder.path().join(run).join("model.sciurus")).unwrap());
    assert!(first == second, "another model");
    let refused = run(&["train", "photos", "--instant", "--epochs", "3"]);
    assert_eq!(refused.code, 2);
}
