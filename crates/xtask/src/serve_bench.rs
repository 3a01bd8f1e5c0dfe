//! `serve-bench`: `sciurus serve` under load, beside FastAPI with PyTorch and with onnxruntime. Its table stands in docs/performance.md.

use std::process::Command;

use anyhow::ensure;

use crate::bench;

/// Passed on to `crates/serve/benches/load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// --model MODEL, --python PYTHON, --photos FOLDER, --onnx FILE, --connections, --seconds, --rounds, --json
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // The program that is measured stands in another package than the benchmark, which doesn't build it.
    let built =
        Command::new("cargo").args(["build", "--quiet", "--release", "--workspace", "--bins"]).status()?;
    ensure!(built.success(), "the program cannot be built");
    let status = bench::command("load", args.arguments.iter().map(String::as_str)).status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
