//! Trains within a time budget: chooses the image size, and runs a fit whose schedule follows the clock.
//!
//! In: a learner, the time a run may take and when it began. Out: a trained learner, on time. How much is trained depends on
//! the machine and its load, so the same seed does not give the same weights here.

use std::rc::Rc;
use std::time::{Duration, Instant};

use sciurus_data::BadOption;

use crate::Error;
use crate::learner::{
    BatchTimes, Control, Event, FineTune, HyperSchedule, Learner, Observer, OneCycle, Phase,
};
use crate::model::VisionModel;

/// Image sizes (pixels) that are considered besides the given one.
const SIZES: [usize; 6] = [128, 160, 192, 224, 256, 288];
/// If fewer epochs than this fit into the budget, smaller images are better, because they allow more epochs.
const FEWEST_EPOCHS: f64 = 3.0;
/// If more epochs than this fit into the budget, there is time for larger images.
const PLENTY_OF_EPOCHS: f64 = 40.0;
/// Cost of a step with a frozen body, relative to a step of the whole network (measured: 0.55 to 0.7 on a CPU).
const FROZEN_COST: f64 = 0.65;
/// Largest share of the remaining time that the fit with a frozen body may take.
const FROZEN_SHARE: f64 = 0.5;
/// A fit is started with this many times the epochs that fit, so that the clock ends it, even if the machine was busy when
/// it was measured.
const MORE_THAN_FIT: f64 = 10.0;
/// Share of the budget kept back for writing the model and for work that is not timed.
const RESERVE: f64 = 0.02;

/// The time that a run may take, counted from when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    end: Instant,
}

/// A budget, and the time that batches take.
pub(super) type Timed = (Budget, BatchTimes);

impl Budget {
    /// A budget of some seconds.
    ///
    /// # Errors
    /// Less than ten seconds: reading the photos and measuring the machine would take most of them.
    pub(super) fn new(began: Instant, seconds: f64) -> Result<Self, Error> {
        if !(10.0..1e7).contains(&seconds) {
            let value = format!("{seconds} seconds");
            let expected = "choose at least 10 seconds, such as 60s, 5m or 2h";
            return Err(Error::BadOption(BadOption { option: "time_budget", value, advice: expected }));
        }
        Ok(Self { end: began + Duration::from_secs_f64(seconds * (1.0 - RESERVE)) })
    }

    /// The budget minus the time needed after training.
    pub(super) fn without(self, after: Duration) -> Self {
        Self { end: self.end.checked_sub(after).unwrap_or(self.end) }
    }

    /// When training must end.
    pub(super) fn end(self) -> Instant {
        self.end
    }

