//! The `sciurus` command: parse, run, render, exit code.
//!
//! Exit codes: 0 done, 1 done and something was found, 2 failed, 128 and the signal's number where one cut it short.

mod args;
mod commands;
mod fault;
mod interrupt;
mod output;
mod paint;
mod progress;
mod viewer;

use std::io::ErrorKind;
use std::process::ExitCode;

use crate::output::warn;
use crate::paint::Paint;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        // What was typed may be a name that the shell found in a folder, so it goes the way of all text.
        Err(error) if error.use_stderr() => {
            warn(error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    allow_many_files();
    let ended = match commands::run(cli) {
        Ok(outcome) => outcome.into(),
        // The reader of our output has gone, as `| head` does; that is no failure of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("{} {}", Paint::Error.on("error:"), fault::told(&error)));
            ExitCode::from(2)
        }
    };
    interrupt::exit_code().map_or(ended, ExitCode::from)
}

/// Asks for as many open files as the system allows: shells often start programs with fewer.
#[cfg(unix)]
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Without it there are as many as there were.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

#[cfg(not(unix))]
fn allow_many_files() {}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
