//! Everything that a training run is asked for, and the learner that follows from it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sciurus_clean::plan::CleanPlan;
use sciurus_data::BadOption;
use sciurus_data::fs::read_regular;
use sciurus_data::{
    Augmentation, ImageDataset, Labeler, Mix, Order, ResizeMethod, Split, Splitter, Views, class_weights,
    positive_weights,
};
use sciurus_insight::{metric_named, multi_metric_named};
use serde::{Deserialize, Serialize};

use super::Listeners;
use super::budget::{Budget, Timed};
use crate::learner::{
    BatchTimes, Control, EarlyStopping, FineTune, Keep, Learner, Loss, Objective, OneCycle, vision_learner,
};
use crate::loaders::{DataLoaders, ImageDataLoaders};
use crate::model::weights::{Network, WeightPlaces, WeightSource};
use crate::model::{Arch, VisionModel};
use crate::{Device, Error, Precision};

/// Bytes of a file of settings at most.
const LARGEST: u64 = 1 << 20;

/// fastai's default rate, for all groups.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;

/// Everything that a training run is asked for; `run.json` keeps it.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `folder` | required | photos, in a folder per class | |
/// | `labels` | a folder per class | where labels come from: folders, a CSV file, or names | |
/// | `test_fraction` | none, unless the data have test photos | share kept for the last measurement | 0..1 |
/// | `group_pattern` | none | regular expression for the group of a photo, which stays on one side of the split | |
/// | `plan` | none | a plan of `sciurus clean` that is heeded | |
/// | `balance` | none | how rare classes are made to count | |
/// | `mix` | none | MixUp or CutMix | |
/// | `metrics` | error rate; where photos have any number of labels `accuracy_multi`, `f1` | columns of the table, by name | |
/// | `arch` | `resnet18` | the architecture | |
/// | `epochs` | 4 | epochs with the whole model training | at least 1 |
/// | `freeze_epochs` | 1 | epochs with a frozen body before them; none for random weights | |
/// | `learning_rate` | 2e-3 to fine-tune, 1e-3 from scratch | highest rate of the head | above 0 |
/// | `batch_size` | 64 | images in a batch | at least 2 |
/// | `image_size` | 224 | side of the square the model sees (pixels) | 32 to 4096 |
/// | `first_image_size` | off | progressive resizing: side of the square in the first half of each fit's epochs (pixels) | 32 to below `image_size` |
/// | `resize_method` | `crop` | how a photo becomes a square | |
/// | `augmentation` | `flip` | how training photos vary | |
/// | `views` | `mirrored` where `augmentation` mirrors, else `plain` | what an answer is the mean of, measured and predicted | |
/// | `splitter` | by folder if there are split folders, else stratified, 0.2 | which photos measure | |
/// | `seed` | 42 | everything random | |
/// | `weights` | pretrained | where the body's weights come from | |
/// | `network` | allowed | whether weights may be downloaded | |
/// | `loss` | cross entropy | what training makes small | |
/// | `clip_norm` | off | gradients with a larger norm are scaled down to it | above 0 |
/// | `accumulate` | 1 | batches for each step of the optimizer | at least 1 |
/// | `average_decay` | off | a moving average of the weights is measured and exported | 0..1 |
/// | `budget_seconds` | off | time that the run may take: it chooses epochs and image size | 10 or more |
/// | `keep` | `last` | whether the last or the best epoch's model is saved | |
/// | `patience` | off | epochs without a lower validation loss that end a fit | at least 1 |
/// | `half` | off | whether weights are rounded to half precision (fp16) before they are measured and saved | |
/// | `tensorboard` | off | whether the run writes event files for TensorBoard | |
/// | `checkpoint_seconds` | 60 | least time between checkpoints (seconds) | 0 or more |
/// | `device` | `cpu` | where it trains | |
/// | `precision` | `auto` | what activations are kept in: `f32`, `bf16`, or `auto`: bf16 where the processor is faster with it | |
/// | `threads` | all cores | threads that decode; computing uses the calling thread's pool | at least 1 |
/// | `memory_budget` | a quarter of RAM | bytes of decoded pixels kept in memory | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Photos, in a folder per class.
    pub folder: PathBuf,
    /// Where labels come from.
    pub labels: Labeler,
    /// Share of all photos that is kept for a measurement at the very end.
    pub test_fraction: Option<f64>,
    /// A regular expression that finds the group of a photo in its path.
    pub group_pattern: Option<String>,
    /// A plan of `sciurus clean` that is heeded: labels change and images are left out, but no file is touched.
    pub plan: Option<PathBuf>,
    /// How rare classes are made to count.
    pub balance: Balance,
    /// How the training photos of a batch are mixed with one another.
    pub mix: Option<Mix>,
    /// Columns of the table, by their names; empty: the usual ones.
    pub metrics: Vec<String>,
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
    /// Progressive resizing: side of the square in the first half of each fit's epochs, in pixels.
    pub first_image_size: Option<usize>,
    /// How a photo becomes a square.
    pub resize_method: ResizeMethod,
    /// How training photos vary from epoch to epoch.
    pub augmentation: Augmentation,
    /// The views of a photo that an answer is the mean of, where the model is measured and where it predicts.
    pub views: Option<Views>,
    /// Which photos measure the model.
    pub splitter: Option<Splitter>,
    /// Seed of everything random.
    pub seed: u64,
    /// Where the body's weights come from.
    pub weights: WeightSource,
    /// Whether weights may be downloaded.
    pub network: Network,
    /// What training makes small.
    pub loss: Loss,
    /// Gradients with a larger norm are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Batches for each step of the optimizer.
    pub accumulate: usize,
    /// Decay of a moving average of the weights, which is then measured and exported.
    pub average_decay: Option<f64>,
    /// Time that the run may take, in seconds. It decides the number of epochs, and the image size where that one would
    /// leave too few of them or needlessly many.
    pub budget_seconds: Option<f64>,
    /// Whether the last or the best epoch's model is saved.
    pub keep: Keep,
    /// Epochs without a lower validation loss that end a fit.
    pub patience: Option<usize>,
    /// Whether weights are rounded to half precision (fp16) before they are measured and saved.
    pub half: bool,
    /// Whether the run writes event files for TensorBoard.
    pub tensorboard: bool,
    /// Least time between checkpoints, in seconds.
    pub checkpoint_seconds: f64,
    /// Where it trains.
    pub device: Device,
    /// What activations are kept in.
    pub precision: Precision,
    /// Threads that decode. Computing uses the pool of threads that it is called from.
    pub threads: Option<usize>,
    /// Bytes of decoded pixels kept in memory.
    pub memory_budget: Option<u64>,
}

