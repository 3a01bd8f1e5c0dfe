//! The verbs: each runs one function of the library and renders what it returns.

mod demo;
mod inspect;
mod interpret;
mod predict;
mod train;

use crate::args::{Cli, Verb};
use crate::output::Outcome;

/// Runs what was typed.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.verb {
        Verb::Train(args) => train::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Interpret(args) => interpret::run(&args),
        Verb::Predict(args) => predict::run(&args),
        Verb::Demo(args) => demo::run(&args),
    }
}

/// Threads of everything that computes; results do not depend on their number.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        anyhow::ensure!(threads > 0, "--threads is 0: choose 1 or more");
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    Ok(())
}
