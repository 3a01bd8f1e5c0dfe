//! The `sciurus` command: parse, run, render, exit code.
//!
//! Exit codes: 0 done, 1 done and something was found, 2 failed.

mod args;
mod commands;
mod interrupt;
mod output;
mod paint;
mod progress;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::paint::Paint;

fn main() -> ExitCode {
    match commands::run(args::Cli::parse()) {
        Ok(outcome) => outcome.into(),
        // The reader of our output has gone, as `| head` does; that is no failure of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "{} {error:#}", Paint::Error.on("error:"));
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
