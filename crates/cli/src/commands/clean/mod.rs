//! `sciurus clean`: what is wrong with a data set, decisions about it, and files moved there and back.

mod moves;
mod pictures;
mod retrain;
mod review;

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context;
use sciurus::clean::plan::{CleanAction, CleanPlan, Decisions, Journal, PlanItem, recover, trust_state};
use sciurus::data::fs::{Replace, check_output, write_output};
use sciurus::{CleanSettings, CleanStep, CleanSummary, Cleaner, Run};
use serde_json::json;

use crate::args::{CleanArgs, Show};
use crate::output::{Outcome, PAGE, argument, count, json_line, note, shown, text};
use crate::paint::Paint;
use crate::progress;

pub(super) fn run(args: &CleanArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let settings = settings(args)?;
    check_outputs(args)?;
    if args.trust_state {
        trust_state(&settings.data.folder, args.journal.as_deref())?;
    }
    finish_moves(args, &settings.data.folder)?;
    if args.undo {
        return moves::undo(&settings.data.folder, args.show);
    }
    if let Some(plan) = &args.apply {
        return moves::run_plan(plan, &settings, args);
    }
    if args.retrain && !args.review {
        return retrain::run(args, &settings);
    }
    let cleaner = look(&settings, args.show)?;
    if args.review {
        review::run(args, cleaner, journal(args, &settings.data.folder)?)?;
        return if args.retrain { retrain::run(args, &settings) } else { Ok(Outcome::Done) };
    }
    let mut plan = cleaner.plan()?;
    let decided = decide(&mut plan, args, &settings.data.folder)?;
    if args.auto {
        return moves::auto(plan, &settings.data.folder, args.show);
    }
    if let Some(file) = &args.html {
        let page = cleaner.report(&plan).render();
        write_output(file, page.as_bytes())?;
    }
    if let Some(file) = &args.plan {
        plan.save(file)?;
    }
    let summary = CleanSummary::of(&plan, args.worst);
    if args.show.json {
        json_line(&json!({ "summary": summary, "decided": decided }))?;
    } else {
        render(&summary, decided, args)?;
    }
    Ok(if summary.with_issues == 0 { Outcome::Done } else { Outcome::Found })
}

/// The settings that were typed; of a run, its own.
fn settings(args: &CleanArgs) -> anyhow::Result<CleanSettings> {
    let mut settings = match run_of(args)? {
        Some(run) => CleanSettings::of_run(&run)?,
        None => CleanSettings::new(&args.folder),
    };
    settings.data = args.data.over(settings.data)?;
    if let Some(file) = &args.weights {
        settings = settings.with_weights(file)?;
    }
    if !args.arch.is_empty() {
        settings.archs.clone_from(&args.arch);
    }
    if args.offline {
        settings.offline = true;
    }
    Ok(settings)
}

/// The run, if that is what is cleaned.
fn run_of(args: &CleanArgs) -> anyhow::Result<Option<Run>> {
    if !Run::is_at(&args.folder) {
        return Ok(None);
    }
    let run = Run::open(&args.folder)?;
    if args.trust_state {
        run.trust()?;
    }
    if acts(args) {
        // The run names the folder that is acted on.
        run.check_ours()?;
    }
    Ok(Some(run))
}

/// Whether files are to be moved or decisions written, and not only looked at.
fn acts(args: &CleanArgs) -> bool {
    moves_files(args) || args.review || args.retrain
}

/// Whether files are to be moved.
fn moves_files(args: &CleanArgs) -> bool {
    args.undo || args.auto || args.apply.is_some()
}

/// Nothing that is somebody else's is replaced, told before minutes of work.
fn check_outputs(args: &CleanArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.html {
        check_output(file, PAGE, Replace::forced(args.force))?;
    }
    if let Some(file) = &args.plan {
        check_output(file, CleanPlan::OUTPUT, Replace::forced(args.force))?;
    }
    Ok(())
}

