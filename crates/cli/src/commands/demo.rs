//! `sciurus demo`: the whole story on drawn pictures, with no network and no download.

use std::ops::ControlFlow;
use std::path::Path;

use sciurus::clean::plan::{CleanAction, CleanPlan};
use sciurus::data::Vocab;
use sciurus::data::fs::Replace;
use sciurus::insight::ItemId;
use sciurus::{
    Arch, CleanSettings, Cleaner, ErrorRate, FinishedRun, Measured, Planted, PlantedKind, Predictions,
    Predictor, TrainSettings, apply_plan, demo_settings, draw_demo, new_demo_pictures, plant_demo,
};
use serde_json::json;

use crate::args::DemoArgs;
use crate::output::{Outcome, announce, argument, count, json_line};
use crate::paint::Paint;

/// Pictures of each kind, and of each way to be wrong.
const PER_CLASS: usize = 60;
const PLANTED: usize = 8;
/// Pictures of each kind that both models are measured on, and those of them whose predictions are shown.
const NEW: usize = 50;
const SHOWN: usize = 3;
/// Pictures on the first page of the queue, and those that somebody sees in two minutes, at 1.2 seconds each.
const PAGE: usize = 20;
const TWO_MINUTES: usize = 100;

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let (tell, folder) = (Tell { json: args.show.json }, args.into.as_path());
    let drawn = draw_demo(folder, PER_CLASS, args.seed)?;
    let planted = plant_demo(folder, PLANTED, args.seed)?;
    tell.say(format!(
        "Drew {} of acorns and leaves into {}, and hid among them {PLANTED} in the wrong folder, {PLANTED} copies and {PLANTED} comics.",
        count(drawn, "picture"),
        folder.display(),
    ))?;

    tell.verb("train", &format!("train {} --arch hazel --epochs 3 --image-size 96", argument(folder)))?;
    let mut settings = demo_settings(folder);
    (settings.data.seed, settings.loader.threads) = (args.seed, args.threads);
    let before = super::train::train_new(settings.clone(), args.show)?;

    tell.verb("clean", &format!("clean {} --arch hazel", argument(folder)))?;
    let plan = look(folder, &settings)?;
    tell.found(&planted, &plan, drawn + planted.len())?;

    tell.verb("clean", &format!("clean {} --review", argument(folder)))?;
    let reviewed = reviewed(plan, &planted);
    let moved = reviewed.changes().filter(|item| item.decided).count();
    apply_plan(&reviewed, &settings.data, None, Replace::Results)?;
    tell.say(format!(
        "somebody has looked at them: {} moved; nothing is ever deleted, and --undo moves them back",
        count(moved, "picture")
    ))?;

    tell.verb("train", &format!("train {} --arch hazel --epochs 3 --image-size 96", argument(folder)))?;
    let after = super::train::train_new(settings, args.show)?;
    tell.compared([&before, &after], args.seed)?;

    tell.verb("predict", &format!("predict {} NEW_PICTURE...", argument(after.run.folder())))?;
    tell.predictions(&after, args.seed)?;
    tell.say("\nWith your own photos, in a folder per class:  sciurus train YOUR_FOLDER")?;
    Ok(Outcome::Done)
}

/// What cleaning proposes.
fn look(folder: &Path, settings: &TrainSettings) -> anyhow::Result<CleanPlan> {
    let mut clean = CleanSettings::new(folder);
    (clean.data, clean.archs) = (settings.data.clone(), vec![Arch::Hazel.into()]);
    Ok(Cleaner::look(&clean, &|_| ControlFlow::Continue(()))?.plan()?)
}

/// The plan as somebody would decide it who looks at the pictures that it proposes to move.
fn reviewed(mut plan: CleanPlan, planted: &[Planted]) -> CleanPlan {
    for item in plan.items.iter_mut().filter(|item| item.action != CleanAction::Keep) {
        let seen = planted.iter().find(|one| one.path == item.path || is_original(one, &item.path));
        item.decided = true;
        match seen.map(|one| one.kind) {
            Some(PlantedKind::WrongLabel | PlantedKind::Copy) => {}
            Some(PlantedKind::Comic) => (item.action, item.to) = (CleanAction::SetAside, None),
            None => (item.action, item.to) = (CleanAction::Keep, None),
        }
    }
    plan
}

/// A model's error on pictures that were in no folder.
fn measured(run: &FinishedRun, seed: u64) -> anyhow::Result<Measured> {
    let predictor = Predictor::load(run.run.model_path())?;
    let (pictures, labels): (Vec<_>, Vec<_>) = new_demo_pictures(NEW, seed).into_iter().unzip();
    let vocab: Vocab = predictor.manifest().vocab.clone();
    let mut probabilities = Vec::new();
    for prediction in predictor.predict_batch(&pictures)? {
        let of = |label: &String| {
            prediction.ranking.iter().find(|(name, _)| name == label).map_or(0.0, |(_, p)| *p)
        };
        probabilities.extend(vocab.labels().iter().map(of));
    }
    let targets = labels.iter().filter_map(|label| vocab.class(label)).collect();
    let items = (0..pictures.len()).map(|index| ItemId(index as u32)).collect();
    let paths = vec!["new picture".into(); pictures.len()];
    let predictions = Predictions::from_probabilities(vocab, items, paths, probabilities, targets)?;
    Ok(Measured::new(&ErrorRate, &predictions))
}

