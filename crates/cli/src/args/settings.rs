//! Options that are settings: each flag has the name of a field of the library's settings, whose default its help shows.
//! What was typed is laid over the defaults, or over a file of settings. Adding one: CONTRIBUTING.md, "add an option".

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use sciurus::data::{Augmentation, Column, CsvHeader, DataSettings, Fold, Mix, ResizeMethod, SplitBy, Views};
use sciurus::{
    Arch, ArchChoice, Balance, Device, Error, HeadStart, Keep, LossFunction, NormStatistics, Precision, Run,
    TrainSettings, WeightSource,
};
use serde::Serialize;
use serde_json::{Map, Value};
use strum::VariantNames;

use super::numbers::{gibibytes, number, seconds};

/// Which photos, which labels, which validation set.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Which folder on the way to a photo names its class: 1 for the first below the folder given (or below train and valid),
    /// 2 for the next [default: 1, but a tree that looks otherwise is refused]
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["csv", "name_pattern"])]
    label_level: Option<usize>,
    /// Labels from a table (CSV) of paths and labels, and perhaps splits and groups; paths are relative to the folder. Its form
    /// is recognised; what follows is for tables where that goes wrong
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The table's column of paths, by name or by number from 0 [default: recognised]
    #[arg(long, value_name = "COLUMN", requires = "csv", value_parser = column)]
    path_column: Option<Column>,
    /// The table's column of labels [default: recognised]
    #[arg(long, value_name = "COLUMN", requires = "csv", value_parser = column)]
    label_column: Option<Column>,
    /// The table's column of splits [default: recognised, if there is one]
    #[arg(long, value_name = "COLUMN", requires = "csv", value_parser = column)]
    split_column: Option<Column>,
    /// The table's column of groups [default: group, if there is one]
    #[arg(long, value_name = "COLUMN", requires = "csv", value_parser = column)]
    group_column: Option<Column>,
    /// The character between two fields of the table, such as ';' or tab [default: recognised]
    #[arg(long, value_name = "CHARACTER", requires = "csv", value_parser = delimiter)]
    delimiter: Option<char>,
    /// Whether the table's first line names its columns (first_line) or is a photo already (absent) [default: recognised]
    #[arg(long, value_name = "WHICH", requires = "csv", value_parser = one_of::<CsvHeader>())]
    header: Option<CsvHeader>,
    /// Multi-label data: the character between two labels of a photo in the table's column `labels` (or `label`), such as ' '
    /// or ';'. A photo may have no label
    #[arg(long, value_name = "CHARACTER", requires = "csv")]
    label_separator: Option<char>,
    /// Labels from file names: a regular expression with the label in parentheses
    #[arg(long, value_name = "REGEX", conflicts_with = "csv")]
    name_pattern: Option<String>,
    /// Keep photos of a group on one side of the split: a regular expression on their paths, the group in parentheses
    #[arg(long, value_name = "REGEX")]
    group: Option<String>,
    /// How the validation set is chosen: the same share of every class (stratified), at random as fastai does (random), or
    /// as folders or table say [default: as folders or table say if they do, else stratified]
    #[arg(long, value_name = "HOW", value_parser = one_of::<SplitBy>())]
    split: Option<SplitBy>,
    /// Share of the photos in the validation set (0 to 1) [default: 0.2]
    #[arg(long, value_name = "SHARE", value_parser = number)]
    valid_fraction: Option<f64>,
    /// Use the K-th of N parts as the validation set, counted from 1
    #[arg(long, value_name = "K/N", conflicts_with_all = ["split", "valid_fraction"])]
    fold: Option<Fold>,
    /// Share of all photos (0 to 1) in a test set, measured once at the very end [default: none]
    #[arg(long, value_name = "SHARE", value_parser = number)]
    test_fraction: Option<f64>,
    /// Seed of everything random: the same seed, photos and program give the same result
    #[arg(long)]
    seed: Option<u64>,
}

/// What becomes of a photo before the network sees it.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// Side of the square that the network sees
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// How a photo becomes a square: cut (crop), distorted (squish), or with mirrored borders (pad)
    #[arg(long, value_name = "HOW", value_parser = one_of::<ResizeMethod>())]
    resize: Option<ResizeMethod>,
    /// How training photos vary: none (for letters, signs and whatever else has a left and a right), flip, standard (fastai's
    /// aug_transforms), random_resized_crop, random_erasing, rand_augment or trivial_augment
    #[arg(long, value_name = "NAME", value_parser = augmentation)]
    augment: Option<Augmentation>,
}

