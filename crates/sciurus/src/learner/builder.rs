//! Making a [`Learner`]: fastai's `vision_learner`.

use sciurus_data::Seed;
use sciurus_insight::{ErrorRate, Metric};

use super::{History, Learner, Observer, Phase, Trainer};
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
        metrics: Vec::new(),
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
/// | `metric` | `ErrorRate` | a column of the table; call it again for more |
/// | `observer` | none | sees every event; call it again for more |
pub struct LearnerBuilder {
    loaders: DataLoaders,
    arch: Arch,
    weights: WeightSource,
    places: Option<WeightPlaces>,
    device: Device,
    precision: Precision,
    seed: Option<Seed>,
    metrics: Vec<Box<dyn Metric>>,
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

    /// Adds a column to the table.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric + 'static) -> Self {
        self.metrics.push(Box::new(metric));
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
    /// The device is not in this build, or the weights cannot be found, fetched or read, or do not fit.
    pub fn build(self) -> Result<Learner, Error> {
        let precision = self.precision.on(self.device)?;
        let device = self.device.open()?;
        let seed = self.seed.unwrap_or(self.loaders.seed());
        let model = VisionModel::new(self.arch, self.loaders.dataset().vocab.len(), seed, &device)?;
        let places = self.places.unwrap_or_else(WeightPlaces::from_environment);
        let mut on_download = self.on_download.unwrap_or_else(|| Box::new(|_| ()));
        let (model, weights) = load_body(model, self.arch, &self.weights, &places, &mut on_download)?;
        let metrics = if self.metrics.is_empty() { vec![Box::new(ErrorRate) as _] } else { self.metrics };
        let mut learner = Learner {
            loaders: self.loaders,
            arch: self.arch,
            weights,
            trainer: Trainer::new(model, &device, seed).with_precision(precision),
            metrics,
            observers: self.observers,
            phase: Phase::Frozen,
            epochs_done: 0,
            history: History::default(),
            last: None,
        };
        learner.freeze();
        Ok(learner)
    }
}
