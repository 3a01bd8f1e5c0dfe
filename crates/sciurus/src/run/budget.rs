//! Training for a given time: how large the photos may be, and a fit whose schedule follows the clock.
//!
//! In: a learner, the time a run may take and when it began. Out: a trained learner, on time. What is trained depends on
//! the machine and on what else it does, so the same seed does not give the same weights here.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::Error;
use crate::learner::{BatchTimes, Control, Event, FineTune, HyperSchedule, Learner, Observer};
use crate::model::VisionModel;

/// Sides of the square that are considered besides the one asked for, in pixels.
const SIZES: [usize; 6] = [128, 160, 192, 224, 256, 288];
/// Fewer epochs than these are not worth their resolution: smaller photos give more of them.
const FEWEST_EPOCHS: f64 = 3.0;
/// So many epochs leave time for larger photos.
const PLENTY_OF_EPOCHS: f64 = 40.0;
/// What a step costs while the body is frozen, in steps of the whole network (measured: 0.55 to 0.7 on a CPU).
const FROZEN_COST: f64 = 0.65;
/// Kept back for writing the model and what the clock does not see (share of the budget).
const RESERVE: f64 = 0.02;

/// The time that a run may take, counted from when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    end: Instant,
}

/// A budget, and what batches take.
pub(super) type Timed = (Budget, BatchTimes);

impl Budget {
    /// A budget of some seconds.
    ///
    /// # Errors
    /// Less than ten seconds: reading the photos and measuring the machine would take most of them.
    pub(super) fn new(began: Instant, seconds: f64) -> Result<Self, Error> {
        if !(10.0..1e7).contains(&seconds) {
            let value = format!("{seconds} seconds");
            let expected = "choose 10 seconds or more, such as 60s, 5m or 2h";
            return Err(Error::BadOption { option: "time budget", value, expected });
        }
        Ok(Self { end: began + Duration::from_secs_f64(seconds * (1.0 - RESERVE)) })
    }

    fn left(&self) -> f64 {
        self.end.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    /// The side of the square (pixels) to train at, given what batches take at `size`: that size if it leaves a sensible
    /// number of epochs, else the nearest one that does.
    pub(super) fn image_size(&self, times: &BatchTimes, size: usize) -> usize {
        let scale = |side: usize| (side as f64 / size as f64).powi(2);
        let epochs = |side: usize| self.epochs(times, scale(side));
        let here = epochs(size);
        if here < FEWEST_EPOCHS {
            let smaller = SIZES.into_iter().rev().filter(|&side| side < size);
            return smaller
                .clone()
                .find(|&side| epochs(side) >= FEWEST_EPOCHS)
                .or(smaller.min())
                .unwrap_or(size);
        }
        if here > PLENTY_OF_EPOCHS {
            let larger =
                SIZES.into_iter().filter(|&side| side > size && epochs(side) >= PLENTY_OF_EPOCHS / 2.0);
            return larger.max().unwrap_or(size);
        }
        size
    }

    /// Epochs of the whole network that fit into what is left after one with a frozen body.
    fn epochs(&self, times: &BatchTimes, scale: f64) -> f64 {
        let (train, valid) = (times.train_epoch() * scale, times.valid_epoch() * scale);
        (self.left() - FROZEN_COST * train - valid) / (train + valid)
    }

    /// `fine_tune` by the clock: one frozen epoch, then the whole network until the time is up.
    pub(super) fn fine_tune(
        &self,
        learner: &mut Learner,
        options: &FineTune,
        times: &BatchTimes,
    ) -> Result<Control, Error> {
        learner.freeze();
        if options.freeze_epochs > 0 && learner.fit_one_cycle(options.frozen())? == Control::Stop {
            return Ok(Control::Stop);
        }
        learner.unfreeze();
        self.fit(learner, options.unfrozen().schedule(VisionModel::GROUPS)?, times)
    }

    /// A fit whose progress is the share of the time that is gone; it ends in time for its last validation.
    pub(super) fn fit(
        &self,
        learner: &mut Learner,
        schedule: HyperSchedule,
        times: &BatchTimes,
    ) -> Result<Control, Error> {
        let measured = times.valid_epoch();
        let clock = Clock {
            start: Instant::now(),
            end: self.end - Duration::from_secs_f64(measured.min(self.left())),
        };
        // More than fit, so that a machine that turns out faster is kept busy until the time is up.
        let epochs = (self.epochs(times, 1.0) * 1.2).ceil().max(1.0) as usize + 1;
        learner.observe(Deadline { end: clock.end });
        learner.fit_scheduled(epochs, &clock.drives(schedule))
    }
}

/// The time that a fit has.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    end: Instant,
}

impl Clock {
    /// Progress (0..=1) by the time that is gone.
    fn progress(self) -> f64 {
        let whole = self.end.saturating_duration_since(self.start).as_secs_f64().max(1e-3);
        (self.start.elapsed().as_secs_f64() / whole).min(1.0)
    }

    /// The schedule, at the clock's progress whatever the step is.
    fn drives(self, schedule: HyperSchedule) -> HyperSchedule {
        let schedule = Rc::new(schedule);
        let rate = |group: usize| {
            let schedule = Rc::clone(&schedule);
            move |_: f64| schedule.at(self.progress()).learning_rates[group]
        };
        let rates: Vec<_> = (0..VisionModel::GROUPS).map(rate).collect();
        let momentum = Rc::clone(&schedule);
        HyperSchedule::new(rates, move |_: f64| momentum.at(self.progress()).momentum)
    }
}

/// Ends a fit when its time is up.
#[derive(Debug)]
struct Deadline {
    end: Instant,
}

impl Observer for Deadline {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        let is_up = matches!(event, Event::BatchTrained { .. }) && Instant::now() >= self.end;
        Ok(if is_up { Control::Stop } else { Control::Continue })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(train_epoch: f64) -> BatchTimes {
        BatchTimes {
            train: Duration::from_secs_f64(train_epoch),
            valid: Duration::ZERO,
            steps: 1,
            valid_steps: 1,
        }
    }

    #[test]
    fn photos_shrink_where_time_is_short_and_grow_where_it_is_plenty() {
        let budget = Budget::new(Instant::now(), 100.0).unwrap();
        assert_eq!(budget.image_size(&times(10.0), 224), 224);
        assert_eq!(budget.image_size(&times(40.0), 224), 160);
        assert_eq!(budget.image_size(&times(1000.0), 224), 128);
        assert_eq!(budget.image_size(&times(1.0), 224), 288);
        assert_eq!(budget.image_size(&times(1000.0), 64), 64);
    }

    #[test]
    fn a_budget_too_short_to_measure_is_refused() {
        assert!(Budget::new(Instant::now(), 9.0).is_err());
        assert!(Budget::new(Instant::now(), f64::NAN).is_err());
    }

    #[test]
    fn the_schedule_follows_the_clock() {
        let start = Instant::now() - Duration::from_secs(5);
        let clock = Clock { start, end: start + Duration::from_secs(10) };
        let driven =
            clock.drives(HyperSchedule::new([|progress: f64| progress; 3], |progress: f64| progress / 2.0));
        let hyper = driven.at(0.9);
        assert!((hyper.learning_rates[2] - 0.5).abs() < 0.05, "{hyper:?}");
        assert!((hyper.momentum - 0.25).abs() < 0.03, "{hyper:?}");
    }
}