/// How photos become batches.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct LoaderArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pictures: PictureArgs,
    /// Images in a batch
    #[arg(long, value_name = "IMAGES")]
    batch_size: Option<usize>,
    /// Progressive resizing: side of the square in the first half of the epochs, which then take less time [default: off]
    #[arg(long, visible_alias = "first-size", value_name = "PIXELS")]
    first_image_size: Option<usize>,
    /// Test-time augmentation: average the predictions of a photo and its mirror image (mirrored), or take the photo alone
    /// (plain) [default: mirrored where --augment mirrors, else plain]
    #[arg(long, value_name = "WHICH", value_parser = one_of::<Views>())]
    views: Option<Views>,
    /// Mix the training photos of a batch with one another: MixUp or CutMix [default: off]
    #[arg(long, value_name = "HOW", value_parser = one_of::<Mix>())]
    mix: Option<Mix>,
    /// Memory for decoded photos, in GiB; beyond it they go to a cache folder [default: a quarter of RAM]
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    memory_budget: Option<u64>,
}

/// The network and its weights.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Network; `sciurus archs` lists them. auto: resnet18 if its weights are here or arrive at once, else hazel, which is built in
    #[arg(long)]
    arch: Option<ArchChoice>,
    /// Start from the weights in this file (.safetensors, .pth), run or model.sciurus [default: SCIURUS_MODELS, else
    /// torchvision's file, downloaded once]
    #[arg(long, value_name = "FILE|RUN", value_parser = weights)]
    weights: Option<WeightSource>,
    /// Start from random weights
    #[arg(long, conflicts_with = "weights")]
    #[serde(skip)]
    no_pretrained: bool,
    /// Download nothing: weights that are not on this machine are an error (also SCIURUS_OFFLINE=1)
    #[arg(long)]
    offline: bool,
    /// Where to compute: cpu, vulkan, metal, cuda, rocm or wgpu
    #[arg(long)]
    device: Option<Device>,
    /// Number format of activations: f32, bf16 (half the memory), or auto: bf16 where the processor is faster with it
    #[arg(long)]
    precision: Option<Precision>,
}

/// How it is trained.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Training")]
pub(crate) struct FitArgs {
    /// Epochs that train the whole network
    #[arg(long)]
    epochs: Option<usize>,
    /// Epochs before them that train only the head and the norm layers; none with --no-pretrained
    #[arg(long, value_name = "EPOCHS")]
    freeze_epochs: Option<usize>,
    /// What the head begins with: random weights, as in fastai (random), or a linear classifier of the pretrained features
    /// (linear_probe); auto: linear_probe for hazel, random for others
    #[arg(long, value_name = "START", value_parser = one_of::<HeadStart>())]
    head_start: Option<HeadStart>,
    /// Whose mean and variance norm layers of a pretrained network use in training: each batch's (batch), as in fastai, or the
    /// running ones, which then stay (running); auto: running for hazel, batch for others
    #[arg(long, value_name = "WHOSE", value_parser = one_of::<NormStatistics>())]
    norm_statistics: Option<NormStatistics>,
    /// Highest learning rate of the head [default: 0.002, or 0.001 with --no-pretrained]
    #[arg(long, visible_alias = "lr", value_name = "RATE", value_parser = number)]
    learning_rate: Option<f64>,
    /// Share of the training in which the learning rate rises (0 to 1): fastai's pct_start [default: 0.3, or 0.25 with
    /// --no-pretrained]
    #[arg(long, value_name = "SHARE", value_parser = number)]
    warmup: Option<f64>,
    /// Loss function: cross_entropy, label_smoothing:SHARE or focal:GAMMA
    #[arg(long)]
    loss: Option<LossFunction>,
    /// Make rare classes count as much as others: in each batch (batches), or in the loss (loss)
    #[arg(long, value_name = "HOW", value_parser = one_of::<Balance>())]
    balance: Option<Balance>,
    /// Scale gradients with a larger norm down to this one [default: off]
    #[arg(long, value_name = "NORM", value_parser = number)]
    clip_norm: Option<f64>,
    /// Batches for each step of the optimizer: large batches in little memory
    #[arg(long, value_name = "BATCHES")]
    accumulate: Option<usize>,
    /// Measure and save a moving average of the weights with this decay (0 to 1) [default: off]
    #[arg(long, value_name = "DECAY", value_parser = number)]
    average_decay: Option<f64>,
    /// Which epoch's model to save: the last one, or the best, with the lowest validation loss (which flatters it a little)
    #[arg(long, value_name = "WHICH", value_parser = one_of::<Keep>())]
    keep: Option<Keep>,
    /// Stop after this many epochs without a lower validation loss [default: off]
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
}

