//! The whole road on pictures with bad files among them: inspect, train, interpret, predict.

use std::path::Path;

use crate::support::{Ran, sciurus, shared};

/// Options that train in seconds on small pictures.
const QUICK: [&str; 9] = [
    "--arch",
    "resnet10_narrow",
    "--no-pretrained",
    "--image-size",
    "64",
    "--epochs",
    "1",
    "--batch-size",
    "8",
];

fn train(folder: &Path, photos: &str, more: &[&str]) -> Ran {
    sciurus(folder, &[&["train", photos, "--run", "run"], &QUICK[..], more].concat())
}

/// Some drawn pictures and, among them, files that are none.
fn drawn() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    sciurus::draw_demo(&path.join("photos"), 20, 42).unwrap();
    let good = std::fs::read(path.join("photos/acorn/acorn-000.png")).unwrap();
    std::fs::write(path.join("photos/acorn/cut.png"), &good[..good.len() / 2]).unwrap();
    std::fs::write(path.join("photos/acorn/empty.jpg"), b"").unwrap();
    std::fs::write(path.join("photos/leaf/page.jpg"), b"<!DOCTYPE html><html><body>404</body></html>")
        .unwrap();
    folder
}

#[test]
fn inspect_answers_the_five_questions_and_names_what_is_left_out() {
    let folder = drawn();
    let ran = sciurus(folder.path(), &["inspect", "photos", "--image-size", "64"]).expect(1);
    insta::assert_snapshot!("inspect", ran.snapshot(folder.path()));
    let json = sciurus(folder.path(), &["inspect", "photos", "--json"]).expect(1).out;
    assert_eq!(json.lines().count(), 1);
    assert!(json.contains("acorn/cut.png") && json.contains("\"walk\""), "{json}");
}

#[test]
fn the_whole_road() {
    let folder = drawn();
    let path = folder.path();
    let trained = train(path, "photos", &[]).expect(0);
    for name in ["acorn/empty.jpg", "leaf/page.jpg"] {
        assert!(trained.out.contains(name), "train does not name {name}:\n{}", trained.out);
    }
    let everything = format!("{}{}", trained.out, trained.err);
    assert!(everything.contains("acorn/cut.png"), "train does not name the damaged photo:\n{everything}");
    for file in
        ["run.json", "history.csv", "events.jsonl", "predictions.json", "training.parquet", "model.sciurus"]
    {
        assert!(path.join("run").join(file).is_file(), "no {file}");
    }

    let interpreted = sciurus(path, &["interpret", "run", "--top", "3"]).expect(0);
    assert!(interpreted.out.contains("top losses"), "{}", interpreted.out);
    let json = sciurus(path, &["interpret", "run", "--json"]).expect(0).out;
    assert!(json.contains("confusion_matrix"), "{json}");

    let table = sciurus(path, &["predict", "run/model.sciurus", "photos/leaf"]).expect(1);
    assert_eq!(table.out.lines().count(), 20, "{}", table.out);
    assert!(
        table.err.contains("page.jpg") && table.err.contains("1 file could not be read"),
        "{}",
        table.err
    );
    let csv = sciurus(
        path,
        &["predict", "run/model.sciurus", "photos/acorn/acorn-000.png", "--format", "csv", "--top", "2"],
    );
    assert_eq!(csv.expect(0).out.lines().count(), 3);
    let json = sciurus(path, &["predict", "run/model.sciurus", "photos/acorn/acorn-000.png", "--json"])
        .expect(0)
        .out;
    assert!(json.contains("\"probability\"") && json.lines().count() == 1, "{json}");
}

#[test]
fn json_and_quiet_output() {
    let folder = drawn();
    let json = train(folder.path(), "photos", &["--json"]).expect(0).out;
    let events: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "fit_started");
    assert_eq!(events.last().unwrap()["event"], "run_ended");
    assert_eq!(events.last().unwrap()["skipped"].as_array().unwrap().len(), 2);
    std::fs::remove_dir_all(folder.path().join("run")).unwrap();
    let quiet = train(folder.path(), "photos", &["--quiet"]).expect(0);
    assert!(!quiet.out.contains("| epoch") && quiet.out.contains("error_rate"), "{}", quiet.out);
    assert!(quiet.out.contains("page.jpg") && quiet.err.contains("cut.png"), "{} {}", quiet.out, quiet.err);
    for arguments in [&["interpret", "run", "--json"][..], &["inspect", "photos", "--json"]] {
        let out = sciurus(folder.path(), arguments).out;
        serde_json::from_str::<serde_json::Value>(&out).unwrap();
    }
}

#[test]
fn one_wrong_path_does_not_stop_prediction() {
    let folder = drawn();
    train(folder.path(), "photos", &["--quiet"]).expect(0);
    let ran =
        sciurus(folder.path(), &["predict", "run/model.sciurus", "photos/leaf/leaf-001.png", "missing.jpg"])
            .expect(1);
    assert!(ran.out.contains("leaf-001.png") && ran.err.contains("missing.jpg"), "{} {}", ran.out, ran.err);
}

/// A reader that goes away, as `| head` does, does not end the training.
#[cfg(unix)]
#[test]
fn training_survives_a_closed_standard_output() {
    let folder = drawn();
    let command =
        format!("{} train photos --run run {} | head -1", env!("CARGO_BIN_EXE_sciurus"), QUICK.join(" "));
    let status =
        std::process::Command::new("sh").args(["-c", &command]).current_dir(folder.path()).status().unwrap();
    assert!(status.success());
    assert!(folder.path().join("run/model.sciurus").is_file());
}

/// Real files from the web with every kind of fault, as one class beside another.
#[test]
fn real_bad_inputs_are_named_and_the_run_finishes() {
    let Some(bad) = shared("data/bad_inputs_real") else { return };
    let folder = drawn();
    let photos = folder.path().join("photos");
    let mut copied = 0;
    for entry in std::fs::read_dir(bad).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), photos.join("leaf").join(entry.file_name())).unwrap();
        copied += 1;
    }
    assert!(copied > 30);
    // A whole CMYK photo, which is used, and the same cut short, which is not.
    let cmyk = include_bytes!("../../../data/tests/fixtures/cmyk.jpg");
    std::fs::write(photos.join("acorn/cmyk.jpg"), cmyk).unwrap();
    std::fs::write(photos.join("acorn/cut.jpg"), &cmyk[..cmyk.len() / 2]).unwrap();
    let trained = train(folder.path(), "photos", &[]).expect(0);
    let inspected = sciurus(folder.path(), &["inspect", "photos"]).expect(1);
    for (name, reason) in [
        ("urls_teddys.txt", "text"),
        ("INDEX.csv", "text"),
        ("cut.jpg", "cut short"),
        ("empty.jpg", "0 bytes"),
    ] {
        for out in [&trained.out, &inspected.out] {
            let line = out
                .lines()
                .find(|line| line.contains(name))
                .unwrap_or_else(|| panic!("{name} is not named:\n{out}"));
            assert!(line.contains(reason), "{line}");
        }
    }
    assert!(
        inspected.out.contains("left out?    85 files: 78 used, 6 that can't be used, 1 passed over"),
        "two real ones and four made here:\n{}",
        inspected.out
    );
}
