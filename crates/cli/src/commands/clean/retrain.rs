//! The loop closed: trained with the photos as they are and as they were decided, both measured on the same reviewed photos.

use std::collections::HashSet;
use std::path::PathBuf;

use sciurus::clean::plan::CleanAction;
use sciurus::data::Split;
use sciurus::insight::compare_many;
use sciurus::{CleanSettings, FinishedRun, TrainSettings};
use serde_json::json;

use super::{journal, look, run_of};
use crate::args::{CleanArgs, Show};
use crate::commands::train;
use crate::interrupt;
use crate::output::{Outcome, count, json_line, text};
use crate::paint::Paint;

/// Why the photos that measure must be looked at too.
const WHY: &str = "Both models are measured with the labels as they were decided: wrong labels among the photos that measure \
                   count right answers as mistakes, and would hide what cleaning brought.";

pub(super) fn run(args: &CleanArgs, settings: &CleanSettings) -> anyhow::Result<Outcome> {
    let journal = journal(args, &settings.folder)?;
    anyhow::ensure!(
        !journal.decisions().is_empty(),
        "nothing was decided yet; decide with --review, then train again with --retrain"
    );
    let cleaner = look(settings, args.show)?;
    let mut plan = cleaner.plan()?;
    // What was not decided stays as it is: proposals are no decisions.
    let decided = journal.corrections();
    plan.items.retain(|item| decided.find(&item.path, &item.content).is_some());
    plan.decide(journal.decisions());
    let valid: HashSet<PathBuf> =
        cleaner.dataset().split(Split::Valid).map(|item| item.path.clone()).collect();
    let reviewed = plan.items.iter().filter(|item| valid.contains(&item.path)).count();
    let changes = plan.items.iter().filter(|item| item.action != CleanAction::Keep).count();
    if !args.show.json {
        text(format!("{} decided, {} to make", count(plan.items.len(), "photo"), count(changes, "change")))?;
        text(format!("{reviewed} of the {} that measure were looked at", count(valid.len(), "photo")))?;
        text(WHY)?;
    }
    let folder = train::default_folder(&settings.folder);
    let named = |what: &str| {
        folder.with_file_name(format!("{}-{what}", folder.file_name().unwrap_or_default().to_string_lossy()))
    };
    let (before, after) = (named("before"), named("after"));
    let file = named("plan").with_extension("json");
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    plan.save(&file)?;
    let asked = match run_of(args)? {
        Some(run) => run.record()?.settings,
        None => asked(settings),
    };
    let before = to_the_end(before, TrainSettings { plan: None, ..asked.clone() }, args.show)?;
    let after = to_the_end(after, TrainSettings { plan: Some(file), ..asked }, args.show)?;
    let after_run = after.run.predictions()?;
    let before_run = before.run.predictions()?.measured_as(&after_run)?;
    let comparison = compare_many(&[before_run], &[after_run])?;
    if args.show.json {
        json_line(&json!({
            "event": "retrained", "reviewed": reviewed, "valid": valid.len(), "changes": changes,
            "before": before.run.folder(), "after": after.run.folder(), "comparison": comparison,
        }))?;
    } else {
        text(Paint::Strong.on("\nbefore (A) and after cleaning (B), on the same reviewed photos"))?;
        text(comparison)?;
    }
    Ok(Outcome::Done)
}

/// Trains; a training that was interrupted is no side of a comparison.
fn to_the_end(folder: PathBuf, settings: TrainSettings, show: Show) -> anyhow::Result<FinishedRun> {
    let finished = train::train(folder, settings, show)?;
    anyhow::ensure!(
        !interrupt::was_pressed(),
        "interrupted: nothing was compared; what was trained is in {}",
        finished.run.folder().display()
    );
    Ok(finished)
}

/// How photos are trained on that no run was trained on.
fn asked(settings: &CleanSettings) -> TrainSettings {
    TrainSettings {
        labels: settings.labels.clone(),
        splitter: settings.splitter,
        seed: settings.seed,
        weights: settings.weights.clone(),
        network: settings.network,
        arch: settings.archs[0],
        ..TrainSettings::new(&settings.folder)
    }
}
