//! The loop of a run. In: classes, sources, and what earlier runs decided. Out: decisions, in an order that depends
//! only on what sources and hosts return.

mod ask;

use super::arrive::{Arrived, FetchContext, arrive};
use super::class::{Class, Step};
use super::keep::{Kept, Photo};
use crate::error::GatherError;
use crate::event::{Events, GatherEvent};
use crate::gather::Gather;
use crate::journal::Journal;
use crate::rejection::Rejection;
use crate::source::{FoundImage, ImageSource, SourceDown};
use crate::summary::Ending;
use crate::web::FetchFault;
use ask::Answers;
use sciurus_photos::SourceId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::{JoinHandle, JoinSet};

/// A host is given up when this many of its photos in a row fail.
const MOST_HOST_FAILURES: u32 = 5;

/// A run in progress.
#[derive(Debug)]
pub(crate) struct Work<'g> {
    settings: &'g Gather,
    pub(super) sources: Vec<Named>,
    pub(crate) classes: Vec<Class>,
    pub(crate) kept: Kept,
    pub(crate) journal: Journal,
    road: Arc<FetchContext>,
    pub(super) events: Events,
    /// Photos on their way, in the order in which they'll be decided.
    under_way: VecDeque<UnderWay>,
    turn: usize,
    number: u64,
    /// What this run kept before it was interrupted, by class and address: places in the ledger.
    ours: HashMap<(String, String), usize>,
    /// What was kept before this run.
    before: HashSet<(String, String)>,
    /// Tasks that ask for the first pages, by source.
    pub(super) first: HashMap<usize, JoinHandle<Answers>>,
    /// Sources that returned no page, for all classes.
    pub(super) down: HashMap<usize, SourceDown>,
    /// Failures in a row, by host.
    failures: HashMap<String, u32>,
    thanks: JoinSet<()>,
}

/// A source, with a name that is unique in the run.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) source: Arc<dyn ImageSource>,
}

#[derive(Debug)]
struct UnderWay {
    class: usize,
    feed: usize,
    image: FoundImage,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    /// Kept by this run before it was interrupted; its place in the ledger.
    Kept(usize),
    /// Rejected by it before that.
    Rejected(Rejection),
    /// Rejected without downloading it.
    Refused(Rejection),
    /// Being downloaded.
    Coming(JoinHandle<Result<Arrived, Rejection>>),
}

impl<'g> Work<'g> {
    pub(crate) fn new(
        settings: &'g Gather,
        sources: Vec<Named>,
        (kept, journal): (Kept, Journal),
        road: Arc<FetchContext>,
        events: Events,
    ) -> Self {
        Self {
            settings,
            sources,
            classes: Vec::new(),
            kept,
            journal,
            road,
            events,
            under_way: VecDeque::new(),
            turn: 0,
            number: 0,
            ours: HashMap::new(),
            before: HashSet::new(),
            first: HashMap::new(),
            down: HashMap::new(),
            failures: HashMap::new(),
            thanks: JoinSet::new(),
        }
    }

    pub(crate) fn source_ids(&self) -> Vec<SourceId> {
        self.sources.iter().map(|named| named.source.info().id).collect()
    }

    /// Counts the photos that are there, and asks all sources for their first pages at once.
    pub(crate) fn begin(&mut self, classes: Vec<Class>) {
        self.classes = classes;
        for (number, entry) in self.kept.ledger().entries().iter().enumerate() {
            let name = (entry.class.clone(), entry.url.to_string());
            if number >= self.journal.before {
                self.ours.insert(name, number);
                continue;
            }
            let class = self.classes.iter_mut().find(|class| self.kept.is_in(entry, &class.folder));
            class.into_iter().for_each(|class| class.kept += 1);
            self.before.insert(name);
        }
        for class in &self.classes {
            let (name, kept, wanted) = (class.query.class.clone(), class.kept, class.wanted);
            self.events.send(&GatherEvent::ClassStarted { class: name, kept, wanted });
        }
        self.ask_all();
    }

