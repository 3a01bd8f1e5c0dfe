//! The learning rate finder: a mock training with growing rates, and the rates that the losses suggest.
//!
//! In: a curve of losses by rate. Out: [`LrCurve`], with fastai's four suggestions. Source: fastai
//! `callback/schedule.py` (`LRFinder`, `valley`, `slide`, `minimum`, `steep`); the range test is Smith (2015).

use serde::{Deserialize, Serialize};

use sciurus_data::BadOption;

use crate::Error;

/// Options of [`Learner::lr_find`](crate::Learner::lr_find); fastai's `lr_find`.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `first` | 1e-7 | the first learning rate | above 0 |
/// | `last` | 10 | the rate that they grow towards, geometrically | above `first` |
/// | `steps` | 100 | batches, each with the next rate | at least 20 |
///
/// It stops early when the smoothed loss exceeds four times the best one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LrFind {
    /// The first learning rate.
    pub first: f64,
    /// The rate that they grow towards. As in fastai, the last step is one short of it.
    pub last: f64,
    /// Number of batches, each with the next rate.
    pub steps: usize,
}

impl Default for LrFind {
    fn default() -> Self {
        Self { first: 1e-7, last: 10.0, steps: 100 }
    }
}

/// The finder gives up when the smoothed loss exceeds this many times the best one; fastai's value.
const DIVERGED: f64 = 4.0;

impl LrFind {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        self.first * (self.last / self.first).powf(step as f64 / self.steps as f64)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        BadOption::check("steps", self.steps as f64, self.steps >= 20, "choose 20 or more")?;
        let parts = [
            ("first", self.first, self.first > 0.0),
            ("last", self.last, self.last > self.first && self.last.is_finite()),
        ];
        Ok(BadOption::check_parts("lr_find", &parts, "choose rates above 0, the last larger than the first")?)
    }
}

/// The losses of a mock training, and the learning rates that they suggest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrCurve {
    /// The learning rate of each step.
    pub learning_rates: Vec<f64>,
    /// Smoothed training loss (nats) after each step.
    pub losses: Vec<f64>,
    /// Rates to choose from; `None` if the curve is too short or the loss was NaN from the start.
    pub suggestions: Option<LrSuggestions>,
}

/// Learning rates that a curve suggests.
///
/// ```
/// use sciurus::LrSuggestions;
///
/// // A loss that falls over two decades and then rises.
/// let rates: Vec<f64> = (0..60).map(|i| 1e-5 * 1.2_f64.powi(i)).collect();
/// let losses: Vec<f64> = (0..60).map(|i| 1.0 + ((i as f64 - 40.0) / 20.0).powi(2)).collect();
/// let suggestions = LrSuggestions::of(&rates, &losses).unwrap();
/// assert!(suggestions.valley < rates[40]);
/// assert_eq!(suggestions.minimum, rates[40] / 10.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LrSuggestions {
    /// The middle of the longest stretch over which the loss falls. If in doubt, take this one.
    pub valley: f64,
    /// Going from high rates to low ones, the last rate before the slope stops changing.
    pub slide: f64,
    /// A tenth of the rate with the lowest loss.
    pub minimum: f64,
    /// Where the loss falls fastest.
    pub steep: f64,
}

impl LrCurve {
    /// Makes suggestions from the curve, up to its first NaN, without the first tenth of `steps` and the last five steps.
    pub(super) fn new(learning_rates: Vec<f64>, losses: Vec<f64>, steps: usize) -> Self {
        let begin = (steps / 10).min(losses.len());
        let end = losses.len().saturating_sub(5).max(begin);
        let sound = losses[begin..end].iter().take_while(|loss| !loss.is_nan()).count();
        let range = begin..begin + sound;
        let suggestions = LrSuggestions::of(&learning_rates[range.clone()], &losses[range]);
        Self { learning_rates, losses, suggestions }
    }
}

impl LrSuggestions {
    /// The suggestions for smoothed losses (nats) at these rates; `None` for fewer than two points.
    ///
    /// fastai keeps rates and losses in f32. These functions do the same where it decides an index.
    pub fn of(learning_rates: &[f64], losses: &[f64]) -> Option<Self> {
        if losses.len() < 2 || learning_rates.len() != losses.len() {
            return None;
        }
        let losses: Vec<f32> = losses.iter().map(|loss| *loss as f32).collect();
        Some(Self {
            valley: learning_rates[valley(&losses)],
            slide: learning_rates[slide(&losses)],
            minimum: learning_rates[lowest(&losses)] / 10.0,
            steep: learning_rates[steepest(learning_rates, &losses)],
        })
    }
}

/// The index in the middle of the longest strictly falling subsequence: one and a half thirds of its length after its start,
/// rounded like fastai. fastai computes the start as the end minus the length, which is -1 if the whole curve falls; Python
/// then counts from the end, and so do we.
fn valley(losses: &[f32]) -> usize {
    let mut lengths = vec![1_usize; losses.len()];
    let (mut start, mut end) = (0, 0);
    for i in 1..losses.len() {
        for j in 0..i {
            if losses[i] < losses[j] && lengths[i] < lengths[j] + 1 {
                lengths[i] = lengths[j] + 1;
            }
            if lengths[end] < lengths[i] {
                end = i;
                start = end as i64 - lengths[end] as i64;
            }
        }
    }
    let section = (end as i64 - start) as f64 / 3.0;
    let index = start + section as i64 + (section / 2.0) as i64;
    index.rem_euclid(losses.len() as i64) as usize
}

/// Moves an interval of 15 steps from right to left while the slopes at its ends differ.
fn slide(losses: &[f32]) -> usize {
    const INTERVAL: usize = 15;
    const THRESHOLD: f32 = 0.005;
    let slopes = slopes(losses);
    let Some(first) = losses.len().checked_sub(INTERVAL + 1) else { return 0 };
    let differs = |left: &usize| (slopes[left + INTERVAL] - slopes[*left]).abs() > THRESHOLD;
    (0..=first).rev().take_while(differs).last().unwrap_or(first)
}

/// `numpy.gradient`: central differences, one-sided at the ends.
fn slopes(values: &[f32]) -> Vec<f32> {
    let last = values.len() - 1;
    let slope = |i: usize| match i {
        0 => values[1] - values[0],
        i if i == last => values[last] - values[last - 1],
        i => (values[i + 1] - values[i - 1]) / 2.0,
    };
    (0..values.len()).map(slope).collect()
}

fn lowest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] < values[best] { i } else { best })
}

fn steepest(learning_rates: &[f64], losses: &[f32]) -> usize {
    let logs: Vec<f32> = learning_rates.iter().map(|rate| (*rate as f32).ln()).collect();
    let slopes: Vec<f32> =
        (1..losses.len()).map(|i| (losses[i] - losses[i - 1]) / (logs[i] - logs[i - 1])).collect();
    lowest(&slopes)
}

/// Whether to end a mock training, because the loss has risen far above the best one or is NaN.
pub(super) fn has_diverged(loss: f64, best: f64) -> bool {
    loss > DIVERGED * best || !loss.is_finite()
}
