//! The verbs: each runs one function of the library and renders what it returns.

mod archs;
mod clean;
mod compare;
mod completions;
mod demo;
mod export;
mod gather;
mod inspect;
mod interpret;
mod lr_find;
mod predict;
mod serve;
mod studio;
mod train;

use sciurus::data::MOST_THREADS;

use crate::args::{Cli, Verb};
use crate::output::Outcome;

/// Runs what was typed.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.verb {
        Verb::Studio(args) => studio::run(&args),
        Verb::Gather(args) => gather::run(&args),
        Verb::Train(args) => train::run(&args),
        Verb::LrFind(args) => lr_find::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Clean(args) => clean::run(&args),
        Verb::Interpret(args) => interpret::run(&args),
        Verb::Compare(args) => compare::run(&args),
        Verb::Predict(args) => predict::run(&args),
        Verb::Serve(args) => serve::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Archs(args) => archs::run(&args),
        Verb::Demo(args) => demo::run(&args),
    }
}

/// Threads of everything that computes; results do not depend on their number.
fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    if let Some(threads) = threads {
        anyhow::ensure!(
            (1..=MOST_THREADS).contains(&threads),
            "--threads is {threads}: choose 1 to {MOST_THREADS}"
        );
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    Ok(())
}
