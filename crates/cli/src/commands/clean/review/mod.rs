//! A review in the terminal: one key a photo.

use std::io::{BufRead, IsTerminal, Write};

use console::{Key, Term};
use sciurus::clean::find::StopRule;
use sciurus::clean::plan::Journal;
use sciurus::{Card, Choice, Cleaner, Review};

use super::{line, pictures};
use crate::args::CleanArgs;
use crate::output::{argument, count, text};
use crate::paint::Paint;

/// Photos of an audit.
const AUDIT: usize = 50;

const KEYS: &str = "enter accept, k keep, x set aside, 1-9 label, u undo, q quit";

/// What a key asks for.
enum Asked {
    Decide(Choice),
    Undo,
    Stop,
}

pub(super) fn run(args: &CleanArgs, cleaner: Cleaner, journal: Journal) -> anyhow::Result<()> {
    let rule = StopRule::of_set(cleaner.len()).share(args.stop_below);
    let rule = match args.page {
        Some(page) => rule.page(page).window(3 * page),
        None => rule,
    };
    let rule = rule.build()?;
    let root = cleaner.dataset().root.clone();
    let labels: Vec<String> = cleaner.dataset().vocab.labels().iter().take(9).cloned().collect();
    let mut keys = Keys::new();
    let mut review = Review::new(cleaner, journal, rule)?;
    text(KEYS)?;
    text(labels.iter().zip(1..).map(|(label, key)| format!("{key} {label}")).collect::<Vec<_>>().join(", "))?;
    let mut told = false;
    while let Some(card) = review.card().cloned() {
        show(&card, &review, &root)?;
        match keys.next(&labels)? {
            Some(Asked::Decide(choice)) => review.choose(&choice, &now())?,
            Some(Asked::Undo) => {
                let undone = review.undo(&now())?;
                text(format!("{} undone", count(undone, "photo")))?;
            }
            Some(Asked::Stop) | None => break,
        }
        if review.is_done() && !told {
            told = true;
            stop_here(&mut review, args, &mut keys)?;
        }
    }
    conclude(&review, args)
}

fn show(card: &Card, review: &Review, root: &std::path::Path) -> anyhow::Result<()> {
    let (decided, wrong) = review.progress();
    let what = if card.is_audit { "audit" } else { "review" };
    text(format!("\n{what}: {decided} decided, {wrong} wrong, {} left", review.left()))?;
    if std::io::stdout().is_terminal() {
        card.items.iter().take(4).try_for_each(|item| pictures::photo(&root.join(&item.path)))?;
    }
    card.items.iter().try_for_each(|item| text(format!("  {}", line(item))))
}

/// Few of the last photos were wrong: offers to look at a random part of the rest.
fn stop_here(review: &mut Review, args: &CleanArgs, keys: &mut Keys) -> anyhow::Result<()> {
    text(Paint::Strong.on(format_args!(
        "\nfewer than {:.0} % of the last photos were wrong: a good place to stop",
        100.0 * args.stop_below
    )))?;
    text(format!(
        "a: look at {AUDIT} random others first, to estimate how many errors are left; any other key: continue"
    ))?;
    if keys.key()? == Some(Key::Char('a')) {
        review.audit(AUDIT, review.seed());
    }
    Ok(())
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

/// Keys of a terminal; elsewhere the characters of standard input, where a line's end stands for enter only in an empty line.
struct Keys {
    term: Option<Term>,
    typed: std::collections::VecDeque<char>,
}

impl Keys {
    fn new() -> Self {
        let term = std::io::stdin().is_terminal().then(Term::stdout);
        Self { term, typed: std::collections::VecDeque::new() }
    }

    /// The next key; nothing at the end of the input.
    fn key(&mut self) -> anyhow::Result<Option<Key>> {
        if let Some(term) = &self.term {
            std::io::stdout().flush()?;
            return Ok(Some(term.read_key()?));
        }
        if self.typed.is_empty() {
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end_matches(['\r', '\n']);
            self.typed = if line.is_empty() { ['\n'].into() } else { line.chars().collect() };
        }
        Ok(self.typed.pop_front().map(|c| if c == '\n' { Key::Enter } else { Key::Char(c) }))
    }

    /// What the next key that means something asks for.
    fn next(&mut self, labels: &[String]) -> anyhow::Result<Option<Asked>> {
        loop {
            let Some(key) = self.key()? else { return Ok(None) };
            return Ok(Some(match key {
                Key::Enter => Asked::Decide(Choice::AsProposed),
                Key::Char('k') => Asked::Decide(Choice::Keep),
                Key::Char('x') => Asked::Decide(Choice::SetAside),
                Key::Char('u') => Asked::Undo,
                Key::Char('q') | Key::Escape | Key::CtrlC => Asked::Stop,
                Key::Char(digit) if digit.is_ascii_digit() => {
                    let place = (digit as usize).wrapping_sub('1' as usize);
                    match labels.get(place) {
                        Some(label) => Asked::Decide(Choice::Relabel(label.clone())),
                        None => continue,
                    }
                }
                _ => {
                    text(KEYS)?;
                    continue;
                }
            }));
        }
    }
}
