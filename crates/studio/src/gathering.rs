//! Photos that arrive. In: the events of a run, and the ledger of earlier ones. Out: the newest photos, what was rejected
//! and what was counted, plain data that every page sees at once, late, or again; and how the run ended, for people.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sciurus::data::fs::InsidePath;
use sciurus::data::{ContentHash, counted};
use sciurus::gather::{
    Control, Ending, GatherEvent, GatherObserver, Gathered, Ledger, LedgerEntry, Licence, SourceDown,
    SourceId,
};
use sciurus::photos::LEDGER_FILE;
use sciurus::photos::text::{is_web, plain};
use serde::Serialize;
use url::Url;

use crate::fault::Fault;
use crate::jobs::Job;
use crate::services::Asked;

/// Photos, and rejections, that are kept to show: the newest.
const SHOWN: usize = 300;
/// Most characters of a text that somebody else wrote.
const WORDS: usize = 200;

/// What has arrived so far, for all pages.
#[derive(Debug)]
pub(crate) struct Gathering(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Counts the runs, from the time at which the studio was started: a page that knows another one begins anew.
    run: u64,
    asked: Option<Asked>,
    classes: Vec<ClassView>,
    arrived: VecDeque<Arrival>,
    rejected: VecDeque<Refusal>,
    /// The number of what arrived last, kept or not.
    number: u64,
    /// Whether the folder's ledger was read.
    is_read: bool,
}

/// What a page shows of a run. Photos and rejections are those after the number that it asked for.
#[derive(Debug, Serialize)]
pub(crate) struct GatheringView {
    run: u64,
    number: u64,
    pub(crate) asked: Option<Asked>,
    classes: Vec<ClassView>,
    arrived: Vec<Arrival>,
    rejected: Vec<Refusal>,
}

/// How far a class is.
#[derive(Debug, Clone, Serialize)]
struct ClassView {
    name: String,
    /// Photos from runs before this one, and all.
    before: usize,
    kept: usize,
    wanted: usize,
    /// Photos on the pages of the sources.
    found: usize,
    /// How many were rejected, by reason.
    rejected: BTreeMap<String, usize>,
}

/// A photo that arrived.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) content: ContentHash,
    pub(crate) file: String,
    pub(crate) class: String,
    /// The short name of its licence; none for the user's own.
    pub(crate) licence: Option<&'static str>,
    /// The page that shows it.
    pub(crate) link: Option<Url>,
    /// Who made it.
    pub(crate) credit: Option<String>,
}

/// A photo that was not kept.
#[derive(Debug, Clone, Serialize)]
struct Refusal {
    number: u64,
    class: String,
    reason: String,
    source: SourceId,
    link: Option<Url>,
}

impl Gathering {
    pub(crate) fn new() -> Self {
        let run = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(1);
        Self(Mutex::new(State { run, ..State::default() }))
    }

    /// A new run: what it counts begins anew, and the photos that are there stay to be seen.
    pub(crate) fn begin(&self, asked: Asked, folder: &Path) {
        let mut state = self.read(folder);
        state.run += 1;
        state.asked = Some(asked);
        state.classes.clear();
        state.rejected.clear();
    }

    /// How it looks to a page that knows what a run has sent up to a number.
    pub(crate) fn view(&self, folder: &Path, run: u64, after: u64) -> GatheringView {
        let state = self.read(folder);
        let after = if run == state.run { after } else { 0 };
        GatheringView {
            run: state.run,
            number: state.number,
            asked: state.asked.clone(),
            classes: state.classes.clone(),
            arrived: state.arrived.iter().filter(|one| one.number > after).cloned().collect(),
            rejected: state.rejected.iter().filter(|one| one.number > after).cloned().collect(),
        }
    }

    /// Adds a photo of the user's own.
    pub(crate) fn add(&self, folder: &Path, content: ContentHash, (file, class): (String, String)) {
        let number = 0;
        self.read(folder).arrive(Arrival {
            number,
            content,
            file,
            class,
            licence: None,
            link: None,
            credit: None,
        });
    }

    /// What the run counted in the end, with what it found twice.
    pub(crate) fn end(&self, gathered: &Gathered) {
        let mut state = self.locked();
        for ended in &gathered.classes {
            state.class(&ended.class, |class| {
                class.kept = ended.kept;
                class.found = ended.sources.iter().map(|source| source.found).sum();
                class.rejected.clone_from(&ended.rejected);
            });
        }
    }

    /// Where a photo lies that is shown.
    pub(crate) fn place(&self, content: ContentHash) -> Option<InsidePath> {
        let state = self.locked();
        let arrival = state.arrived.iter().rev().find(|arrival| arrival.content == content)?;
        InsidePath::portable(&arrival.file).ok().filter(|place| !place.is_hidden())
    }

    /// Everything, with the photos that earlier runs left, here or in a terminal.
    fn read(&self, folder: &Path) -> MutexGuard<'_, State> {
        let mut state = self.locked();
        if !std::mem::replace(&mut state.is_read, true) {
            // A ledger that cannot be read is told by the run that wants to add to it.
            let ledger = Ledger::read(folder.join(LEDGER_FILE)).ok();
            let entries = ledger.as_ref().map_or(&[][..], Ledger::entries);
            entries[entries.len().saturating_sub(SHOWN)..]
                .iter()
                .for_each(|entry| state.arrive(Arrival::of(entry)));
        }
        state
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn arrive(&mut self, arrival: Arrival) {
        // A run that goes on tells again of what it has kept.
        if self.arrived.iter().any(|known| known.content == arrival.content && known.file == arrival.file) {
            return;
        }
        self.number += 1;
        push(&mut self.arrived, Arrival { number: self.number, ..arrival });
    }

