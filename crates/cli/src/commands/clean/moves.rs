//! Plans carried out, and taken back.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sciurus::CleanSettings;
use sciurus::clean::plan::{Applied, CleanAction, CleanPlan, apply as move_files, undo as move_back};
use sciurus::data::fs::{OutputKind, Replace, check_output, write_whole};
use sciurus::data::{ImageDataset, Labeler, corrected_table};
use sciurus::photos::follow_moves;
use serde_json::json;

use crate::args::{CleanArgs, Show};
use crate::output::{Outcome, count, json_line, note, shown, text};
use crate::paint::Paint;

/// A corrected table; an earlier one is never replaced unasked, as people go on editing it.
const TABLE: OutputKind = OutputKind { what: "a corrected table", is_ours: |_| false };

/// Moves the files of a plan, or writes a new table.
pub(super) fn apply(file: &Path, settings: &CleanSettings, args: &CleanArgs) -> anyhow::Result<Outcome> {
    let plan = CleanPlan::load(file)?;
    match &settings.labels {
        Labeler::Csv(table) => {
            let out = args.out.clone().unwrap_or_else(|| table.path.with_extension("clean.csv"));
            check_output(&out, TABLE, Replace::forced(args.force))
                .context("no corrected table was written; --out names another file for it")?;
            let dataset =
                ImageDataset::from_folder(&settings.folder).label_by(settings.labels.clone()).build()?;
            let (corrected, changes) = corrected_table(table, &dataset, &plan.corrections())?;
            write_whole(&out, |file| file.write_all(&corrected))?;
            let wanted = plan.items.iter().filter(|item| item.action != CleanAction::Keep).count();
            if args.show.json {
                json_line(
                    &json!({ "table": out.display().to_string(), "changes": changes, "planned": wanted }),
                )?;
                return Ok(Outcome::Done);
            }
            text(format!("{} written with {}", out.display(), count(changes, "change")))?;
            if changes < wanted {
                text(format!(
                    "{} of the plan not made: the table does not name those photos, or they are others by now",
                    count(wanted - changes, "change")
                ))?;
            }
            Ok(Outcome::Done)
        }
        Labeler::NamePattern { .. } => anyhow::bail!(
            "labels come from names, which are not changed; use the plan with `sciurus train --plan {}`",
            file.display()
        ),
        Labeler::Folder => {
            let applied = carry_out(&plan, &settings.folder, args.show)?;
            Ok(Outcome::found(&applied.left))
        }
    }
}

/// Moves what is certain.
pub(super) fn auto(plan: &CleanPlan, folder: &Path, show: Show) -> anyhow::Result<()> {
    carry_out(plan, folder, show).map(drop)
}

/// Moves the files of a plan, and tells what was moved and how it is moved back.
fn carry_out(plan: &CleanPlan, folder: &Path, show: Show) -> anyhow::Result<Applied> {
    let applied = followed(move_files(plan, folder)?, folder);
    tell(&applied, folder, show)?;
    if !(applied.moved.is_empty() || show.quiet || show.json) {
        text(format!(
            "take it back:  {}",
            Paint::Command.on(format_args!("sciurus clean {} --undo", folder.display()))
        ))?;
    }
    Ok(applied)
}

/// Moves everything back.
pub(super) fn undo(folder: &Path, show: Show) -> anyhow::Result<Outcome> {
    let back = followed(move_back(folder)?, folder);
    if back == Applied::default() && !show.json {
        text("nothing to take back")?;
        return Ok(Outcome::Done);
    }
    tell(&back, folder, show)?;
    Ok(Outcome::found(&back.left))
}

/// Has the ledger of photos that were gathered say where they lie now.
fn followed(applied: Applied, folder: &Path) -> Applied {
    if !applied.moved.is_empty() {
        follow(folder);
    }
    applied
}

/// The same after an interrupted move was finished. The files lie where they should by then, so a ledger that cannot be written,
/// as somebody gathers into the folder, is told and ends nothing: the next run of `gather` finds the files by their content.
pub(super) fn follow(folder: &Path) {
    if let Err(error) = follow_moves(folder) {
        note(format_args!("the ledger still names the old places: {error}"));
    }
}

fn tell(applied: &Applied, folder: &Path, show: Show) -> anyhow::Result<()> {
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
