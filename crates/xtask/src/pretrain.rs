//! `pretrain`: runs the program that trains the backbone, crates/pretrain, built for speed.

use std::process::Command;

use anyhow::ensure;

/// What to do, and its options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// `train` or `probe`, and its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "--workspace", "--bin", "pretrain", "--"]).args(&args.options);
    ensure!(cargo.status()?.success(), "pretraining failed");
    Ok(())
}
