//! What a user sees while something runs: a bar and a table in a terminal, plain lines elsewhere, JSON lines on demand.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use sciurus::data::{Progress, Skipped};
use sciurus::{Control, DownloadProgress, EpochRecord, EpochTable, Error, Event, Listeners, Observer, Pace};

use crate::args::Show;
use crate::output::{announce, escaped, warn};
use crate::paint::Paint;

/// Adds the observer that fits how the output is to be shown.
///
/// `epochs` is the number of unfrozen epochs, so that the time left is known while the body is frozen; `end` is when the
/// training is over, where that is known.
pub(crate) fn observer(show: Show, epochs: usize, end: Option<Instant>) -> Box<dyn Observer> {
    match (show.json, show.quiet) {
        (true, _) => Box::new(JsonLines),
        (false, true) => Box::new(Quiet),
        (false, false) => Box::new(Table::new(epochs, end)),
    }
}

/// Shows nothing but photos that had to be left out.
#[derive(Debug)]
struct Quiet;

impl Observer for Quiet {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        if let Event::PhotosSkipped { skipped, .. } = event {
            tell_skipped(skipped);
        }
        Ok(Control::Continue)
    }
}

/// Names photos that were left out, on standard error.
fn tell_skipped(skipped: &[Skipped]) {
    skipped.iter().for_each(|photo| warn(format_args!("{} {photo}", Paint::Warning.on("left out"))));
}

/// Every event as a line of JSON.
#[derive(Debug)]
struct JsonLines;

impl Observer for JsonLines {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        let line = serde_json::to_string(event).map_err(|error| Error::Observer(error.to_string()))?;
        print_line(&escaped(&line))
    }
}

/// fastai's table, with a bar below it while an epoch runs.
#[derive(Debug)]
struct Table {
    bar: ProgressBar,
    plain: bool,
    told: Instant,
    table: EpochTable,
    pace: Pace,
    epochs: usize,
    steps: usize,
    epoch: usize,
    end: Option<Instant>,
}

/// How often plain output says how far it is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

impl Table {
    fn new(unfrozen_epochs: usize, end: Option<Instant>) -> Self {
        Self {
            end,
            bar: ProgressBar::hidden(),
            plain: !std::io::stderr().is_terminal(),
            told: Instant::now(),
            table: EpochTable::default(),
            pace: Pace::new(unfrozen_epochs),
            epochs: 0,
            steps: 0,
            epoch: 0,
        }
    }

    fn start(&mut self, event: &Event) -> Result<Control, Error> {
        let Event::FitStarted { epochs, steps, metrics, phase, .. } = event else {
            return Ok(Control::Continue);
        };
        (self.epochs, self.steps, self.epoch) = (*epochs, *steps, 0);
        self.table = EpochTable::new(metrics);
        let title = EpochTable::title(*phase);
        print_line(&format!("\n{title}\n{}", Paint::Strong.on(self.table.header())))?;
        let control = print_line(&self.table.rule())?;
        self.start_bar();
        Ok(control)
    }

    /// Before the first fit: how many photos the body has looked at.
    fn tell_embedded(&mut self, done: usize, total: usize) {
        if self.bar.is_hidden() && !self.plain {
            let style = ProgressStyle::with_template("{msg} {bar:24} {pos}/{len} photos  about {eta} left");
            self.bar = ProgressBar::new(total as u64);
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_message("looking at the photos");
        }
        self.bar.set_position(done as u64);
        if self.plain && self.told.elapsed() > PLAIN_INTERVAL {
            self.told = Instant::now();
            warn(format_args!("looking at the photos: {done} of {total}"));
        }
        if done == total {
            self.bar.finish_and_clear();
        }
    }

    /// Shows what was done before an interruption, and goes on from there.
    fn resume(&mut self, rows: &[EpochRecord], epoch: usize, step: usize) -> Result<Control, Error> {
        for row in &rows[rows.len().saturating_sub(epoch)..] {
            self.end_epoch(row)?;
        }
        self.bar.set_position(step as u64);
        Ok(Control::Continue)
    }

