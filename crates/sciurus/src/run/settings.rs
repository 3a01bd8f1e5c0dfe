//! Everything that a training run is asked for, and the learner that follows from it.

use std::path::PathBuf;

use sciurus_data::{Augmentation, ResizeMethod, Splitter};
use sciurus_insight::ErrorRate;
use serde::{Deserialize, Serialize};

use super::Listeners;
use crate::learner::{Control, FineTune, Learner, OneCycle, vision_learner};
use crate::loaders::{DataLoaders, ImageDataLoaders};
use crate::model::Arch;
use crate::model::weights::WeightSource;
use crate::{Device, Error, Precision};

/// fastai's default rate, for all groups.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;

/// Everything that a training run is asked for; `run.json` keeps it.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `folder` | required | photos, in a folder per class | |
/// | `arch` | `resnet18` | the architecture | |
/// | `epochs` | 4 | epochs with the whole model training | at least 1 |
/// | `freeze_epochs` | 1 | epochs with a frozen body before them; none for random weights | |
/// | `learning_rate` | 2e-3 to fine-tune, 1e-3 from scratch | highest rate of the head | above 0 |
/// | `batch_size` | 64 | images in a batch | at least 2 |
/// | `image_size` | 224 | side of the square the model sees (pixels) | 32 to 4096 |
/// | `resize_method` | `crop` | how a photo becomes a square | |
/// | `augmentation` | none | how training photos vary | |
/// | `splitter` | by folder if there are split folders, else stratified, 0.2 | which photos measure | |
/// | `seed` | 42 | everything random | |
/// | `weights` | pretrained | where the body's weights come from | |
/// | `device` | `cpu` | where it trains | |
/// | `precision` | `auto` | what activations are kept in: `f32`, `bf16`, or `auto`: bf16 where the processor is faster with it | |
/// | `threads` | all cores | threads that decode; computing uses the calling thread's pool | at least 1 |
/// | `memory_budget` | a quarter of RAM | bytes of decoded pixels kept in memory | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Photos, in a folder per class.
    pub folder: PathBuf,
    /// The architecture.
    pub arch: Arch,
    /// Epochs with the whole model training.
    pub epochs: usize,
    /// Epochs with a frozen body before them; not used with random weights.
    pub freeze_epochs: usize,
    /// Highest learning rate of the head.
    pub learning_rate: Option<f64>,
    /// Images in a batch.
    pub batch_size: usize,
    /// Side of the square the model sees, in pixels.
    pub image_size: usize,
    /// How a photo becomes a square.
    pub resize_method: ResizeMethod,
    /// How training photos vary from epoch to epoch.
    pub augmentation: Augmentation,
    /// Which photos measure the model.
    pub splitter: Option<Splitter>,
    /// Seed of everything random.
    pub seed: u64,
    /// Where the body's weights come from.
    pub weights: WeightSource,
    /// Where it trains.
    pub device: Device,
    /// What activations are kept in.
    #[serde(default)]
    pub precision: Precision,
    /// Threads that decode. Computing uses the pool of threads that it is called from.
    pub threads: Option<usize>,
    /// Bytes of decoded pixels kept in memory.
    pub memory_budget: Option<u64>,
}

impl TrainSettings {
    /// The defaults for these photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            arch: Arch::ResNet18,
            epochs: 4,
            freeze_epochs: 1,
            learning_rate: None,
            batch_size: 64,
            image_size: 224,
            resize_method: ResizeMethod::Crop,
            augmentation: Augmentation::None,
            splitter: None,
            seed: 42,
            weights: WeightSource::Pretrained,
            device: Device::Cpu,
            precision: Precision::Auto,
            threads: None,
            memory_budget: None,
        }
    }

    /// Reads the photos and builds the learner, ready for [`fit`](Self::fit).
    ///
    /// # Errors
    /// The photos or weights cannot be read, or an option is out of range.
    pub fn learner(&self, listeners: Listeners) -> Result<Learner, Error> {
        let precision = self.arch.precision(self.precision)?;
        let loaders = self.loaders(listeners.on_scan)?;
        vision_learner(loaders, self.arch)
            .weights(self.weights.clone())
            .device(self.device)
            .precision(precision)
            .seed(self.seed)
            .metric(ErrorRate)
            .on_download(listeners.on_download)
            .build()
    }

    /// Trains a learner: fine-tuning pretrained weights, or one cycle from random ones.
    ///
    /// # Errors
    /// As [`Learner::fit`].
    pub fn fit(&self, learner: &mut Learner) -> Result<Control, Error> {
        if self.weights == WeightSource::Random {
            learner.unfreeze();
            let rate = self.learning_rate.unwrap_or(SCRATCH_LEARNING_RATE);
            return learner.fit_one_cycle(OneCycle::new(self.epochs).learning_rates(rate));
        }
        let mut options = FineTune::new(self.epochs).freeze_epochs(self.freeze_epochs);
        if let Some(rate) = self.learning_rate {
            options = options.base_learning_rate(rate);
        }
        learner.fine_tune(options)
    }

    /// The same settings with every default that depends on data or machine written out.
    pub(super) fn resolved(mut self, learner: &Learner) -> Self {
        let from_scratch = self.weights == WeightSource::Random;
        let default = if from_scratch { SCRATCH_LEARNING_RATE } else { FineTune::new(1).base_learning_rate };
        self.learning_rate.get_or_insert(default);
        self.splitter = Some(learner.loaders().dataset().splitter);
        self.precision = learner.precision();
        self
    }

    fn loaders(
        &self,
        on_scan: Box<dyn Fn(sciurus_data::Progress) + Send + Sync>,
    ) -> Result<DataLoaders, Error> {
        let mut loaders = ImageDataLoaders::from_folder(&self.folder)
            .image_size(self.image_size)
            .resize_method(self.resize_method)
            .normalize(self.arch.normalize())
            .augmentation(self.augmentation)
            .batch_size(self.batch_size)
            .seed(self.seed)
            .on_progress(on_scan);
        if let Some(splitter) = &self.splitter {
            loaders = loaders.split_by(*splitter);
        }
        if let Some(threads) = self.threads {
            loaders = loaders.threads(threads);
        }
        if let Some(bytes) = self.memory_budget {
            loaders = loaders.memory_budget(bytes);
        }
        loaders.build()
    }
}
