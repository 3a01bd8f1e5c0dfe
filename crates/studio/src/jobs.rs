//! Long work: one piece at a time, in a thread of its own. In: what is to be done. Out: [`JobState`]s, plain data that a page can
//! ask for at any time and that is sent whenever it changes, so that no page that is opened late or twice misses anything.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sciurus::clean::plan::Left;
use sciurus::data::Progress;
use sciurus::{DownloadProgress, EpochRecord};
use serde::Serialize;
use tokio::sync::broadcast;

use crate::fault::Fault;

/// Jobs that are remembered.
const REMEMBERED: usize = 20;
/// Lines of a job's log that are kept.
const LINES: usize = 500;
/// Shortest time between two reports of progress.
const PAUSE: Duration = Duration::from_millis(100);
/// Messages that wait for a slow page.
const WAITING: usize = 256;

/// What is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Reading the folder.
    List,
    /// Gathering photos.
    Gather,
    /// Adding the photos of an archive.
    Unpack,
    /// Looking at every photo, to clean.
    Look,
    /// Training.
    Train,
    /// Trying learning rates.
    Rates,
    /// Moving files as decided.
    Apply,
    /// Moving files back.
    Undo,
}

impl JobKind {
    /// For a sentence that begins with it.
    fn named(self) -> &'static str {
        match self {
            Self::List => "reading the folder",
            Self::Gather => "gathering photos",
            Self::Unpack => "unpacking",
            Self::Look => "looking at the photos",
            Self::Train => "training",
            Self::Rates => "trying learning rates",
            Self::Apply => "moving files",
            Self::Undo => "moving files back",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// Somebody stopped it.
    Stopped,
    /// It could not be done.
    Failed,
}

/// A job as pages see it.
#[derive(Debug, Clone, Serialize)]
pub struct JobState {
    /// Counts from 1.
    pub id: u64,
    /// What is done.
    pub kind: JobKind,
    /// How far it is.
    pub status: JobStatus,
    /// What it is at, for people.
    pub step: String,
    /// How many of `total` are done in this step.
    pub done: usize,
    /// How many there are in this step; 0 where that is not known.
    pub total: usize,
    /// Seconds until it ends, about.
    pub seconds_left: Option<f64>,
    /// Photos a second, in training.
    pub images_per_second: Option<f64>,
    /// The smoothed loss after each batch so far, in training: how many batches, and the loss in nats.
    pub losses: Vec<(usize, f64)>,
    /// The table of a training so far.
    pub rows: Vec<EpochRecord>,
    /// Learning rates that were tried, each with the smoothed loss in nats after it.
    pub rates: Vec<(f64, f64)>,
    /// The learning rate that they suggest.
    pub suggested_rate: Option<f64>,
    /// What was said on the way.
    pub log: Vec<String>,
    /// How it ended, for people.
    pub message: Option<String>,
}

/// All jobs of a studio.
#[derive(Debug)]
pub(crate) struct Jobs {
    all: Mutex<Vec<(JobState, Arc<AtomicBool>)>>,
    events: broadcast::Sender<Arc<str>>,
}

/// The job that is running, for the work that it is.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    jobs: Arc<Jobs>,
    id: u64,
    stopped: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug)]
