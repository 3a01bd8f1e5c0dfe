//! The observer that writes event files for TensorBoard. In: events. Out: `events.out.tfevents.*` in a folder.
//!
//! Format: records of `length (u64), masked CRC-32C of the length (u32), data, masked CRC-32C of the data (u32)`, little
//! endian. The data are protocol buffers (TensorFlow's `event.proto` and `summary.proto`, of which only scalars are used).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use sciurus_data::fs::{InsidePath, Root};

use crate::Error;
use crate::learner::{Control, EpochRecord, Event, Observer};

/// Writes losses, learning rates, momentum, speed and metrics as scalars for TensorBoard.
///
/// Steps are training batches, counted over all fits. A resumed run adds a second file to the folder, which says at which step
/// it begins. TensorBoard shows both as one curve, and ignores what the first file has from that step on.
///
/// ```no_run
/// use sciurus::prelude::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dls = ImageDataLoaders::from_folder("squirrels").build()?;
/// let mut learner = vision_learner(dls, Arch::ResNet18).observer(TensorBoard::create("logs".as_ref())?).build()?;
/// learner.fine_tune(4)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
    /// Training batches of one epoch, and epochs before this fit.
    steps: usize,
    epochs_before: usize,
    epochs_done: usize,
    /// Whether this file has recorded at which step it begins.
    has_begun: bool,
    /// The last row of the table before this file.
    row_before: Option<EpochRecord>,
}

impl TensorBoard {
    /// Starts an event file in a folder, which is created if necessary.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let (seconds, process) = (now() as u64, std::process::id());
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.sciurus.{process}"));
        let wrong = |source| Error::io(&path, source);
        // The run folder may come from anywhere, so the folder of events might be a link.
        let root = Root::create(folder.parent().unwrap_or(Path::new("")))?;
        let inside = path.strip_prefix(root.path()).map_err(|error| wrong(std::io::Error::other(error)))?;
        let inside = InsidePath::new(inside).map_err(|error| wrong(std::io::Error::other(error)))?;
        let file = root.create_new(&inside).map_err(wrong)?;
        let mut board = Self {
            path,
            file,
            steps: 0,
            epochs_before: 0,
            epochs_done: 0,
            has_begun: false,
            row_before: None,
        };
        board.write(&Record {
            wall_time: now(),
            file_version: Some("brain.Event:2".to_owned()),
            ..Record::default()
        })?;
        Ok(board)
    }

    fn scalars(&mut self, step: usize, values: Vec<(String, f64)>) -> Result<(), Error> {
        let value =
            values.into_iter().map(|(tag, value)| Scalar { tag, simple_value: Some(value as f32) }).collect();
        self.write(&Record {
            wall_time: now(),
            step: step as i64,
            summary: Some(Summary { value }),
            ..Record::default()
        })
    }

    /// Marks the events of earlier files from this step on as superseded, and writes the row of an epoch that ended exactly
    /// there again.
    fn begin(&mut self, step: usize) -> Result<(), Error> {
        let session_log = Some(SessionLog { status: SESSION_START });
        self.write(&Record { wall_time: now(), step: step as i64, session_log, ..Record::default() })?;
        match self.row_before.take().filter(|_| step == self.epochs_done * self.steps) {
            Some(row) => self.row(&row),
            None => Ok(()),
        }
    }

    /// Writes the row of the epoch that has just ended.
    fn row(&mut self, row: &EpochRecord) -> Result<(), Error> {
        let mut values = vec![
            ("valid/loss".to_owned(), row.valid_loss),
            ("images_per_second".to_owned(), row.images_per_second),
        ];
        values.extend(row.metrics.iter().map(|metric| (format!("valid/{}", metric.name), metric.value)));
        self.scalars(self.epochs_done * self.steps, values)
    }

    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let data = record.encode_to_vec();
        let length = (data.len() as u64).to_le_bytes();
        let parts =
            [&length[..], &masked_crc(&length).to_le_bytes(), &data, &masked_crc(&data).to_le_bytes()];
        // A single write, so that a killed run leaves only complete records.
        self.file.write_all(&parts.concat()).map_err(|source| Error::io(&self.path, source))
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        match event {
            Event::FitStarted { steps, .. } => {
                (self.steps, self.epochs_before) = (*steps, self.epochs_done);
            }
            Event::Resumed { rows, epoch, .. } => {
                (self.epochs_done, self.epochs_before) = (rows.len(), rows.len() - epoch);
                self.row_before = rows.last().cloned();
            }
            Event::BatchTrained { epoch, step, loss, train_loss, learning_rates, momentum, .. } => {
                let of_group = |(group, rate): (usize, &f64)| (format!("learning_rate/group_{group}"), *rate);
                let mut values = vec![
                    ("train/batch_loss".to_owned(), *loss),
                    ("train/loss".to_owned(), *train_loss),
                    ("momentum".to_owned(), *momentum),
                ];
                values.extend(learning_rates.iter().enumerate().map(of_group));
                let step = (self.epochs_before + epoch) * self.steps + step;
                if !std::mem::replace(&mut self.has_begun, true) {
                    self.begin(step)?;
                }
                self.scalars(step, values)?;
            }
            Event::EpochEnded(row) => {
                self.epochs_done += 1;
                self.row(row)?;
            }
            _ => {}
        }
        Ok(Control::Continue)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// TensorFlow's masking, because a CRC of data that contains CRCs is weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `tensorflow.SessionLog.SessionStatus.START`.
