//! The learner: a model, its data, an optimizer, and observers.
//!
//! In: [`DataLoaders`] and a [`VisionModel`]. Out: a trained model, [`Predictions`], a [`History`].

mod adam;
mod average;
mod builder;
mod checkpoint;
mod continued;
mod early_stopping;
mod evaluation;
mod event;
mod fitting;
#[cfg(test)]
mod golden;
mod gradients;
mod instant;
mod known;
mod loss;
mod lr_find;
mod metrics;
mod pace;
mod recipe;
mod schedule;
mod settings;
mod table;
mod teacher;
mod trainer;
mod tta;

pub use adam::Adam;
pub use builder::{LearnerBuilder, vision_learner};
pub use early_stopping::EarlyStopping;
pub use event::{Control, EpochRecord, Event, History, Observer, Phase};
pub(crate) use fitting::BatchTimes;
pub use loss::{Loss, LossFunction, Objective, SmoothLoss, cross_entropy};
pub use lr_find::{LrCurve, LrFind, LrSuggestions};
pub use pace::Pace;
pub use recipe::{FineTune, FlatCosine, OneCycle};
pub use schedule::{CombinedCosine, Cosine, Hyper, HyperSchedule, LearningRates, Schedule};
pub use settings::{Balance, FitSettings};
pub use table::{EpochTable, TableWriter};
pub(crate) use teacher::arch_named;
pub use teacher::{DistillSettings, Lesson, NetworkTeacher, Teacher, TeacherRecord};
pub(crate) use trainer::images;
pub use trainer::{StepResult, Trainer};
pub use tta::Tta;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sciurus_clean::find::{LearntLabel, OnlineDynamics, TrainingDynamics};
use sciurus_data::{Loader, Seed, Split, Views};
use sciurus_insight::{AnyPredictions, Measured, MultiPredictions, Predictions, Temperature};
use serde::{Deserialize, Serialize};

use crate::loaders::DataLoaders;
use crate::model::weights::{self, WeightsRecord};
use crate::model::{Arch, ParamGroup, VisionModel};
use crate::predict::{DataRecord, KnownPhotos, Manifest, ModelBundle, Output};
use crate::{Error, Precision};
use checkpoint::{Checkpoint, Checkpoints};
use evaluation::Evaluation;
use fitting::Best;
use metrics::Metrics;

/// Trains and measures a [`VisionModel`] on [`DataLoaders`].
///
/// Build one with [`vision_learner`]. Its methods are named like fastai's and give fastai's numbers.
#[derive(Debug)]
pub struct Learner {
    loaders: DataLoaders,
    arch: Arch,
    /// Why it is not the preferred one.
    instead: Option<String>,
    /// Whether nothing but its own seed has set the head's weights.
    has_new_head: bool,
    weights: WeightsRecord,
    trainer: Trainer,
    metrics: Metrics,
    observers: Vec<Box<dyn Observer>>,
    phase: Phase,
    epochs_done: u64,
    history: History,
    last: Option<AnyPredictions>,
    keep: Keep,
    best: Option<Best>,
    fits: u64,
    events: u64,
    checkpoints: Option<Checkpoints>,
    resume: Option<Checkpoint>,
    /// The temperature of a head that was fitted instantly, at which `last` is already.
    instant: Option<Temperature>,
    /// Whether an observer stopped the last fit or recipe before its end.
    cut_short: bool,
    /// What was wrong with checkpoints that were skipped.
    damaged: Vec<String>,
    looks: OnlineDynamics,
}

/// Which epoch's model is kept at the end of a run.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Keep {
    /// The last epoch's model: fastai's default, with an unbiased error rate.
    #[default]
    Last,
    /// The model with the lowest validation loss: fastai's `SaveModelCallback`. Because the validation set chooses it, its
    /// error rate is slightly optimistic.
    Best,
}

impl Learner {
    /// Freezes the body: its convolutions stay as they are; its norm layers and the head train. Clears the optimizer's state.
    pub fn freeze(&mut self) {
        self.freeze_to(VisionModel::GROUPS - 1);
    }

    /// Unfreezes the body, so that the whole model trains. Clears the optimizer's state.
    pub fn unfreeze(&mut self) {
        self.freeze_to(0);
    }