    /// Works until all classes are full, nothing is left, or the run should stop.
    pub(crate) async fn drive(&mut self) -> Result<Ending, GatherError> {
        let begin = Instant::now();
        let ending = loop {
            if self.events.stopped() {
                break Ending::Stopped;
            }
            if self.settings.total_time.is_some_and(|time| begin.elapsed() > time) {
                break Ending::TimeUp;
            }
            while self.under_way.len() < self.settings.web.at_a_time.max(1) {
                if !self.set_out().await? {
                    break;
                }
            }
            let Some(next) = self.under_way.pop_front() else { break self.ending() };
            self.decide(next).await?;
        };
        self.clean_up().await;
        Ok(ending)
    }

    fn ending(&self) -> Ending {
        if self.classes.iter().all(Class::is_full) { Ending::Complete } else { Ending::Short }
    }

    /// Ends what is in progress, and leaves no file of it.
    async fn clean_up(&mut self) {
        for photo in std::mem::take(&mut self.under_way) {
            discard(photo.outcome).await;
        }
        // Threads that are still inspecting a photo remove its file when they're done.
        let all = std::thread::available_parallelism().map_or(2, usize::from);
        drop(self.road.decoders.acquire_many(u32::try_from(all).unwrap_or(1)).await);
        for (_, asking) in self.first.drain() {
            asking.abort();
        }
        while self.thanks.join_next().await.is_some() {}
        for class in self.classes.iter().filter(|class| !class.is_full()) {
            let (name, kept, wanted) = (class.query.class.clone(), class.kept, class.wanted);
            self.events.send(&GatherEvent::ClassEnded { class: name, kept, wanted });
        }
    }

    /// Starts the next photo; `false` if there is none.
    async fn set_out(&mut self) -> Result<bool, GatherError> {
        for _ in 0..self.classes.len() {
            let class = self.turn % self.classes.len();
            self.turn += 1;
            if self.classes[class].is_full() || self.classes[class].exhausted {
                continue;
            }
            if let Some((feed, image)) = self.next_of(class).await? {
                if let Some(outcome) = self.outcome(class, feed, &image) {
                    self.under_way.push_back(UnderWay { class, feed, image, outcome });
                }
                return Ok(true);
            }
            self.classes[class].exhausted = true;
        }
        Ok(false)
    }

    async fn next_of(&mut self, class: usize) -> Result<Option<(usize, FoundImage)>, GatherError> {
        loop {
            match self.classes[class].step() {
                Step::Photo(feed, image) => return Ok(Some((feed, *image))),
                Step::Nothing => return Ok(None),
                Step::Ask(feed) => self.ask(class, feed).await?,
            }
        }
    }

    /// What is known about a photo, or a task that downloads it; `None` for one that was kept before this run.
    fn outcome(&mut self, class: usize, feed: usize, image: &FoundImage) -> Option<Outcome> {
        let name = (self.classes[class].query.class.clone(), image.image_url.to_string());
        if self.before.contains(&name) {
            return None;
        }
        if let Some(&place) = self.ours.get(&name) {
            return Some(Outcome::Kept(place));
        }
        if let Some(reason) = self.journal.rejection(&photo_name(&name.0, image)) {
            return Some(Outcome::Rejected(reason.clone()));
        }
        let source = &self.sources[feed].source;
        if !self.settings.licences.allow(image.licence, source.info().licences) {
            return Some(Outcome::Refused(Rejection::Licence { licence: image.licence }));
        }
        if let Some(fault) = self.host_down(image) {
            return Some(Outcome::Refused(Rejection::NotFetched { fault }));
        }
        self.number += 1;
        let coming = arrive(Arc::clone(&self.road), Arc::clone(source), image.clone(), self.number);
        Some(Outcome::Coming(tokio::spawn(coming)))
    }

    fn host_down(&self, image: &FoundImage) -> Option<FetchFault> {
        let failures = *self.failures.get(&host(image)?)?;
        (failures >= MOST_HOST_FAILURES).then_some(FetchFault::HostDown { failures })
    }

    /// Decides on a photo. One that comes too late for its class leaves no trace.
    async fn decide(&mut self, photo: UnderWay) -> Result<(), GatherError> {
        let UnderWay { class, feed, image, outcome } = photo;
        if self.classes[class].is_full() {
            discard(outcome).await;
            return Ok(());
        }
        match outcome {
            Outcome::Kept(place) => self.count_kept(class, feed, &image, place),
            Outcome::Rejected(reason) => self.count_rejected(class, feed, &image, reason),
            Outcome::Refused(reason) => self.reject(class, feed, &image, reason)?,
            Outcome::Coming(coming) => {
                let broken = |detail: String| FetchFault::Unreadable { detail };
                let arrived = coming
                    .await
                    .unwrap_or_else(|error| Err(Rejection::NotFetched { fault: broken(error.to_string()) }));
                match self.judged(&image, arrived) {
                    Ok(arrived) => self.keep(class, feed, image, arrived)?,
                    Err(reason) => self.reject(class, feed, &image, reason)?,
                }
            }
        }
        Ok(())
    }