const SESSION_START: i32 = 1;

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::learner::Phase;

    /// The records of a file, with verified checksums.
    fn records(bytes: &[u8]) -> Vec<Record> {
        let (mut rest, mut records) = (bytes, Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            for (of, at) in [(&rest[..8], 8), (data, 12 + length)] {
                assert_eq!(masked_crc(of).to_le_bytes(), rest[at..at + 4]);
            }
            records.push(Record::decode(data).unwrap());
            rest = &rest[16 + length..];
        }
        records
    }

    #[test]
    fn checksums_are_those_of_tensorflow() {
        // The check value of CRC-32C (RFC 3720) is e3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked_crc(b"123456789"), 0xc78a_b0e5);
    }

    fn started() -> Event {
        Event::FitStarted { phase: Phase::Frozen, epochs: 1, steps: 3, valid_steps: 1, metrics: vec![] }
    }

    fn batch(epoch: usize, step: usize) -> Event {
        Event::BatchTrained {
            epoch,
            step,
            loss: 0.5,
            train_loss: 0.25,
            learning_rates: vec![1e-3, 2e-3],
            momentum: 0.9,
            images: 8,
            elapsed: Duration::ZERO,
            waited: Duration::ZERO,
        }
    }

    fn row(epoch: usize) -> EpochRecord {
        EpochRecord {
            phase: Phase::Frozen,
            epoch,
            train_loss: 0.1,
            valid_loss: 0.75,
            metrics: vec![],
            elapsed: Duration::ZERO,
            waited: Duration::ZERO,
            images_per_second: 10.0,
        }
    }

    /// What is written for some events, after the record of the format.
    fn written(events: &[Event]) -> Vec<Record> {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(folder.path()).unwrap();
        events.iter().for_each(|event| assert_eq!(board.observe(event).unwrap(), Control::Continue));
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        assert!(file.file_name().to_string_lossy().starts_with("events.out.tfevents."));
        let mut records = records(&std::fs::read(file.path()).unwrap());
        assert_eq!(records.remove(0).file_version.as_deref(), Some("brain.Event:2"));
        records
    }

    #[test]
    fn a_file_says_where_it_begins_and_keeps_the_epoch_that_ended_there() {
        let session = |record: &Record| record.session_log.is_some();
        let resumed = |rows: Vec<EpochRecord>, step| Event::Resumed { epoch: rows.len(), rows, step };
        let at_start = written(&[started(), resumed(vec![row(0)], 0), batch(1, 0)]);
        assert_eq!(at_start.iter().map(session).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(at_start.iter().map(|record| record.step).collect::<Vec<_>>(), [3, 3, 3]);
        let row_again = at_start[1].summary.clone().unwrap();
        assert_eq!(row_again.value[0].tag, "valid/loss");
        let within = written(&[started(), resumed(vec![row(0)], 1), batch(1, 1)]);
        assert_eq!(within.iter().map(|record| record.step).collect::<Vec<_>>(), [4, 4]);
    }

    #[test]
    fn every_batch_and_epoch_is_a_step() {
        let end = || Event::EpochEnded(row(0));
        let records =
            written(&[started(), batch(0, 2), end(), started(), batch(0, 1), end(), started(), batch(1, 0)]);
        let steps: Vec<i64> = records.iter().map(|record| record.step).collect();
        assert_eq!(steps, [2, 2, 3, 4, 6, 9]);
        assert_eq!(records[0].session_log, Some(SessionLog { status: SESSION_START }));
        let scalars = |record: &Record| -> Vec<(String, Option<f32>)> {
            let values = record.summary.clone().unwrap().value;
            values.into_iter().map(|scalar| (scalar.tag, scalar.simple_value)).collect()
        };
        let batch = scalars(&records[1]);
        assert!(batch.contains(&("train/batch_loss".into(), Some(0.5))), "{batch:?}");
        assert!(batch.contains(&("learning_rate/group_1".into(), Some(2e-3))), "{batch:?}");
        assert!(scalars(&records[2]).contains(&("valid/loss".into(), Some(0.75))));
    }
}
