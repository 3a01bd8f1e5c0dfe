//! What can be typed after `sciurus train`, and the settings that follow from it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sciurus::data::{Augmentation, Mix, Splitter, Views};
use sciurus::{Arch, Balance, Device, Keep, Loss, Network, Precision, TrainSettings, WeightSource};

use super::{LabelArgs, Resize, Show, Split, augmentation, fold, seconds};

const TRAIN_EXAMPLES: &str = "\
Examples:
  sciurus train squirrels
      ResNet-18: one epoch with a frozen body, then 4 with the whole network; a fifth of the
      photos measures it.
  sciurus train squirrels --arch squeezenet1_1 --epochs 8 --augment standard
      A small, fast network, longer, with photos that vary from epoch to epoch.
  SCIURUS_MODELS=/mnt/weights sciurus train squirrels
      Pretrained weights from a folder, on a machine without a network.
  sciurus train squirrels --in 2m
      As much training as two minutes allow on this machine.
  sciurus train photos --csv labels.csv --test-fraction 0.1 --metrics error_rate,f1,roc_auc
      Labels from a table, a test split that is measured once, and more columns.
  sciurus train photos --csv labels.csv --label-separator ' ' --metrics f1,average_precision
      Photos with any number of labels, such as `bird tree`, or none.
  sciurus train --resume runs/squirrels-20261124-101500
      Go on with a run that was killed, as if nothing had happened.
  sciurus train --config runs/squirrels-20261124-101500/config.toml
      The same again.
  sciurus train pictures --no-pretrained --arch resnet10_narrow --image-size 64 --epochs 20
      From random weights, on small pictures.

Photos lie in a folder per class, or in train/ and valid/ (or val/) with a folder per class in
each; a test/ folder is measured at the end. Folders that begin with _ or . are left out. Files
that are no readable photos are named and left out; nothing is ever deleted.

Ctrl-C ends a run after its present batch; what was trained is measured and saved. A run that was
killed goes on with --resume.

The run folder holds run.json (all settings), config.toml (the same, for --config), history.csv (the
table), events.jsonl (everything that happened), predictions.json (the validation photos, with
losses), training.parquet (how the label of each training photo was learnt, for `sciurus clean RUN`)
and model.sciurus (the model, for `sciurus predict`).";

/// Options that a file of settings has too.
const SETTINGS: &[&str] = &[
    "folder",
    "arch",
    "epochs",
    "budget_seconds",
    "freeze_epochs",
    "learning_rate",
    "batch_size",
    "image_size",
    "first_image_size",
    "resize",
    "augment",
    "views",
    "split",
    "valid_fraction",
    "seed",
    "weights",
    "no_pretrained",
    "offline",
    "loss",
    "clip_norm",
    "accumulate",
    "average_decay",
    "keep",
    "patience",
    "half",
    "tensorboard",
    "checkpoint_seconds",
    "device",
    "precision",
    "memory_budget",
    "mix",
    "balance",
    "fold",
    "test_fraction",
    "csv",
    "label_separator",
    "name_pattern",
    "group",
    "plan",
    "metrics",
];