/// Finishes moves that a crash interrupted. Who moves nothing is told where that cannot be done, and why, and goes on.
fn finish_moves(args: &CleanArgs, folder: &Path) -> anyhow::Result<()> {
    match recover(folder) {
        Ok(finished) => finished.iter().for_each(moves::tell_ledger),
        Err(error) if moves_files(args) => return Err(error.into()),
        Err(error) => note(error),
    }
    Ok(())
}

/// Looks at everything, telling what it is at.
fn look(settings: &CleanSettings, show: Show) -> anyhow::Result<Cleaner> {
    let bar = progress::bar(show, "reading photos");
    let cleaner = Cleaner::look(settings, &|step| {
        let done = match step {
            CleanStep::Listing(done) => done,
            CleanStep::Download(download) => {
                bar.set_message("downloading weights");
                sciurus::data::Progress {
                    done: download.received as usize,
                    total: download.total.unwrap_or(download.received) as usize,
                }
            }
            CleanStep::Looking(done) => {
                bar.set_message("looking at photos");
                done
            }
            CleanStep::Analysing => {
                bar.set_message("comparing");
                return ControlFlow::Continue(());
            }
        };
        bar.set_length(done.total as u64);
        bar.set_position(done.done as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    cleaner.notes().iter().for_each(note);
    Ok(cleaner)
}

/// The journal of a folder, or the one that was named, begun if there is none.
fn journal(args: &CleanArgs, folder: &Path) -> anyhow::Result<Journal> {
    Journal::at(folder, args.journal.as_deref())
        .context("can't write decisions; choose another file with --journal")
}

/// Puts what was decided into the plan; returns how many decisions there are. Those that somebody else left in the folder are
/// named, and count for nothing.
fn decide(plan: &mut CleanPlan, args: &CleanArgs, folder: &Path) -> anyhow::Result<usize> {
    let (decisions, passed_over) = Decisions::at(folder, args.journal.as_deref())?;
    passed_over.iter().for_each(note);
    Ok(plan.decide(&decisions))
}

fn render(summary: &CleanSummary, decided: usize, args: &CleanArgs) -> anyhow::Result<()> {
    text(Paint::Strong.on(format_args!(
        "{} checked, {} worth a look",
        count(summary.images, "photo"),
        summary.with_issues
    )))?;
    if decided > 0 {
        text(format!("{} already decided", count(decided, "photo")))?;
    }
    if summary.with_issues == 0 {
        return Ok(());
    }
    text(format!("\n{:<26} {:>7}", "issue", "photos"))?;
    for issue in &summary.issues {
        text(format!("{:<26} {:>7}", issue.issue.replace('_', " "), issue.images))?;
    }
    for issue in summary.issues.iter().filter(|_| args.worst > 0) {
        text(format!("\n{}", Paint::Strong.on(issue.issue.replace('_', " "))))?;
        pictures::row(&issue.worst, &args.folder)?;
        issue.worst.iter().try_for_each(|item| text(format!("  {}", line(item))))?;
    }
    text(format!(
        "\nproposed: {} to relabel, {} to set aside; nothing was changed",
        summary.relabel, summary.set_aside
    ))?;
    let folder = argument(&args.folder);
    text(format!(
        "look at pictures:  {}",
        Paint::Command.on(format_args!("sciurus clean {folder} --html report.html"))
    ))?;
    text(format!("decide:            {}", Paint::Command.on(format_args!("sciurus clean {folder} --review"))))
}

/// An item on one line. Names may hold anything, so they are escaped.
fn line(item: &PlanItem) -> String {
    let proposal = match (item.action, &item.to) {
        (CleanAction::Relabel, Some(label)) => format!("{} -> {label}", item.label),
        (CleanAction::SetAside, _) => format!("{} -> set aside", item.label),
        _ => item.label.clone(),
    };
    format!("{:.2}  {}  [{proposal}]  {}", item.score, shown(&item.path), item.reason)
}
