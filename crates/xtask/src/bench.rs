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
    let status = command("step", args.arguments.iter().map(String::as_str)).status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

/// A benchmark of the library with these arguments. It is built with the workspace's features, so that Burn is not built twice.
pub(crate) fn command<'a>(bench: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--workspace", "--bench", bench, "--"]).args(arguments);
    command
}
