//! The training loop: a model, its data, an optimizer, and those who watch.
//!
//! In: [`DataLoaders`] and a [`VisionModel`]. Out: a trained model, [`Predictions`], a [`History`].

mod adam;
mod average;
mod builder;
mod early_stopping;
mod event;
mod fitting;
#[cfg(test)]
mod golden;
mod gradients;
mod loss;
mod lr_find;
mod recipe;
mod schedule;
mod trainer;

pub use adam::Adam;
pub use builder::{LearnerBuilder, vision_learner};
pub use early_stopping::EarlyStopping;
pub use event::{Control, EpochRecord, Event, History, Observer, Phase};
pub use loss::{Loss, Objective, SmoothLoss, cross_entropy};
pub use lr_find::{LrCurve, LrFind, LrSuggestions};
pub use recipe::{FineTune, FlatCosine, OneCycle};
pub use schedule::{CombinedCosine, Cosine, Hyper, HyperSchedule, LearningRates, Schedule};
pub(crate) use trainer::images;
pub use trainer::{StepResult, Trainer};

use std::path::Path;

use sciurus_data::{Seed, Split};
use sciurus_insight::{Measured, Metric, Predictions};

use crate::bundle::ModelBundle;
use crate::loaders::DataLoaders;
use crate::model::weights::WeightsRecord;
use crate::model::{Arch, ParamGroup, VisionModel};
use crate::predictor::evaluate;
use crate::{Error, Precision};

/// Trains and measures a [`VisionModel`] on [`DataLoaders`].
///
/// Made by [`vision_learner`]. Its verbs are fastai's and give fastai's numbers.
#[derive(Debug)]
pub struct Learner {
    loaders: DataLoaders,
    arch: Arch,
    weights: WeightsRecord,
    trainer: Trainer,
    metrics: Vec<Box<dyn Metric>>,
    observers: Vec<Box<dyn Observer>>,
    phase: Phase,
    epochs_done: u64,
    history: History,
    last: Option<Predictions>,
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
        let predictions = self.predictions(Split::Valid)?;
        Ok(self.measure(&predictions))
    }

    /// The model's predictions for a split, in the order of its items.
    ///
    /// # Errors
    /// The split is empty, or none of its photos could be read.
    pub fn predictions(&mut self, split: Split) -> Result<Predictions, Error> {
        let loader = self.loaders.measured(split)?;
        let precision = self.trainer.precision();
        evaluate(
            &self.trainer.measured_model(),
            precision,
            (&loader, split),
            self.trainer.device(),
            &mut |event| notify(&mut self.observers, &event).map(|_| ()),
        )
    }

    /// The validation predictions of the model as it is: those of the last epoch, or new ones before any.
    ///
    /// # Errors
    /// As [`predictions`](Self::predictions).
    pub fn last_predictions(&mut self) -> Result<Predictions, Error> {
        match &self.last {
            Some(predictions) => Ok(predictions.clone()),
            None => self.predictions(Split::Valid),
        }
    }

    /// The learner's metrics on these predictions.
    pub fn measure(&self, predictions: &Predictions) -> Vec<Measured> {
        self.metrics.iter().map(|metric| Measured::new(metric.as_ref(), predictions)).collect()
    }

    /// Writes the model with all that is needed to use it to one file.
    ///
    /// # Errors
    /// The model cannot be measured, or the file cannot be written.
    pub fn export(&mut self, path: impl AsRef<Path>) -> Result<ModelBundle, Error> {
        let predictions = self.last_predictions()?;
        let metrics = self.measure(&predictions);
        let bundle = ModelBundle::new(self, metrics);
        bundle.save(path.as_ref())?;
        Ok(bundle)
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
        notify(&mut self.observers, event)
    }
}

/// Shows an event to all observers; one `Stop` is enough.
fn notify(observers: &mut [Box<dyn Observer>], event: &Event) -> Result<Control, Error> {
    observers
        .iter_mut()
        .try_fold(Control::Continue, |control, observer| Ok(control.or(observer.observe(event)?)))
}

impl Control {
    /// Stop if either says so.
    fn or(self, other: Self) -> Self {
        if self == Control::Stop { self } else { other }
    }
}
