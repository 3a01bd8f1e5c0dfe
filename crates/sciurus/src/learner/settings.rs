//! How a model is fitted, as plain data: what a run records and a learner is built from.

use sciurus_data::{BadOption, settings};
use serde::{Deserialize, Serialize};

use super::{FineTune, Keep, Loss, OneCycle};
use crate::Error;
use crate::model::weights::WeightSource;
use crate::model::{Arch, VisionModel};
use crate::nn::{Device, Precision};

/// fastai's default rate, for all groups.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;

settings! {
    /// The network, its weights, and how they are trained.
    pub struct FitSettings {
        /// The network.
        pub arch: Arch = Arch::ResNet18,
        /// Where the body's weights come from.
        pub weights: WeightSource = WeightSource::Pretrained,
        /// Whether weights must be on this machine: nothing is downloaded.
        pub offline: bool = false,
        /// Where it trains.
        pub device: Device = Device::Cpu,
        /// What activations are kept and multiplied in.
        pub precision: Precision = Precision::Auto,
        /// Epochs that train the whole network, at least 1.
        pub epochs: usize = 4,
        /// Epochs before them that train only the head and the norm layers; none with random weights.
        pub freeze_epochs: usize = 1,
        /// Highest learning rate of the head, above 0; without it 2e-3 to fine-tune and 1e-3 from random weights.
        pub learning_rate: Option<f64> = None,
        /// Share of the whole network's fit in which the learning rate rises (0..1): fastai's `pct_start`. Without it 0.3 to
        /// fine-tune and 0.25 from random weights.
        pub warmup: Option<f64> = None,
        /// The loss function.
        pub loss: Loss = Loss::CrossEntropy,
        /// How rare classes are made to count.
        pub balance: Balance = Balance::None,
        /// Gradients with a larger norm over all parameters are scaled down to it, above 0: PyTorch's `clip_grad_norm_`.
        pub clip_norm: Option<f64> = None,
        /// Batches for each step of the optimizer, which takes the mean of their gradients: at least 1.
        pub accumulate: usize = 1,
        /// Decay (0..1) of an exponential moving average of the weights, which is then what is measured and exported.
        pub average_decay: Option<f64> = None,
        /// Whether the last or the best epoch's model is the result.
        pub keep: Keep = Keep::Last,
        /// Epochs without a lower validation loss that end a fit, at least 1.
        pub patience: Option<usize> = None,
    }
}

/// How classes with few photos are made to count as much as others.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Balance {
    /// They are not.
    #[default]
    None,
    /// Each batch holds all classes equally often: photos of rare ones come more than once in an epoch.
    Batches,
    /// The loss weighs each class by the inverse of its number of training photos; multi-label, photos with a label by
    /// `photos without / photos with` it.
    Loss,
}

impl FitSettings {
    /// An error where an option is out of its range, before anything is read or written.
    ///
    /// # Errors
    /// See each option.
    pub fn check(&self) -> Result<(), Error> {
        let warmup = self.warmup.unwrap_or(0.5);
        BadOption::check("warmup", warmup, warmup > 0.0 && warmup < 1.0, "choose a share between 0 and 1")?;
        match self.is_from_scratch() {
            true => self.one_cycle().schedule(VisionModel::GROUPS)?,
            false => self.fine_tune().unfrozen().schedule(VisionModel::GROUPS)?,
        };
        let clip = self.clip_norm.unwrap_or(1.0);
        BadOption::check(
            "clip_norm",
            clip,
            clip.is_finite() && clip > 0.0,
            "choose a number above 0, such as 1",
        )?;
        BadOption::check("accumulate", self.accumulate, self.accumulate > 0, "choose 1 or more batches")?;
        let decay = self.average_decay.unwrap_or(0.5);
        let advice = "choose a number between 0 and 1, such as 0.99";
        BadOption::check("average_decay", decay, decay > 0.0 && decay < 1.0, advice)?;
        Ok(BadOption::check("patience", 0, self.patience != Some(0), "choose 1 or more epochs")?)
    }

    /// Whether training begins from random weights.
    pub(crate) fn is_from_scratch(&self) -> bool {
        self.weights == WeightSource::Random
    }

    /// The fit of a model that begins from random weights.
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
        options.pct_start(warmup)
    }

    /// The highest learning rate of the head: the one that was asked for, or the usual one.
    pub(crate) fn learning_rate(&self) -> f64 {
        let usual = match self.is_from_scratch() {
            true => SCRATCH_LEARNING_RATE,
            false => FineTune::new(1).base_learning_rate,
        };
        self.learning_rate.unwrap_or(usual)
    }
}