    fn left(&self) -> f64 {
        self.end.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    /// The image size (pixels) to train at, given the time of batches at `size`: `size` itself if a sensible number of epochs
    /// fits after those with a frozen body, else the nearest size for which it does.
    pub(super) fn image_size(&self, times: &BatchTimes, frozen: usize, size: usize) -> usize {
        let scale = |side: usize| (side as f64 / size as f64).powi(2);
        let epochs = |side: usize| self.epochs(times, frozen, scale(side));
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

    /// Epochs of the whole network that fit into the time left after the epochs with a frozen body: `frozen` of them, or as
    /// many as fit.
    fn epochs(&self, times: &BatchTimes, frozen: usize, scale: f64) -> f64 {
        let (train, valid) = (times.train_epoch() * scale, times.valid_epoch() * scale);
        let before = (frozen as f64 * (FROZEN_COST * train + valid)).min(FROZEN_SHARE * self.left());
        (self.left() - before) / (train + valid)
    }

    /// `fine_tune` by the clock: first the frozen epochs (at most half of the time, but at least one epoch), then the whole
    /// network until the time is up.
    pub(super) fn fine_tune(
        &self,
        learner: &mut Learner,
        options: &FineTune,
        times: &BatchTimes,
    ) -> Result<Control, Error> {
        learner.start_head(options.head_start)?;
        if options.freeze_epochs > 0 {
            let share = FROZEN_SHARE * self.left();
            let epoch = FROZEN_COST * times.train_epoch() + times.valid_epoch();
            let epochs = ((share / epoch) as usize).clamp(1, options.freeze_epochs);
            learner.freeze();
            learner.observe(Deadline::new(Phase::Frozen, Instant::now() + Duration::from_secs_f64(share)));
            if learner.fit_one_cycle(OneCycle { epochs, ..options.frozen() })? == Control::Stop {
                return Ok(Control::Stop);
            }
        }
        learner.unfreeze();
        self.fit(learner, options.unfrozen().schedule(VisionModel::GROUPS)?, times)
    }

    /// Runs a fit whose progress is the share of time used up. It ends early enough for the last validation.
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
        let epochs = (self.epochs(times, 0, 1.0).max(1.0) * MORE_THAN_FIT).ceil() as usize;
        learner.observe(Deadline::new(Phase::Unfrozen, clock.end));
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
    /// Progress (0..=1): the share of time used up.
    fn progress(self) -> f64 {
        let whole = self.end.saturating_duration_since(self.start).as_secs_f64().max(1e-3);
        (self.start.elapsed().as_secs_f64() / whole).min(1.0)
    }

    /// The schedule driven by the clock's progress instead of the step.
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

/// Ends a fit of a phase when its time is up.
#[derive(Debug)]
struct Deadline {
    phase: Phase,
    end: Instant,
    /// Whether the current fit belongs to that phase.
    is_watching: bool,
}

impl Deadline {
    fn new(phase: Phase, end: Instant) -> Self {
        Self { phase, end, is_watching: false }
    }
}

impl Observer for Deadline {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        if let Event::FitStarted { phase, .. } = event {
            self.is_watching = *phase == self.phase;
        }
        let is_up =
            self.is_watching && matches!(event, Event::BatchTrained { .. }) && Instant::now() >= self.end;
        Ok(if is_up { Control::EndFit } else { Control::Continue })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{Listeners, TrainSettings, draw_demo};

    fn times(train_epoch: f64) -> BatchTimes {
        BatchTimes {
            train: Duration::from_secs_f64(train_epoch),
            valid: Duration::ZERO,
            steps: 1,
            valid_steps: 1,
            test: Duration::ZERO,
        }
    }

    #[test]
    fn photos_shrink_where_time_is_short_and_grow_where_it_is_plenty() {
        let budget = Budget::new(Instant::now(), 100.0).unwrap();
        assert_eq!(budget.image_size(&times(10.0), 1, 224), 224);
        assert_eq!(budget.image_size(&times(40.0), 1, 224), 160);
        assert_eq!(budget.image_size(&times(1000.0), 1, 224), 128);
        assert_eq!(budget.image_size(&times(1.0), 1, 224), 288);
        assert_eq!(budget.image_size(&times(1000.0), 1, 64), 64);
    }

    /// Records every learning rate of the head.
    #[derive(Debug, Clone, Default)]
    struct Rates(Rc<RefCell<Vec<f64>>>);

    impl Observer for Rates {
        fn observe(&mut self, event: &Event) -> Result<Control, Error> {
            if let Event::BatchTrained { learning_rates, .. } = event {
                self.0.borrow_mut().extend(learning_rates.last());
            }
            Ok(Control::Continue)
        }
    }

    #[test]
    fn frozen_epochs_leave_time_for_the_whole_network_whose_rates_come_down_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        draw_demo(&photos, 20, 42).unwrap();
        let mut learner = TrainSettings::small(&photos).learner(Listeners::default()).unwrap();
        let rates = Rates::default();
        learner.observe(rates.clone());
        let mut times = learner.time_batches().unwrap();
        // As if measured on a busy machine: the real steps are five times as fast.
        (times.train, times.valid) = (times.train * 5, times.valid * 5);
        let budget = Budget { end: Instant::now() + Duration::from_secs(4) };
        let control = budget.fine_tune(&mut learner, &FineTune::new(1).freeze_epochs(100_000), &times);
        assert_eq!(control.unwrap(), Control::Continue);
        let late = Instant::now().saturating_duration_since(budget.end);
        assert!(late < Duration::from_secs(4), "ended {late:?} late");
        let phases: Vec<Phase> = learner.history().epochs.iter().map(|row| row.phase).collect();
        assert!(phases.starts_with(&[Phase::Frozen]) && phases.ends_with(&[Phase::Unfrozen]), "{phases:?}");
        let rates = rates.0.borrow();
        let (highest, last) = (rates.iter().copied().fold(0.0, f64::max), rates[rates.len() - 1]);
        assert!(last < highest / 100.0, "the last rate is {last}, the highest was {highest}");
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
