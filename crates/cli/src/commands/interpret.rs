//! `sciurus interpret`: where a trained model is wrong.

use std::path::Path;

use sciurus::data::fs::{Replace, check_output, write_output};
use sciurus::data::one_line;
use sciurus::insight::{LabelTable, MultiTopLossTable, TopLossTable};
use sciurus::{
    AnyPredictions, ClassificationInterpretation, MultiInterpretation, MultiPredictions, Predictions, Run,
    RunRecord,
};
use serde_json::json;

use crate::args::InterpretArgs;
use crate::output::{Outcome, PAGE, count, json_line, shown, text, warn};
use crate::paint::Paint;
use crate::progress;

/// Top losses that are shown where nobody says how many.
const TOP: usize = 9;

pub(super) fn run(args: &InterpretArgs) -> anyhow::Result<Outcome> {
    let run = Run::open(&args.run)?;
    let record = run.record()?;
    let predictions = run.any_predictions()?;
    if let Some(path) = &args.html {
        check_output(path, PAGE, Replace::forced(args.force))?;
        write_page(path, &run, args)?;
    }
    match predictions {
        AnyPredictions::Single(predictions) => one_label(args, &record, predictions),
        AnyPredictions::Multi(predictions) => multi_label(args, &record, predictions),
    }
}

fn one_label(args: &InterpretArgs, record: &RunRecord, predictions: Predictions) -> anyhow::Result<Outcome> {
    let interpretation = ClassificationInterpretation::new(predictions);
    let confused = interpretation.most_confused(args.min_confused);
    let losses = interpretation.top_losses(args.top.unwrap_or(TOP));
    if args.show.json {
        json_line(&json!({
            "metrics": record.metrics,
            "test_metrics": record.test_metrics,
            "rejection": record.rejection,
            "confusion_matrix": interpretation.confusion_matrix(),
            "most_confused": confused,
            "top_losses": losses,
        }))?;
        return Ok(Outcome::Done);
    }
    measured(record)?;
    if let Some(rejection) = &record.rejection {
        text(rejection)?;
    }
    text(format!("\n{}", interpretation.confusion_matrix()))?;
    if !confused.is_empty() {
        text("most confused:")?;
        for pair in &confused {
            let (target, prediction) = (one_line(&pair.target), one_line(&pair.prediction));
            text(format!("  {target} taken for {prediction}: {}", count(pair.count, "photo")))?;
        }
        text("")?;
    }
    text(format!("top losses (photos in {}):", shown(&record.settings.data.folder)))?;
    text(TopLossTable(&losses))?;
    Ok(Outcome::Done)
}

/// Photos with any number of labels: a table of labels in place of a confusion matrix.
fn multi_label(
    args: &InterpretArgs,
    record: &RunRecord,
    predictions: MultiPredictions,
) -> anyhow::Result<Outcome> {
    let interpretation = MultiInterpretation::new(predictions);
    let (labels, losses) = (interpretation.labels(), interpretation.top_losses(args.top.unwrap_or(TOP)));
    if args.show.json {
        json_line(
            &json!({"metrics": record.metrics, "test_metrics": record.test_metrics, "labels": labels, "top_losses": losses}),
        )?;
        return Ok(Outcome::Done);
    }
    measured(record)?;
    text(format!("\n{}\n", LabelTable(&labels)))?;
    text(format!("top losses (photos in {}):", shown(&record.settings.data.folder)))?;
    text(MultiTopLossTable(&losses))?;
    Ok(Outcome::Done)
}

/// How good the model is.
fn measured(record: &RunRecord) -> anyhow::Result<()> {
    record.metrics.iter().try_for_each(text)?;
    match &record.test_metrics[..] {
        [] => Ok(()),
        metrics => {
            text("test set:")?;
            metrics.iter().try_for_each(text)
        }
    }
}

/// Writes the report as an HTML page.
fn write_page(path: &Path, run: &Run, args: &InterpretArgs) -> anyhow::Result<()> {
    let bar = progress::bar(args.show, "drawing photos");
    let (mut page, unreadable) = run.report(&progress::follow(&bar))?;
    bar.finish_and_clear();
    if let Some(top) = args.top {
        page = page.top(top);
    }
    if !unreadable.is_empty() {
        let (photos, folder) = (count(unreadable.len(), "photo"), run.record()?.settings.data.folder);
        warn(format_args!(
            "{} {photos} can no longer be read and have no picture on the page (looked for in {}); the first: {}",
            Paint::Warning.on("warning:"),
            shown(&folder),
            unreadable[0]
        ));
    }
    let page = page.render();
    Ok(write_output(path, page.as_bytes())?)
}