/// Networks to learn from.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Teachers")]
pub(crate) struct DistillArgs {
    /// Learn from another network too: a small one from a big one. A run or model.sciurus with the same labels teaches its answers
    /// and features; a network of `sciurus archs` teaches the features that it learnt on ImageNet. May be given more than once
    #[arg(long = "teacher", value_name = "RUN|MODEL|NETWORK", value_parser = teacher)]
    teachers: Vec<PathBuf>,
    /// How much the photos' own labels count, 0 or more
    #[arg(long, value_name = "WEIGHT", value_parser = number, requires = "teachers")]
    teacher_labels: Option<f64>,
    /// How much the teachers' answers count
    #[arg(long, value_name = "WEIGHT", value_parser = number, requires = "teachers")]
    teacher_classes: Option<f64>,
    /// How much the teachers' features count
    #[arg(long, value_name = "WEIGHT", value_parser = number, requires = "teachers")]
    teacher_features: Option<f64>,
    /// How much the teachers' answers are softened (0.1 to 100): the more, the more the less probable classes count
    #[arg(long, value_name = "NUMBER", value_parser = number, requires = "teachers")]
    teacher_temperature: Option<f64>,
}

/// What a run does besides.
#[derive(Debug, Clone, Args, Serialize)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Use a plan of `sciurus clean`: labels change and photos are left out, but no file is touched
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Columns of the table: error_rate, accuracy, balanced_accuracy, top_K, precision, recall, f1 (also _micro, _weighted),
    /// roc_auc, average_precision, cohen_kappa, matthews, brier, calibration_error [default: error_rate]; for multi-label data
    /// accuracy_multi, precision, recall, f1 (also _micro, _weighted, _samples), average_precision, roc_auc [default:
    /// accuracy_multi,f1]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Time that the run may take, such as 60s, 2m or 1h: it times this machine, then chooses epochs and image size
    #[arg(long, visible_alias = "in", value_name = "TIME", value_parser = seconds, conflicts_with_all = ["epochs", "image_size", "first_image_size"])]
    time_budget: Option<f64>,
    /// Fit a linear head on features of the frozen network, in seconds; every photo is predicted by a head that never saw it.
    /// The features are cached, so that the next time is faster still
    #[arg(long, conflicts_with_all = ["epochs", "freeze_epochs", "head_start", "norm_statistics", "learning_rate", "warmup", "time_budget", "teachers", "half"])]
    instant: bool,
    /// Save the weights in half precision (fp16): half the file; the model is measured as it is saved
    #[arg(long)]
    half: bool,
    /// Write event files for TensorBoard into the run folder
    #[arg(long)]
    tensorboard: bool,
    /// Least time between two checkpoints, for --resume
    #[arg(long, value_name = "SECONDS", value_parser = number)]
    checkpoint_seconds: Option<f64>,
}

/// The options of one of these structs that were typed, by name.
pub(crate) fn typed(args: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(options) = serde_json::to_value(args)? else { return Ok(Map::new()) };
    let is_typed =
        |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && value != &Value::Array(vec![]);
    Ok(options.into_iter().filter(|(_, value)| is_typed(value)).collect())
}

impl DataArgs {
    /// What was typed, laid over these settings.
    pub(crate) fn over(&self, base: DataSettings) -> anyhow::Result<DataSettings> {
        // The folder need not be Unicode, so it does not pass through JSON.
        let folder = base.folder;
        let data = DataSettings { folder: PathBuf::new(), ..base };
        let settings = TrainSettings { data, ..TrainSettings::default() }.with_options(typed(self)?)?;
        Ok(DataSettings { folder, ..settings.data })
    }
}

impl NetworkArgs {
    /// The options that were typed, by name.
    pub(crate) fn typed(&self) -> anyhow::Result<Map<String, Value>> {
        let mut options = typed(self)?;
        if self.no_pretrained {
            options.insert("weights".to_owned(), serde_json::to_value(WeightSource::Random)?);
        }
        Ok(options)
    }
}

