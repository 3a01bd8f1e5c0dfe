//! `bench-step`: one line with the speed and the peak memory of a training step or of inference.

use std::process::Command;

use anyhow::ensure;

/// Passed on to `crates/sciurus/benches/step.rs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// train|frozen|infer, then --arch, --precision, --batch, --size, --threads, --steps
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let status = Command::new("cargo")
        .args(["bench", "--quiet", "--package", "sciurus", "--bench", "step", "--"])
        .args(&args.arguments)
        .status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
