//! Runs the binary and gives back what it wrote.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Exit code, standard output and standard error of one run.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// `sciurus` with these arguments in this folder, with no weights and no cache but the folder's own.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sciurus"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("SCIURUS_MODELS")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100");
    command
}

/// Runs it.
pub(crate) fn sciurus(folder: &Path, arguments: &[&str]) -> Ran {
    command(folder, arguments).output().unwrap().into()
}

/// Trains on `photos` for some seconds on small pictures, from random weights; `more` names at least the epochs.
pub(crate) fn train(folder: &Path, run: &str, more: &str) -> Ran {
    let options = "--no-pretrained --arch resnet10_narrow --image-size 64 --batch-size 8";
    let options: Vec<&str> = options.split_whitespace().chain(more.split_whitespace()).collect();
    sciurus(folder, &[&["train", "photos", "--run", run], &options[..]].concat())
}

/// A folder with as many drawn pictures of each kind in `photos`.
pub(crate) fn drawn(per_class: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sciurus::draw_demo(&folder.path().join("photos"), per_class, 42).unwrap();
    folder
}

impl Ran {
    /// The run as a snapshot, folders and numbers that vary left out.
    pub(crate) fn snapshot(&self, folder: &Path) -> String {
        let text = format!("exit code {}\n--- out\n{}--- err\n{}", self.code, self.out, self.err);
        text.replace(&folder.display().to_string(), "FOLDER").replace("sciurus.exe", "sciurus")
    }

    /// Panics with everything that was written unless the exit code is `code`.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        self
    }
}

/// A path below `SCIURUS_SHARED` (default: `shared` beside the checkout). Without it the test is passed over, but
/// fails where `CI=true`.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("SCIURUS_SHARED").map_or(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{} is missing on CI", path.display());
    eprintln!("passed over: {} is missing", path.display());
    None
}