/// Says what happens: to people in lines, to programs as JSON.
#[derive(Debug, Clone, Copy)]
struct Tell {
    json: bool,
}

impl Tell {
    fn say(self, line: impl std::fmt::Display) -> anyhow::Result<()> {
        if !self.json {
            announce(line)?;
        }
        Ok(())
    }

    /// The command that does the next step.
    fn verb(self, verb: &str, typed: &str) -> anyhow::Result<()> {
        if self.json {
            return json_line(
                &json!({ "event": "step", "verb": verb, "command": format!("sciurus {typed}") }),
            );
        }
        self.say(format!("\n{}", Paint::Command.on(format_args!("$ sciurus {typed}"))))
    }

    /// What was planted and what was found, side by side.
    fn found(self, planted: &[Planted], plan: &CleanPlan, pictures: usize) -> anyhow::Result<()> {
        let is_proposed = |path: &Path| plan.changes().any(|item| item.path == path);
        let names = [
            (PlantedKind::WrongLabel, "in the wrong folder"),
            (PlantedKind::Copy, "copies"),
            (PlantedKind::Comic, "comics"),
        ];
        self.say(format!("{:<22} {:>7} {:>6}", "", "planted", "found"))?;
        for (kind, name) in names {
            let of_kind = || planted.iter().filter(|one| one.kind == kind);
            let found = of_kind().filter(|one| is_found(one, plan, &is_proposed)).count();
            match self.json {
                true => json_line(
                    &json!({ "event": "planted", "kind": name, "planted": of_kind().count(), "found": found }),
                )?,
                false => self.say(format!("{name:<22} {:>7} {found:>6}", of_kind().count()))?,
            }
        }
        let (sound, wrong) = (
            pictures - planted.len(),
            plan.changes()
                .filter(|item| {
                    !planted.iter().any(|one| one.path == item.path || is_original(one, &item.path))
                })
                .count(),
        );
        self.say(format!("of {sound} pictures with nothing wrong, {wrong} would be moved too"))?;
        self.first_seen(planted, plan)
    }

    /// What of it comes first in the queue. A copy is there beside the picture it was made from.
    fn first_seen(self, planted: &[Planted], plan: &CleanPlan) -> anyhow::Result<()> {
        let among = |first: usize, kind: Option<PlantedKind>| {
            let is_seen = |one: &&Planted| {
                let mut seen = plan.items.iter().take(first);
                kind.is_none_or(|kind| one.kind == kind) && seen.any(|item| item.path == one.path)
            };
            planted.iter().filter(is_seen).count()
        };
        let (page, comics) = (among(PAGE, None), among(PAGE, Some(PlantedKind::Comic)));
        let (seen, all) = (among(TWO_MINUTES, None), planted.len());
        if self.json {
            return json_line(&json!({
                "event": "queue", "first_page": page, "comics_on_first_page": comics, "in_two_minutes": seen, "planted": all
            }));
        }
        self.say(format!(
            "the first {PAGE} to look at hold {page} of the {all}, with {comics} of the comics"
        ))?;
        self.say(format!(
            "somebody who looks at {TWO_MINUTES}, which takes two minutes, has seen {seen} of the {all}"
        ))
    }

    /// Both models on the same new pictures.
    fn compared(self, runs: [&FinishedRun; 2], seed: u64) -> anyhow::Result<()> {
        let [before, after] = [measured(runs[0], seed)?, measured(runs[1], seed)?];
        if self.json {
            return json_line(&json!({ "event": "compared", "before": before, "after": after }));
        }
        self.say(format!("\nOn {} new pictures, before and after cleaning:", 2 * NEW))?;
        self.say(format!("  before  {before}"))?;
        self.say(format!("  after   {}", Paint::Strong.on(after)))
    }

    fn predictions(self, run: &FinishedRun, seed: u64) -> anyhow::Result<()> {
        let predictor = Predictor::load(run.run.model_path())?;
        let pictures = new_demo_pictures(NEW, seed);
        for (picture, label) in pictures.iter().step_by(pictures.len() / SHOWN + 1) {
            let prediction = predictor.predict(picture)?;
            let (found, probability) = (&prediction.label, prediction.probability);
            if self.json {
                json_line(&json!({ "true": label, "label": found, "probability": probability }))?;
            }
            self.say(format!("  a new picture of {label:<6} {found} {:.1} %", probability * 100.0))?;
        }
        Ok(())
    }
}

/// Whether cleaning would move a planted picture, or of a copy the original in its place.
fn is_found(planted: &Planted, plan: &CleanPlan, is_proposed: &dyn Fn(&Path) -> bool) -> bool {
    is_proposed(&planted.path) || plan.changes().any(|item| is_original(planted, &item.path))
}

/// Whether this is the picture that a planted copy was made from.
fn is_original(planted: &Planted, path: &Path) -> bool {
    planted.original.as_deref() == Some(path)
}
