//! Events of a fit, and the observers that see them.
//!
//! The terminal's progress bar, the run's log and a web page all observe one stream of [`Event`]s.

use std::fmt::Debug;
use std::time::Duration;

use sciurus_data::{Skipped, Split};
use sciurus_insight::Measured;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Which part of the model a fit trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The head and all norm layers.
    Frozen,
    /// The late layers of the body, the head and all norm layers.
    PartlyFrozen,
    /// The whole model.
    Unfrozen,
}

/// Something that happened in a fit. Losses are in nats, times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A fit begins.
    FitStarted {
        /// Which part trains.
        phase: Phase,
        /// Number of epochs. There will be fewer if an observer ends the fit, as a time budget does.
        epochs: usize,
        /// Training batches in each epoch.
        steps: usize,
        /// Validation batches after each epoch.
        valid_steps: usize,
        /// Names of the metrics, in the order of the table.
        metrics: Vec<String>,
    },
    /// The fit that began continues an interrupted one, from a checkpoint.
    Resumed {
        /// Rows of the table so far, those of earlier fits included.
        rows: Vec<EpochRecord>,
        /// The epoch it continues in, which is also how many of the last rows belong to this fit.
        epoch: usize,
        /// The step it continues with.
        step: usize,
    },
    /// The body has looked at training photos, so that the head can begin as a linear classifier; before the first fit.
    PhotosEmbedded {
        /// Photos so far.
        done: usize,
        /// All training photos.
        total: usize,
    },
    /// A training batch is done.
    BatchTrained {
        /// Epoch, counted from 0 in each fit.
        epoch: usize,
        /// Step, counted from 0 in each epoch.
        step: usize,
        /// Loss of this batch.
        loss: f64,
        /// Smoothed loss of the fit so far: the table's `train_loss`.
        train_loss: f64,
        /// Learning rate of each parameter group.
        learning_rates: Vec<f64>,
        /// Momentum (0..1).
        momentum: f64,
        /// Images in this batch.
        images: usize,
        /// Time this batch took, including waiting for it.
        #[serde(with = "seconds")]
        elapsed: Duration,
        /// Time spent waiting for images.
        #[serde(with = "seconds")]
        waited: Duration,
    },
    /// The learning rate finder has tried a rate.
    RateTried {
        /// Step, counted from 0.
        step: usize,
        /// The largest number of steps.
        steps: usize,
        /// The learning rate of every parameter group.
        learning_rate: f64,
        /// Smoothed loss after it.
        loss: f64,
    },
    /// A validation batch is done.
    BatchValidated {
        /// Step, counted from 0.
        step: usize,
        /// Images in this batch.
        images: usize,
    },
    /// Some photos could not be read and were left out.
    PhotosSkipped {
        /// The split they were in.
        split: Split,
        /// The photos, each with its reason.
        skipped: Vec<Skipped>,
    },
    /// An epoch is done: a row of the table.
    EpochEnded(EpochRecord),
    /// A fit is done.
    FitEnded {
        /// Which part trained.
        phase: Phase,
        /// Time of the whole fit.
        #[serde(with = "seconds")]
        elapsed: Duration,
    },
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Which part trained.
    pub phase: Phase,
    /// Epoch, counted from 0 in each fit.
    pub epoch: usize,
    /// Smoothed training loss (nats).
    pub train_loss: f64,
    /// Mean validation loss (nats).
    pub valid_loss: f64,
    /// Metrics on the validation set, without intervals.
    pub metrics: Vec<Measured>,
    /// Time of the epoch, including validation.
    #[serde(rename = "time", with = "seconds")]
    pub elapsed: Duration,
    /// Time spent waiting for training images.
    #[serde(with = "seconds")]
    pub waited: Duration,
    /// Training speed, without validation.
    pub images_per_second: f64,
}

/// What an observer asks for. If several observers disagree, the greatest value wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Control {
    /// Go on.
    Continue,
    /// End this fit after this batch, and go on with the next fit of the recipe, if there is one (as in
    /// [`Learner::fine_tune`](crate::Learner::fine_tune)): fastai's `CancelFitException`.
    EndFit,
    /// End this fit after this batch, and don't begin another. Everything measured so far stays.
    Stop,
}

/// Sees every [`Event`]. An observer may ask to stop, but cannot change anything else.
///
/// ```
/// use sciurus::{Control, Error, Event, Observer};
///
/// #[derive(Debug)]
/// struct StopAfterFirstEpoch;
///
/// impl Observer for StopAfterFirstEpoch {
///     fn observe(&mut self, event: &Event) -> Result<Control, Error> {
///         Ok(match event {
///             Event::EpochEnded(_) => Control::Stop,
///             _ => Control::Continue,
///         })
///     }
/// }
/// ```
pub trait Observer: Debug {
    /// Handles one event.
    ///
    /// # Errors
    /// The observer failed, for example because its file cannot be written. The fit then ends with this error.
    fn observe(&mut self, event: &Event) -> Result<Control, Error>;
}

/// An observer that is chosen at run time.
impl Observer for Box<dyn Observer> {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        self.as_mut().observe(event)
    }
}

/// The table rows of all fits of a learner, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One per epoch.
    pub epochs: Vec<EpochRecord>,
}

/// Durations as seconds, the unit of every file we write.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
