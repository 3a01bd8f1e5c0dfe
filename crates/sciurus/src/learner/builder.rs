//! Making a [`Learner`]: fastai's `vision_learner`.

use sciurus_clean::find::TrainingLooks;
use sciurus_data::BadOption;
use sciurus_data::Seed;
use sciurus_insight::{Metric, MultiPredictions};

use super::metrics::Asked;
use super::{History, Keep, Learner, Objective, Observer, Phase, Trainer};
use crate::loaders::DataLoaders;
use crate::model::weights::{DownloadProgress, WeightPlaces, WeightSource, load_body};
use crate::model::{Arch, VisionModel};
use crate::{Device, Error, Precision};

/// Starts a learner for these loaders: a body of this architecture with pretrained weights, fastai's head, frozen.
pub fn vision_learner(loaders: DataLoaders, arch: Arch) -> LearnerBuilder {
    LearnerBuilder {
        loaders,
        arch,
        weights: WeightSource::default(),
        places: None,
        device: Device::default(),
        precision: Precision::default(),
        seed: None,
        objective: Objective::default(),
        clip_norm: None,
        accumulate: 1,
        average_decay: None,
        keep: Keep::default(),
        metrics: Asked::default(),
        observers: Vec::new(),
        on_download: None,
    }
}

/// Options of a [`Learner`].
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `weights` | `Pretrained` | where the body's weights come from |
/// | `weight_places` | `SCIURUS_MODELS`, then the cache | folders with weight files |
/// | `device` | `Cpu` | where it trains |
/// | `precision` | `Auto` | what activations are kept in |
/// | `seed` | the loaders' seed | initial head and dropout |
/// | `objective` | cross entropy, all classes alike | what training makes small |
/// | `clip_norm` | off | gradients with a larger norm are scaled down to it (above 0) |
/// | `accumulate` | 1 | batches for each step of the optimizer (at least 1) |
/// | `average_decay` | off | keeps a moving average of the weights, and measures and exports that (0..1) |
/// | `keep` | `Last` | whether the model of the best epoch is kept for [`Learner::restore_best`] |
/// | `metric` | `ErrorRate` | a column of the table; call it again for more |
/// | `multi_metric` | `AccuracyMulti`, F1 | the same where photos have any number of labels |
/// | `observer` | none | sees every event; call it again for more |
pub struct LearnerBuilder {
    loaders: DataLoaders,
    arch: Arch,
    weights: WeightSource,
    places: Option<WeightPlaces>,
    device: Device,
    precision: Precision,
    seed: Option<Seed>,
    objective: Objective,
    clip_norm: Option<f64>,
    accumulate: usize,
    average_decay: Option<f64>,
    keep: Keep,
    metrics: Asked,
    observers: Vec<Box<dyn Observer>>,
    on_download: Option<Box<dyn FnMut(DownloadProgress)>>,
}

impl std::fmt::Debug for LearnerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LearnerBuilder")
            .field("arch", &self.arch)
            .field("weights", &self.weights)
            .finish_non_exhaustive()
    }
}

impl LearnerBuilder {
    /// Where the body's weights come from.
    #[must_use]
    pub fn weights(mut self, source: WeightSource) -> Self {
        self.weights = source;
        self
    }

    /// The folders that pretrained weights are looked for in.
    #[must_use]
    pub fn weight_places(mut self, places: WeightPlaces) -> Self {
        self.places = Some(places);
        self
    }

