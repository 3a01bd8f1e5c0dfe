//! What a command leaves: its exit code, and text on standard output.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use sciurus::data::one_line;
use serde::Serialize;

/// How a command ended, apart from failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing special.
    Done,
    /// Something was found that the user should look at.
    Found,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Found => ExitCode::from(1),
        }
    }
}

impl Outcome {
    /// `Found` if there are any.
    pub(crate) fn found<T>(things: &[T]) -> Self {
        if things.is_empty() { Outcome::Done } else { Outcome::Found }
    }
}

/// One value as JSON on one line of standard output.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Text on standard output.
pub(crate) fn text(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(anstream::stdout(), "{text}")?)
}

/// Text on standard output before work that must be done even if its reader has gone, as `| head` does.
pub(crate) fn announce(what: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(anstream::stdout(), "{what}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A path as text on one line, whatever its name holds, from the folder that the program runs in if it is within that.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let within =
        here.and_then(|here| path.strip_prefix(here).ok()).filter(|path| !path.as_os_str().is_empty());
    one_line(&within.unwrap_or(path).to_string_lossy())
}

/// `1 photo`, `2 photos`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
