//! The training loop: epochs of batches, with a validation after each epoch; and the learning rate finder's mock training.

use std::time::{Duration, Instant};

use sciurus_clean::find::OnlineDynamics;
use sciurus_data::{Batch, DataError, Loader, Split, Targets};
use sciurus_insight::AnyPredictions;

use super::checkpoint::{Checkpoint, Checkpoints, Facts, Part, Position};
use super::event::{Control, EpochRecord, Event};
use super::loss::SmoothLoss;
use super::lr_find::{LrCurve, LrFind, has_diverged};
use super::recipe::UNSCHEDULED_MOMENTUM;
use super::schedule::{Hyper, HyperSchedule, positions};
use super::{Keep, Learner, StepResult};
use crate::Error;
use crate::model::{ParamGroup, VisionModel};
use crate::nn::{StateDict, StoredTensor};

/// The tensor of a checkpoint that holds the photos' training dynamics.
const LOOKS: &str = "values";

impl Learner {
    /// Runs a fit of this many epochs. Returns whether the recipe may go on: `Continue` or `Stop`.
    pub(super) fn run(&mut self, epochs: usize, schedule: &HyperSchedule) -> Result<Control, Error> {
        let fit = self.fits;
        self.fits += 1;
        (self.cut_short, self.instant) = (false, None);
        if self.resume.as_ref().is_some_and(|checkpoint| checkpoint.facts.place.fit > fit) {
            return Ok(Control::Continue);
        }
        let resumed = self.resume.take().map(|checkpoint| self.import(checkpoint)).transpose()?;
        let started = Instant::now();
        let phase = self.phase;
        let mut control = self.emit(&Event::FitStarted {
            phase,
            epochs,
            steps: self.loaders.train().steps_per_epoch(),
            valid_steps: self.loaders.measured(Split::Valid)?.steps_per_epoch(),
            metrics: self.metrics.names(),
        })?;
        let mut place = resumed.unwrap_or(Position { fit, ..Position::default() });
        if resumed.is_some() {
            let (rows, Position { epoch, step, .. }) = (self.history.epochs.clone(), place);
            control = control.max(self.emit(&Event::Resumed { rows, epoch, step })?);
        }
        while place.epoch < epochs && control == Control::Continue {
            control = self.run_epoch(&mut place, epochs, schedule)?;
        }
        let ended = self.emit(&Event::FitEnded { phase, elapsed: started.elapsed() })?;
        match control.max(ended) {
            Control::Continue | Control::EndFit => return Ok(Control::Continue),
            Control::Stop => {}
        }
        // What was stopped within an epoch has its checkpoint already.
        if !self.cut_short {
            self.cut_short = place.epoch < epochs;
            self.write_checkpoint(&place)?;
        }
        Ok(Control::Stop)
    }

    /// Runs one epoch and its validation. Validation also happens after a stop in mid-epoch, so that what was trained is
    /// measured.
    fn run_epoch(
        &mut self,
        place: &mut Position,
        epochs: usize,
        schedule: &HyperSchedule,
    ) -> Result<Control, Error> {
        let started = Instant::now();
        let first_images = place.images;
        let trained = self.train_epoch(place, epochs, schedule)?;
        let training = started.elapsed();
        let predictions = self.any_predictions(Split::Valid)?;
        let record = EpochRecord {
            phase: self.phase,
            epoch: place.epoch,
            train_loss: place.smooth.value(),
            valid_loss: predictions.valid_loss(),
            metrics: self.metrics.values(&predictions),
            elapsed: started.elapsed(),
            waited: trained.waited,
            images_per_second: (place.images - first_images) as f64 / training.as_secs_f64(),
        };
        self.history.epochs.push(record.clone());
        self.note_best(&record, &predictions);
        self.last = Some(predictions);
        let control = trained.control.max(self.emit(&Event::EpochEnded(record))?);
        *place = Position { epoch: place.epoch + 1, step: 0, images: 0, ..*place };
        // An epoch that was cut short is not complete, so a resumed run must not skip it.
        if trained.control == Control::Continue {
            self.checkpoint(place)?;
        }
        Ok(control)
    }

