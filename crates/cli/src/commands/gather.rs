//! `sciurus gather`: photos of each class from the web, verified, with their licences.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sciurus::gather::{
    CatalogueEntry, Control, Ending, Endpoints, Gather, GatherEvent, Gathered, KeyNeed, Keys, Ledger,
    Licences, RefetchState, Refetched, SourceDown, SourceId, WebOptions, catalogue, refetch_blocking,
    trust_journal,
};
use serde_json::json;

use crate::args::{GatherArgs, Show};
use crate::interrupt::Interrupt;
use crate::output::{Outcome, argument, count, json_line, text};
use crate::paint::{Paint, rendered};

pub(super) fn run(args: &GatherArgs) -> anyhow::Result<Outcome> {
    if args.list_sources {
        return list(args.show);
    }
    let into = args.into.as_deref().unwrap_or(Path::new("."));
    match &args.from {
        Some(ledger) => again(ledger, into, args),
        None => gather(into, args),
    }
}

fn gather(into: &Path, args: &GatherArgs) -> anyhow::Result<Outcome> {
    let endpoints = |all: Endpoints, (source, url): &(_, url::Url)| all.with(*source, url.clone());
    let mut asked = Gather::new(into, args.classes.iter().cloned())
        .per_class(args.per_class)
        .min_size(args.min_size)
        .keys(Keys::from_env())
        .endpoints(args.services.endpoint.iter().fold(Endpoints::default(), endpoints))
        .total_time(args.time_budget.map(Duration::try_from_secs_f64).transpose()?)
        .web(web(args));
    if !args.source.is_empty() {
        asked = asked.sources(args.source.clone());
    }
    if !args.license.is_empty() {
        asked = asked.licences(Licences::Only(args.license.iter().copied().collect()));
    }
    if args.trust_state && into.is_dir() {
        trust_journal(into)?;
    }
    let run = asked.build()?;
    let gathered = run.run_blocking(Watching::new(args.show)?)?;
    if args.show.json {
        json_line(&json!({ "event": "gathered", "result": gathered }))?;
    } else {
        tell(&gathered)?;
    }
    Ok(if gathered.ending == Ending::Complete { Outcome::Done } else { Outcome::Found })
}

fn web(args: &GatherArgs) -> WebOptions {
    WebOptions {
        contact: args.services.contact.clone(),
        allow_private_hosts: args.services.allow_private_hosts.clone(),
        ..WebOptions::default()
    }
}

/// What a user sees while photos come in: a bar for each class, or lines of JSON.
struct Watching {
    show: Show,
    bars: MultiProgress,
    classes: BTreeMap<String, (ProgressBar, BTreeMap<&'static str, usize>)>,
    interrupt: Interrupt,
}

impl Watching {
    fn new(show: Show) -> anyhow::Result<Self> {
        let interrupt = Interrupt::listen(
            show,
            "stopping; the same command continues where it stopped (Ctrl-C again: stop at once)",
        )?;
        Ok(Self { show, bars: MultiProgress::new(), classes: BTreeMap::new(), interrupt })
    }

    fn start(&mut self, class: &str, kept: usize, wanted: usize) {
        if self.show.quiet || self.show.json {
            return;
        }
        let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len}  about {eta} left  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(wanted as u64).with_style(style).with_prefix(rendered(class));
        let bar = self.bars.add(bar.with_position(kept as u64));
        self.classes.insert(class.to_owned(), (bar, BTreeMap::new()));
    }

    /// Says something above the bars.
    fn say(&self, what: &str) {
        if !self.show.quiet && !self.show.json {
            // Nothing is lost if the terminal has gone: the summary says it again.
            let _ = self.bars.println(rendered(what));
        }
    }

    fn show(&mut self, event: &GatherEvent) {
        match event {
            GatherEvent::ClassStarted { class, kept, wanted } => self.start(class, *kept, *wanted),
            GatherEvent::Kept { class, kept, .. } => {
                if let Some((bar, _)) = self.classes.get(class) {
                    bar.set_position(*kept as u64);
                }
            }
            GatherEvent::Rejected { class, reason, .. } => {
                if let Some((bar, rejected)) = self.classes.get_mut(class) {
                    *rejected.entry(reason.name()).or_default() += 1;
                    let reasons: Vec<String> =
                        rejected.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
                    bar.set_message(format!("not kept: {}", reasons.join(", ")));
                }
            }
            GatherEvent::SourceDown { class, source, reason } => {
                self.say(&format!("{} {source} for {class}: {reason}", Paint::Warning.on("given up")));
            }
            GatherEvent::Waiting { source, seconds, reason } => {
                self.say(&format!("{source} asks for a pause of {seconds:.0} s: {reason}"));
            }
            GatherEvent::ClassEnded { class, .. } => {
                if let Some((bar, _)) = self.classes.get(class) {
                    bar.finish();
                }
            }
            _ => {}
        }
    }
}

