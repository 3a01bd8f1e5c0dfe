//! Project chores: `cargo xtask check`, `accept`, `recipes`, `same`, `bench-step`, `bench-peers`, `clean-bench`, `studio-bench`,
//! `serve-bench`, `export-check`, `pretrain`. They run other programs and judge what comes out.

mod accept;
mod bench;
mod check;
mod clean_bench;
mod export_check;
mod layout;
mod peers;
mod pretrain;
mod recipes;
mod same;
mod serve_bench;
mod studio_bench;

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
    /// Time Sciurus beside PyTorch and fastai on this machine, in turn, and hold the ratios against the bars
    BenchPeers(peers::Args),
    /// Plant errors into real photos and measure how well `sciurus clean` finds them, beside other orders
    CleanBench(clean_bench::Args),
    /// Measure the studio in a browser on 10,000 photos, beside its bars
    StudioBench(studio_bench::Args),
    /// Run exported models in onnxruntime, tract and a browser, and compare what they say with `sciurus predict`
    ExportCheck(export_check::Args),
    /// Put load on `sciurus serve`, and on what people would write without it
    ServeBench(serve_bench::Args),
    /// Train the backbone that the program carries, or measure one: `cargo xtask pretrain train --help`
    Pretrain(pretrain::Args),
    /// Train with other recipes and ten seeds on three data sets, beside the default: which of them earn their place
    Recipes(recipes::Args),
    /// Train pairs of runs that differ in their seed alone, and count how often `compare` calls them different
    Same(same::Args),
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse().chore {
        Chore::Check => check::run(),
        Chore::Accept(args) => accept::run(&args),
        Chore::BenchStep(args) => bench::run(&args),
        Chore::BenchPeers(args) => peers::run(&args),
        Chore::CleanBench(args) => clean_bench::run(&args),
        Chore::StudioBench(args) => studio_bench::run(&args),
        Chore::ExportCheck(args) => export_check::run(&args),
        Chore::ServeBench(args) => serve_bench::run(&args),
        Chore::Pretrain(args) => pretrain::run(&args),
        Chore::Recipes(args) => recipes::run(&args),
        Chore::Same(args) => same::run(&args),
    }
}

#[allow(clippy::print_stdout)]
fn report(line: &str) {
    println!("{line}");
}
