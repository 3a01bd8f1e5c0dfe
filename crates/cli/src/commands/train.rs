//! `sciurus train`: a folder of photos to a trained, measured model.

use std::path::{Path, PathBuf};

use sciurus::data::Split;
use sciurus::insight::{LabelTable, mistake_weight};
use sciurus::{
    AnyPredictions, ClassificationInterpretation, Error, FinishedRun, Keep, Listeners, MultiInterpretation,
    PreparedRun, Run, TrainSettings, Tta,
};
use serde_json::json;

use crate::args::{Show, TrainArgs};
use crate::interrupt::{self, Interrupt};
use crate::output::{
    Outcome, announce, argument, count, json_line, note, passed_over, shown, tell_choice, tell_notes, text,
};
use crate::paint::Paint;
use crate::progress;

pub(super) fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let mut finished = match &args.resume {
        Some(run) => {
            args.check_resume()?;
            train_prepared(args.show, |listeners| Run::resume(run, listeners))?
        }
        None => {
            let settings = args.settings()?;
            match &args.run {
                Some(folder) => train(folder.clone(), settings, args.show)?,
                None => train_new(settings, args.show)?,
            }
        }
    };
    if let Some(views) = args.tta {
        measure_views(&mut finished, usize::from(views), args.show)?;
    }
    if !args.show.json {
        next_steps(&finished)?;
    }
    Ok(Outcome::Done)
}

/// Measures the model once more, on several views of each photo.
fn measure_views(finished: &mut FinishedRun, views: usize, show: Show) -> anyhow::Result<()> {
    let views_of_photos = finished.learner.any_tta(Split::Valid, Tta::new(views))?;
    // With the thresholds that the numbers beside these were measured with.
    let predictions = views_of_photos.at_thresholds_of(&finished.predictions);
    let metrics = finished.learner.measure(&predictions);
    if show.json {
        return json_line(&json!({ "event": "views_measured", "views": views, "metrics": metrics }));
    }
    metrics.iter().try_for_each(|metric| text(format!("averaged over {views} augmented views: {metric}")))
}

/// Trains, showing what happens, and tells how good the model is.
pub(super) fn train(folder: PathBuf, settings: TrainSettings, show: Show) -> anyhow::Result<FinishedRun> {
    train_prepared(show, |listeners| Run::prepare(folder, settings, listeners))
}

fn train_prepared(
    show: Show,
    prepare: impl FnOnce(Listeners) -> Result<PreparedRun, Error>,
) -> anyhow::Result<FinishedRun> {
    let bar = progress::bar(show, "reading photos");
    let mut prepared = prepare(progress::listeners(show, &bar))?;
    bar.finish_and_clear();
    tell_notes(&prepared.learner().loaders().dataset().notes);
    tell_choice(prepared.learner());
    for damage in prepared.learner().damaged_checkpoints() {
        note(format_args!("{damage}; continuing from the one before it"));
    }
    match (show.json, show.quiet) {
        (true, _) => {}
        (false, true) => tell_left_out(&prepared)?,
        (false, false) => introduce(&prepared)?,
    }
    prepared.observe(progress::observer(show, prepared.record().settings.fit.epochs, prepared.end()));
    prepared.observe(Interrupt::listen(show, interrupt::FIT)?);
    let finished = prepared.train()?;
    conclude(&finished, show)?;
    Ok(finished)
}

/// What is about to be trained, on what.
fn introduce(prepared: &PreparedRun) -> anyhow::Result<()> {
    let record = prepared.record();
    let dataset = prepared.learner().loaders().dataset();
    let parts = match record.settings.run.instant {
        true => "each is predicted by a head that never saw it".to_owned(),
        false => format!("{} for training, {} for validation", record.data.train, record.data.valid),
    };
    announce(format!(
        "{}: {} of {} {} ({}); {parts}",
        shown(&record.settings.data.folder),
        count(dataset.items.len(), "photo"),
        dataset.vocab.len(),
        if dataset.is_multi_label() { "labels (multi-label)" } else { "classes" },
        shortened(dataset.vocab.labels()),
    ))?;
    tell_left_out(prepared)?;
    announce(format!(
        "{} from {}, {} pixels, batches of {}, seed {}",
        record.settings.fit.arch,
        record.weights.name,
        record.settings.loader.image_size,
        record.settings.loader.batch_size,
        record.settings.data.seed,
    ))?;
    Ok(())
}

/// Files that a message names, of many.
const NAMED: usize = 10;

