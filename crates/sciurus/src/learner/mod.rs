//! The training loop: a model, its data, an optimizer, and those who watch.
//!
//! In: [`DataLoaders`] and a [`VisionModel`]. Out: a trained model, [`Predictions`], a [`History`].

mod adam;
mod average;
mod builder;
mod checkpoint;
mod early_stopping;
mod evaluation;
mod event;
mod fitting;
#[cfg(test)]
mod golden;
mod gradients;
mod loss;
mod lr_find;
mod metrics;
mod recipe;
mod schedule;
mod settings;
mod trainer;
mod tta;

pub use adam::Adam;
pub use builder::{LearnerBuilder, vision_learner};
pub use early_stopping::EarlyStopping;
pub use event::{Control, EpochRecord, Event, History, Observer, Phase};
pub(crate) use fitting::BatchTimes;
pub use loss::{Loss, Objective, SmoothLoss, cross_entropy};
pub use lr_find::{LrCurve, LrFind, LrSuggestions};
pub use recipe::{FineTune, FlatCosine, OneCycle};
pub use schedule::{CombinedCosine, Cosine, Hyper, HyperSchedule, LearningRates, Schedule};
pub use settings::{Balance, FitSettings};
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
use crate::model::weights::WeightsRecord;
use crate::model::{Arch, ParamGroup, VisionModel};
use crate::predict::{DataRecord, Manifest, ModelBundle, Output};
use crate::{Error, Precision};
use checkpoint::{Checkpoint, Checkpoints};
use evaluation::Evaluation;
use fitting::Best;
use metrics::Metrics;

/// Trains and measures a [`VisionModel`] on [`DataLoaders`].
///
/// Made by [`vision_learner`]. Its verbs are fastai's and give fastai's numbers.
#[derive(Debug)]
pub struct Learner {
    loaders: DataLoaders,
    arch: Arch,
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
    /// What was wrong with checkpoints that were passed over.
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
    /// The last one's: fastai's default, and an honest error rate.
    #[default]
    Last,
    /// The one with the lowest validation loss: fastai's `SaveModelCallback`. Chosen by the photos that measure it, so its
    /// error rate flatters it a little.
    Best,
}

impl Learner {
    /// Freezes the body: its convolutions stay untouched, its norm layers and the head train. Optimizer state is cleared.
    pub fn freeze(&mut self) {
        self.phase = Phase::Frozen;
        self.trainer.freeze_to(ParamGroup(VisionModel::GROUPS - 1));
    }

    /// Lets the whole model train. Optimizer state is cleared.
    pub fn unfreeze(&mut self) {
        self.phase = Phase::Unfrozen;
        self.trainer.freeze_to(ParamGroup(0));
    }

    /// Trains with constant learning rates.
    ///
    /// # Errors
    /// Options out of range, a loss that is no number, no readable photos, or an observer that fails.
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

