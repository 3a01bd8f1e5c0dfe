//! `same`: the A/A test of `sciurus compare`. Two seeds of one recipe are no better than each other, whatever the photos say.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use serde_json::Value;

use crate::{accept, report};

/// What to train, and how many pairs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with data/ and models/
    #[arg(long, env = "SCIURUS_SHARED", default_value = "../shared")]
    shared: PathBuf,
    /// Pairs of runs, each of two seeds that follow one another
    #[arg(long, default_value_t = 40)]
    pairs: u64,
    /// Seed of the first run: with 1 the pairs are seeds 1 and 2, 3 and 4, ...
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Data set with validation photos of its own, so that both of a pair are measured on the same ones
    #[arg(long, default_value = "hymenoptera")]
    set: String,
    /// Options for `sciurus train`: small and fast, as there are many runs
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        default_values = ["--arch", "squeezenet1_1", "--image-size", "128"]
    )]
    options: Vec<String>,
}

/// Largest share of pairs that may be called different.
const BAR: f64 = 0.05;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    accept::build()?;
    let mut called = 0;
    for pair in 0..args.pairs {
        let seeds = [args.first_seed + 2 * pair, args.first_seed + 2 * pair + 1];
        let runs = seeds.map(|seed| accept::run_folder(&args.set, seed));
        let mut errors = Vec::new();
        for (seed, run) in seeds.into_iter().zip(&runs) {
            errors.push(accept::train_into(run, &args.shared, &args.set, seed, &args.options)?.error_rate);
        }
        let compared = Command::new(accept::binary()).args(["compare", "--json"]).args(&runs).output()?;
        ensure!(compared.status.success(), "comparing failed: {}", String::from_utf8_lossy(&compared.stderr));
        let comparison: Value = serde_json::from_slice(&compared.stdout)?;
        let verdict = comparison["verdict"].as_str().unwrap_or_default().to_owned();
        called += u64::from(verdict != "no_difference");
        report(&format!(
            "seeds {seeds:?}: {:.4} and {:.4}, p {}: {verdict}",
            errors[0], errors[1], comparison["p_value"]
        ));
        runs.iter().try_for_each(std::fs::remove_dir_all)?;
    }
    let share = called as f64 / args.pairs as f64;
    report(&format!(
        "{called} of {} pairs called different: {:.1} %, bar {:.0} %",
        args.pairs,
        100.0 * share,
        100.0 * BAR
    ));
    ensure!(share <= BAR, "noise was called a difference");
    Ok(())
}
