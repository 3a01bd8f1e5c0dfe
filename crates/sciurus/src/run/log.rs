//! The observers that write a run's files: every event as a line of JSON, every epoch as a line of CSV.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sciurus_data::fs::Root;

use crate::Error;
use crate::learner::{Control, EpochRecord, Event, Observer};

/// Writes each event as one line of JSON. Lines are flushed as they are written, so that a killed run keeps its log.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Starts a log.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), file: create(path)? })
    }

    /// Continues the log of an interrupted run after its first `events` lines; later events will happen again.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn resume(path: &Path, events: u64) -> Result<Self, Error> {
        let io = |source| Error::io(path, source);
        let mut file = open(path)?;
        let mut kept = 0;
        let mut reader = BufReader::new(&mut file);
        let mut line = Vec::new();
        for _ in 0..events {
            line.clear();
            kept += reader.read_until(b'\n', &mut line).map_err(io)? as u64;
        }
        file.set_len(kept).and_then(|()| file.seek(SeekFrom::End(0))).map_err(io)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Observer for EventLog {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        let mut line = serde_json::to_vec(event).map_err(|error| Error::Observer(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| Error::io(&self.path, source))?;
        Ok(Control::Continue)
    }
}

/// Writes each epoch as one line: `epoch,train_loss,valid_loss,error_rate,…,time,phase,images_per_second` (losses in nats, time
/// in seconds).
#[derive(Debug)]
pub struct HistoryCsv {
    path: PathBuf,
    file: File,
    has_header: bool,
}

impl HistoryCsv {
    /// Starts a table.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), file: create(path)?, has_header: false })
    }

    /// Starts the table of an interrupted run again; its rows come with [`Event::Resumed`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn resume(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        file.set_len(0).map_err(|source| Error::io(path, source))?;
        Ok(Self { path: path.to_owned(), file, has_header: false })
    }

    fn write(&mut self, line: &str) -> Result<(), Error> {
        writeln!(self.file, "{line}").map_err(|source| Error::io(&self.path, source))
    }
}

impl Observer for HistoryCsv {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::FitStarted { metrics, .. } if !self.has_header => {
                self.has_header = true;
                self.write(&format!(
                    "epoch,train_loss,valid_loss,{},time,phase,images_per_second",
                    metrics.join(",")
                ))?;
            }
            Event::Resumed { rows, .. } => rows.iter().try_for_each(|record| self.write(&row(record)))?,
            Event::EpochEnded(record) => self.write(&row(record))?,
            _ => {}
        }
        Ok(Control::Continue)
    }
}

fn row(record: &EpochRecord) -> String {
    let metrics: Vec<String> = record.metrics.iter().map(|metric| format!("{:.6}", metric.value)).collect();
    format!(
        "{},{:.6},{:.6},{},{:.3},{},{:.2}",
        record.epoch,
        record.train_loss,
        record.valid_loss,
        metrics.join(","),
        record.elapsed.as_secs_f64(),
        format!("{:?}", record.phase).to_lowercase(),
        record.images_per_second,
    )
}

/// Opens a run's file. The run folder may come from anywhere, so links are not followed.
fn open(path: &Path) -> Result<File, Error> {
    let (root, name) = Root::of_file(path)?;
    root.open_or_create(&name).map_err(|source| Error::io(path, source))
}

fn create(path: &Path) -> Result<File, Error> {
    File::create_new(path).map_err(|source| Error::io(path, source))
}
