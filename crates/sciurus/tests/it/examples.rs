//! The examples run: each by itself, on pictures that it draws, with no network.

use std::process::Command;

/// Runs an example in a temporary folder of its own; what it printed.
fn run(name: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(&program);
    for variable in ["TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"] {
        command.env(variable, temporary.path());
    }
    let output = command
        .env("SCIURUS_OFFLINE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fine_tune() {
    let said = run("fine_tune");
    assert!(said.contains("\n| 3     | 0.") && said.contains("acorn") && said.contains("saved "), "{said}");
}

#[test]
fn predict_in_memory() {
    let said = run("predict_in_memory");
    assert_eq!(said.lines().filter(|line| line.ends_with(" %)")).count(), 4, "{said}");
}

#[test]
fn own_metric() {
    assert_eq!(run("own_metric").matches("miss_rate").count(), 3);
}

#[test]
fn own_loss() {
    let said = run("own_loss");
    let losses: Vec<f64> =
        said.lines().map(|line| line.split([' ', ',']).nth(3).unwrap().parse().unwrap()).collect();
    assert!(losses.len() == 4 && losses[3] < losses[0], "{said}");
}

#[test]
fn own_network() {
    let said = run("own_network");
    assert!(said.contains("late layers and head") && said.contains("plain with 97"), "{said}");
    assert!(said.ends_with("leaf\n") || said.ends_with("acorn\n"), "{said}");
}

#[test]
fn teacher() {
    let said = run("teacher");
    assert!(
        said.contains("whole network") && said.contains("learnt from sciurus-example-teacher.sciurus"),
        "{said}"
    );
}

#[test]
fn own_observer() {
    let said = run("own_observer");
    assert!(said.contains("epoch 0, batch 0") && said.ends_with(" epochs\n"), "{said}");
}

#[test]
fn own_transform() {
    assert!(run("own_transform").contains("error_rate"));
}

#[test]
fn clean_a_folder() {
    let said = run("clean_a_folder");
    assert!(said.contains("81 photos") && said.contains("from-another-folder.png"), "{said}");
}

#[test]
fn embeddings() {
    let said = run("embeddings");
    assert!(said.starts_with("40 photos") && said.contains("most like"), "{said}");
}

#[cfg(feature = "gather")]
#[test]
fn gather_and_train() {
    let said = run("gather_and_train");
    assert!(said.contains("acorn") && said.contains("20") && said.contains("ATTRIBUTION.md"), "{said}");
}
