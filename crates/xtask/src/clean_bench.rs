//! `clean-bench`: how well planted errors are found. Its table stands in docs/cleaning-benchmarks.md.

use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::{bench, report};

/// Where the table stands, and between which lines.
const PAGE: &str = "docs/cleaning-benchmarks.md";
const BEGIN: &str = "<!-- clean-bench -->\n";
const END: &str = "<!-- /clean-bench -->\n";

/// Passed on to `crates/sciurus/benches/clean.rs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Put the table into docs/cleaning-benchmarks.md in place of the one that is there
    #[arg(long)]
    write: bool,
    /// --shared, --first (seed), --seeds, --set, --tried
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let arguments = args.arguments.iter().map(String::as_str);
    let output = bench::command("clean", arguments).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the benchmark failed");
    let table = String::from_utf8(output.stdout)?;
    report(table.trim_end());
    if args.write {
        let page = std::fs::read_to_string(PAGE).with_context(|| format!("cannot read {PAGE}"))?;
        let begin = page.find(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN}"))? + BEGIN.len();
        let end = page.find(END).with_context(|| format!("{PAGE} has no line {END}"))?;
        std::fs::write(PAGE, [&page[..begin], &table, &page[end..]].concat())?;
    }
    Ok(())
}
