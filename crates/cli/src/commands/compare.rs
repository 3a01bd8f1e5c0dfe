//! `sciurus compare`: whether one run, or one recipe, is better than another beyond chance.

use std::collections::HashSet;
use std::path::PathBuf;

use sciurus::Run;
use sciurus::insight::{Predictions, compare_many};

use crate::args::CompareArgs;
use crate::output::{Outcome, json_line, shown, text};

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

/// The predictions of one side. A run that is given twice is no second seed.
fn predictions(runs: &[PathBuf]) -> anyhow::Result<Vec<Predictions>> {
    let mut seen = HashSet::new();
    for run in runs {
        let again = !seen.insert(run.canonicalize().unwrap_or_else(|_| run.clone()));
        anyhow::ensure!(!again, "{} is given twice on one side; give each seed's run once", shown(run));
    }
    runs.iter().map(|run| Ok(Run::open(run)?.predictions()?)).collect()
}