    fn train_epoch(
        &mut self,
        place: &mut Position,
        epochs: usize,
        schedule: &HyperSchedule,
    ) -> Result<Trained, Error> {
        let loader = self.loaders.train_at(place.epoch as f64 / epochs as f64);
        let mut batches = Timed::new(loader, self.epochs_done, place.step);
        let mut trained = Trained { waited: Duration::ZERO, control: Control::Continue };
        let mut last = None;
        let steps = self.loaders.train().steps_per_epoch();
        for (step, progress) in positions(place.epoch, epochs, steps).enumerate().take(steps).skip(place.step)
        {
            let Some((batch, waited)) = batches.next() else { break };
            let started = Instant::now();
            self.tell_skipped(&batch, Split::Train)?;
            place.step = step + 1;
            if batch.targets.len() < 2 {
                // Batch norm needs two images, so a batch that lost its photos to read errors is skipped.
                continue;
            }
            let hyper = schedule.at(progress);
            let StepResult { loss, logits } = self.trainer.step(&batch, &hyper)?;
            if !loss.is_finite() {
                return Err(Error::Diverged { loss, epoch: place.epoch, step });
            }
            self.note_looks(&batch, &logits);
            place.images += batch.targets.len();
            trained.waited += waited;
            trained.control = self.emit(&Event::BatchTrained {
                epoch: place.epoch,
                step,
                loss,
                train_loss: place.smooth.add(loss),
                learning_rates: hyper.learning_rates.clone(),
                momentum: hyper.momentum,
                images: batch.targets.len(),
                elapsed: waited + started.elapsed(),
                waited,
            })?;
            last = Some(hyper);
            if self.ends_epoch(trained.control, place)? {
                break;
            }
        }
        if let Some(hyper) = last {
            self.trainer.flush(&hyper);
        }
        self.epochs_done += 1;
        match place.images {
            0 => Err(Error::NothingReadable { split: Split::Train }),
            _ => Ok(trained),
        }
    }

    /// Writes the checkpoint that is due after a batch; returns whether the epoch ends here.
    fn ends_epoch(&mut self, control: Control, place: &Position) -> Result<bool, Error> {
        match control {
            Control::Continue => self.checkpoint(place).map(|()| false),
            Control::EndFit => Ok(true),
            // A checkpoint can't hold gradients that wait for a step.
            Control::Stop if self.trainer.waits() => Ok(false),
            Control::Stop => {
                self.cut_short = true;
                self.write_checkpoint(place).map(|()| true)
            }
        }
    }

    /// Adds the logits of a batch to the photos' training dynamics, if it is single-label and not mixed.
    fn note_looks(&mut self, batch: &Batch, logits: &[f32]) {
        let (Targets::Single(labels), None) = (&batch.targets, &batch.mixed) else { return };
        let rows = logits.chunks_exact(logits.len() / labels.len().max(1));
        for ((item, &label), row) in batch.items.iter().zip(labels).zip(rows) {
            self.looks.see(item.index(), row, label);
        }
    }

    /// Writes a checkpoint if one is due and no gradients wait for a step.
    fn checkpoint(&mut self, place: &Position) -> Result<(), Error> {
        match !self.trainer.waits() && self.checkpoints.as_ref().is_some_and(Checkpoints::are_due) {
            true => self.write_checkpoint(place),
            false => Ok(()),
        }
    }

    /// Writes a checkpoint if this learner writes any.
    fn write_checkpoint(&mut self, place: &Position) -> Result<(), Error> {
        if self.checkpoints.is_none() {
            return Ok(());
        }
        let place = Position { loader_epoch: self.epochs_done, ..*place };
        let mut checkpoint = Checkpoint::new(Facts::new(place, self.events, self.history.epochs.clone()));
        self.trainer.export(&mut checkpoint);
        if let Some(best) = &self.best {
            checkpoint.facts.best = Some(best.record.clone());
            checkpoint.put(Part::Best, best.model.state_dict());
        }
        let values = self.looks.values();
        let looks = StoredTensor { shape: vec![values.len()], values };
        checkpoint.put(Part::Looks, StateDict::from([(LOOKS.to_owned(), looks)]));
        self.checkpoints.as_mut().map_or(Ok(()), |checkpoints| checkpoints.write(&checkpoint))
    }

    /// Restores everything from a checkpoint; returns the position to continue from.
    fn import(&mut self, mut checkpoint: Checkpoint) -> Result<Position, Error> {
        self.trainer.import(&mut checkpoint)?;
        let items = self.loaders.dataset().items.len();
        let looks = checkpoint.take(Part::Looks).remove(LOOKS);
        if let Some(looks) = looks.and_then(|looks| OnlineDynamics::from_values(items, &looks.values)) {
            self.looks = looks;
        }
        let state = checkpoint.take(Part::Best);
        if let Some(record) = checkpoint.facts.best {
            let model = self.trainer.model().clone().with_state(&state)?;
            self.best = Some(Best { record, model, predictions: None });
        }
        let place = checkpoint.facts.place;
        self.history.epochs = checkpoint.facts.history;
        self.epochs_done = place.loader_epoch;
        Ok(place)
    }

    /// Keeps a copy of the model if the best one is wanted and this is the best so far.
    fn note_best(&mut self, record: &EpochRecord, predictions: &AnyPredictions) {
        let is_better = self.best.as_ref().is_none_or(|best| record.valid_loss < best.record.valid_loss);
        if self.keep == Keep::Best && is_better {
            let (record, model) = (record.clone(), self.trainer.measured_model());
            self.best = Some(Best { record, model, predictions: Some(predictions.clone()) });
        }
    }

