//! The program `sciurus studio`, running.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support;

/// A studio on `photos` in a folder that is also its home.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
}

/// `sciurus` in this folder, with no network and nothing of the user's.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = support::command(folder, arguments);
    command.env("SCIURUS_OFFLINE", "1").env("HOME", folder.join("home"));
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

impl Program {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// With options besides.
    pub(crate) fn start_with(folder: &Path, options: &[&str]) -> Self {
        let arguments = [&["studio", "photos", "--no-open"], options].concat();
        let mut child = command(folder, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("studio:").expect("its address on one line").trim().to_owned();
        Self { child, address }
    }

    /// Its address without the secret.
    pub(crate) fn page(&self, path: &str) -> String {
        let host = self.address.split("/?").next().unwrap();
        format!("{host}{path}")
    }

    /// Its process, as the system knows it.
    #[allow(dead_code, reason = "the benchmark measures it")]
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// As the system does when memory is short.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
