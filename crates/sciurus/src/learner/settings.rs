//! How a model is fitted, as plain data. A run records it, and a learner is built from it.

use sciurus_data::{BadOption, settings};
use serde::{Deserialize, Serialize};

use super::{FineTune, Keep, LossFunction, OneCycle};
use crate::Error;
use crate::model::weights::WeightSource;
use crate::model::{Arch, ArchChoice, HeadStart, VisionModel};
use crate::nn::{Device, NormStatistics, Precision};

/// fastai's default learning rate, for all groups.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;

settings! {
    /// The network, its weights, and how they are trained.
    pub struct FitSettings {
        /// The network, or `auto`: ResNet-18 if its weights can be had at once, else the one that is built in.
        pub arch: ArchChoice = ArchChoice::Auto,
        /// Where the body's weights come from.
        pub weights: WeightSource = WeightSource::Pretrained,
        /// Whether weights must be on this machine already; nothing is downloaded then.
        pub offline: bool = false,
        /// The device to train on.
        pub device: Device = Device::Cpu,
        /// The number format of activations.
        pub precision: Precision = Precision::Auto,
        /// Epochs that train the whole network, at least 1.
        pub epochs: usize = 4,
        /// Epochs before those, in which only the head and the norm layers train; ignored with random weights.
        pub freeze_epochs: usize = 1,
        /// What the head begins with: `random` weights, as fastai does, or a `linear_probe`; `auto` is the latter for the network
        /// that is built in, where the photos permit it. Ignored with random weights in the body.
        pub head_start: HeadStart = HeadStart::Auto,
        /// Whose mean and variance the body's norm layers use in training: each `batch`'s, or the `running` ones, which then stay;
        /// `auto` is `running` for the network that is built in, and `batch` for others. Ignored with random weights in the body.
        pub norm_statistics: NormStatistics = NormStatistics::Auto,
        /// Highest learning rate of the head, above 0. Without it: 2e-3 for fine-tuning, 1e-3 from random weights.
        pub learning_rate: Option<f64> = None,
        /// Share of the whole network's fit in which the learning rate rises (0..1): fastai's `pct_start`. Without it: 0.3 for
        /// fine-tuning, 0.25 from random weights.
        pub warmup: Option<f64> = None,
        /// The loss function.
        pub loss: LossFunction = LossFunction::CrossEntropy,
        /// How rare classes are made to count more.
        pub balance: Balance = Balance::None,
        /// Largest norm of the gradients over all parameters, above 0; larger ones are scaled down to it: PyTorch's
        /// `clip_grad_norm_`.
        pub clip_norm: Option<f64> = None,
        /// Batches per optimizer step, which uses the mean of their gradients; at least 1.
        pub accumulate: usize = 1,
        /// Decay (0..1) of an exponential moving average of the weights. If set, the average is measured and exported.
        pub average_decay: Option<f64> = None,
        /// Whether the last or the best epoch's model is the result.
        pub keep: Keep = Keep::Last,
        /// Early stopping: a fit ends after this many epochs without a lower validation loss, at least 1.
        pub patience: Option<usize> = None,
    }
}

/// How classes with few photos are made to count as much as the others.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Balance {
    /// Every photo counts the same.
    #[default]
    None,
    /// All classes are equally frequent in a batch, so photos of rare classes occur more than once per epoch.
    Batches,
    /// The loss weights each class by the inverse of its number of training photos. In multi-label data, photos with a label
    /// are weighted by `photos without it / photos with it`.
    Loss,
}

impl FitSettings {
    /// Checks all options, before anything is read or written.
    ///
    /// # Errors
    /// An option is out of its range; see each option.
    pub fn check(&self) -> Result<(), Error> {
        let is_share = |share: f64| share > 0.0 && share < 1.0;
        BadOption::check_given("warmup", self.warmup, is_share, "choose a share between 0 and 1")?;
        match self.is_from_scratch() {
            true => self.one_cycle().schedule(VisionModel::GROUPS)?,
            false => self.fine_tune().unfrozen().schedule(VisionModel::GROUPS)?,
        };
        let is_norm = |norm: f64| norm.is_finite() && norm > 0.0;
        BadOption::check_given("clip_norm", self.clip_norm, is_norm, "choose a number above 0, such as 1")?;
        BadOption::check("accumulate", self.accumulate, self.accumulate > 0, "choose 1 or more batches")?;
        let advice = "choose a number between 0 and 1, such as 0.99";
        BadOption::check_given("average_decay", self.average_decay, is_share, advice)?;
        let advice = "choose 1 or more epochs";
        Ok(BadOption::check_given("patience", self.patience, |epochs| epochs > 0, advice)?)
    }

    /// Whether training starts from random weights.
    pub(crate) fn is_from_scratch(&self) -> bool {
        self.weights == WeightSource::Random
    }

    /// Whether the norm layers of this network's body keep their running statistics, and use them.
    pub(crate) fn freezes_norm(&self, arch: Arch) -> bool {
        let is_frozen = match self.norm_statistics {
            NormStatistics::Auto => arch.is_tuned_gently(),
            NormStatistics::Batch => false,
            NormStatistics::Running => true,
        };
        is_frozen && !self.is_from_scratch()
    }

    /// The fit of a model that starts from random weights.
    pub(crate) fn one_cycle(&self) -> OneCycle {
        let options = OneCycle::new(self.epochs).learning_rates(self.learning_rate());
        let warmup = self.warmup.unwrap_or(options.pct_start);
        options.pct_start(warmup)
    }

    /// The fits of a pretrained model.
    pub(crate) fn fine_tune(&self) -> FineTune {
        let options = FineTune::new(self.epochs)
            .freeze_epochs(self.freeze_epochs)
            .base_learning_rate(self.learning_rate());
        let warmup = self.warmup.unwrap_or(options.pct_start);
        FineTune { head_start: self.head_start, ..options.pct_start(warmup) }
    }

    /// The highest learning rate of the head: the given one, or the default.
    pub(crate) fn learning_rate(&self) -> f64 {
        let usual = match self.is_from_scratch() {
            true => SCRATCH_LEARNING_RATE,
            false => FineTune::new(1).base_learning_rate,
        };
        self.learning_rate.unwrap_or(usual)
    }
}