    /// Freezes the groups before `group`: fastai's `freeze_to`. Of the [`VisionModel::GROUPS`] groups 0 is the early body, 1 the late
    /// body and 2 the head; norm layers train in every group. Clears the optimizer's state.
    ///
    /// ```no_run
    /// use sciurus::prelude::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dls = ImageDataLoaders::from_folder("squirrels").build()?;
    /// let mut learner = vision_learner(dls, Arch::ResNet18).build()?;
    /// learner.fit_one_cycle(1)?; // the head
    /// learner.freeze_to(1);
    /// learner.fit_one_cycle(2)?; // late layers too
    /// # Ok(())
    /// # }
    /// ```
    pub fn freeze_to(&mut self, group: usize) {
        let last = VisionModel::GROUPS - 1;
        self.phase = match group {
            0 => Phase::Unfrozen,
            group if group < last => Phase::PartlyFrozen,
            _ => Phase::Frozen,
        };
        self.trainer.freeze_to(ParamGroup(group.min(last)));
    }

    /// Trains with constant learning rates.
    ///
    /// # Errors
    /// An option is out of range, the loss becomes NaN or infinite, no photo is readable, or an observer fails.
    pub fn fit(&mut self, epochs: usize, rates: impl Into<LearningRates>) -> Result<Control, Error> {
        let schedule = recipe::constant(epochs, rates.into(), VisionModel::GROUPS)?;
        self.run(epochs, &schedule)
    }