    /// Whether a photo is usable. If its host was given up in the meantime, it's rejected all the same; otherwise the
    /// order in which photos arrive would matter.
    fn judged(&self, image: &FoundImage, arrived: Result<Arrived, Rejection>) -> Result<Arrived, Rejection> {
        let reason = match (self.host_down(image), &arrived) {
            (Some(fault), _) => Rejection::NotFetched { fault },
            (None, Err(_)) => return arrived,
            (None, Ok(photo)) => match self.kept.copy_of(&photo.report) {
                Some((of, sameness)) => Rejection::Duplicate { of, sameness },
                None => return arrived,
            },
        };
        Err(reason)
    }

    fn keep(
        &mut self,
        class: usize,
        feed: usize,
        image: FoundImage,
        arrived: Arrived,
    ) -> Result<(), GatherError> {
        let Class { query, folder, .. } = &self.classes[class];
        let photo = Photo { class: &query.class, folder, image: &image, report: &arrived.report };
        let place = self.kept.keep(&photo, arrived.part, (self.settings.clock)())?;
        self.count_kept(class, feed, &image, place);
        let source = Arc::clone(&self.sources[feed].source);
        if image.ping.is_some() {
            self.thanks.spawn(async move {
                if let Some(thanking) = source.kept(&image) {
                    thanking.await;
                }
            });
        }
        Ok(())
    }

    fn reject(
        &mut self,
        class: usize,
        feed: usize,
        image: &FoundImage,
        reason: Rejection,
    ) -> Result<(), GatherError> {
        let name = photo_name(&self.classes[class].query.class, image);
        self.journal.rejected(name, &reason)?;
        self.count_rejected(class, feed, image, reason);
        Ok(())
    }

    fn count_kept(&mut self, class: usize, feed: usize, image: &FoundImage, place: usize) {
        host(image).and_then(|host| self.failures.remove(&host));
        let class = &mut self.classes[class];
        class.count_kept(feed);
        let (name, kept, wanted) = (class.query.class.clone(), class.kept, class.wanted);
        let entry = Box::new(self.kept.ledger().entries()[place].clone());
        let (source, file) = (image.source, entry.file.clone().into());
        self.events.send(&GatherEvent::Kept { class: name.clone(), file, source, kept, wanted, entry });
        if kept >= wanted {
            self.events.send(&GatherEvent::ClassEnded { class: name, kept, wanted });
        }
    }

    fn count_rejected(&mut self, class: usize, feed: usize, image: &FoundImage, reason: Rejection) {
        if let Some(host) = host(image) {
            if reason.is_passing() {
                *self.failures.entry(host).or_default() += 1;
            } else if !matches!(reason, Rejection::Licence { .. }) {
                self.failures.remove(&host);
            }
        }
        let given_up = self.classes[class].count_rejected(feed, &reason);
        let name = self.classes[class].query.class.clone();
        let (url, source) = (image.image_url.clone(), image.source);
        self.events.send(&GatherEvent::Rejected { class: name.clone(), url, source, reason });
        if let Some(reason) = given_up {
            self.classes[class].give_up(feed, reason.clone());
            self.events.send(&GatherEvent::SourceDown { class: name, source, reason });
        }
    }
}

/// Aborts a photo that isn't needed, and removes its file.
async fn discard(outcome: Outcome) {
    if let Outcome::Coming(coming) = outcome {
        coming.abort();
        drop(coming.await);
    }
}

/// The name that the decision about a photo is recorded under.
fn photo_name(class: &str, image: &FoundImage) -> String {
    format!("{class} | {}", image.image_url)
}

/// The host of a photo on the web.
fn host(image: &FoundImage) -> Option<String> {
    let url = &image.image_url;
    let port = url.port_or_known_default()?;
    Some(format!("{}:{port}", url.host_str()?))
}
