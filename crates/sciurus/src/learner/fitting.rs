//! The loop of a fit: epochs of batches, each epoch measured; and the mock training of the learning rate finder.

use std::time::{Duration, Instant};

use sciurus_data::{Batch, Loader, Split};

use super::Learner;
use super::event::{Control, EpochRecord, Event};
use super::loss::SmoothLoss;
use super::lr_find::{LrCurve, LrFind, has_diverged};
use super::recipe::UNSCHEDULED_MOMENTUM;
use super::schedule::{Hyper, HyperSchedule, positions};
use crate::Error;
use crate::model::VisionModel;

impl Learner {
    pub(super) fn run(&mut self, epochs: usize, schedule: &HyperSchedule) -> Result<Control, Error> {
        let started = Instant::now();
        let phase = self.phase;
        let mut control = self.emit(&Event::FitStarted {
            phase,
            epochs,
            steps: self.loaders.train().steps_per_epoch(),
            valid_steps: self.loaders.measured(Split::Valid)?.steps_per_epoch(),
            metrics: self.metrics.iter().map(|metric| metric.name().to_owned()).collect(),
        })?;
        let mut smooth = SmoothLoss::default();
        for epoch in 0..epochs {
            if control == Control::Stop {
                break;
            }
            control = self.run_epoch(epoch, epochs, schedule, &mut smooth)?;
        }
        let ended = self.emit(&Event::FitEnded { phase, elapsed: started.elapsed() })?;
        Ok(control.or(ended))
    }

    /// One epoch and its validation, which also follows a stop in mid-epoch: what was trained is measured.
    fn run_epoch(
        &mut self,
        epoch: usize,
        epochs: usize,
        schedule: &HyperSchedule,
        smooth: &mut SmoothLoss,
    ) -> Result<Control, Error> {
        let started = Instant::now();
        let trained = self.train_epoch(epoch, epochs, schedule, smooth)?;
        let training = started.elapsed();
        let predictions = self.predictions(Split::Valid)?;
        let record = EpochRecord {
            phase: self.phase,
            epoch,
            train_loss: trained.train_loss,
            valid_loss: predictions.valid_loss(),
            metrics: self.measure(&predictions),
            elapsed: started.elapsed(),
            waited: trained.waited,
            images_per_second: trained.images as f64 / training.as_secs_f64(),
        };
        self.history.epochs.push(record.clone());
        self.last = Some(predictions);
        Ok(trained.control.or(self.emit(&Event::EpochEnded(record))?))
    }

    fn train_epoch(
        &mut self,
        epoch: usize,
        epochs: usize,
        schedule: &HyperSchedule,
        smooth: &mut SmoothLoss,
    ) -> Result<Trained, Error> {
        let mut batches = Timed::new(self.loaders.train(), self.epochs_done);
        self.epochs_done += 1;
        let mut trained = Trained::default();
        let mut last = None;
        let steps = self.loaders.train().steps_per_epoch();
        for (step, progress) in positions(epoch, epochs, steps).enumerate() {
            let Some((batch, waited)) = batches.next() else { break };
            let started = Instant::now();
            self.tell_skipped(&batch, Split::Train)?;
            if batch.targets.len() < 2 {
                // Norm layers need two images; a batch lost to unreadable photos is passed over.
                continue;
            }
            let hyper = schedule.at(progress);
            let loss = self.trainer.step(&batch, &hyper)?.loss;
            if !loss.is_finite() {
                return Err(Error::Diverged { loss, epoch, step });
            }
            trained.train_loss = smooth.add(loss);
            trained.images += batch.targets.len();
            trained.waited += waited;
            trained.control = self.emit(&Event::BatchTrained {
                epoch,
                step,
                loss,
                train_loss: trained.train_loss,
                learning_rates: hyper.learning_rates.clone(),
                momentum: hyper.momentum,
                images: batch.targets.len(),
                elapsed: waited + started.elapsed(),
                waited,
            })?;
            last = Some(hyper);
            if trained.control == Control::Stop {
                break;
            }
        }
        if let Some(hyper) = last {
            self.trainer.flush(&hyper);
        }
        match trained.images {
            0 => Err(Error::NothingReadable { split: Split::Train }),
            _ => Ok(trained),
        }
    }

    fn tell_skipped(&mut self, batch: &Batch, split: Split) -> Result<(), Error> {
        if !batch.skipped.is_empty() {
            self.emit(&Event::PhotosSkipped { split, skipped: batch.skipped.clone() })?;
        }
        Ok(())
    }

    /// Steps with each rate in turn until all are tried or the loss has risen too far.
    pub(super) fn try_rates(&mut self, options: LrFind) -> Result<LrCurve, Error> {
        let (mut rates, mut losses) = (Vec::new(), Vec::new());
        let (mut smooth, mut best) = (SmoothLoss::default(), f64::INFINITY);
        while losses.len() < options.steps {
            let before = losses.len();
            for (batch, _) in Timed::new(self.loaders.train(), self.epochs_done) {
                self.tell_skipped(&batch, Split::Train)?;
                if batch.targets.len() < 2 {
                    continue;
                }
                let step = losses.len();
                let rate = options.rate(step);
                let learning_rates = vec![rate; VisionModel::GROUPS];
                let hyper = Hyper { learning_rates, momentum: UNSCHEDULED_MOMENTUM };
                let loss = smooth.add(self.trainer.step(&batch, &hyper)?.loss);
                rates.push(rate);
                losses.push(loss);
                best = best.min(loss);
                let event = Event::RateTried { step, steps: options.steps, learning_rate: rate, loss };
                let stop = self.emit(&event)? == Control::Stop;
                if stop || has_diverged(loss, best) || losses.len() == options.steps {
                    return Ok(LrCurve::new(rates, losses, options.steps));
                }
            }
            self.epochs_done += 1;
            if losses.len() == before {
                return Err(Error::NothingReadable { split: Split::Train });
            }
        }
        Ok(LrCurve::new(rates, losses, options.steps))
    }
}

/// What an epoch's training left.
#[derive(Debug)]
struct Trained {
    train_loss: f64,
    images: usize,
    waited: Duration,
    control: Control,
}

impl Default for Trained {
    fn default() -> Self {
        Self { train_loss: f64::NAN, images: 0, waited: Duration::ZERO, control: Control::Continue }
    }
}

/// Batches, each with the time it was waited for.
struct Timed(sciurus_data::Batches);

impl Timed {
    fn new(loader: &Loader, epoch: u64) -> Self {
        Self(loader.epoch(epoch))
    }
}

impl Iterator for Timed {
    type Item = (Batch, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let started = Instant::now();
        self.0.next().map(|batch| (batch, started.elapsed()))
    }
}