    /// Trains with any schedule: a learning rate for each of the [`VisionModel::GROUPS`] groups, and momentum.
    ///
    /// ```no_run
    /// use sciurus::prelude::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dls = ImageDataLoaders::from_folder("squirrels").build()?;
    /// let mut learner = vision_learner(dls, Arch::ResNet18).build()?;
    /// let falling = |progress: f64| 1e-3 * (1.0 - progress);
    /// let schedules = HyperSchedule::new([falling; 3], |_progress: f64| 0.9);
    /// learner.fit_scheduled(3, &schedules)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_scheduled(&mut self, epochs: usize, schedules: &HyperSchedule) -> Result<Control, Error> {
        recipe::check_epochs(epochs)?;
        self.run(epochs, schedules)
    }

    /// Trains with the one-cycle policy: learning rates go up and down, momentum goes down and up.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_one_cycle(&mut self, options: impl Into<OneCycle>) -> Result<Control, Error> {
        let options = options.into();
        self.run(options.epochs, &options.schedule(VisionModel::GROUPS)?)
    }

    /// Trains with constant learning rates that decay along a cosine at the end.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_flat_cosine(&mut self, options: impl Into<FlatCosine>) -> Result<Control, Error> {
        let options = options.into();
        self.run(options.epochs, &options.schedule(VisionModel::GROUPS)?)
    }

    /// Tries growing learning rates in a mock training and suggests good ones. The model, the optimizer and the order of later
    /// batches stay as they were.
    ///
    /// ```no_run
    /// use sciurus::prelude::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dls = ImageDataLoaders::from_folder("squirrels").build()?;
    /// let mut learner = vision_learner(dls, Arch::ResNet18).build()?;
    /// if let Some(suggested) = learner.lr_find(LrFind::default())?.suggestions {
    ///     learner.fine_tune(FineTune::new(4).base_learning_rate(suggested.valley))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An option is out of range, no photo is readable, or an observer fails.
    pub fn lr_find(&mut self, options: LrFind) -> Result<LrCurve, Error> {
        options.check()?;
        let (state, epochs_done) = (self.trainer.state(), self.epochs_done);
        let curve = self.try_rates(options);
        self.trainer.set_state(state);
        self.epochs_done = epochs_done;
        curve
    }

    /// Trains the head, then the whole model: `freeze`, `fit_one_cycle`, `unfreeze`, `fit_one_cycle`. Where [`FineTune::head_start`]
    /// says so, the head begins as a linear classifier of the body's features.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fine_tune(&mut self, options: impl Into<FineTune>) -> Result<Control, Error> {
        let options = options.into();
        // The second fit's options are checked before the first fit begins.
        options.unfrozen().schedule(VisionModel::GROUPS)?;
        self.start_head(options.head_start)?;
        if options.freeze_epochs > 0 {
            self.freeze();
            if self.fit_one_cycle(options.frozen())? == Control::Stop {
                self.cut_short = true;
                return Ok(Control::Stop);
            }
        }
        self.unfreeze();
        self.fit_one_cycle(options.unfrozen())
    }

    /// Measures the model on the validation set; after [`fit_instantly`](Self::fit_instantly) by cross-validation, because the head
    /// has seen those photos.
    ///
    /// # Errors
    /// No photo of the split could be read.
    pub fn validate(&mut self) -> Result<Vec<Measured>, Error> {
        if let (Some(_), Some(predictions)) = (self.instant, &self.last) {
            return Ok(self.measure(predictions));
        }
        let predictions = self.any_predictions(Split::Valid)?;
        Ok(self.measure(&predictions))
    }

    /// The model's predictions for a split of single-label data, in the order of its items.
    ///
    /// # Errors
    /// The split is empty, none of its photos could be read, or the data are multi-label.
    pub fn predictions(&mut self, split: Split) -> Result<Predictions, Error> {
        only_one(self.any_predictions(split)?)
    }

    /// The model's predictions for a split, in the order of its items, for single-label and multi-label data. Multi-label
    /// predictions use thresholds of 0.5.
    ///
    /// # Errors
    /// The split is empty, or none of its photos could be read.
    pub fn any_predictions(&mut self, split: Split) -> Result<AnyPredictions, Error> {
        let loader = self.loaders.measured(split)?;
        let views = self.loaders.preprocessing().views;
        self.evaluated((&loader, split), 0, views)
    }

    /// The model's predictions for one epoch of a loader.
    fn evaluated(
        &mut self,
        loader: (&Loader, Split),
        epoch: u64,
        views: Views,
    ) -> Result<AnyPredictions, Error> {
        let (model, precision) = (self.trainer.measured_model(), self.trainer.precision());
        let (observers, events) = (&mut self.observers, &mut self.events);
        let evaluation = Evaluation { model: &model, precision, views, device: self.trainer.device() };
        evaluation.run(loader, epoch, &mut |event| {
            *events += 1;
            notify(observers, &event).map(|_| ())
        })
    }

    /// Test-time augmentation: predictions for a split, averaged over several augmented views of each photo and the plain one;
    /// fastai's `tta`.
    ///
    /// # Errors
    /// As [`predictions`](Self::predictions), or an option is out of range.
    pub fn tta(&mut self, split: Split, options: Tta) -> Result<Predictions, Error> {
        only_one(self.any_tta(split, options)?)
    }

    /// Like [`tta`](Self::tta), for single-label and multi-label data.
    ///
    /// # Errors
    /// As [`any_predictions`](Self::any_predictions), or an option is out of range.
    pub fn any_tta(&mut self, split: Split, options: Tta) -> Result<AnyPredictions, Error> {
        options.check()?;
        let plain = self.any_predictions(split)?;
        let loader = self.loaders.augmented(split)?;
        let mut sum = vec![0.0_f64; plain.probabilities().len()];
        for view in 0..options.views {
            let views = self.evaluated((&loader, split), view as u64, Views::Plain)?;
            if views.items() != plain.items() {
                return Err(Error::PhotosChanged { split });
            }
            sum.iter_mut().zip(views.probabilities()).for_each(|(sum, p)| *sum += f64::from(*p));
        }
        let mixed = sum.iter().zip(plain.probabilities());
        let mixed =
            mixed.map(|(sum, plain)| options.mix(sum / options.views as f64, f64::from(*plain))).collect();
        Ok(match plain {
            AnyPredictions::Single(Predictions { items, paths, vocab, targets, .. }) => {
                AnyPredictions::Single(Predictions::from_probabilities(vocab, items, paths, mixed, targets)?)
            }
            AnyPredictions::Multi(MultiPredictions { items, paths, vocab, targets, .. }) => {
                AnyPredictions::Multi(MultiPredictions::from_probabilities(
                    vocab, items, paths, mixed, targets,
                )?)
            }
        })
    }

    /// The present model's validation predictions: those of the last epoch, or new ones if there was no epoch yet.
    ///
    /// # Errors
    /// As [`any_predictions`](Self::any_predictions).
    pub fn last_predictions(&mut self) -> Result<AnyPredictions, Error> {
        match &self.last {
            Some(predictions) => Ok(predictions.clone()),
            None => self.any_predictions(Split::Valid),
        }
    }

    /// Computes the learner's metrics on these predictions.
    pub fn measure(&self, predictions: &AnyPredictions) -> Vec<Measured> {
        self.metrics.measure(predictions)
    }

    /// The names of the learner's metrics, in the order of the table.
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics.names()
    }

    /// Writes the model, with everything needed to use it, to one file. A multi-label model gets the
    /// [best thresholds](MultiPredictions::best_thresholds) on the validation set, and is measured with them.
    ///
    /// # Errors
    /// The model cannot be measured, or the file cannot be written.
    pub fn export(&mut self, path: impl AsRef<Path>) -> Result<ModelBundle, Error> {
        let (predictions, temperature) = self.calibrated()?;
        let metrics = self.measure(&predictions);
        let known = self.known_photos()?.map(|(known, _)| known);
        let bundle = self.bundle(metrics, (&predictions, temperature), known);
        bundle.save(path.as_ref())?;
        Ok(bundle)
    }

    /// The validation predictions with the thresholds and at the temperature that the model is to be used with, so that whatever
    /// is saved, measured and shown has the probabilities that the model will give; and that temperature.
    pub(crate) fn calibrated(&mut self) -> Result<(AnyPredictions, Temperature), Error> {
        if let (Some(temperature), Some(predictions)) = (self.instant, &self.last) {
            return Ok((predictions.clone(), temperature));
        }
        let predictions = self.last_predictions()?.at_best_thresholds();
        let temperature = predictions.temperature();
        Ok((predictions.at_temperature(temperature), temperature))
    }

    /// The model as plain data, with these metrics and predictions for the validation set, the temperature that these were made at,
    /// which the model is used with, and what it knows of its photos.
    pub(crate) fn bundle(
        &self,
        metrics: Vec<Measured>,
        (predictions, temperature): (&AnyPredictions, Temperature),
        known: Option<KnownPhotos>,
    ) -> ModelBundle {
        let dataset = self.loaders.dataset();
        let manifest = Manifest {
            format: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arch: self.arch,
            vocab: dataset.vocab.clone(),
            preprocessing: *self.loaders.preprocessing(),
            metrics,
            data: DataRecord::of(dataset),
            weights: self.weights.clone(),
            seed: self.seed(),
            precision: self.precision(),
            temperature,
            output: Output::SingleLabel,
            rejection: None,
        };
        let state = self.model().without_projectors().state_dict();
        ModelBundle::new(manifest, predictions, (state, known))
    }

    /// Turns on checkpoints: they are written into `folder`, at most one per `every`. The newest and the one before it are kept.
    pub fn write_checkpoints(&mut self, folder: impl Into<PathBuf>, every: Duration) {
        self.checkpoints = Some(Checkpoints::new(folder.into(), every));
    }

    /// Whether an observer stopped the last fit or recipe before its end.
    #[must_use]
    pub fn was_cut_short(&self) -> bool {
        self.cut_short
    }

    /// What was wrong with the newest checkpoint, if [`resume_from`](Self::resume_from) had to use the one before it.
    pub fn damaged_checkpoints(&self) -> &[String] {
        &self.damaged
    }

    /// Resumes from the newest intact checkpoint of a folder. Then call the same methods as before; what was already done is
    /// skipped. With the same data, options and program, the weights come out bit for bit as if training had not been
    /// interrupted. Returns how many events observers had seen; 0 if there is no checkpoint.
    ///
    /// # Errors
    /// There are checkpoints, but none of them can be read.
    pub fn resume_from(&mut self, folder: impl AsRef<Path>) -> Result<u64, Error> {
        let (checkpoint, damaged) = Checkpoint::load(folder.as_ref())?;
        self.resume = checkpoint;
        self.damaged = damaged.iter().map(ToString::to_string).collect();
        self.events = self.resume.as_ref().map_or(0, |checkpoint| checkpoint.facts.events);
        Ok(self.events)
    }

    /// How the labels of the training photos were learnt, from the model's logits during training: one row for each
    /// single-label photo that was seen at least once without being mixed with another photo.
    pub fn learnt_labels(&self) -> Vec<LearntLabel> {
        let dataset = self.loaders.dataset();
        let TrainingDynamics { aum, confidence, variability, correctness } = self.looks.dynamics();
        let row = |at: usize| {
            let item = &dataset.items[at];
            LearntLabel {
                path: item.path.clone(),
                label: dataset.label(item),
                looks: self.looks.count(at) as u32,
                aum: aum[at],
                confidence: confidence[at],
                variability: variability[at],
                correctness: correctness[at],
            }
        };
        (0..dataset.items.len()).filter(|&at| self.looks.count(at) > 0).map(row).collect()
    }

    /// Removes the checkpoints, once training is finished.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove_checkpoints(&mut self) -> Result<(), Error> {
        self.checkpoints.take().map_or(Ok(()), |checkpoints| checkpoints.remove())
    }

    /// With [`Keep::Best`], makes the best epoch's model the learner's model and returns that epoch.
    pub fn restore_best(&mut self) -> Option<EpochRecord> {
        let best = self.best.take()?;
        self.last = best.predictions;
        self.trainer.set_model(best.model);
        Some(best.record)
    }

    /// Rounds all weights to half precision (fp16), but not biases, norm layers and statistics, so that the exported file is
    /// about half as large. Measures the model again afterwards, so that the exported model is the measured one. Clears the
    /// optimizer's state.
    ///
    /// # Errors
    /// A weight is too large for half precision (above 65504).
    pub fn round_to_half(&mut self) -> Result<(), Error> {
        let model = self.trainer.measured_model().rounded_to_half()?;
        self.trainer.set_model(model);
        self.last = None;
        Ok(())
    }

    /// Adds an observer.
    pub fn observe(&mut self, observer: impl Observer + 'static) {
        self.observers.push(Box::new(observer));
    }

    /// The table rows of all fits so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The learner's data.
    pub fn loaders(&self) -> &DataLoaders {
        &self.loaders
    }

    /// The model that is measured and exported: the present one, or the average of its weights if one is kept.
    pub fn model(&self) -> VisionModel {
        self.trainer.measured_model()
    }

    /// The model's architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// If nobody named the architecture and it is not the preferred one: what it is instead, why, and how to have that.
    pub fn chosen_instead(&self) -> Option<&str> {
        self.instead.as_deref()
    }

    /// The seed of the initial head and of dropout.
    pub fn seed(&self) -> Seed {
        self.trainer.seed()
    }

    /// The number format of activations: f32 or bf16.
    pub fn precision(&self) -> Precision {
        self.trainer.precision()
    }

    /// The teachers that it learns from.
    pub fn teachers(&self) -> Vec<TeacherRecord> {
        self.trainer.teachers()
    }

    /// Writes the body's weights alone, in half precision, as safetensors that [`WeightSource::File`] reads: what another learner
    /// may start from.
    ///
    /// [`WeightSource::File`]: crate::WeightSource::File
    ///
    /// # Errors
    /// A weight is too large for half precision (above 65504), or the file cannot be written.
    pub fn save_body(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        weights::write_body(&self.model(), path.as_ref())
    }

    /// The weights the body started from.
    pub fn weights(&self) -> &WeightsRecord {
        &self.weights
    }

    fn emit(&mut self, event: &Event) -> Result<Control, Error> {
        self.events += 1;
        notify(&mut self.observers, event)
    }
}

/// The predictions as single-label ones.
fn only_one(predictions: AnyPredictions) -> Result<Predictions, Error> {
    match predictions {
        AnyPredictions::Single(predictions) => Ok(predictions),
        AnyPredictions::Multi(_) => Err(Error::MultiLabel),
    }
}

/// Shows an event to all observers; a single one can end the fit.
fn notify(observers: &mut [Box<dyn Observer>], event: &Event) -> Result<Control, Error> {
    observers
        .iter_mut()
        .try_fold(Control::Continue, |control, observer| Ok(control.max(observer.observe(event)?)))
}