    /// Takes in what happened.
    fn observe(&mut self, event: &GatherEvent) {
        match event {
            GatherEvent::ClassStarted { class, kept, wanted } => self.classes.push(ClassView {
                name: class.clone(),
                before: *kept,
                kept: *kept,
                wanted: *wanted,
                found: 0,
                rejected: BTreeMap::new(),
            }),
            GatherEvent::Searched { class, found, .. } => self.class(class, |class| class.found += found),
            GatherEvent::Kept { class, kept, entry, .. } => {
                self.class(class, |class| class.kept = *kept);
                self.arrive(Arrival::of(entry));
            }
            GatherEvent::Rejected { class, url, source, reason } => {
                self.class(class, |class| *class.rejected.entry(reason.name().to_owned()).or_default() += 1);
                self.number += 1;
                push(
                    &mut self.rejected,
                    Refusal {
                        number: self.number,
                        class: class.clone(),
                        reason: plain(&reason.to_string(), WORDS),
                        source: *source,
                        link: Some(url.clone()).filter(is_web),
                    },
                );
            }
            _ => {}
        }
    }

    fn class(&mut self, name: &str, change: impl FnOnce(&mut ClassView)) {
        if let Some(class) = self.classes.iter_mut().find(|class| class.name == name) {
            change(class);
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, one: T) {
    if queue.len() == SHOWN {
        queue.pop_front();
    }
    queue.push_back(one);
}

impl Arrival {
    fn of(entry: &LedgerEntry) -> Self {
        let link = entry.landing_url.iter().chain([&entry.url]).find(|url| is_web(url)).cloned();
        let credit = entry.attribution.as_ref().or(entry.creator.as_ref());
        Self {
            number: 0,
            content: entry.hash,
            file: entry.file.clone(),
            class: plain(&entry.class, WORDS),
            licence: Some(short_name(entry.licence)),
            link,
            credit: credit.map(|credit| plain(credit, WORDS)),
        }
    }
}

/// What a badge says.
fn short_name(licence: Licence) -> &'static str {
    match licence {
        Licence::Cc0 => "CC0",
        Licence::Pdm => "Public domain",
        Licence::By => "CC BY",
        Licence::BySa => "CC BY-SA",
        Licence::ByNc => "CC BY-NC",
        Licence::ByNd => "CC BY-ND",
        Licence::ByNcSa => "CC BY-NC-SA",
        Licence::ByNcNd => "CC BY-NC-ND",
        Licence::Pexels => "Pexels",
        Licence::Pixabay => "Pixabay",
        Licence::Unsplash => "Unsplash",
        Licence::AllRightsReserved => "All rights reserved",
        Licence::Unknown => "Licence unknown",
        _ => "Other licence",
    }
}

/// Puts what happens into the job and before all pages.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) gathering: Arc<Gathering>,
    pub(crate) job: Job,
}

impl GatherObserver for Watching {
    fn observe(&mut self, event: &GatherEvent) -> Control {
        let (done, total) = {
            let mut state = self.gathering.locked();
            state.observe(event);
            let sum = |count: fn(&ClassView) -> usize| state.classes.iter().map(count).sum();
            (sum(|class| class.kept), sum(|class| class.wanted))
        };
        self.job.update(|state| (state.done, state.total) = (done, total));
        match event {
            GatherEvent::SourceDown { class, source, reason } => {
                self.job.say(format!("{source} was given up for {class}: {reason}"));
            }
            GatherEvent::Waiting { source, seconds, reason } => {
                self.job.say(format!("{source} asks for a pause of {seconds:.0} s: {reason}"));
            }
            _ => {}
        }
        if self.job.is_stopped() { Control::Stop } else { Control::Continue }
    }
}

/// How a run ended, for people; an error if nobody could be asked.
pub(crate) fn told(gathered: &Gathered) -> Result<String, Fault> {
    let kept: usize = gathered.classes.iter().map(|class| class.kept).sum();
    let wanted: usize = gathered.classes.iter().map(|class| class.wanted).sum();
    let credits = gathered.attribution.as_ref().and_then(|path| path.file_name()).map(PathBuf::from);
    let credits = credits.map(|name| format!("; credits are in {}", name.display())).unwrap_or_default();
    let so_far = format!("{kept} of {} are there", counted(wanted, "photo"));
    match gathered.ending {
        Ending::Complete => Ok(format!("{} are there{credits}", counted(kept, "photo"))),
        Ending::Short => {
            let why = short(gathered);
            if kept == 0 { Err(Fault::Missing(why)) } else { Ok(format!("{so_far}: {why}{credits}")) }
        }
        _ => Ok(format!("{so_far}; begin again, and it goes on from here{credits}")),
    }
}

/// Why there are fewer photos than were asked for, and what to do.
fn short(gathered: &Gathered) -> String {
    let sources = || gathered.classes.iter().flat_map(|class| &class.sources);
    let down: Vec<(SourceId, &SourceDown)> =
        sources().filter_map(|source| Some((source.source, source.down.as_ref()?))).collect();
    match down.first() {
        None => "the sources have no more photos: try other words, more sources or more licences".to_owned(),
        Some((source, reason)) if down.len() == sources().count() => format!(
            "no source could be asked ({source}: {reason}); check the network, then begin again: it goes on from here"
        ),
        Some((source, reason)) => format!(
            "{} of {} sources were given up ({source}: {reason}), and the others have no more photos: begin again later, or \
             try other words",
            down.len(),
            sources().count()
        ),
    }
}
