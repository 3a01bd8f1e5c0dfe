//! `sciurus compare`: whether one run, or one recipe, is better than another beyond chance.

use std::path::PathBuf;

use sciurus::Run;
use sciurus::insight::{Predictions, compare_many};

use crate::args::CompareArgs;
use crate::output::{Outcome, json_line, text};

pub(super) fn run(args: &CompareArgs) -> anyhow::Result<Outcome> {
    let (a, b) = match &args.runs[..] {
        [a, b] => (std::slice::from_ref(a), std::slice::from_ref(b)),
        _ => (&args.a[..], &args.b[..]),
    };
    let comparison = compare_many(&predictions(a)?, &predictions(b)?)?;
    if args.show.json {
        json_line(&comparison)?;
    } else {
        text(comparison)?;
    }
    Ok(Outcome::Done)
}

fn predictions(runs: &[PathBuf]) -> anyhow::Result<Vec<Predictions>> {
    runs.iter().map(|run| Ok(Run::open(run)?.predictions()?)).collect()
}
