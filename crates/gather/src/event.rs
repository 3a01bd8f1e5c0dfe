//! Progress of a gather run, as it happens. In: a [`GatherObserver`]. Out: [`GatherEvent`]s to it.

use crate::rejection::Rejection;
use crate::source::SourceDown;
use sciurus_photos::{LedgerEntry, SourceId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;

/// Something that happened. Progress bars, logs and web pages can all be made from these events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GatherEvent {
    /// Work on a class starts, or resumes with what an earlier run has kept.
    ClassStarted {
        /// Name of the class.
        class: String,
        /// Photos that have already been kept.
        kept: usize,
        /// Photos wanted.
        wanted: usize,
    },
    /// A source returned a page.
    Searched {
        /// Name of the class.
        class: String,
        /// The source.
        source: SourceId,
        /// Photos on the page.
        found: usize,
    },
    /// A photo was kept.
    Kept {
        /// Name of the class.
        class: String,
        /// The file, relative to the folder.
        file: PathBuf,
        /// The source that found it.
        source: SourceId,
        /// Photos of the class that have been kept so far.
        kept: usize,
        /// Photos wanted.
        wanted: usize,
        /// Its entry in the ledger: where it came from, and under what licence.
        entry: Box<LedgerEntry>,
    },
    /// A photo was rejected.
    Rejected {
        /// Name of the class.
        class: String,
        /// Its address.
        url: Url,
        /// The source that found it.
        source: SourceId,
        /// Why it was rejected.
        reason: Rejection,
    },
    /// A source is not used any more for this class.
    SourceDown {
        /// Name of the class.
        class: String,
        /// The source.
        source: SourceId,
        /// Why not.
        reason: SourceDown,
    },
    /// A source asked to wait for a while.
    Waiting {
        /// The source.
        source: SourceId,
        /// For how long.
        seconds: f64,
        /// Why.
        reason: SourceDown,
    },
    /// A class is complete, or nothing more can be found for it.
    ClassEnded {
        /// Name of the class.
        class: String,
        /// Photos kept.
        kept: usize,
        /// Photos wanted.
        wanted: usize,
    },
}

/// What an observer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Continue.
    Continue,
    /// Stop. Photos that were kept stay, and the same run can be resumed later.
    Stop,
}

/// Receives events. Closures are observers.
pub trait GatherObserver: Send {
    /// Receives an event, and may ask to stop.
    fn observe(&mut self, event: &GatherEvent) -> Control;
}

impl<F: FnMut(&GatherEvent) -> Control + Send> GatherObserver for F {
    fn observe(&mut self, event: &GatherEvent) -> Control {
        self(event)
    }
}

/// The connection to the observer, shared by everything that reports events.
#[derive(Clone)]
pub(crate) struct Events(Arc<Shared>);

struct Shared {
    observer: Mutex<Box<dyn GatherObserver>>,
    stopped: AtomicBool,
}

impl Events {
    pub(crate) fn new(observer: impl GatherObserver + 'static) -> Self {
        Self(Arc::new(Shared { observer: Mutex::new(Box::new(observer)), stopped: AtomicBool::new(false) }))
    }

    pub(crate) fn send(&self, event: &GatherEvent) {
        let mut observer = self.0.observer.lock().unwrap_or_else(PoisonError::into_inner);
        if observer.observe(event) == Control::Stop {
            self.0.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the observer has asked to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("stopped", &self.stopped()).finish_non_exhaustive()
    }
}
