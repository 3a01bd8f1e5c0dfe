//! `sciurus interpret`: where a trained model is wrong.

use std::path::Path;

use anyhow::Context;
use sciurus::insight::{LabelTable, MultiTopLossTable, TopLossTable};
use sciurus::{
    AnyPredictions, ClassificationInterpretation, MultiInterpretation, MultiPredictions, Predictions, Run,
    RunRecord,
};
use serde_json::json;

use crate::args::{InterpretArgs, Show};
use crate::output::{Outcome, count, json_line, text};
use crate::progress;

pub(super) fn run(args: &InterpretArgs) -> anyhow::Result<Outcome> {
    let run = Run::open(&args.run)?;
    let record = run.record()?;
    let predictions = run.any_predictions()?;
    if let Some(path) = &args.html {
        write_page(path, &run, args.show)?;
    }
    match predictions {
        AnyPredictions::One(predictions) => one_label(args, &record, predictions),
        AnyPredictions::Many(predictions) => any_number(args, &record, predictions),
    }
}

fn one_label(args: &InterpretArgs, record: &RunRecord, predictions: Predictions) -> anyhow::Result<Outcome> {
    let interpretation = ClassificationInterpretation::new(predictions);
    let confused = interpretation.most_confused(args.min_confused);
    let losses = interpretation.top_losses(args.top);
    if args.show.json {
        json_line(&json!({
            "metrics": record.metrics,
            "confusion_matrix": interpretation.confusion_matrix(),
            "most_confused": confused,
            "top_losses": losses,
        }))?;
        return Ok(Outcome::Done);
    }
    record.metrics.iter().try_for_each(text)?;
    text(format!("\n{}", interpretation.confusion_matrix()))?;
    if !confused.is_empty() {
        text("most confused:")?;
        for pair in &confused {
            text(format!("  {} taken for {}: {}", pair.target, pair.prediction, count(pair.count, "photo")))?;
        }
        text("")?;
    }
    text(format!("top losses (photos in {}):", record.settings.folder.display()))?;
    text(TopLossTable(&losses))?;
    Ok(Outcome::Done)
}

/// Photos with any number of labels: a table of labels in place of a confusion matrix.
fn any_number(
    args: &InterpretArgs,
    record: &RunRecord,
    predictions: MultiPredictions,
) -> anyhow::Result<Outcome> {
    let interpretation = MultiInterpretation::new(predictions);
    let (labels, losses) = (interpretation.labels(), interpretation.top_losses(args.top));
    if args.show.json {
        json_line(&json!({"metrics": record.metrics, "labels": labels, "top_losses": losses}))?;
        return Ok(Outcome::Done);
    }
    record.metrics.iter().try_for_each(text)?;
    text(format!("\n{}\n", LabelTable(&labels)))?;
    text(format!("top losses (photos in {}):", record.settings.folder.display()))?;
    text(MultiTopLossTable(&losses))?;
    Ok(Outcome::Done)
}

/// Writes the report as an HTML page.
fn write_page(path: &Path, run: &Run, show: Show) -> anyhow::Result<()> {
    let bar = progress::bar(show, "drawing photos");
    let page = run.report(&progress::follow(&bar))?.render();
    bar.finish_and_clear();
    std::fs::write(path, page).with_context(|| format!("{}: cannot write the page", path.display()))
}