    /// Where it trains.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// What activations are kept in.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Seed of the initial head and of dropout.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(Seed(seed));
        self
    }

    /// What training makes small.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        self.objective = objective;
        self
    }

    /// Scales gradients down whose norm is larger than this.
    #[must_use]
    pub fn clip_norm(mut self, largest: impl Into<Option<f64>>) -> Self {
        self.clip_norm = largest.into();
        self
    }

    /// Batches for each step of the optimizer, which then uses the mean of their gradients.
    #[must_use]
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.accumulate = batches;
        self
    }

    /// Keeps an exponential moving average of the weights with this decay, and measures and exports that.
    #[must_use]
    pub fn average_decay(mut self, decay: impl Into<Option<f64>>) -> Self {
        self.average_decay = decay.into();
        self
    }

    /// Whether the model of the best epoch is kept for [`Learner::restore_best`].
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Adds a column to the table.
    #[must_use]
    pub fn metric(self, metric: impl Metric + 'static) -> Self {
        self.boxed_metric(Box::new(metric))
    }

    /// Adds a column to the table that is known by its name only, as from [`metric_named`](sciurus_insight::metric_named).
    #[must_use]
    pub fn boxed_metric(mut self, metric: Box<dyn Metric>) -> Self {
        self.metrics.one.push(metric);
        self
    }

    /// Adds a column to the table of photos with any number of labels, such as
    /// [`AccuracyMulti`](sciurus_insight::AccuracyMulti).
    #[must_use]
    pub fn multi_metric(self, metric: impl Metric<MultiPredictions> + 'static) -> Self {
        self.boxed_multi_metric(Box::new(metric))
    }

    /// The same for a metric that is known by its name only, as from
    /// [`multi_metric_named`](sciurus_insight::multi_metric_named).
    #[must_use]
    pub fn boxed_multi_metric(mut self, metric: Box<dyn Metric<MultiPredictions>>) -> Self {
        self.metrics.many.push(metric);
        self
    }

    /// Adds an observer.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Called as a download of weights goes on.
    #[must_use]
    pub fn on_download(mut self, callback: impl FnMut(DownloadProgress) + 'static) -> Self {
        self.on_download = Some(Box::new(callback));
        self
    }

    /// Builds the model, loads its weights and freezes its body.
    ///
    /// # Errors
    /// An option is out of range, the device is not in this build, or the weights cannot be found, fetched or read, or do not fit.
    pub fn build(self) -> Result<Learner, Error> {
        let precision = self.precision.on(self.device)?;
        let device = self.device.open()?;
        let seed = self.seed.unwrap_or(self.loaders.seed());
        self.check()?;
        self.arch.check_image_size(self.loaders.preprocessing().image_size)?;
        let model = VisionModel::new(self.arch, self.loaders.dataset().vocab.len(), seed, &device)?;
        let places = self.places.unwrap_or_else(WeightPlaces::from_environment);
        let mut on_download = self.on_download.unwrap_or_else(|| Box::new(|_| ()));
        let (model, weights) = load_body(model, self.arch, &self.weights, &places, &mut on_download)?;
        let trainer = Trainer::new(model, &device, seed)
            .with_precision(precision)
            .with_objective(self.objective)
            .with_clipped_gradients(self.clip_norm)
            .with_accumulation(self.accumulate)
            .with_average(self.average_decay)
            .with_new_head();
        let metrics = self.metrics.for_photos(self.loaders.dataset())?;
        let looks = TrainingLooks::new(self.loaders.dataset().items.len());
        let mut learner = Learner {
            loaders: self.loaders,
            arch: self.arch,
            weights,
            trainer,
            metrics,
            observers: self.observers,
            phase: Phase::Frozen,
            epochs_done: 0,
            history: History::default(),
            last: None,
            keep: self.keep,
            best: None,
            fits: 0,
            events: 0,
            checkpoints: None,
            resume: None,
            damaged: Vec::new(),
            looks,
        };
        learner.freeze();
        Ok(learner)
    }

    fn check(&self) -> Result<(), Error> {
        let dataset = self.loaders.dataset();
        match dataset.any_number() {
            false => self.objective.check(dataset.vocab.len())?,
            true => self.objective.check_multi(dataset.vocab.len())?,
        }
        let refuse = |option, value: f64, expected| {
            Err(Error::BadOption(BadOption { option, value: value.to_string(), advice: expected }))
        };
        match (self.clip_norm, self.accumulate, self.average_decay) {
            (Some(norm), ..) if !(norm.is_finite() && norm > 0.0) => {
                refuse("clip_norm", norm, "choose a number above 0, such as 1")
            }
            (_, 0, _) => refuse("accumulate", 0.0, "choose 1 or more batches"),
            (.., Some(decay)) if !(decay > 0.0 && decay < 1.0) => {
                refuse("average_decay", decay, "choose a number between 0 and 1, such as 0.99")
            }
            _ => Ok(()),
        }
    }
}