#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Photos, in a folder per class
    #[arg(required_unless_present_any = ["resume", "config"])]
    folder: Option<PathBuf>,
    /// Go on with a run that was interrupted, from its last checkpoint, with its own settings
    #[arg(long, value_name = "RUN", conflicts_with_all = SETTINGS, conflicts_with_all = ["config", "run"])]
    pub(crate) resume: Option<PathBuf>,
    /// All settings from a TOML file, such as the config.toml of another run
    #[arg(long, value_name = "FILE", conflicts_with_all = SETTINGS)]
    config: Option<PathBuf>,
    /// Network; `sciurus archs` lists them
    #[arg(long, default_value_t = Arch::ResNet18)]
    arch: Arch,
    /// Epochs with the whole network training
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Time that the run may take, such as 60s, 2m or 1h: it measures the machine and chooses epochs and image size
    #[arg(long = "in", value_name = "TIME", value_parser = seconds, conflicts_with_all = ["epochs", "image_size"])]
    budget_seconds: Option<f64>,
    /// Epochs before them that train only the head (and norm layers); none with --no-pretrained
    #[arg(long, default_value_t = 1)]
    freeze_epochs: usize,
    /// Highest learning rate of the head [default: 0.002, or 0.001 with --no-pretrained]
    #[arg(long = "lr", value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Images in a batch
    #[arg(long, default_value_t = 64, value_name = "IMAGES")]
    batch_size: usize,
    /// Side of the square that the network sees
    #[arg(long, default_value_t = 224, value_name = "PIXELS")]
    image_size: usize,
    /// Progressive resizing: pixels in the first half of the epochs, which then take less time [default: off]
    #[arg(long = "first-size", value_name = "PIXELS", conflicts_with = "budget_seconds")]
    first_image_size: Option<usize>,
    /// How a photo becomes a square: cut (crop), distorted (squish) or with mirrored borders (pad)
    #[arg(long, value_enum, default_value_t = Resize::Crop)]
    resize: Resize,
    /// How training photos vary: none (for letters, signs and whatever else has a left and a right), flip, standard (fastai's aug_transforms), random_resized_crop, random_erasing,
    /// rand_augment or trivial_augment
    #[arg(long, value_parser = augmentation, default_value = "flip", value_name = "NAME")]
    augment: Augmentation,
    /// What an answer is the mean of, measured and predicted: the photo (plain), or also its mirror image (mirrored)
    /// [default: mirrored where --augment mirrors, else plain]
    #[arg(long, value_enum)]
    views: Option<ViewsOfPhoto>,
    /// Mix the training photos of a batch with one another
    #[arg(long, value_enum)]
    mix: Option<MixImages>,
    /// Make rare classes count: in each batch, or in the loss
    #[arg(long, value_enum, default_value_t = BalanceClasses::None)]
    balance: BalanceClasses,
    /// Which photos measure the model: the same share of every class (stratified), any (random, as fastai does), or
    /// those in valid/ [default: folder if there are train/valid folders, else stratified]
    #[arg(long, value_enum)]
    split: Option<Split>,
    /// Share of the photos that measures the model (0 to 1) [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    valid_fraction: Option<f64>,
    /// Train for one of several folds: K/N measures on the K-th of N parts, counted from 1
    #[arg(long, value_name = "K/N", value_parser = fold, conflicts_with_all = ["split", "valid_fraction"])]
    fold: Option<Splitter>,
    /// Share of all photos that is measured once, at the very end (0 to 1)
    #[arg(long, value_name = "SHARE")]
    test_fraction: Option<f64>,
    #[command(flatten)]
    data: LabelArgs,
    /// Heed a plan of `sciurus clean`: labels change and photos are left out, but no file is touched
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Columns of the table: error_rate, accuracy, balanced_accuracy, top_K, precision, recall, f1 (also _micro, _weighted),
    /// roc_auc, average_precision, cohen_kappa, matthews, brier, calibration_error [default: error_rate]; with
    /// --label-separator accuracy_multi, precision, recall, f1 (also _micro, _weighted, _samples), average_precision,
    /// roc_auc [default: accuracy_multi,f1]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Seed of everything random: the same seed, photos and program give the same model
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Pretrained weights from this file (.safetensors, .pth) [default: SCIURUS_MODELS, else torchvision's, downloaded once from SCIURUS_MIRROR or its publisher]
    #[arg(long, value_name = "FILE", conflicts_with = "no_pretrained")]
    weights: Option<PathBuf>,
    /// Start from random weights
    #[arg(long)]
    no_pretrained: bool,
    /// Download nothing: weights that are not on this machine are an error (also SCIURUS_OFFLINE=1)
    #[arg(long)]
    offline: bool,
    /// What training makes small: cross_entropy, label_smoothing:SHARE or focal:GAMMA
    #[arg(long, default_value_t = Loss::CrossEntropy)]
    loss: Loss,
    /// Gradients whose norm is larger are scaled down to it [default: off]
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Batches for each step of the optimizer: large batches in little memory
    #[arg(long, default_value_t = 1, value_name = "BATCHES")]
    accumulate: usize,
    /// Keep a moving average of the weights with this decay (0 to 1), and measure and save that [default: off]
    #[arg(long, value_name = "DECAY")]
    average_decay: Option<f64>,
    /// Which epoch's model is saved: the last one's, or the one with the lowest validation loss (which flatters it a little)
    #[arg(long, value_enum, default_value_t = KeepEpoch::Last)]
    keep: KeepEpoch,
    /// Also measure the mean of this many augmented views of each photo (with --augment) and the plain one
    #[arg(long, value_name = "VIEWS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tta: Option<u16>,
    /// End after this many epochs in which the validation loss did not get lower [default: off]
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Save the weights in half precision (fp16): half the file; the model is measured as it is saved
    #[arg(long)]
    half: bool,
    /// Write event files for TensorBoard into the run folder
    #[arg(long)]
    tensorboard: bool,
    /// Least time between two checkpoints, for --resume
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    checkpoint_seconds: f64,
    /// Where to compute: cpu, vulkan, metal, cuda, rocm, wgpu
    #[arg(long, default_value_t = Device::Cpu)]
    device: Device,
    /// What is kept and multiplied in: f32, bf16 (half the memory), or auto: bf16 where the processor is faster with it
    #[arg(long, default_value_t = Precision::Auto)]
    precision: Precision,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Memory for decoded photos, in GiB; beyond it they go to a cache folder [default: a quarter of RAM]
    #[arg(long, value_name = "GIB")]
    memory_budget: Option<f64>,
    /// Folder of the run [default: runs/NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) show: Show,
}

