//! `sciurus demo`: the whole road on drawn pictures, with no network and no download.

use sciurus::{FilePrediction, FinishedRun, Predictor, demo_settings, draw_demo};
use serde_json::json;

use crate::args::DemoArgs;
use crate::output::{Outcome, announce, count, json_line, text};

/// Pictures of each kind.
const PER_CLASS: usize = 150;

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let drawn = draw_demo(&args.into, PER_CLASS, args.seed)?;
    if !args.show.json {
        announce(format!(
            "drew {} of acorns and leaves into {}",
            count(drawn, "picture"),
            args.into.display()
        ))?;
    }
    let mut settings = demo_settings(&args.into);
    (settings.data.seed, settings.loader.threads) = (args.seed, args.threads);
    let finished = super::train::train_new(settings, args.show)?;
    three_predictions(&finished, args)?;
    if !args.show.json {
        text("\nwith your own photos, in a folder per class:  sciurus train YOUR_FOLDER")?;
    }
    Ok(Outcome::Done)
}

/// The exported model on three pictures that it was not trained on.
fn three_predictions(finished: &FinishedRun, args: &DemoArgs) -> anyhow::Result<()> {
    let predictor = Predictor::load(finished.run.model_path())?;
    let paths = super::train::valid_paths(finished);
    let chosen: Vec<_> = [0, paths.len() / 2, paths.len() - 1].map(|index| paths[index].clone()).to_vec();
    if !args.show.json {
        text("three predictions for pictures that it was not trained on:")?;
    }
    for answer in predictor.predict_files(&chosen, chosen.len()) {
        let FilePrediction::Predicted { path, prediction } = answer? else { continue };
        if args.show.json {
            json_line(
                &json!({"path": path.display().to_string(), "label": prediction.label, "probability": prediction.probability}),
            )?;
        } else {
            text(format!(
                "  {}  {} {:.1} %",
                path.display(),
                prediction.label,
                prediction.probability * 100.0
            ))?;
        }
    }
    Ok(())
}
