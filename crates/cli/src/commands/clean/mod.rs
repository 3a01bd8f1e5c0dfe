//! `sciurus clean`: what is wrong with a data set, decisions about it, and files moved there and back.

mod moves;
mod pictures;
mod retrain;
mod review;

use std::path::{Path, PathBuf};

use anyhow::Context;
use sciurus::insight::plan::{CleanAction, CleanPlan, Journal, PlanItem, recover};
use sciurus::{CleanSettings, CleanStep, CleanSummary, Cleaner, Network, Run, WeightSource};
use sciurus_gather::follow_moves;
use serde_json::json;

use crate::args::{CleanArgs, Show};
use crate::output::{Outcome, count, json_line, shown, text};
use crate::paint::Paint;
use crate::progress;

pub(super) fn run(args: &CleanArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads)?;
    let settings = settings(args)?;
    if recover(&settings.folder)? {
        follow_moves(&settings.folder)?;
    }
    if args.undo {
        return moves::undo(&settings.folder, args.show);
    }
    if let Some(plan) = &args.apply {
        return moves::apply(plan, &settings, args);
    }
    if args.retrain && !args.review {
        return retrain::run(args, &settings);
    }
    let cleaner = look(&settings, args.show)?;
    if args.review {
        review::run(args, cleaner, journal(args, &settings.folder)?)?;
        return if args.retrain { retrain::run(args, &settings) } else { Ok(Outcome::Done) };
    }
    let mut plan = cleaner.plan()?;
    let decided = decide(&mut plan, args, &settings.folder)?;
    if args.auto {
        plan.items.retain(is_certain);
        moves::auto(&plan, &settings.folder, args.show)?;
        return Ok(Outcome::Done);
    }
    if let Some(file) = &args.html {
        let page = cleaner.report(&plan).render();
        std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
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
        None => {
            CleanSettings { labels: args.data.labels(), seed: args.seed, ..CleanSettings::new(&args.folder) }
        }
    };
    settings.archs.clone_from(&args.arch);
    if let Some(file) = &args.weights {
        settings.weights = WeightSource::File(file.clone());
    }
    if args.offline {
        settings.network = Network::Forbidden;
    }
    Ok(settings)
}

/// The run, if that is what is cleaned.
fn run_of(args: &CleanArgs) -> anyhow::Result<Option<Run>> {
    let is_run = args.folder.join("run.json").is_file();
    Ok(is_run.then(|| Run::open(&args.folder)).transpose()?)
}

/// Looks at everything, telling what it is at.
fn look(settings: &CleanSettings, show: Show) -> anyhow::Result<Cleaner> {
    let bar = progress::bar(show, "reading photos");
    let cleaner = Cleaner::look(settings, &|step| {
        let done = match step {
            CleanStep::Listing(done) => done,
            CleanStep::Pixels(done) => {
                bar.set_message("looking at pixels");
                done
            }
            CleanStep::Download(download) => {
                bar.set_message("downloading weights");
                sciurus::data::Progress {
                    done: download.received as usize,
                    total: download.total.unwrap_or(download.received) as usize,
                }
            }
            CleanStep::Embedding(arch, done) => {
                bar.set_message(format!("embedding with {arch}"));
                done
            }
            CleanStep::Analysing => return bar.set_message("comparing"),
        };
        bar.set_length(done.total as u64);
        bar.set_position(done.done as u64);
    })?;
    bar.finish_and_clear();
    Ok(cleaner)
}

/// Where decisions about a folder are kept.
fn journal_path(args: &CleanArgs, folder: &Path) -> PathBuf {
    args.journal.clone().unwrap_or_else(|| folder.join(".sciurus").join("decisions.jsonl"))
}

/// The journal, begun if there is none.
fn journal(args: &CleanArgs, folder: &Path) -> anyhow::Result<Journal> {
    let path = journal_path(args, folder);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| {
            format!("cannot keep decisions in {}; name a file elsewhere with --journal", parent.display())
        })?;
    }
    Journal::open(&path)
        .with_context(|| format!("cannot keep decisions in {}; --journal names another file", path.display()))
}

/// Puts what was decided into the plan, if anything was; returns how many.
fn decide(plan: &mut CleanPlan, args: &CleanArgs, folder: &Path) -> anyhow::Result<usize> {
    if !journal_path(args, folder).is_file() {
        return Ok(0);
    }
    Ok(plan.decide(&journal(args, folder)?))
}

/// Whether nobody needs to look: a copy with equal pixels and the same label, or a file that is no image.
fn is_certain(item: &PlanItem) -> bool {
    let has = |name: &str| item.issues.iter().any(|issue| issue.name == name);
    item.action == CleanAction::SetAside
        && (has("unreadable") || (has("exact_duplicate") && !has("duplicate_across_classes")))
}

fn render(summary: &CleanSummary, decided: usize, args: &CleanArgs) -> anyhow::Result<()> {
    text(Paint::Strong.on(format_args!(
        "{} looked at: {} with something to look into",
        count(summary.images, "photo"),
        summary.with_issues
    )))?;
    if decided > 0 {
        text(format!("{} decided before", count(decided, "photo")))?;
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
    let folder = args.folder.display();
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
