//! `sciurus interpret`: where a trained model is wrong.

use sciurus::insight::TopLossTable;
use sciurus::{ClassificationInterpretation, Run};
use serde_json::json;

use crate::args::InterpretArgs;
use crate::output::{Outcome, count, json_line, text};

pub(super) fn run(args: &InterpretArgs) -> anyhow::Result<Outcome> {
    let run = Run::open(&args.run)?;
    let record = run.record()?;
    let interpretation = ClassificationInterpretation::new(run.predictions()?);
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
