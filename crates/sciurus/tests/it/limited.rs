//! A child process with little of everything: what it reads must be refused within 2 s of one core and 1 GB of memory.
//!
//! The child is this test program again, told by the environment what to read. Limits are the system's, so that they hold for all that
//! the child does; on systems without them nothing is tested.

use std::path::Path;
use std::process::Command;

use sciurus::Predictor;
use sciurus::model::weights::read;

use crate::support::chain;

/// What the child is to read, and as what.
const FILE: &str = "SCIURUS_TEST_HOSTILE_FILE";
const KIND: &str = "SCIURUS_TEST_HOSTILE_KIND";

/// What a file claims to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Weights,
    Model,
}

/// Not a test of its own: what the child does. Without a file there is nothing to do.
#[test]
fn child_reads_what_it_is_told() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let said = match std::env::var(KIND).as_deref() {
        Ok("Weights") => read(Path::new(&file)).map(drop),
        _ => Predictor::load(&file).map(drop),
    };
    println!("the child says: {}", said.map_or_else(|error| chain(&error), |()| "accepted".to_owned()));
}

/// What a process that may take 2 s of processor time and 1 GB of address space more than it has at its start says to a file.
pub(crate) fn said(kind: Kind, file: &Path) -> String {
    if !cfg!(target_os = "linux") {
        return String::new();
    }
    // The program itself, its libraries and the stacks of its threads are mapped into the same address space.
    let script = "ulimit -t 2 && ulimit -v $((1000000 + 400000)) && exec \"$0\" \"$@\"";
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limited::child_reads_what_it_is_told", "--nocapture", "--test-threads=1"])
        .env(FILE, file)
        .env(KIND, format!("{kind:?}"))
        .env("RAYON_NUM_THREADS", "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&child.stdout).into_owned();
    let error = String::from_utf8_lossy(&child.stderr).into_owned();
    let line = out.lines().find_map(|line| Some(line.split_once("the child says: ")?.1.to_owned()));
    line.unwrap_or_else(|| panic!("{} was too much ({}): {out} {error}", file.display(), child.status))
}

/// Asserts that a file is refused within the limits, for a reason that names the file and says `words`.
pub(crate) fn assert_refused(kind: Kind, file: &Path, words: &str) {
    let said = said(kind, file);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let told = said.contains(words) && said.contains(&name) && said.len() < 2000;
    assert!(said.is_empty() || told, "{name}: expected `{words}`, heard `{said}`");
}
