//! A review in the terminal: one key a card.

mod keys;

use std::path::Path;

use console::Key;
use sciurus::clean::find::StopRule;
use sciurus::clean::plan::{Journal, question};
use sciurus::{Card, Cleaner, Review};

use super::{line, pictures};
use crate::args::CleanArgs;
use crate::output::{argument, count, note, text};
use crate::paint::Paint;
use crate::viewer;
use keys::{Asked, Keys};

/// Photos of an audit.
const AUDIT: usize = 50;

/// Lines of a card besides its pictures and items: a space, where the review stands, a question, what can be pressed, and what is
/// typed.
const LINES: usize = 5;

pub(super) fn run(args: &CleanArgs, cleaner: Cleaner, journal: Journal) -> anyhow::Result<()> {
    let rule = StopRule::of_set(cleaner.len()).share(args.stop_below);
    let rule = match args.page {
        Some(page) => rule.page(page).window(3 * page),
        None => rule,
    };
    let rule = rule.build()?;
    let root = cleaner.dataset().root.clone();
    let mut keys = Keys::new(cleaner.dataset().vocab.labels());
    let mut review = Review::new(cleaner, journal, rule)?;
    text(keys.help())?;
    text(keys.labels())?;
    let mut told = false;
    while let Some(card) = review.card().cloned() {
        show(&card, &review, &root)?;
        match keys.next(&card)? {
            Some(Asked::Decide(choice)) => review.choose(&choice, &now())?,
            Some(Asked::Open) => open(&card, &root),
            Some(Asked::Undo) => {
                let undone = review.undo(&now())?;
                text(format!("{} undone", count(undone, "photo")))?;
            }
            Some(Asked::Stop) | None => break,
        }
        if review.is_done() && !told {
            told = true;
            if !goes_on(&mut review, args, &mut keys)? {
                break;
            }
        }
    }
    conclude(&review, args)
}

fn show(card: &Card, review: &Review, root: &Path) -> anyhow::Result<()> {
    let (decided, wrong) = review.progress();
    let what = if card.is_audit() { "audit" } else { "review" };
    let coming = rounded(review.to_look_at());
    text(format!("\n{what}: {decided} decided, {wrong} wrong, {coming} to look at"))?;
    text(Paint::Strong.on(question(&card.items)))?;
    pictures::sheet(card.items.iter().map(|item| root.join(&item.path)), LINES + card.items.len())?;
    let several = card.items.len() > 1;
    let numbered = |(number, item)| if several { format!("{number:>2} {}", line(item)) } else { line(item) };
    (1..).zip(&card.items).try_for_each(|item| text(format!("  {}", numbered(item))))
}

/// A number of photos as people say it, where it's no more than an estimate.
fn rounded(photos: usize) -> String {
    match photos {
        0..=10 => photos.to_string(),
        11..=100 => format!("about {}", photos.div_ceil(10) * 10),
        _ => format!("about {}", photos.div_ceil(50) * 50),
    }
}

/// Opens a card's photos in the system's viewer. What cannot be read as a picture is for no viewer to open, whatever its name.
fn open(card: &Card, root: &Path) {
    for item in &card.items {
        let path = root.join(&item.path);
        if let Err(problem) = viewer::photo(&path) {
            note(problem);
        }
    }
}

/// Few of the last photos were wrong: offers to stop, or to look at a random part of the rest. Whether the review goes on.
fn goes_on(review: &mut Review, args: &CleanArgs, keys: &mut Keys) -> anyhow::Result<bool> {
    text(Paint::Strong.on(format_args!(
        "\nfewer than {:.0} % of the last photos were wrong: a good place to stop",
        100.0 * args.stop_below
    )))?;
    let (left, expected) = (count(review.left(), "photo"), review.expected_left().round());
    text(match expected < 1.0 {
        true => format!("by their scores, nothing is wrong with the other {left}"),
        false => format!("by their scores, about {expected} of the other {left} are wrong"),
    })?;
    text("q: stop here")?;
    text(format!("a: look at {AUDIT} of the others at random, which tells how many errors are left"))?;
    text("any other key: continue")?;
    match keys.key()? {
        Some(Key::Char('q') | Key::Escape | Key::CtrlC) | None => return Ok(false),
        Some(Key::Char('a')) => review.audit(AUDIT, review.seed()),
        Some(_) => {}
    }
    Ok(true)
}

fn conclude(review: &Review, args: &CleanArgs) -> anyhow::Result<()> {
    let (decided, wrong) = review.progress();
    text(Paint::Strong.on(format_args!("\n{} decided, {wrong} of them wrong", count(decided, "photo"))))?;
    if let Some(left) = review.errors_left() {
        let interval = left.interval;
        text(format!(
            "about {:.0} errors are left among the photos that nobody looked at (95 %: {:.0} to {:.0})",
            left.estimate, interval.low, interval.high
        ))?;
    }
    let plan = review.plan()?;
    let changes = plan.changes().count();
    if let Some(file) = &args.plan {
        plan.save(file)?;
        text(format!("{} written, {}", file.display(), count(changes, "change")))?;
        return Ok(());
    }
    let folder = argument(&args.folder);
    text(format!(
        "write a plan:  {}",
        Paint::Command.on(format_args!("sciurus clean {folder} --plan clean.json"))
    ))?;
    text(format!(
        "move files:    {}",
        Paint::Command.on(format_args!("sciurus clean {folder} --apply clean.json"))
    ))
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
