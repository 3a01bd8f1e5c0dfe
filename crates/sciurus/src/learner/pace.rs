//! How fast a training goes, and so how long it will take. In: the events of a fit. Out: images per second, and the time left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Event, Phase};

/// What a step of the whole network costs, in steps with a frozen body (measured: 1.4 to 1.8 on a CPU).
const UNFROZEN_COST: f64 = 1.6;

/// Batches that the speed is averaged over.
const RECENT: usize = 16;

/// How fast a training goes. Show it every [`Event`].
#[derive(Debug, Default)]
pub struct Pace {
    /// Unfrozen epochs of the recipe, so that the time left is known while the body is frozen.
    unfrozen_epochs: usize,
    epochs: usize,
    steps: usize,
    /// Training steps to come, in steps of the present phase.
    train_left: f64,
    valid_left: usize,
    recent: VecDeque<(usize, Duration)>,
    valid_step: Option<Duration>,
    last_batch: Option<Instant>,
}

impl Pace {
    /// For a recipe with this number of epochs in which the whole network trains.
    #[must_use]
    pub fn new(unfrozen_epochs: usize) -> Self {
        Self { unfrozen_epochs, ..Self::default() }
    }

    /// Takes note of an event.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::FitStarted { phase, epochs, steps, valid_steps, .. } => {
                *self = Self { epochs: *epochs, steps: *steps, ..Self::new(self.unfrozen_epochs) };
                (self.train_left, self.valid_left) = ((epochs * steps) as f64, epochs * valid_steps);
                if *phase == Phase::Frozen {
                    self.train_left += (self.unfrozen_epochs * steps) as f64 * UNFROZEN_COST;
                    self.valid_left += self.unfrozen_epochs * valid_steps;
                }
            }
            Event::Resumed { epoch, step, .. } => {
                self.train_left -= (epoch * self.steps + step) as f64;
                self.valid_left = self.valid_left / self.epochs.max(1) * (self.epochs - epoch);
            }
            Event::BatchTrained { images, elapsed, .. } => {
                self.train_left = (self.train_left - 1.0).max(0.0);
                self.last_batch = Some(Instant::now());
                self.recent.push_back((*images, *elapsed));
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
            }
            Event::BatchValidated { .. } => {
                self.valid_left = self.valid_left.saturating_sub(1);
                self.valid_step = self.last_batch.map(|last| last.elapsed()).or(self.valid_step);
                self.last_batch = Some(Instant::now());
            }
            _ => {}
        }
    }

    /// Images per second over the last batches.
    #[must_use]
    pub fn images_per_second(&self) -> f64 {
        let images: usize = self.recent.iter().map(|(images, _)| images).sum();
        images as f64 / self.recently().as_secs_f64().max(1e-9)
    }

    /// Time left of the training. Until validation has been timed, a batch of it is taken for a third of a training step.
    #[must_use]
    pub fn left(&self) -> Duration {
        let train = self.recently() / self.recent.len().max(1) as u32;
        train.mul_f64(self.train_left) + self.valid_step.unwrap_or(train / 3) * self.valid_left as u32
    }

    fn recently(&self) -> Duration {
        self.recent.iter().map(|(_, elapsed)| *elapsed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained() -> Event {
        Event::BatchTrained {
            epoch: 0,
            step: 0,
            loss: 1.0,
            train_loss: 1.0,
            learning_rates: Vec::new(),
            momentum: 0.9,
            images: 10,
            elapsed: Duration::from_secs(2),
            waited: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_to_come_takes_as_long_as_what_was() {
        let mut pace = Pace::new(2);
        let begun =
            |phase| Event::FitStarted { phase, epochs: 1, steps: 4, valid_steps: 0, metrics: Vec::new() };
        pace.observe(&begun(Phase::Frozen));
        pace.observe(&trained());
        assert!((pace.images_per_second() - 5.0).abs() < 1e-9);
        // Three steps, and eight of the whole network.
        assert!((pace.left().as_secs_f64() - 2.0 * (3.0 + 8.0 * UNFROZEN_COST)).abs() < 1e-6);
        pace.observe(&begun(Phase::Unfrozen));
        (0..3).for_each(|_| pace.observe(&trained()));
        assert!((pace.left().as_secs_f64() - 2.0).abs() < 1e-6);
    }
}
