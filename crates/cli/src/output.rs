//! What a command leaves: its exit code, and text on standard output and standard error.
//!
//! Every text goes through here, whoever named what is in it, and [`rendered`] takes out what would steer a terminal.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use sciurus::Learner;
use sciurus::data::fs::OutputKind;
use sciurus::data::{LeftOut, LeftOutReason, Note, one_line, steers};
pub(crate) use sciurus::data::{argument, counted as count};
use serde::Serialize;

use crate::fault::with_flags;
use crate::paint::{Paint, rendered};

/// Pages that `--html` writes, to be told from everything else that may have their name.
pub(crate) const PAGE: OutputKind = OutputKind::new("a page");

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

/// One value as JSON on one line of standard output. Characters that would steer a terminal stand as JSON's own escapes, so that
/// nothing is lost.
pub(crate) fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    Ok(writeln!(std::io::stdout(), "{}", escaped(&line))?)
}

/// JSON with `\\u` escapes for what would steer a terminal; outside strings it has nothing of the kind.
pub(crate) fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match steers(c) {
            // All of them are below U+FFFF.
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    escaped
}

/// Text on standard output.
pub(crate) fn text(text: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(anstream::stdout(), "{}", rendered(&text.to_string()))?)
}

/// Text on standard output before work that must be done even if its reader has gone, as `| head` does.
pub(crate) fn announce(what: impl Display) -> std::io::Result<()> {
    match writeln!(anstream::stdout(), "{}", rendered(&what.to_string())) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Text on standard error, beside results that programs read. Nothing is lost if nobody hears it any more.
pub(crate) fn warn(what: impl Display) {
    let _ = writeln!(anstream::stderr(), "{}", rendered(&what.to_string()));
}

/// Something that a command went on without, or did in another way than was asked.
pub(crate) fn note(what: impl Display) {
    warn(format_args!("{} {what}", Paint::Warning.on("note:")));
}

/// What a data set took for granted, and its user should know.
pub(crate) fn tell_notes(notes: &[Note]) {
    notes.iter().for_each(|about| note(with_flags(about.to_string())));
}

/// Which network was chosen where nobody named one, if it is not the preferred one.
pub(crate) fn tell_choice(learner: &Learner) {
    learner.chosen_instead().into_iter().for_each(note);
}

/// A path as text on one line, whatever its name holds, from the folder that the program runs in if it is within that.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let within =
        here.and_then(|here| path.strip_prefix(here).ok()).filter(|path| !path.as_os_str().is_empty());
    one_line(&within.unwrap_or(path).to_string_lossy())
}

/// Files and folders that are named of each kind.
const NAMED: usize = 5;

/// What was passed over on purpose, a line for each reason: how many files, and which, or the folders that they are in.
pub(crate) fn passed_over(left_out: &[LeftOut]) -> Vec<String> {
    let mut by_reason: BTreeMap<LeftOutReason, Vec<&LeftOut>> = BTreeMap::new();
    left_out.iter().for_each(|one| by_reason.entry(one.why).or_default().push(one));
    let line = |(why, all): (LeftOutReason, Vec<&LeftOut>)| {
        let files = count(all.iter().map(|one| one.files).sum(), "file");
        let mut named: Vec<String> = all.iter().take(NAMED).map(|one| shown(&one.path)).collect();
        if all.len() > NAMED {
            named.push(format!("{} more", all.len() - NAMED));
        }
        format!("{files} passed over ({why}): {}", named.join(", "))
    };
    by_reason.into_iter().map(line).collect()
}
