//! What can be typed after `sciurus train`, and the settings that follow from it.

use std::path::PathBuf;

use clap::Args;
use sciurus::{Run, TrainSettings};
use serde_json::{Map, Value};

use super::Show;
use super::settings::{DataArgs, DistillArgs, FitArgs, LoaderArgs, NetworkArgs, RunArgs, typed};
use crate::fault::flag;

const EXAMPLES: &str = "\
More examples:
  sciurus train squirrels --arch squeezenet1_1 --epochs 8 --augment standard
      A small, fast network, trained longer, with more augmentation.
  SCIURUS_MODELS=/mnt/weights sciurus train squirrels
      Pretrained weights from a folder, on a machine without a network.
  sciurus train photos --csv labels.csv --test-fraction 0.1 --metrics f1,roc_auc
      Labels from a table, a test set measured once, and more columns.
  sciurus train photos --csv labels.csv --label-separator ' ' --metrics f1
      Multi-label: photos with several labels, such as `bird tree`, or none.
  sciurus train --resume runs/squirrels-20261124-101500
      Train the rest of a run that was stopped or killed.
  sciurus train more_squirrels --from runs/squirrels-20261124-101500 --epochs 2
      Go on training a model, on new photos.
  sciurus train squirrels --teacher runs/big --arch squeezenet1_1
      A small network that learns from a big one which you trained before.
  sciurus train --config runs/squirrels-20261124-101500/config.toml --seed 7
      The same settings again, with another seed.
  sciurus train pictures --no-pretrained --arch resnet10_narrow --epochs 20
      A narrow network from random weights.

Put photos in a folder per class, or in train/ and valid/ (or val/) with a folder per class in each; a \
test/ folder is measured at the end. Folders whose names begin with _ or . are left out. Files that can't \
be read are named and left out. Nothing is ever deleted.

Ctrl-C ends a run after the current batch; what was trained is measured and saved. --resume trains the rest \
of a run that was stopped or killed.

The run folder holds run.json (all settings and results), config.toml (the settings, for --config), \
history.csv (the table), events.jsonl (everything that happened), predictions.json (the validation set, \
with losses), training.parquet (how the label of each training photo was learnt, for `sciurus clean RUN`) \
and model.sciurus (the model, for `sciurus predict`).";

const ABOUT: &str = "\
Fine-tune a pretrained network on a folder of photos, and tell how good it is. Prints a row for each \
epoch, then the error rate with its 95 % interval, and saves the model.

  sciurus train squirrels                    ResNet-18: its head, then all of it
  sciurus train squirrels --instant          a head alone, in seconds
  sciurus train squirrels --time-budget 2m   what two minutes allow here
  sciurus train squirrels --arch resnet50 --epochs 8";

#[derive(Debug, Args)]
#[command(about = "Fine-tune a pretrained network on a folder of photos", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Photos, in a folder per class
    #[arg(required_unless_present_any = ["resume", "config"])]
    folder: Option<PathBuf>,
    /// Train the rest of a run that was stopped or killed, with its own settings
    #[arg(long, value_name = "RUN", conflicts_with_all = ["folder", "config", "run"])]
    pub(crate) resume: Option<PathBuf>,
    /// Settings from a TOML file, such as the config.toml of another run; what is typed beside it counts more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Go on training the model of a run, or a model.sciurus file: on new photos, or for more epochs. Its network and image size
    /// are kept, and its head too if the labels are the same
    #[arg(long, value_name = "RUN|MODEL", conflicts_with_all = ["resume", "weights", "no_pretrained"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    loader: LoaderArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    distill: DistillArgs,
    #[command(flatten)]
    settings: RunArgs,
    /// Also measure the mean of this many augmented views of each photo (with --augment) and the plain one
    #[arg(long, value_name = "VIEWS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tta: Option<u16>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Folder of the run [default: runs/NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) show: Show,
}

impl TrainArgs {
    /// The defaults or a file of settings, with what was typed laid over them.
    pub(crate) fn settings(&self) -> anyhow::Result<TrainSettings> {
        let base = match &self.config {
            Some(file) => TrainSettings::from_toml(file)?,
            None => TrainSettings::default(),
        };
        let base = match &self.from {
            Some(model) => base.continuing(&Run::model_at(model)?)?,
            None => base,
        };
        let mut settings = base.with_options(self.typed()?)?;
        if let Some(folder) = &self.folder {
            settings.data.folder.clone_from(folder);
        }
        settings.loader.threads = self.threads.or(settings.loader.threads);
        Ok(settings)
    }

    /// An error where settings were typed for a run that has its own.
    pub(crate) fn check_resume(&self) -> anyhow::Result<()> {
        let typed: Vec<String> = self.typed()?.keys().map(|name| flag(name)).collect();
        anyhow::ensure!(
            typed.is_empty(),
            "a resumed run keeps its own settings; leave out {}, or train anew",
            typed.join(", ")
        );
        Ok(())
    }

    fn typed(&self) -> anyhow::Result<Map<String, Value>> {
        let parts = [typed(&self.data)?, typed(&self.loader)?, self.network.typed()?, typed(&self.fit)?];
        let rest = [typed(&self.distill)?, typed(&self.settings)?];
        Ok(parts.into_iter().chain(rest).flatten().collect())
    }
}
