//! One class of a run: what its sources have found and not given out yet. In: pages. Out: photos, with the sources
//! taking turns and drawings last; and what became of them.

use crate::rejection::Rejection;
use crate::source::{Cursor, FoundImage, ImageKind, Page, Query, SourceDown};
use crate::summary::{GatheredClass, SourceState};
use sciurus_photos::SourceId;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// A source is given up when this many of its photos in a row could not be downloaded.
const MOST_FAILURES: u32 = 20;
/// A source is given up when this many of its pages in a row have nothing new.
const MOST_BARREN: u32 = 3;

/// A class while it's being gathered.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) query: Query,
    pub(crate) folder: String,
    pub(crate) wanted: usize,
    pub(crate) kept: usize,
    pub(crate) feeds: Vec<Feed>,
    /// Whether nothing more can be found.
    pub(crate) exhausted: bool,
    rejected: BTreeMap<String, usize>,
    urls: HashSet<String>,
    turn: usize,
    drawings: VecDeque<(usize, FoundImage)>,
}

/// What one source has for the class.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) source: SourceId,
    pub(crate) next: Next,
    pub(crate) down: Option<SourceDown>,
    queue: VecDeque<FoundImage>,
    found: usize,
    kept: usize,
    failures: u32,
    barren: u32,
}

/// Where a source continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    First,
    At(Cursor),
    End,
}

/// What a class can do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Give out a photo of the source with this number.
    Photo(usize, Box<FoundImage>),
    /// Get a page of the source with this number.
    Ask(usize),
    /// Nothing.
    Nothing,
}

impl Class {
    pub(crate) fn new(query: Query, folder: String, wanted: usize, sources: &[SourceId]) -> Self {
        let feeds = sources.iter().map(|&source| Feed::new(source)).collect();
        Self {
            query,
            folder,
            wanted,
            kept: 0,
            feeds,
            exhausted: false,
            rejected: BTreeMap::new(),
            urls: HashSet::new(),
            turn: 0,
            drawings: VecDeque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.kept >= self.wanted
    }

    /// The next photo in turn, or the page that is needed to know it.
    pub(crate) fn step(&mut self) -> Step {
        let mut idle = 0;
        while idle < self.feeds.len() {
            let number = self.turn % self.feeds.len();
            let feed = &mut self.feeds[number];
            if let Some(image) = feed.queue.pop_front() {
                if image.kind == ImageKind::Drawing {
                    self.drawings.push_back((number, image));
                    continue;
                }
                self.turn += 1;
                return Step::Photo(number, Box::new(image));
            }
            if feed.down.is_none() && feed.next != Next::End {
                return Step::Ask(number);
            }
            self.turn += 1;
            idle += 1;
        }
        match self.drawings.pop_front() {
            Some((number, image)) => Step::Photo(number, Box::new(image)),
            None => Step::Nothing,
        }
    }

    /// Takes in a page, without addresses that were found before. Returns how many photos the page had.
    pub(crate) fn take(&mut self, number: usize, page: Page) -> usize {
        let found = page.items.len();
        let new = page.items.into_iter().filter(|image| self.urls.insert(image.image_url.to_string()));
        let mut new: Vec<FoundImage> = new.collect();
        // Known photos go before images of unknown kind.
        new.sort_by_key(|image| image.kind);
        if found > new.len() {
            *self.rejected.entry(Rejection::FoundBefore.name().to_owned()).or_default() += found - new.len();
        }
        let feed = &mut self.feeds[number];
        feed.found += found;
        feed.barren = if new.is_empty() { feed.barren + 1 } else { 0 };
        feed.next = match page.next {
            Some(next) if feed.barren < MOST_BARREN => Next::At(next),
            _ => Next::End,
        };
        feed.queue.extend(new);
        found
    }

    pub(crate) fn give_up(&mut self, number: usize, reason: SourceDown) {
        let feed = &mut self.feeds[number];
        feed.queue.clear();
        feed.down = Some(reason);
    }

    pub(crate) fn count_kept(&mut self, number: usize) {
        self.kept += 1;
        self.feeds[number].kept += 1;
        self.feeds[number].failures = 0;
    }

    /// Counts a rejection. Returns a reason if the source should now be given up.
    pub(crate) fn count_rejected(&mut self, number: usize, reason: &Rejection) -> Option<SourceDown> {
        *self.rejected.entry(reason.name().to_owned()).or_default() += 1;
        let feed = &mut self.feeds[number];
        let failed = matches!(reason, Rejection::NotFetched { .. });
        feed.failures = if failed { feed.failures + 1 } else { 0 };
        let failures = feed.failures;
        (failures >= MOST_FAILURES && feed.down.is_none()).then_some(SourceDown::PhotosFail { failures })
    }

    pub(crate) fn summary(&self) -> GatheredClass {
        let state = |feed: &Feed| SourceState {
            source: feed.source,
            found: feed.found,
            kept: feed.kept,
            down: feed.down.clone(),
        };
        GatheredClass {
            class: self.query.class.clone(),
            folder: self.folder.clone(),
            kept: self.kept,
            wanted: self.wanted,
            rejected: self.rejected.clone(),
            sources: self.feeds.iter().map(state).collect(),
        }
    }
}

impl Feed {
    fn new(source: SourceId) -> Self {
        Self {
            source,
            next: Next::First,
            down: None,
            queue: VecDeque::new(),
            found: 0,
            kept: 0,
            failures: 0,
            barren: 0,
        }
    }
}
