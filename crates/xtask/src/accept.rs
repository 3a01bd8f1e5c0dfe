//! `accept`: the main job on real photos, several seeds, mean final error against the bars of the issue.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::report;

/// What to train, how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with data/ and models/
    #[arg(long, env = "SCIURUS_SHARED", default_value = "../shared")]
    shared: PathBuf,
    /// Seeds
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,5")]
    seeds: Vec<u64>,
    /// Only this data set
    #[arg(long)]
    only: Option<String>,
    /// Further options for `sciurus train`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Data set and highest mean error rate.
const BARS: [(&str, f64); 2] = [("squirrels_red_grey", 0.03), ("hymenoptera", 0.08)];

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    build()?;
    let mut missed = Vec::new();
    for (name, bar) in
        BARS.into_iter().filter(|(name, _)| args.only.as_deref().is_none_or(|only| only == *name))
    {
        let mut errors = Vec::new();
        for seed in &args.seeds {
            let result = train(&args.shared, name, *seed, &args.options)?;
            report(&format!("{name} seed {seed}: {result}"));
            errors.push(result.error_rate);
        }
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let verdict = if mean <= bar { "holds" } else { "MISSED" };
        report(&format!(
            "{name}: mean error rate {mean:.4} over {} seeds; bar {bar} {verdict}",
            errors.len()
        ));
        if mean > bar {
            missed.push(name);
        }
    }
    ensure!(missed.is_empty(), "above the bar: {}", missed.join(", "));
    Ok(())
}

/// Builds the program.
pub(crate) fn build() -> anyhow::Result<()> {
    let built =
        Command::new("cargo").args(["build", "--release", "--workspace", "--bin", "sciurus"]).status()?;
    ensure!(built.success(), "the build failed");
    Ok(())
}

/// What one run gave.
pub(crate) struct Trained {
    /// On the validation photos, after the last epoch (0..1).
    pub(crate) error_rate: f64,
    /// With several views of each photo, if that was asked for (0..1).
    pub(crate) views: Option<f64>,
    /// Of the whole command.
    pub(crate) whole: Duration,
    speed: f64,
    waited_later: f64,
}

impl std::fmt::Display for Trained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "error rate {:.4}, {:.1} s whole, {:.1} images/s unfrozen, {:.2} % of later epochs spent waiting",
            self.error_rate,
            self.whole.as_secs_f64(),
            self.speed,
            self.waited_later * 100.0
        )
    }
}

/// Trains on one data set of the shared folder, with the program that [`build`] built.
pub(crate) fn train(shared: &Path, name: &str, seed: u64, options: &[String]) -> anyhow::Result<Trained> {
    let run = run_folder(name, seed);
    let result = train_into(&run, shared, name, seed, options);
    std::fs::remove_dir_all(&run).with_context(|| format!("cannot remove {}", run.display()))?;
    result
}

/// A folder for a run, to be removed after use.
pub(crate) fn run_folder(name: &str, seed: u64) -> PathBuf {
    std::env::temp_dir().join(format!("sciurus-accept-{}-{name}-{seed}", std::process::id()))
}

/// The same, and leaves the run folder.
pub(crate) fn train_into(
    run: &Path,
    shared: &Path,
    name: &str,
    seed: u64,
    options: &[String],
) -> anyhow::Result<Trained> {
    let started = Instant::now();
    let output = Command::new(binary())
        .arg("train")
        .arg(shared.join("data").join(name))
        .args(["--epochs", "4", "--json", "--seed", &seed.to_string()])
        .arg("--run")
        .arg(run)
        .args(options)
        .env("SCIURUS_MODELS", shared.join("models"))
        .output()
        .context("cannot start sciurus")?;
    let whole = started.elapsed();
    ensure!(output.status.success(), "training failed: {}", String::from_utf8_lossy(&output.stderr));
    summarise(&String::from_utf8(output.stdout)?, whole)
}

/// Reads the event stream: the error of the last epoch, and the waiting after the first epoch of all.
fn summarise(events: &str, whole: Duration) -> anyhow::Result<Trained> {
    let parsed: Vec<Value> = events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let epochs: Vec<&Value> = parsed.iter().filter(|event| event["event"] == "epoch_ended").collect();
    let Some(last) = epochs.last() else { bail!("no epoch ended") };
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let views = parsed.iter().find(|event| event["event"] == "views_measured");
    let later = |field: &str| epochs.iter().skip(1).map(|epoch| number(&epoch[field])).sum::<f64>();
    Ok(Trained {
        error_rate: number(&last["metrics"][0]["value"]),
        views: views.map(|event| number(&event["metrics"][0]["value"])),
        whole,
        speed: number(&last["images_per_second"]),
        waited_later: later("waited") / later("time"),
    })
}

/// The release binary that was just built.
pub(crate) fn binary() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), PathBuf::from);
    target.join("release").join(format!("sciurus{}", std::env::consts::EXE_SUFFIX))
}