/// Shows the library's defaults in the help of a verb, so that they stand in one place.
pub(crate) fn with_defaults(command: clap::Command) -> clap::Command {
    let defaults = TrainSettings::default().options().unwrap_or_default();
    command.mut_args(|arg| {
        let default = defaults.get(arg.get_id().as_str()).and_then(shown);
        match (default, arg.get_help()) {
            // Some say more than a value, such as where it comes from.
            (Some(default), Some(help)) if !help.to_string().contains("[default: ") => {
                let help = format!("{help} [default: {default}]");
                arg.help(help)
            }
            _ => arg,
        }
    })
}

/// A default as the command line writes it; `None` of those that are off or depend on the data.
fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Object(tagged) => Some(tagged.get("kind")?.as_str()?.to_owned()),
        _ => None,
    }
}

/// A value of an enum, by the name that files of settings have for it; words may be joined by - too.
pub(super) fn one_of<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + VariantNames + Clone + Send + Sync + 'static,
{
    let both = T::VARIANTS.iter().map(|name| {
        let value = clap::builder::PossibleValue::new(*name);
        if name.contains('_') { value.alias(name.replace('_', "-")) } else { value }
    });
    PossibleValuesParser::new(both).try_map(|name| name.replace('-', "_").parse::<T>())
}

/// An augmentation by its name.
fn augmentation(name: &str) -> Result<Augmentation, String> {
    Augmentation::named(name).map_err(|error| error.to_string())
}

fn weights(file: &str) -> Result<WeightSource, Error> {
    Run::model_at(Path::new(file)).map(WeightSource::File)
}

/// A network by name, or the file of a model.
fn teacher(text: &str) -> Result<PathBuf, Error> {
    let named = PathBuf::from(text);
    if text.parse::<Arch>().is_ok() { Ok(named) } else { Run::model_at(&named) }
}

/// One character; a tab, which shells make hard to type, also by its name.
fn delimiter(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(only), None) => Ok(only),
        _ => Err("give one character, such as ';', or tab".to_owned()),
    }
}

/// A column by its number, or else by its name.
fn column(text: &str) -> Result<Column, String> {
    Ok(text.parse::<usize>().map_or_else(|_| Column::from(text), Column::from))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::{Cli, command};

    /// A flag that is no setting would fail only when somebody types it.
    #[test]
    fn every_flag_of_these_structs_names_a_setting() {
        #[derive(Debug, clap::Parser)]
        struct All {
            #[command(flatten)]
            _data: DataArgs,
            #[command(flatten)]
            _loader: LoaderArgs,
            #[command(flatten)]
            _network: NetworkArgs,
            #[command(flatten)]
            _fit: FitArgs,
            #[command(flatten)]
            _distill: DistillArgs,
            #[command(flatten)]
            _run: RunArgs,
        }
        let settings = TrainSettings::default().options().unwrap();
        let flags: Vec<String> = All::command()
            .get_arguments()
            .map(|flag| flag.get_id().to_string())
            .filter(|name| !["help", "no_pretrained"].contains(&name.as_str()))
            .collect();
        let unknown: Vec<&String> = flags.iter().filter(|flag| !settings.contains_key(*flag)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        // What has no flag is said elsewhere, or only in files.
        let beside = ["folder", "threads"];
        let without: Vec<&String> = settings.keys().filter(|name| !flags.contains(name)).collect();
        assert_eq!(without, beside.iter().collect::<Vec<_>>().as_slice(), "a setting without a flag");
    }

    #[test]
    fn help_shows_the_defaults_of_the_library_once() {
        command().debug_assert();
        for verb in Cli::command().get_subcommands() {
            let mut command = command();
            let shown = command.find_subcommand_mut(verb.get_name()).unwrap();
            for argument in shown.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let defaults = help.matches("[default: ").count() + argument.get_default_values().len();
                let of_two_kinds = argument.get_id() == "metrics"
                    || argument.get_id() == "quiet"
                    || argument.get_id() == "json";
                assert!(defaults <= 1 || of_two_kinds, "{} {}: {help}", verb.get_name(), argument.get_id());
            }
        }
        let train = command();
        let train = train.find_subcommand("train").unwrap();
        let help = |name: &str| {
            train.get_arguments().find(|flag| flag.get_id() == name).unwrap().get_help().unwrap().to_string()
        };
        assert!(
            help("batch_size").ends_with("[default: 64]")
                && help("loss").ends_with("[default: cross_entropy]")
        );
    }
}