impl sciurus::gather::GatherObserver for Watching {
    fn observe(&mut self, event: &GatherEvent) -> Control {
        if self.show.json && json_line(event).is_err() {
            return Control::Stop;
        }
        self.show(event);
        if self.interrupt.is_pressed() { Control::Stop } else { Control::Continue }
    }
}

fn tell(gathered: &Gathered) -> anyhow::Result<()> {
    text(gathered.to_string().trim_end())?;
    if !gathered.licences.is_empty() {
        let licences = gathered.licences.iter().map(|(licence, photos)| format!("{photos} {licence}"));
        text(format!("licences: {}", licences.collect::<Vec<_>>().join(", ")))?;
        if let Some(attribution) = &gathered.attribution {
            text(format!("credits are in {}", attribution.display()))?;
        }
    }
    match gathered.ending {
        Ending::Complete => {}
        Ending::Short => text(short(gathered))?,
        _ => text("not finished: the same command continues where it stopped")?,
    }
    if gathered.classes.iter().all(|class| class.kept > 0) {
        let next = format!("sciurus train {}", argument(&gathered.folder));
        text(format!("train on them:  {}", Paint::Command.on(next)))?;
    }
    Ok(())
}

/// Why there are fewer photos than were asked for: nobody answered, some did not, or there are no more.
fn short(gathered: &Gathered) -> String {
    let sources = || gathered.classes.iter().flat_map(|class| &class.sources);
    let down = || sources().filter_map(|source| Some((source.source, source.down.as_ref()?)));
    let more = "try other words, --source or --license";
    let here = |(_, reason): &(SourceId, &SourceDown)| matches!(reason, SourceDown::Local { .. });
    if let Some((_, reason)) = down().find(here) {
        return format!("not all photos could be had: {reason}");
    }
    match (down().count(), sources().count(), down().next()) {
        (all, of, Some((source, reason))) if all == of => format!(
            "no source could be asked ({source}: {reason}); check the network or the addresses, then the same command continues"
        ),
        (some, of, Some((source, reason))) => format!(
            "{some} of {of} sources were given up ({source}: {reason}), and the others have no more photos: run the same command \
             again later, or {more}"
        ),
        _ => format!("the sources have no more photos: {more}"),
    }
}

fn again(ledger: &Path, into: &Path, args: &GatherArgs) -> anyhow::Result<Outcome> {
    let ledger = Ledger::read(ledger)?;
    let bar = crate::progress::bar(args.show, "fetching");
    bar.set_length(ledger.entries().len() as u64);
    let refetched = refetch_blocking(&ledger, into, &web(args), |_, _| bar.inc(1))?;
    bar.finish_and_clear();
    let (same, changed, missing) = refetched.counts();
    if args.show.json {
        json_line(
            &json!({ "event": "refetched", "same": same, "changed": changed, "missing": missing, "files": refetched.files }),
        )?;
    } else {
        text(format!("{} the same, {changed} changed, {missing} missing", count(same, "photo")))?;
        name_others(&refetched)?;
    }
    Ok(if changed + missing == 0 { Outcome::Done } else { Outcome::Found })
}

fn name_others(refetched: &Refetched) -> anyhow::Result<()> {
    for (file, state) in &refetched.files {
        match state {
            RefetchState::Same => {}
            RefetchState::Changed { .. } => {
                text(format!("  {file}: its address returns a different image now"))?;
            }
            RefetchState::Gone { skip } => text(format!("  {file}: {skip}"))?,
            RefetchState::NotFetched { fault } => text(format!("  {file}: {fault}"))?,
            _ => text(format!("  {file}: a different file has its name"))?,
        }
    }
    Ok(())
}

fn list(show: Show) -> anyhow::Result<Outcome> {
    let all = catalogue(&Keys::from_env());
    if show.json {
        json_line(&all)?;
        return Ok(Outcome::Done);
    }
    for CatalogueEntry { info, key_set, default } in &all {
        let asked = if *default { " (used by default)" } else { "" };
        text(format!("{}{asked}: {}", Paint::Strong.on(info.id), info.what))?;
        text(format!("  limits: {}", info.limits))?;
        let set = if *key_set == Some(true) { "set" } else { "not set" };
        let key = match info.key {
            KeyNeed::None => "none needed".to_owned(),
            KeyNeed::Optional { variables } => format!("optional, in {}: {set}", variables.join(" and ")),
            KeyNeed::Required { variables } => format!("required, in {}: {set}", variables.join(" and ")),
        };
        text(format!("  key: {key}"))?;
        text(format!("  training: {}", info.training))?;
    }
    Ok(Outcome::Done)
}
