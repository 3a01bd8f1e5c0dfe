//! The observers that write a run's files: every event as a line of JSON, every epoch as a line of CSV.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

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
}

impl Observer for EventLog {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        let mut line = serde_json::to_vec(event).map_err(|error| Error::Observer(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| Error::io(&self.path, source))?;
        Ok(Control::Continue)
    }
}

/// Writes each epoch as one line: `epoch,train_loss,valid_loss,error_rate,…,time,phase,images_per_second` (losses in nats, time in seconds).
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

fn create(path: &Path) -> Result<File, Error> {
    File::create_new(path).map_err(|source| Error::io(path, source))
}
