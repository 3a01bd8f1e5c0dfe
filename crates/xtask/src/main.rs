//! Project chores: `cargo xtask check`, `accept`, `bench-step`. They run other programs and judge what comes out.

mod accept;
mod bench;
mod check;

use clap::{Parser, Subcommand};

/// Project chores.
#[derive(Debug, Parser)]
struct Xtask {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Format, lints, tests, doc tests, licences, spelling: what must pass before a change lands
    Check,
    /// Train on real photos with several seeds and hold the mean error against the bars
    Accept(accept::Args),
    /// Time training steps or inference on random data, with peak memory
    BenchStep(bench::Args),
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse().chore {
        Chore::Check => check::run(),
        Chore::Accept(args) => accept::run(&args),
        Chore::BenchStep(args) => bench::run(&args),
    }
}
