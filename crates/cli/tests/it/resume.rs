//! Runs that are killed, run out of disk, or are replayed from their settings.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, Ran, drawn, sciurus};

/// A run with a checkpoint after every step.
fn train(folder: &Path, run: &str, epochs: &str) -> Ran {
    let more = "--checkpoint-seconds 0 --augment flip --average-decay 0.9 --quiet";
    support::train(folder, run, &format!("--epochs {epochs} {more}"))
}

fn resume(folder: &Path, run: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sciurus"));
    command.args(["train", "--quiet", "--resume", run]).current_dir(folder);
    command.env_remove("SCIURUS_MODELS").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The run's folder as it is when its training has only begun: its settings and nothing else.
fn begun(folder: &Path, whole: &str, run: &str) {
    std::fs::create_dir(folder.join(run)).unwrap();
    let text = std::fs::read_to_string(folder.join(whole).join("run.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["metrics"] = serde_json::json!([]);
    std::fs::write(folder.join(run).join("run.json"), record.to_string()).unwrap();
}

/// Goes on with a run and kills it as soon as it has a checkpoint.
fn kill_at_first_checkpoint(folder: &Path, run: &str) {
    let mut running = resume(folder, run).spawn().unwrap();
    while !folder.join(run).join("checkpoint.safetensors").exists() {
        assert!(running.try_wait().unwrap().is_none(), "the run ended without a checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    running.kill().unwrap();
    running.wait().unwrap();
}

fn model(folder: &Path, run: &str) -> Vec<u8> {
    std::fs::read(folder.join(run).join("model.sciurus")).unwrap()
}

/// The columns of history.csv that do not depend on the clock.
fn table(folder: &Path, run: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(run).join("history.csv")).unwrap();
    text.lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",")).collect()
}

#[test]
fn a_run_that_is_killed_twenty_times_gives_the_same_model() {
    let folder = drawn(20);
    let path = folder.path();
    train(path, "whole", "16").expect(0);
    begun(path, "whole", "killed");
    let started = Instant::now();
    kill_at_first_checkpoint(path, "killed");
    // Some kills come before the next checkpoint and some after it, however fast the machine is.
    let longest = started.elapsed().mul_f64(1.5);
    let mut state = 12_345_u64;
    for kill in 2..=20 {
        let mut running = resume(path, "killed").spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(longest.mul_f64((state >> 33) as f64 / (1_u64 << 31) as f64));
        assert!(running.try_wait().unwrap().is_none(), "the run was done before kill {kill}");
        running.kill().unwrap();
        running.wait().unwrap();
    }
    assert!(resume(path, "killed").status().unwrap().success());
    assert!(model(path, "killed") == model(path, "whole"), "another model");
    assert_eq!(table(path, "killed"), table(path, "whole"));
    let [learnt, whole] =
        ["killed", "whole"].map(|run| std::fs::read(path.join(run).join("training.parquet")).unwrap());
    assert!(learnt == whole, "other opinions of the training photos");
    assert!(!path.join("killed/checkpoint.safetensors").exists(), "the checkpoint outlives its run");

    let again = sciurus(path, &["train", "--resume", "killed"]).expect(2);
    assert!(again.err.contains("nothing to resume"), "{}", again.err);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_has_a_model_and_the_rest_of_it_can_be_trained() {
    let folder = drawn(20);
    let path = folder.path();
    train(path, "whole", "12").expect(0);
    begun(path, "whole", "stopped");
    // Only the stop writes a checkpoint.
    let record = path.join("stopped/run.json");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    text["settings"]["checkpoint_seconds"] = serde_json::json!(3600.0);
    std::fs::write(&record, text.to_string()).unwrap();

    let events = path.join("stopped/events.jsonl");
    let trained = |steps: usize| {
        let text = std::fs::read_to_string(&events).unwrap_or_default();
        text.matches("batch_trained").count() >= steps
    };
    for steps in [1, 9] {
        let mut running = resume(path, "stopped").spawn().unwrap();
        while !trained(steps) {
            assert!(running.try_wait().unwrap().is_none(), "the run ended before it was stopped");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
        assert_eq!(running.wait().unwrap().code(), Some(130));
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        assert_eq!(record["cut_short"], true, "{record}");
        assert!(!record["metrics"].as_array().unwrap().is_empty(), "{record}");
        sciurus(path, &["predict", "stopped", "photos/acorn/acorn-003.png"]).expect(0);
    }
    assert!(resume(path, "stopped").status().unwrap().success());
    assert!(model(path, "stopped") == model(path, "whole"), "another model");
    assert_eq!(table(path, "stopped"), table(path, "whole"));
    assert!(!path.join("stopped/checkpoint.safetensors").exists(), "the checkpoint outlives its run");
    let again = sciurus(path, &["train", "--resume", "stopped"]).expect(2);
    assert!(again.err.contains("nothing to resume"), "{}", again.err);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_a_clear_error_and_the_last_checkpoint_still_loads() {
    let folder = drawn(20);
    let path = folder.path();
    train(path, "whole", "4").expect(0);
    begun(path, "whole", "full");
    kill_at_first_checkpoint(path, "full");

    // Files may not grow beyond a few kilobytes: the next checkpoint fails in the middle, as on a full disk.
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$0\" train --quiet --resume full";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_sciurus")])
        .current_dir(path)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("checkpoint") && told.contains("File too large"), "{told}");

    assert!(resume(path, "full").status().unwrap().success());
    assert!(model(path, "full") == model(path, "whole"), "another model");
}

#[test]
fn photos_that_changed_are_not_trained_on_by_a_resumed_run() {
    let folder = drawn(20);
    let path = folder.path();
    train(path, "whole", "4").expect(0);
    begun(path, "whole", "changed");
    std::fs::remove_file(path.join("photos/acorn/acorn-003.png")).unwrap();
    let ran = sciurus(path, &["train", "--resume", "changed"]).expect(2);
    assert!(ran.err.contains("photos have changed"), "{}", ran.err);
}

#[test]
fn the_settings_that_a_run_wrote_give_the_same_model_again() {
    let folder = drawn(20);
    let path = folder.path();
    train(path, "first", "4").expect(0);
    sciurus(path, &["train", "--config", "first/config.toml", "--run", "second", "--quiet"]).expect(0);
    assert!(model(path, "first") == model(path, "second"), "another model");

    std::fs::write(path.join("short.toml"), "folder = \"photos\"\nepoch = 3\n").unwrap();
    let ran = sciurus(path, &["train", "--config", "short.toml"]).expect(2);
    assert!(ran.err.contains("short.toml") && ran.err.contains("there is no option `epoch`"), "{}", ran.err);
    // What is typed beside a file of settings counts more than the file.
    let beside = ["train", "--config", "first/config.toml", "--seed", "7", "--run", "third", "--quiet"];
    sciurus(path, &beside).expect(0);
    assert!(model(path, "first") != model(path, "third"), "the same model from another seed");
    let config = std::fs::read_to_string(path.join("third/config.toml")).unwrap();
    assert!(config.contains("seed = 7"), "{config}");
    let ran = sciurus(path, &["train", "--resume", "first", "--seed", "7"]).expect(2);
    assert!(ran.err.contains("keeps its own settings; leave out --seed"), "{}", ran.err);
}

/// A student's projectors are trained as well, and belong to the checkpoint but not to the model.
#[test]
fn a_student_that_is_killed_gives_the_same_model_and_its_teacher_must_be_the_same() {
    let folder = drawn(30);
    let at = folder.path();
    train(at, "teacher", "1").expect(0);
    let more = "--epochs 2 --checkpoint-seconds 0 --quiet --teacher teacher --teacher-temperature 3";
    support::train(at, "whole", more).expect(0);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at.join("whole/run.json")).unwrap()).unwrap();
    assert_eq!(record["teachers"][0]["name"], "model.sciurus");
    assert_eq!(record["teachers"][0]["sha256"].as_str().unwrap().len(), 64);

    begun(at, "whole", "killed");
    kill_at_first_checkpoint(at, "killed");
    assert!(resume(at, "killed").status().unwrap().success());
    assert_eq!(model(at, "killed"), model(at, "whole"));

    // A model that doesn't know what it was taught with can't be taught on.
    begun(at, "whole", "other");
    std::fs::remove_dir_all(at.join("teacher")).unwrap();
    support::train(at, "teacher", "--epochs 2 --quiet --seed 9").expect(0);
    let ran: Ran = resume(at, "other").stderr(Stdio::piped()).output().unwrap().into();
    assert!(ran.code != 0 && ran.err.contains("a teacher has changed"), "{}", ran.err);
}

#[test]
fn a_teacher_with_some_of_the_labels_is_refused() {
    let folder = drawn(10);
    let at = folder.path();
    train(at, "teacher", "1").expect(0);
    std::fs::rename(at.join("photos/acorn"), at.join("photos/beechnut")).unwrap();
    let ran = support::train(at, "student", "--epochs 1 --quiet --teacher teacher");
    assert!(ran.code != 0 && ran.err.contains("just the student's labels"), "{}", ran.err);
}
