//! `sciurus interpret`: where a trained model is wrong.

use std::path::Path;

use anyhow::Context;
use sciurus::insight::TopLossTable;
use sciurus::{ClassificationInterpretation, Run};
use serde_json::json;

use crate::args::{InterpretArgs, Show};
use crate::output::{Outcome, count, json_line, text};
use crate::progress;

pub(super) fn run(args: &InterpretArgs) -> anyhow::Result<Outcome> {
    let run = Run::open(&args.run)?;
    let record = run.record()?;
    let interpretation = ClassificationInterpretation::new(run.predictions()?);
    let confused = interpretation.most_confused(args.min_confused);
    let losses = interpretation.top_losses(args.top);
    if let Some(path) = &args.html {
        write_page(path, &run, args.show)?;
    }
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

/// Writes the report as an HTML page.
fn write_page(path: &Path, run: &Run, show: Show) -> anyhow::Result<()> {
    let bar = progress::bar(show, "drawing photos");
    let page = run.report(&progress::follow(&bar))?.render();
    bar.finish_and_clear();
    std::fs::write(path, page).with_context(|| format!("{}: cannot write the page", path.display()))
}