/// Names files that are left out and says why: the first few that can't be used, and how many were passed over on purpose.
fn tell_left_out(prepared: &PreparedRun) -> anyhow::Result<()> {
    let dataset = prepared.learner().loaders().dataset();
    let skipped = &prepared.record().skipped;
    if !skipped.is_empty() {
        announce(Paint::Warning.on(format_args!("{} left out:", count(skipped.len(), "file"))))?;
        skipped.iter().take(NAMED).try_for_each(|skipped| announce(format!("  {skipped}")))?;
        if skipped.len() > NAMED {
            let more = count(skipped.len() - NAMED, "more file");
            announce(format!("  and {more}; `sciurus inspect` names all"))?;
        }
    }
    Ok(passed_over(&dataset.left_out).iter().try_for_each(announce)?)
}

/// What chosen thresholds do to what is measured with them.
const THRESHOLDS: &str = "each label's threshold was chosen for the best F1 on the validation set, which flatters these numbers a \
                          little; those of a test set (--test-fraction) are not flattered";

/// How good the model is, and how sure that is.
fn conclude(finished: &FinishedRun, show: Show) -> anyhow::Result<()> {
    let metrics = &finished.record.metrics;
    if show.json {
        let run = finished.run.folder();
        let skipped = &finished.record.skipped;
        return json_line(&json!({
            "event": "run_ended", "run": run.display().to_string(),
            "model": finished.run.model_path().display().to_string(), "metrics": metrics,
            "test_metrics": finished.record.test_metrics, "skipped": skipped,
            "cut_short": finished.record.cut_short,
            "notes": finished.learner.loaders().dataset().notes
        }));
    }
    text("")?;
    metrics.iter().try_for_each(|metric| text(Paint::Strong.on(metric)))?;
    if let AnyPredictions::Single(_) = finished.predictions {
        text(mistake_weight(finished.predictions.len()))?;
    }
    if let [first, rest @ ..] = &finished.record.test_metrics[..] {
        text(format!("test set: {first}"))?;
        rest.iter().try_for_each(|metric| text(format!("                    {metric}")))?;
    }
    offer_best(finished)?;
    match finished.predictions.clone() {
        AnyPredictions::Single(predictions) => {
            let interpretation = ClassificationInterpretation::new(predictions);
            text(format!("\n{}", interpretation.confusion_matrix()))
        }
        AnyPredictions::Multi(predictions) => {
            text(THRESHOLDS)?;
            text(format!("\n{}\n", LabelTable(&MultiInterpretation::new(predictions).labels())))
        }
    }
}

/// Says so where an earlier epoch had a lower validation loss than the model that was saved.
fn offer_best(finished: &FinishedRun) -> anyhow::Result<()> {
    let rows = &finished.learner.history().epochs;
    let best = rows.iter().min_by(|a, b| a.valid_loss.total_cmp(&b.valid_loss));
    match (best, rows.last(), finished.record.settings.fit.keep) {
        (Some(best), Some(last), Keep::Last) if best.valid_loss < last.valid_loss => text(format!(
            "epoch {} had a lower validation loss ({:.4} against {:.4}): --keep best would save that model",
            best.epoch, best.valid_loss, last.valid_loss
        )),
        (Some(best), _, Keep::Best) => text(format!("saved: the model of epoch {}", best.epoch)),
        _ => Ok(()),
    }
}

fn next_steps(finished: &FinishedRun) -> anyhow::Result<()> {
    let interpret = format!("sciurus interpret {}", argument(finished.run.folder()));
    let predict = format!("sciurus predict {} PHOTO...", argument(&finished.run.model_path()));
    if finished.record.cut_short {
        let resume = format!("sciurus train --resume {}", argument(finished.run.folder()));
        text(format!("train the rest:        {}", Paint::Command.on(resume)))?;
    }
    if finished.record.settings.run.instant {
        let folder = &finished.record.settings.data.folder;
        let here = std::env::current_dir().unwrap_or_default();
        let train = format!("sciurus train {}", argument(folder.strip_prefix(here).unwrap_or(folder)));
        text(format!("fine-tune it all:      {}", Paint::Command.on(train)))?;
    }
    text(format!("look at its mistakes:  {}", Paint::Command.on(interpret)))?;
    text(format!("use it:                {}", Paint::Command.on(predict)))
}

/// Trains in a new folder below `runs`.
pub(super) fn train_new(settings: TrainSettings, show: Show) -> anyhow::Result<FinishedRun> {
    let folder = new_folder(&settings.data.folder)?;
    let trained = train(folder.clone(), settings, show);
    if trained.is_err() {
        // A run that never began leaves nothing; one that did is not empty.
        let _ = std::fs::remove_dir(&folder);
    }
    trained
}

/// A new folder for a run on these photos.
pub(super) fn new_folder(photos: &Path) -> anyhow::Result<PathBuf> {
    Ok(Run::new_folder(photos, &jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string())?)
}

fn shortened(labels: &[String]) -> String {
    match labels {
        [first, second, third, fourth, .., last] if labels.len() > 6 => {
            format!("{first}, {second}, {third}, {fourth}, ... {last}")
        }
        _ => labels.join(", "),
    }
}
