//! `studio-bench`: how fast the studio is on 10,000 photos, in a browser. Its table stands in docs/performance.md.

use anyhow::ensure;

use crate::bench;

/// Passed on to `crates/cli/benches/studio`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// --photos, --from FOLDER, --keep FOLDER, --cards, --json
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let status = bench::command("studio", args.arguments.iter().map(String::as_str)).status()?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
