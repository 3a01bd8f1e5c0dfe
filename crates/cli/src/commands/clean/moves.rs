//! Plans carried out, and taken back: what was moved, told.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sciurus::clean::plan::{Applied, CleanPlan, apply, undo as move_back};
use sciurus::data::fs::Replace;
use sciurus::{CleanSettings, Error, PlanApplied, apply_plan};

use crate::args::{CleanArgs, Show};
use crate::output::{Outcome, argument, count, json_line, note, shown, text};
use crate::paint::Paint;

/// Moves the files of a plan, or writes a new table.
pub(super) fn run_plan(file: &Path, settings: &CleanSettings, args: &CleanArgs) -> anyhow::Result<Outcome> {
    let mut plan = CleanPlan::load(file)?;
    if args.proposals {
        plan.accept_proposals();
    }
    let replace = Replace::forced(args.force);
    let applied = apply_plan(&plan, &settings.data, args.out.as_deref(), replace);
    let applied = match (applied, &settings.data.csv) {
        (Err(error @ Error::File(_)), Some(_)) => {
            return Err(error).context("no corrected table was written; choose another file with --out");
        }
        (applied, _) => applied?,
    };
    match &applied {
        PlanApplied::Moved(applied) => {
            tell_applied(applied, &settings.data.folder, args.show)?;
            tell_proposals(applied.proposals, args.show);
            Ok(Outcome::found(&applied.left))
        }
        PlanApplied::Table { .. } if args.show.json => json_line(&applied).map(|()| Outcome::Done),
        PlanApplied::Table { table, changes, planned, proposals } => {
            tell_proposals(*proposals, args.show);
            text(format!("{} written with {}", table.display(), count(*changes, "change")))?;
            if changes < planned {
                text(format!(
                    "{} of the plan not made: the table does not name those photos, or they have changed since",
                    count(planned - changes, "change")
                ))?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Moves what is certain.
pub(super) fn auto(mut plan: CleanPlan, folder: &Path, show: Show) -> anyhow::Result<Outcome> {
    plan.items.retain(sciurus::clean::plan::PlanItem::is_certain);
    plan.accept_proposals();
    tell_applied(&apply(&plan, folder)?, folder, show)?;
    Ok(Outcome::Done)
}

/// Moves everything back.
pub(super) fn undo(folder: &Path, show: Show) -> anyhow::Result<Outcome> {
    let back = move_back(folder)?;
    if back == Applied::default() && !show.json {
        text("nothing to undo")?;
        return Ok(Outcome::Done);
    }
    tell(&back, folder, show)?;
    Ok(Outcome::found(&back.left))
}

/// What was moved, and how to move it back.
fn tell_applied(applied: &Applied, folder: &Path, show: Show) -> anyhow::Result<()> {
    tell(applied, folder, show)?;
    if applied.moved.is_empty() || show.quiet || show.json {
        return Ok(());
    }
    let undo = format!("sciurus clean {} --undo", argument(folder));
    text(format!("undo:  {}", Paint::Command.on(undo)))
}

/// What was left because nobody decided it.
fn tell_proposals(proposals: usize, show: Show) {
    if proposals > 0 && !show.json {
        note(format_args!(
            "{} that nobody decided {} left; decide with --review, or add --proposals to act on them too",
            count(proposals, "proposal"),
            if proposals == 1 { "was" } else { "were" }
        ));
    }
}

/// The ledger of gathered photos may not have followed.
pub(super) fn tell_ledger(applied: &Applied) {
    if let Some(fault) = &applied.ledger {
        note(format_args!("the ledger still names the old places: {fault}"));
    }
}

fn tell(applied: &Applied, folder: &Path, show: Show) -> anyhow::Result<()> {
    tell_ledger(applied);
    if show.json {
        return json_line(applied);
    }
    if !show.quiet {
        let pairs: &[(PathBuf, PathBuf)] = &applied.moved;
        pairs.iter().try_for_each(|(from, to)| text(format!("{} -> {}", shown(from), shown(to))))?;
    }
    for left in &applied.left {
        text(format!("{} {}: {}", Paint::Warning.on("left"), shown(&left.path), left.reason))?;
    }
    text(Paint::Strong.on(format_args!(
        "{} moved in {}",
        count(applied.moved.len(), "file"),
        folder.display()
    )))
}