    /// Trains with one cycle: learning rates up and down, momentum down and up.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_one_cycle(&mut self, options: impl Into<OneCycle>) -> Result<Control, Error> {
        let options = options.into();
        self.run(options.epochs, &options.schedule(VisionModel::GROUPS)?)
    }

    /// Trains with constant learning rates that fall along a cosine at the end.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_flat_cosine(&mut self, options: impl Into<FlatCosine>) -> Result<Control, Error> {
        let options = options.into();
        self.run(options.epochs, &options.schedule(VisionModel::GROUPS)?)
    }

    /// Tries growing learning rates on a mock training and tells which of them suit. The model, the optimizer and the
    /// order of later batches stay as they were.
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
    /// Options out of range, no readable photos, or an observer that fails.
    pub fn lr_find(&mut self, options: LrFind) -> Result<LrCurve, Error> {
        options.check()?;
        let (state, epochs_done) = (self.trainer.state(), self.epochs_done);
        let curve = self.try_rates(options);
        self.trainer.set_state(state);
        self.epochs_done = epochs_done;
        curve
    }

    /// Trains the head, then the whole model: `freeze`, `fit_one_cycle`, `unfreeze`, `fit_one_cycle`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fine_tune(&mut self, options: impl Into<FineTune>) -> Result<Control, Error> {
        let options = options.into();
        // Both fits are checked before the first begins.
        options.unfrozen().schedule(VisionModel::GROUPS)?;
        if options.freeze_epochs > 0 {
            self.freeze();
            if self.fit_one_cycle(options.frozen())? == Control::Stop {
                return Ok(Control::Stop);
            }
        }
        self.unfreeze();
        self.fit_one_cycle(options.unfrozen())
    }

    /// Measures the model on the validation photos.
    ///
    /// # Errors
    /// No photo of the split could be read.
    pub fn validate(&mut self) -> Result<Vec<Measured>, Error> {
        let predictions = self.any_predictions(Split::Valid)?;
        Ok(self.measure(&predictions))
    }

    /// The model's predictions for a split of photos with one label each, in the order of its items.
    ///
    /// # Errors
    /// The split is empty, none of its photos could be read, or they have any number of labels.
    pub fn predictions(&mut self, split: Split) -> Result<Predictions, Error> {
        only_one(self.any_predictions(split)?)
    }

    /// The model's predictions for a split, in the order of its items, whether photos have one label each or any number:
    /// the latter at thresholds of 0.5.
    ///
    /// # Errors
    /// The split is empty, or none of its photos could be read.
    pub fn any_predictions(&mut self, split: Split) -> Result<AnyPredictions, Error> {
        let loader = self.loaders.measured(split)?;
        let views = self.loaders.preprocessing().views;
        self.evaluated((&loader, split), 0, views)
    }

    /// The model's predictions for an epoch of a loader.
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

    /// Predictions for a split from several augmented views of each photo besides the plain one; fastai's `tta`.
    ///
    /// # Errors
    /// As [`predictions`](Self::predictions), or options out of range.
    pub fn tta(&mut self, split: Split, options: Tta) -> Result<Predictions, Error> {
        only_one(self.any_tta(split, options)?)
    }

    /// The same, whether photos have one label each or any number.
    ///
    /// # Errors
    /// As [`any_predictions`](Self::any_predictions), or options out of range.
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

    /// The validation predictions of the model as it is: those of the last epoch, or new ones before any.
    ///
    /// # Errors
    /// As [`any_predictions`](Self::any_predictions).
    pub fn last_predictions(&mut self) -> Result<AnyPredictions, Error> {
        match &self.last {
            Some(predictions) => Ok(predictions.clone()),
            None => self.any_predictions(Split::Valid),
        }
    }

    /// The learner's metrics on these predictions.
    pub fn measure(&self, predictions: &AnyPredictions) -> Vec<Measured> {
        self.metrics.measure(predictions)
    }

    /// The names of the learner's metrics, in the order of the table.
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics.names()
    }

    /// Writes the model with all that is needed to use it to one file. Where photos have any number of labels, it has the
    /// [best thresholds](MultiPredictions::best_thresholds) of the validation photos, and is measured with them.
    ///
    /// # Errors
    /// The model cannot be measured, or the file cannot be written.
    pub fn export(&mut self, path: impl AsRef<Path>) -> Result<ModelBundle, Error> {
        let predictions = self.last_predictions()?.at_best_thresholds();
        let metrics = self.measure(&predictions);
        let bundle = self.bundle(metrics, &predictions);
        bundle.save(path.as_ref())?;
        Ok(bundle)
    }

    /// The model as plain data, with the metrics it was measured at, calibrated by its predictions for the validation set.
    pub fn bundle(&self, metrics: Vec<Measured>, predictions: &AnyPredictions) -> ModelBundle {
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
            temperature: Temperature(1.0),
            output: Output::SingleLabel,
        };
        ModelBundle::new(manifest, predictions, self.model().state_dict())
    }

    /// Writes checkpoints into a folder, at most once in `every`: the newest and the one before it.
    pub fn write_checkpoints(&mut self, folder: impl Into<PathBuf>, every: Duration) {
        self.checkpoints = Some(Checkpoints::new(folder.into(), every));
    }

    /// What was wrong with the newest checkpoint, where [`resume_from`](Self::resume_from) had to go on from the one before it.
    pub fn damaged_checkpoints(&self) -> &[String] {
        &self.damaged
    }

    /// Goes on from the newest checkpoint of a folder that is whole: call the same verbs as before, and what was done
    /// already is passed over. Weights come out bit for bit as if nothing had interrupted them, if data, options and
    /// program are the same. Returns how many events observers had seen; without a checkpoint there is nothing to pass over
    /// and the number is 0.
    ///
    /// # Errors
    /// There are checkpoints, and none of them can be read.
    pub fn resume_from(&mut self, folder: impl AsRef<Path>) -> Result<u64, Error> {
        let (checkpoint, damaged) = Checkpoint::load(folder.as_ref())?;
        self.resume = checkpoint;
        self.damaged = damaged.iter().map(ToString::to_string).collect();
        self.events = self.resume.as_ref().map_or(0, |checkpoint| checkpoint.facts.events);
        Ok(self.events)
    }

    /// How the labels of the training photos were learnt, as the model said while it was trained on them: one row for each photo
    /// that has one label and was looked at as it is, not mixed with another one.
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

    /// Removes the checkpoints that were written: the training is done.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove_checkpoints(&mut self) -> Result<(), Error> {
        self.checkpoints.take().map_or(Ok(()), |checkpoints| checkpoints.remove())
    }

    /// Makes the model of the best epoch the learner's own and returns that epoch, where [`Keep::Best`] asked for it.
    pub fn restore_best(&mut self) -> Option<EpochRecord> {
        let best = self.best.take()?;
        self.last = best.predictions;
        self.trainer.set_model(best.model);
        Some(best.record)
    }

    /// Rounds all weights, but not biases, norm layers and statistics, to half precision (fp16), so that the exported file is
    /// about half as large. The model is then measured anew: what is exported is what was measured. Optimizer state is cleared.
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

    /// The rows of all fits so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The data it trains on.
    pub fn loaders(&self) -> &DataLoaders {
        &self.loaders
    }

    /// The model as it is now, or the average of its weights where one is kept: what is measured and exported.
    pub fn model(&self) -> VisionModel {
        self.trainer.measured_model()
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The seed of its head and of dropout.
    pub fn seed(&self) -> Seed {
        self.trainer.seed()
    }

    /// What activations are kept in: f32 or bf16.
    pub fn precision(&self) -> Precision {
        self.trainer.precision()
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

/// Predictions of photos with one label each.
fn only_one(predictions: AnyPredictions) -> Result<Predictions, Error> {
    match predictions {
        AnyPredictions::Single(predictions) => Ok(predictions),
        AnyPredictions::Multi(_) => Err(Error::MultiLabel),
    }
}

/// Shows an event to all observers; one that wants an end is enough.
fn notify(observers: &mut [Box<dyn Observer>], event: &Event) -> Result<Control, Error> {
    observers
        .iter_mut()
        .try_fold(Control::Continue, |control, observer| Ok(control.max(observer.observe(event)?)))
}