/// How classes with few photos are made to count as much as others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// They are not.
    #[default]
    None,
    /// Each batch holds all classes equally often: photos of rare ones come more than once in an epoch.
    Batches,
    /// The loss weighs each class by the inverse of its number of training photos; of any number of labels, photos with a
    /// label by `photos without / photos with` it.
    Loss,
}

/// A checkpoint a minute costs a few thousandths of the time, and loses at most a minute of it.
const CHECKPOINT_SECONDS: f64 = 60.0;

impl Default for TrainSettings {
    /// The defaults, without photos.
    fn default() -> Self {
        Self::new("")
    }
}

impl TrainSettings {
    /// The defaults for these photos.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            labels: Labeler::Folder,
            test_fraction: None,
            group_pattern: None,
            plan: None,
            balance: Balance::None,
            mix: None,
            metrics: Vec::new(),
            arch: Arch::ResNet18,
            epochs: 4,
            freeze_epochs: 1,
            learning_rate: None,
            batch_size: 64,
            image_size: 224,
            first_image_size: None,
            resize_method: ResizeMethod::Crop,
            augmentation: Augmentation::Flip,
            views: None,
            splitter: None,
            seed: 42,
            weights: WeightSource::Pretrained,
            network: Network::Allowed,
            loss: Loss::default(),
            clip_norm: None,
            accumulate: 1,
            average_decay: None,
            budget_seconds: None,
            keep: Keep::Last,
            patience: None,
            half: false,
            tensorboard: false,
            checkpoint_seconds: CHECKPOINT_SECONDS,
            device: Device::Cpu,
            precision: Precision::Auto,
            threads: None,
            memory_budget: None,
        }
    }

    /// Settings for tests: a small network from random weights on small pictures.
    #[cfg(test)]
    pub(crate) fn small(folder: impl Into<PathBuf>) -> Self {
        Self {
            arch: Arch::ResNet10Narrow,
            weights: WeightSource::Random,
            image_size: 64,
            batch_size: 8,
            ..Self::new(folder)
        }
    }

    /// Reads settings from a TOML file; what it does not name has its default. Paths are relative to where the program runs.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, names a setting that does not exist, or names no folder of photos.
    pub fn from_toml(path: &Path) -> Result<Self, Error> {
        let bytes = read_regular(path, LARGEST).map_err(|source| Error::io(path, source))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| Error::io(path, std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        let broken = |reason: String| Error::Run { path: path.to_owned(), reason };
        let settings: Self = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if settings.folder.as_os_str().is_empty() {
            return Err(broken("names no photos; add a line such as: folder = \"squirrels\"".to_owned()));
        }
        Ok(settings)
    }

    /// The same settings for a program that runs in any folder.
    pub(super) fn with_absolute_paths(mut self) -> Result<Self, Error> {
        let mut paths = vec![&mut self.folder];
        paths.extend(&mut self.plan);
        if let Labeler::Csv(table) = &mut self.labels {
            paths.push(&mut table.path);
        }
        if let WeightSource::File(file) = &mut self.weights {
            paths.push(file);
        }
        for path in paths {
            *path = std::path::absolute(&*path).map_err(|source| Error::io(path, source))?;
        }
        Ok(self)
    }

    /// The settings as a TOML file for [`from_toml`](Self::from_toml).
    pub(super) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        Ok(format!(
            "# Settings of a training run: sciurus train --config FILE does the same again.\n\n{}",
            toml::to_string(self)?
        ))
    }

    /// Reads the photos and builds the learner, ready for [`fit`](Self::fit).
    ///
    /// # Errors
    /// The photos or weights cannot be read, or an option is out of range.
    pub fn learner(&self, listeners: Listeners) -> Result<Learner, Error> {
        // Before anything is read or written: a run that cannot be trained leaves no folder.
        match self.weights {
            WeightSource::Random => self.one_cycle().schedule(VisionModel::GROUPS)?,
            _ => self.fine_tune().unfrozen().schedule(VisionModel::GROUPS)?,
        };
        if self.patience == Some(0) {
            let expected = "choose 1 or more epochs";
            return Err(Error::BadOption(BadOption {
                option: "patience",
                value: "0".to_owned(),
                advice: expected,
            }));
        }
        if !(0.0..1e9).contains(&self.checkpoint_seconds) {
            let value = self.checkpoint_seconds.to_string();
            let expected = "choose 0 or more seconds";
            return Err(Error::BadOption(BadOption {
                option: "checkpoint_seconds",
                value,
                advice: expected,
            }));
        }
        if let (Some(pixels), Some(_)) = (self.first_image_size, self.budget_seconds) {
            let (value, expected) =
                (pixels.to_string(), "leave it out beside budget_seconds, which chooses the size");
            return Err(Error::BadOption(BadOption { option: "first_image_size", value, advice: expected }));
        }
        let loaders = self.loaders(listeners.on_scan)?;
        let any_number = loaders.dataset().any_number();
        let class_weights = match self.balance {
            Balance::Loss if any_number => {
                let dataset = loaders.dataset();
                positive_weights(&dataset.class_counts(Split::Train), dataset.split(Split::Train).count())
            }
            Balance::Loss => class_weights(&loaders.dataset().class_counts(Split::Train))
                .into_iter()
                .map(f64::from)
                .collect(),
            Balance::None | Balance::Batches => Vec::new(),
        };
        let mut learner = vision_learner(loaders, self.arch)
            .weights(self.weights.clone())
            .weight_places(WeightPlaces::from_environment().network(self.network))
            .device(self.device)
            .precision(self.precision)
            .seed(self.seed)
            .objective(Objective { loss: self.loss, class_weights })
            .clip_norm(self.clip_norm)
            .accumulate(self.accumulate)
            .average_decay(self.average_decay)
            .keep(self.keep)
            .on_download(listeners.on_download);
        for name in &self.metrics {
            learner = match any_number {
                false => learner.boxed_metric(metric_named(name)?),
                true => learner.boxed_multi_metric(multi_metric_named(name)?),
            };
        }
        if let Some(patience) = self.patience {
            learner = learner.observer(EarlyStopping::new(patience));
        }
        learner.build()
    }

    /// Trains a learner: fine-tuning pretrained weights, or one cycle from random ones.
    ///
    /// # Errors
    /// As [`Learner::fit`].
    pub fn fit(&self, learner: &mut Learner) -> Result<Control, Error> {
        if self.weights == WeightSource::Random {
            learner.unfreeze();
            return learner.fit_one_cycle(self.one_cycle());
        }
        learner.fine_tune(self.fine_tune())
    }

    /// The same within a budget of time.
    pub(super) fn fit_in_time(
        &self,
        learner: &mut Learner,
        (budget, times): Timed,
    ) -> Result<Control, Error> {
        if self.weights == WeightSource::Random {
            learner.unfreeze();
            return budget.fit(learner, self.one_cycle().schedule(VisionModel::GROUPS)?, &times);
        }
        budget.fine_tune(learner, &self.fine_tune(), &times)
    }

    /// A learner whose image size suits the budget, with what its batches take.
    pub(super) fn in_time(
        mut self,
        budget: Budget,
        listeners: Listeners,
    ) -> Result<(Self, Learner, Timed), Error> {
        let mut learner = self.learner(listeners)?;
        let mut times = learner.time_batches()?;
        let frozen = if self.weights == WeightSource::Random { 0 } else { self.freeze_epochs };
        let size = budget.without(self.after(&times)).image_size(&times, frozen, self.image_size);
        if size != self.image_size {
            self.image_size = size;
            learner = self.learner(Listeners::default())?;
            times = learner.time_batches()?;
        }
        let budget = budget.without(self.after(&times));
        Ok((self, learner, (budget, times)))
    }

    /// What is measured when the training is over: the test photos, and the model anew if it is rounded to half precision.
    fn after(&self, times: &BatchTimes) -> Duration {
        let anew = if self.half { times.valid_epoch() } else { 0.0 };
        times.test + Duration::from_secs_f64(anew)
    }

    fn one_cycle(&self) -> OneCycle {
        OneCycle::new(self.epochs).learning_rates(self.learning_rate.unwrap_or(SCRATCH_LEARNING_RATE))
    }

    fn fine_tune(&self) -> FineTune {
        let options = FineTune::new(self.epochs).freeze_epochs(self.freeze_epochs);
        match self.learning_rate {
            Some(rate) => options.base_learning_rate(rate),
            None => options,
        }
    }

    /// The same settings with every default that depends on data or machine written out.
    pub(super) fn resolved(mut self, learner: &Learner) -> Self {
        let from_scratch = self.weights == WeightSource::Random;
        let default = if from_scratch { SCRATCH_LEARNING_RATE } else { FineTune::new(1).base_learning_rate };
        self.learning_rate.get_or_insert(default);
        self.splitter = Some(learner.loaders().dataset().splitter);
        self.views = Some(learner.loaders().preprocessing().views);
        self.precision = learner.precision();
        self.metrics = learner.metric_names();
        self
    }

    fn loaders(
        &self,
        on_scan: Box<dyn Fn(sciurus_data::Progress) + Send + Sync>,
    ) -> Result<DataLoaders, Error> {
        let mut dataset = ImageDataset::from_folder(&self.folder).label_by(self.labels.clone());
        if let Some(share) = self.test_fraction {
            dataset = dataset.test_fraction(share);
        }
        if let Some(pattern) = &self.group_pattern {
            dataset = dataset.group_by(pattern);
        }
        if let Some(plan) = &self.plan {
            dataset = dataset.correct(CleanPlan::load(plan)?.corrections());
        }
        let order = if self.balance == Balance::Batches { Order::Balanced } else { Order::Shuffled };
        let mut loaders = ImageDataLoaders::from_dataset(dataset)
            .order(order)
            .mix(self.mix)
            .image_size(self.image_size)
            .first_image_size(self.first_image_size)
            .resize_method(self.resize_method)
            .normalize(self.arch.normalize())
            .augmentation(self.augmentation)
            .views(self.views)
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