    fn start_bar(&mut self) {
        let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} batches  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar = if self.plain { ProgressBar::hidden() } else { ProgressBar::new(self.steps as u64) };
        self.bar.set_style(style);
        self.bar.set_prefix(format!("epoch {}", self.epoch));
        self.bar.tick();
    }

    fn tell(&mut self, what: &str) {
        let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
        let message =
            format!("{what}  about {} left", EpochTable::time(left.unwrap_or_else(|| self.pace.left())));
        if self.plain && self.told.elapsed() > PLAIN_INTERVAL {
            self.told = Instant::now();
            warn(format_args!("epoch {}: {message}", self.epoch));
        }
        self.bar.set_message(message);
    }

    fn end_epoch(&mut self, record: &EpochRecord) -> Result<Control, Error> {
        self.bar.finish_and_clear();
        self.told = Instant::now();
        self.epoch = record.epoch + 1;
        let control = print_line(&self.table.row(record))?;
        if self.epoch < self.epochs {
            self.start_bar();
        }
        Ok(control)
    }
}

impl Observer for Table {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        self.pace.observe(event);
        match event {
            Event::PhotosEmbedded { done, total } => self.tell_embedded(*done, *total),
            Event::FitStarted { .. } => return self.start(event),
            Event::Resumed { rows, epoch, step } => return self.resume(rows, *epoch, *step),
            Event::BatchTrained { step, train_loss, .. } => {
                self.bar.set_position(*step as u64 + 1);
                let speed = self.pace.images_per_second();
                self.tell(&format!("{speed:.0} images/s  loss {train_loss:.4}"));
            }
            Event::BatchValidated { .. } => self.tell("measuring"),
            Event::PhotosSkipped { skipped, .. } => {
                self.bar.suspend(|| tell_skipped(skipped));
            }
            Event::EpochEnded(record) => return self.end_epoch(record),
            _ => self.bar.finish_and_clear(),
        }
        Ok(Control::Continue)
    }
}

/// A bar over the rates that the learning rate finder tries; JSON lines where programs read.
#[derive(Debug)]
pub(crate) struct Rates(ProgressBar);

impl Rates {
    pub(crate) fn new(show: Show) -> Self {
        Self(bar(show, "trying learning rates"))
    }
}

impl Observer for Rates {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::RateTried { step, steps, .. } => {
                self.0.set_length(*steps as u64);
                self.0.set_position(*step as u64 + 1);
            }
            Event::PhotosSkipped { skipped, .. } => self.0.suspend(|| tell_skipped(skipped)),
            _ => {}
        }
        Ok(Control::Continue)
    }
}

impl Drop for Rates {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar over a known number of things, for work that is not a fit; hidden where output is not a terminal.
pub(crate) fn bar(show: Show, what: &'static str) -> ProgressBar {
    if show.quiet || show.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:24} {pos}/{len}  {speed}  about {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("speed", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = write!(text, "{:.0}/s", state.per_sec());
        });
    ProgressBar::new(0).with_style(style).with_message(what)
}

/// What is heard while photos are read and weights fetched: this bar, and one for a download.
pub(crate) fn listeners(show: Show, bar: &ProgressBar) -> Listeners {
    Listeners { on_scan: Box::new(follow(bar)), on_download: Box::new(download_bar(show)) }
}

/// Moves a bar as files are read or decoded.
pub(crate) fn follow(bar: &ProgressBar) -> impl Fn(Progress) + Send + Sync + 'static {
    let bar = bar.clone();
    move |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
    }
}

/// Shows a download of weights.
fn download_bar(show: Show) -> impl FnMut(DownloadProgress) + 'static {
    let bar = if show.quiet || show.json { ProgressBar::hidden() } else { ProgressBar::no_length() };
    let style =
        ProgressStyle::with_template("downloading weights {bar:24} {bytes}/{total_bytes}  about {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    move |progress| {
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.received);
        if progress.total == Some(progress.received) {
            bar.finish_and_clear();
        }
    }
}

/// One line on standard output. A reader that has gone, as `| head` does, does not end a training run.
fn print_line(line: &str) -> Result<Control, Error> {
    let lost = |source| Error::Io { path: "standard output".into(), source };
    announce(line).map(|()| Control::Continue).map_err(lost)
}