    fn tell_skipped(&mut self, batch: &Batch, split: Split) -> Result<(), Error> {
        if !batch.skipped.is_empty() {
            DataError::check_machine(&batch.skipped)?;
            self.emit(&Event::PhotosSkipped { split, skipped: batch.skipped.clone() })?;
        }
        Ok(())
    }

    /// Measures the time of training steps of the whole network and of a validation batch. The learner stays as it was.
    pub(crate) fn time_batches(&mut self) -> Result<BatchTimes, Error> {
        let (state, first) = (self.trainer.state(), self.trainer.first_group());
        self.trainer.freeze_to(ParamGroup(0));
        let times = self.timed_batches();
        self.trainer.freeze_to(first);
        self.trainer.set_state(state);
        times
    }

    fn timed_batches(&mut self) -> Result<BatchTimes, Error> {
        let readable = self.loaders.train().epoch(self.epochs_done).find(|batch| batch.targets.len() > 1);
        let batch = readable.ok_or(Error::NothingReadable { split: Split::Train })?;
        let hyper = Hyper { learning_rates: vec![0.0; VisionModel::GROUPS], momentum: UNSCHEDULED_MOMENTUM };
        // The first step is slow, because it asks the system for memory; the median of the others counts.
        let mut steps = [Duration::ZERO; 4];
        for step in &mut steps {
            let started = Instant::now();
            self.trainer.step(&batch, &hyper)?;
            *step = started.elapsed();
        }
        steps[1..].sort();
        let valid = self.loaders.measured(Split::Valid)?;
        let valid_steps = valid.steps_per_epoch();
        let mut validated = || {
            let started = Instant::now();
            self.any_predictions(Split::Valid).map(|_| started.elapsed() / valid_steps as u32)
        };
        // The first pass reads and decodes the photos, as the test split's pass will; the second finds them decoded.
        let (first, again) = (validated()?, validated()?);
        let dataset = self.loaders.dataset();
        let test_steps = match dataset.split(Split::Test).next() {
            Some(_) => self.loaders.measured(Split::Test)?.steps_per_epoch(),
            None => 0,
        };
        // No observer saw these passes, so unreadable photos must be reported again later.
        [self.loaders.train(), &valid].into_iter().for_each(Loader::forget_skipped);
        Ok(BatchTimes {
            train: steps[2],
            valid: again,
            steps: self.loaders.train().steps_per_epoch(),
            valid_steps,
            test: first * test_steps as u32,
        })
    }

    /// Trains one step with each rate in turn, until all were tried or the loss has risen too far.
    pub(super) fn try_rates(&mut self, options: LrFind) -> Result<LrCurve, Error> {
        let (mut rates, mut losses) = (Vec::new(), Vec::new());
        let (mut smooth, mut best) = (SmoothLoss::default(), f64::INFINITY);
        while losses.len() < options.steps {
            let before = losses.len();
            for batch in self.loaders.train().epoch(self.epochs_done) {
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

/// How long batches take, and how many there are in an epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchTimes {
    /// A training step of the whole network.
    pub(crate) train: Duration,
    /// A validation batch whose photos are already decoded.
    pub(crate) valid: Duration,
    /// Training steps in an epoch.
    pub(crate) steps: usize,
    /// Validation batches after each epoch.
    pub(crate) valid_steps: usize,
    /// All photos of the test split, including reading and decoding.
    pub(crate) test: Duration,
}

impl BatchTimes {
    /// Seconds of training in an epoch.
    pub(crate) fn train_epoch(&self) -> f64 {
        self.train.as_secs_f64() * self.steps as f64
    }

    /// Seconds of validation after an epoch.
    pub(crate) fn valid_epoch(&self) -> f64 {
        self.valid.as_secs_f64() * self.valid_steps as f64
    }
}

/// The result of an epoch's training, besides its position.
#[derive(Debug)]
struct Trained {
    waited: Duration,
    control: Control,
}

/// The best epoch and its model.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) record: EpochRecord,
    pub(super) model: VisionModel,
    /// `None` after a resume; they are then computed again when they are needed.
    pub(super) predictions: Option<AnyPredictions>,
}

/// Batches, each with the time spent waiting for it.
struct Timed(sciurus_data::Batches);

impl Timed {
    fn new(loader: &Loader, epoch: u64, first_step: usize) -> Self {
        Self(loader.epoch_from(epoch, first_step))
    }
}

impl Iterator for Timed {
    type Item = (Batch, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let started = Instant::now();
        self.0.next().map(|batch| (batch, started.elapsed()))
    }
}
