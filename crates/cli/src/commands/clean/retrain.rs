//! Trained before and after cleaning, and compared.

use std::path::PathBuf;

use sciurus::{CleanSettings, Retrain, TrainSettings, as_it_was};
use serde_json::json;

use super::{journal, look, run_of};
use crate::args::{CleanArgs, Show};
use crate::commands::train;
use crate::interrupt;
use crate::output::{Outcome, count, json_line, note, shown, text};
use crate::paint::Paint;

/// Why the validation set must be looked at too.
const WHY: &str = "Both models are measured with the labels as you decided them. A wrong label in the validation set counts a \
                   right prediction as a mistake, and would hide what cleaning achieved.";

pub(super) fn run(args: &CleanArgs, settings: &CleanSettings) -> anyhow::Result<Outcome> {
    let journal = journal(args, &settings.data.folder)?;
    anyhow::ensure!(
        !journal.decisions().is_empty(),
        "nothing was decided yet; decide with --review, then train again with --retrain"
    );
    let folder = train::new_folder(&settings.data.folder)?;
    // Both runs, and photos as they were, lie beside it.
    std::fs::remove_dir(&folder)?;
    let mut settings = settings.clone();
    let photos = Retrain::beside(&folder, "photos");
    if let Some(files) = as_it_was(&settings.data.folder, &photos)? {
        note(format_args!(
            "{} moved since; both models are trained on the photos as they were, linked in {}",
            if files == 1 { "1 file was".to_owned() } else { format!("{files} files were") },
            shown(&photos)
        ));
        settings.data.folder = photos;
    }
    let settings = &settings;
    let cleaner = look(settings, args.show)?;
    let asked = match run_of(args)? {
        Some(run) => TrainSettings { data: settings.data.clone(), ..run.record()?.settings },
        None => settings.training_settings(),
    };
    let retrain = Retrain::prepare(&cleaner, &journal, &asked, &folder)?;
    if !args.show.json {
        let (decided, changes) = (count(retrain.decided, "photo"), count(retrain.changes, "change"));
        text(format!("{decided} decided, {changes} to make"))?;
        let valid = count(retrain.valid, "photo");
        text(format!("you looked at {} of the {valid} in the validation set", retrain.reviewed))?;
        text(WHY)?;
    }
    to_the_end(&retrain.before, args.show)?;
    to_the_end(&retrain.after, args.show)?;
    let comparison = retrain.compare()?;
    if args.show.json {
        json_line(&json!({
            "event": "retrained", "reviewed": retrain.reviewed, "valid": retrain.valid, "changes": retrain.changes,
            "before": retrain.before.1, "after": retrain.after.1, "comparison": comparison,
        }))?;
    } else {
        text(Paint::Strong.on("\nbefore (A) and after cleaning (B), on the same reviewed photos"))?;
        text(comparison)?;
    }
    Ok(Outcome::Done)
}

/// Trains; a training that was interrupted is no side of a comparison.
fn to_the_end((settings, folder): &(TrainSettings, PathBuf), show: Show) -> anyhow::Result<()> {
    let finished = train::train(folder.clone(), settings.clone(), show)?;
    anyhow::ensure!(
        !interrupt::was_pressed(),
        "interrupted: nothing was compared; what was trained is in {}",
        finished.run.folder().display()
    );
    Ok(())
}