impl TrainArgs {
    /// What was typed, or what the file says, as settings.
    pub(crate) fn settings(&self) -> Result<TrainSettings, sciurus::Error> {
        if let Some(file) = &self.config {
            return TrainSettings::from_toml(file);
        }
        let mut settings = TrainSettings::new(self.folder.clone().unwrap_or_default());
        settings.arch = self.arch;
        settings.epochs = self.epochs;
        settings.budget_seconds = self.budget_seconds;
        settings.freeze_epochs = self.freeze_epochs;
        settings.learning_rate = self.learning_rate;
        settings.batch_size = self.batch_size;
        settings.image_size = self.image_size;
        settings.first_image_size = self.first_image_size;
        settings.resize_method = self.resize.into();
        settings.augmentation = self.augment;
        settings.views = self.views.map(Into::into);
        settings.mix = self.mix.map(Into::into);
        settings.balance = self.balance.into();
        settings.labels = self.data.labels();
        settings.test_fraction = self.test_fraction;
        settings.group_pattern = self.data.group.clone();
        settings.plan.clone_from(&self.plan);
        settings.metrics.clone_from(&self.metrics);
        settings.splitter = self.fold.or_else(|| crate::commands::splitter(self.split, self.valid_fraction));
        settings.seed = self.seed;
        settings.weights = match &self.weights {
            Some(file) => WeightSource::File(file.clone()),
            None if self.no_pretrained => WeightSource::Random,
            None => WeightSource::Pretrained,
        };
        settings.network = if self.offline { Network::Forbidden } else { Network::Allowed };
        settings.loss = self.loss;
        settings.clip_norm = self.clip_norm;
        settings.accumulate = self.accumulate;
        settings.average_decay = self.average_decay;
        settings.keep = self.keep.into();
        settings.patience = self.patience;
        settings.half = self.half;
        settings.tensorboard = self.tensorboard;
        settings.checkpoint_seconds = self.checkpoint_seconds;
        settings.device = self.device;
        settings.precision = self.precision;
        settings.threads = self.threads;
        settings.memory_budget = self.memory_budget.map(|gib| (gib * f64::from(1 << 30)) as u64);
        Ok(settings)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ViewsOfPhoto {
    Plain,
    Mirrored,
}

impl From<ViewsOfPhoto> for Views {
    fn from(views: ViewsOfPhoto) -> Self {
        match views {
            ViewsOfPhoto::Plain => Self::Plain,
            ViewsOfPhoto::Mirrored => Self::Mirrored,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MixImages {
    MixUp,
    CutMix,
}

impl From<MixImages> for Mix {
    fn from(mix: MixImages) -> Self {
        match mix {
            MixImages::MixUp => Mix::mix_up(),
            MixImages::CutMix => Mix::cut_mix(),
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BalanceClasses {
    None,
    Batches,
    Loss,
}

impl From<BalanceClasses> for Balance {
    fn from(balance: BalanceClasses) -> Self {
        match balance {
            BalanceClasses::None => Balance::None,
            BalanceClasses::Batches => Balance::Batches,
            BalanceClasses::Loss => Balance::Loss,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeepEpoch {
    Last,
    Best,
}

impl From<KeepEpoch> for Keep {
    fn from(keep: KeepEpoch) -> Self {
        match keep {
            KeepEpoch::Last => Keep::Last,
            KeepEpoch::Best => Keep::Best,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::SETTINGS;
    use crate::args::Cli;

    /// An option that is left out of the list would be passed over in silence beside `--config`.
    #[test]
    fn every_option_is_a_setting_or_goes_with_a_file_of_settings() {
        let beside = ["resume", "config", "run", "tta", "threads", "quiet", "json", "help"];
        let command = Cli::command();
        let train = command.find_subcommand("train").unwrap();
        let known: BTreeSet<&str> = train.get_arguments().map(|option| option.get_id().as_str()).collect();
        let expected: BTreeSet<&str> = SETTINGS.iter().chain(&beside).copied().collect();
        assert!(known.is_subset(&expected), "{:?}", known.difference(&expected).collect::<Vec<_>>());
        assert!(SETTINGS.iter().all(|setting| known.contains(setting)), "a setting that is no option");
    }
}
