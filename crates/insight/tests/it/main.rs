//! Tests of `sciurus-insight` from outside: against other programs' numbers, by property, by snapshot, and of files.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test, as the test itself would")]

mod comparison;
mod files;
mod golden;
mod golden_metrics;
mod multi;
mod properties;
mod report;
mod tables;

use sciurus_insight::{ItemId, Predictions, Vocab};

/// Predictions of certainty 0.9 with the given `(target, prediction)` classes.
fn predictions_of(labels: &[&str], pairs: &[(usize, usize)]) -> Predictions {
    let classes = labels.len();
    let rest = 0.1 / (classes - 1) as f32;
    let row = |prediction| (0..classes).map(move |class| if class == prediction { 0.9 } else { rest });
    let (items, paths) = names(pairs.len());
    Predictions::from_probabilities(
        Vocab::new(labels.iter().map(ToString::to_string)),
        items,
        paths,
        pairs.iter().flat_map(|&(_, prediction)| row(prediction)).collect(),
        pairs.iter().map(|&(target, _)| target).collect(),
    )
    .unwrap()
}

/// As many items, and paths for them.
fn names(len: usize) -> (Vec<ItemId>, Vec<std::path::PathBuf>) {
    let items = (0..u32::try_from(len).unwrap()).map(ItemId).collect();
    (items, (0..len).map(|i| format!("photos/{i:03}.jpg").into()).collect())
}