struct Told {
    last: Instant,
    step_began: Instant,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        Self { all: Mutex::default(), events: broadcast::channel(WAITING).0 }
    }

    /// What is sent to pages from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.events.subscribe()
    }

    /// Sends an event to all pages.
    pub(crate) fn tell(&self, event: &impl Serialize) {
        if let Ok(json) = serde_json::to_string(event) {
            // Without pages nobody listens, which is no fault.
            let _ = self.events.send(json.into());
        }
    }

    /// All that are remembered, the newest last.
    pub(crate) fn all(&self) -> Vec<JobState> {
        self.locked().iter().map(|(state, _)| state.clone()).collect()
    }

    /// The one that is running.
    pub(crate) fn running(&self) -> Option<JobState> {
        self.locked().iter().map(|(state, _)| state).find(|state| state.status == JobStatus::Running).cloned()
    }

    /// Begins one, unless another is running. `work` returns how it ended, for people.
    pub(crate) fn start(
        self: &Arc<Self>,
        kind: JobKind,
        work: impl FnOnce(&Job) -> Result<String, Fault> + Send + 'static,
    ) -> Result<u64, Fault> {
        let job = {
            let mut all = self.locked();
            if let Some((busy, _)) = all.iter().find(|(state, _)| state.status == JobStatus::Running) {
                return Err(Fault::Busy(busy.kind.named()));
            }
            let id = all.last().map_or(1, |(state, _)| state.id + 1);
            let stopped = Arc::new(AtomicBool::new(false));
            all.push((JobState::new(id, kind), Arc::clone(&stopped)));
            let old = all.len().saturating_sub(REMEMBERED);
            all.drain(..old);
            let now = Instant::now();
            let told = Arc::new(Mutex::new(Told { last: now, step_began: now }));
            Job { jobs: Arc::clone(self), id, stopped, told }
        };
        job.send();
        let id = job.id;
        let thread = thread::Builder::new().name(format!("job {id}"));
        let running = job.clone();
        let begun = thread.spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| work(&running))).unwrap_or(Err(Fault::Failed));
            running.end(ended);
        });
        if begun.is_err() {
            job.end(Err(Fault::Failed));
            return Err(Fault::Failed);
        }
        Ok(id)
    }

    /// Asks a job to stop. It keeps what it has.
    pub(crate) fn stop(&self, id: u64) -> Result<(), Fault> {
        let all = self.locked();
        let (_, stopped) = all
            .iter()
            .find(|(state, _)| state.id == id && state.status == JobStatus::Running)
            .ok_or_else(|| Fault::Missing("that is no longer running".to_owned()))?;
        stopped.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(JobState, Arc<AtomicBool>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobState {
    fn new(id: u64, kind: JobKind) -> Self {
        Self {
            id,
            kind,
            status: JobStatus::Running,
            step: kind.named().to_owned(),
            done: 0,
            total: 0,
            seconds_left: None,
            images_per_second: None,
            losses: Vec::new(),
            rows: Vec::new(),
            rates: Vec::new(),
            suggested_rate: None,
            log: Vec::new(),
            message: None,
        }
    }
}

impl Job {
    /// Whether somebody asked for it to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The same, for what asks at every step.
    pub(crate) fn goes_on(&self) -> ControlFlow<()> {
        if self.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Says how far a step is. Called often, and from many threads.
    pub(crate) fn progress(&self, step: &str, progress: Progress) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = self.change(|state| {
            let is_new = state.step != step;
            if is_new {
                step.clone_into(&mut state.step);
            }
            (state.done, state.total) = (progress.done, progress.total);
            is_new
        });
        if is_new {
            told.step_began = Instant::now();
        }
        let spent = told.step_began.elapsed().as_secs_f64();
        let left = progress.total.saturating_sub(progress.done) as f64;
        let seconds_left = (progress.done > 0 && spent > 0.5).then(|| spent / progress.done as f64 * left);
        self.change(|state| state.seconds_left = seconds_left);
        if is_new || told.last.elapsed() > PAUSE {
            told.last = Instant::now();
            self.send();
        }
    }

    /// Says how far the download of a network's weights is.
    pub(crate) fn download(&self, download: DownloadProgress) {
        let (done, total) = (download.received as usize, download.total.unwrap_or(0) as usize);
        self.progress("downloading the network's weights", Progress { done, total });
    }

    /// Names files that stayed where they are, and why.
    pub(crate) fn say_left(&self, left: &[Left]) {
        left.iter().for_each(|left| self.say(format!("left {}: {}", left.path.display(), left.reason)));
    }

    /// Changes what pages see; they see it with the next report.
    pub(crate) fn change<T: Default>(&self, change: impl FnOnce(&mut JobState) -> T) -> T {
        let mut all = self.jobs.locked();
        all.iter_mut()
            .find(|(state, _)| state.id == self.id)
            .map(|(state, _)| change(state))
            .unwrap_or_default()
    }

    /// Changes what pages see, at once if they have not heard of it for a while.
    pub(crate) fn update(&self, change: impl FnOnce(&mut JobState)) {
        self.change(change);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.elapsed() > PAUSE {
            told.last = Instant::now();
            self.send();
        }
    }

    /// Writes a line into its log.
    pub(crate) fn say(&self, line: impl Into<String>) {
        self.change(|state| {
            if state.log.len() < LINES {
                state.log.push(line.into());
            }
        });
        self.send();
    }

    fn end(&self, ended: Result<String, Fault>) {
        let is_stopped = self.is_stopped();
        self.change(|state| {
            state.seconds_left = None;
            (state.status, state.message) = match ended {
                Ok(message) if is_stopped => (JobStatus::Stopped, Some(message)),
                Ok(message) => (JobStatus::Done, Some(message)),
                Err(fault) if fault.is_stop() => (JobStatus::Stopped, Some(Fault::told(&fault))),
                Err(fault) => (JobStatus::Failed, Some(Fault::told(&fault))),
            };
        });
        self.send();
    }

    fn send(&self) {
        let state =
            self.jobs.locked().iter().map(|(state, _)| state).find(|state| state.id == self.id).cloned();
        if let Some(state) = state {
            self.jobs.tell(&serde_json::json!({ "event": "job", "job": state }));
        }
    }
}
