//! Schedules: learning rates and momentum as functions of progress.
//!
//! In: progress 0..=1 through a fit. Out: the value to use for that batch. Everything here reproduces fastai's numbers
//! bit for bit, which is why positions are kept in f32, as fastai does.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value as a function of progress (0..=1) through a fit. Any `Fn(f64) -> f64` is a schedule.
///
/// ```
/// use sciurus::Schedule;
/// let linear = |progress: f64| 1.0 - progress;
/// assert_eq!(linear.at(0.25), 0.75);
/// ```
pub trait Schedule {
    /// The value at `progress` (0..=1).
    fn at(&self, progress: f64) -> f64;
}

impl<F: Fn(f64) -> f64> Schedule for F {
    fn at(&self, progress: f64) -> f64 {
        self(progress)
    }
}

/// Half a cosine wave from `start` to `end`: `start + (1 + cos(pi (1 - progress))) (end - start) / 2`.
///
/// Source: fastai `sched_cos`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cosine {
    /// Value at progress 0.
    pub start: f64,
    /// Value at progress 1.
    pub end: f64,
}

impl Schedule for Cosine {
    fn at(&self, progress: f64) -> f64 {
        let risen = 1.0 + (std::f64::consts::PI * (1.0 - progress)).cos();
        self.start + risen * (self.end - self.start) / 2.0
    }
}

/// A cosine from `start` to `middle` over the first `pct_start` of a fit, then one from `middle` to `end`.
///
/// Source: fastai `combined_cos`, which keeps positions in f32; so does this.
///
/// ```
/// use sciurus::{CombinedCosine, Schedule};
/// let rate = CombinedCosine { pct_start: 0.3, start: 1.0, middle: 2.0, end: 0.0 };
/// assert_eq!(rate.at(0.0), 1.0);
/// assert_eq!(rate.at(0.3), 2.0);
/// assert_eq!(rate.at(1.0), 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CombinedCosine {
    /// Share (0..1) of the fit that leads from `start` to `middle`.
    pub pct_start: f64,
    /// Value at progress 0.
    pub start: f64,
    /// Value at progress `pct_start`.
    pub middle: f64,
    /// Value at progress 1.
    pub end: f64,
}

impl Schedule for CombinedCosine {
    fn at(&self, progress: f64) -> f64 {
        let joint = self.pct_start as f32;
        let last = joint + (1.0 - self.pct_start) as f32;
        let position = progress as f32;
        if position < joint {
            Cosine { start: self.start, end: self.middle }.at(f64::from(position / joint))
        } else {
            Cosine { start: self.middle, end: self.end }.at(f64::from((position - joint) / (last - joint)))
        }
    }
}

/// Learning rates of the parameter groups, like fastai's `slice`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningRates {
    /// The same rate for every group: `lr`.
    Same(f64),
    /// This rate for the head, a tenth of it for all groups before: `slice(lr)`.
    Head(f64),
    /// Geometric steps from the first group to the head: `slice(first, head)`.
    Spread {
        /// Rate of the first group.
        first: f64,
        /// Rate of the head.
        head: f64,
    },
}

impl From<f64> for LearningRates {
    fn from(rate: f64) -> Self {
        LearningRates::Same(rate)
    }
}

impl fmt::Display for LearningRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(rate) | Self::Head(rate) => rate.fmt(f),
            Self::Spread { first, head } => write!(f, "{first} to {head}"),
        }
    }
}

impl LearningRates {
    /// The rate of each of `groups` groups, the head last.
    ///
    /// ```
    /// use sciurus::LearningRates;
    /// assert_eq!(LearningRates::Head(2e-3).by_group(3), [2e-4, 2e-4, 2e-3]);
    /// ```
    pub fn by_group(self, groups: usize) -> Vec<f64> {
        let last = groups.saturating_sub(1);
        match self {
            LearningRates::Same(rate) => vec![rate; groups],
            LearningRates::Head(rate) => {
                (0..groups).map(|group| if group == last { rate } else { rate / 10.0 }).collect()
            }
            LearningRates::Spread { first, head } => {
                let step = (head / first).powf(1.0 / last.max(1) as f64);
                (0..groups).map(|group| first * step.powf(group as f64)).collect()
            }
        }
    }

    /// Whether every rate is a positive number.
    pub(crate) fn is_valid(self) -> bool {
        self.by_group(2).into_iter().all(|rate| rate.is_finite() && rate > 0.0)
    }
}

/// The optimizer's hyperparameters for one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    /// Learning rate of each parameter group.
    pub learning_rates: Vec<f64>,
    /// Momentum (0..1) of all groups.
    pub momentum: f64,
}

/// Learning rates and momentum over a whole fit: one schedule for each parameter group, and one for momentum.
///
/// ```
/// use sciurus::HyperSchedule;
/// let schedules = HyperSchedule::new([|progress: f64| 1e-3 * (1.0 - progress); 3], |_: f64| 0.9);
/// assert_eq!(schedules.at(0.5).learning_rates, [5e-4; 3]);
/// ```
pub struct HyperSchedule {
    learning_rates: Vec<Box<dyn Schedule>>,
    momentum: Box<dyn Schedule>,
}

impl HyperSchedule {
    /// A schedule for each parameter group, the head last, and one for momentum.
    pub fn new<S: Schedule + 'static>(
        learning_rates: impl IntoIterator<Item = S>,
        momentum: impl Schedule + 'static,
    ) -> Self {
        let boxed = |schedule| Box::new(schedule) as Box<dyn Schedule>;
        Self { learning_rates: learning_rates.into_iter().map(boxed).collect(), momentum: Box::new(momentum) }
    }

    /// The hyperparameters at `progress` (0..=1).
    pub fn at(&self, progress: f64) -> Hyper {
        Hyper {
            learning_rates: self.learning_rates.iter().map(|rate| rate.at(progress)).collect(),
            momentum: self.momentum.at(progress),
        }
    }
}

impl std::fmt::Debug for HyperSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HyperSchedule({:?} to {:?})", self.at(0.0), self.at(1.0))
    }
}

/// Progress (0..1) at each batch of an epoch, summed like fastai's: `epoch / epochs`, plus `1 / (steps * epochs)` per step. The
/// iterator is endless.
pub(crate) fn positions(epoch: usize, epochs: usize, steps: usize) -> impl Iterator<Item = f64> {
    let start = epoch as f64 / epochs as f64;
    let increment = 1.0 / (steps as f64 * epochs as f64);
    std::iter::successors(Some(start), move |position| Some(position + increment))
}
