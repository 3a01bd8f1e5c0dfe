//! What can be typed: the verbs, their options, defaults, units and examples.

mod clean;
mod export;
mod gather;
mod numbers;
mod serve;
mod settings;
mod studio;
mod train;

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use sciurus::{Device, LrFind, Precision};

pub(crate) use clean::CleanArgs;
pub(crate) use export::{ExportArgs, Target};
pub(crate) use gather::{GatherArgs, ServiceArgs};
pub(crate) use serve::ServeArgs;
use settings::with_defaults;
pub(crate) use settings::{DataArgs, LoaderArgs, NetworkArgs, PictureArgs, typed};
pub(crate) use studio::StudioArgs;
pub(crate) use train::TrainArgs;

const ABOUT: &str = "\
Turn a folder of photos into an image classifier that is trained, measured and ready to use. Put the \
photos of each class into a folder of their own: squirrels/red/*.jpg, squirrels/grey/*.jpg.

  sciurus train squirrels
  sciurus interpret runs/squirrels-...
  sciurus predict runs/squirrels-20261124-101500 photo.jpg

No photos yet? `sciurus gather \"red squirrel\" \"grey squirrel\" --into squirrels` finds some, with their \
licences. No network either? `sciurus demo` draws some and trains on them, offline.";

const AFTER: &str = "\
Exit codes: 0 done; 1 done, and there is something to look at (inspect and predict: files that can't be \
read; clean: photos to look into; gather: fewer photos than you asked for); 2 failed; 130 or 143 stopped \
by Ctrl-C or kill. Every verb except completions takes --json, for programs.";

/// Verbs whose options are settings of the library.
const WITH_SETTINGS: [&str; 4] = ["train", "lr-find", "inspect", "clean"];

/// The whole command line, with the library's defaults in its help.
pub(crate) fn command() -> clap::Command {
    WITH_SETTINGS
        .into_iter()
        .fold(Cli::command(), |command, verb| command.mut_subcommand(verb, with_defaults))
}

/// What was typed.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// From a folder of photos to a trained, measured image classifier.
#[derive(Debug, Parser)]
#[command(name = "sciurus", version, about, long_about = ABOUT, after_help = AFTER, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs. What each does stands at its arguments, in two lengths: a comment on a variant would hide the longer one.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Studio(StudioArgs),
    Gather(Box<GatherArgs>),
    Train(Box<TrainArgs>),
    LrFind(LrFindArgs),
    Inspect(InspectArgs),
    Clean(Box<CleanArgs>),
    Interpret(InterpretArgs),
    Compare(CompareArgs),
    Predict(PredictArgs),
    Serve(ServeArgs),
    Export(ExportArgs),
    Archs(ArchsArgs),
    Completions(CompletionsArgs),
    Demo(DemoArgs),
}

const LR_FIND: &str = "\
Find a learning rate: train for a hundred batches, each with a higher rate than the one before. Shows the \
loss as it falls and rises, and suggests rates; nothing is saved.

  sciurus lr-find squirrels
  sciurus lr-find squirrels --arch squeezenet1_1
  sciurus lr-find squirrels --json | jq .suggestions.valley";

const LR_FIND_AFTER: &str = "Take the valley: sciurus train squirrels --lr RATE.";

#[derive(Debug, Args)]
#[command(about = "Find a learning rate by training briefly with higher and higher ones", long_about = LR_FIND, after_help = LR_FIND_AFTER)]
pub(crate) struct LrFindArgs {
    /// Photos, in a folder per class
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) loader: LoaderArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Batches, each with the next rate
    #[arg(long, default_value_t = LrFind::default().steps)]
    pub(crate) steps: usize,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) show: Show,
}

const COMPLETIONS: &str = "\
Write a completion script for your shell to standard output, or manual pages into a folder. Your shell \
then completes verbs, options and their values.

  sciurus completions bash > ~/.local/share/bash-completion/completions/sciurus
  sciurus completions zsh > ~/.zfunc/_sciurus
  sciurus completions man --into ~/.local/share/man/man1";

#[derive(Debug, Args)]
#[command(about = "Write a completion script for a shell, or the manual pages", long_about = COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell, or man for manual pages
    #[arg(value_enum)]
    pub(crate) target: CompletionTarget,
    /// Folder that manual pages are written to
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) into: PathBuf,
}

/// What completions are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletionTarget {
    Bash,
    Elvish,
    Fish,
    Man,
    Powershell,
    Zsh,
}

/// How much is shown, and to whom.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Show {
    /// Only results and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// JSON for programs, on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

const INSPECT: &str = "\
Look at a folder of photos before training: its classes and their sizes, the split, and what is left out \
and why. Every photo is decoded, so that damaged ones are found now and not during training.

  sciurus inspect squirrels
  sciurus inspect squirrels --augment trivial_augment --sheet sheet.png
  sciurus inspect squirrels --json | jq .summary.skipped";

const INSPECT_AFTER: &str = "\
--sheet shows what the network will see: a row for each of six photos, six times each. Exit code 1 means \
that some files can't be read.";

#[derive(Debug, Args)]
#[command(about = "Look at a folder before training: classes, sizes, split, what is left out and why", long_about = INSPECT, after_help = INSPECT_AFTER)]
pub(crate) struct InspectArgs {
    /// Photos, in a folder per class
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) pictures: PictureArgs,
    /// Write a picture of what the network will see of some photos, each several times, to this file (.png or .jpg)
    #[arg(long, value_name = "FILE")]
    pub(crate) sheet: Option<PathBuf>,
    /// Let --sheet replace a file that Sciurus did not write
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) show: Show,
}

const INTERPRET: &str = "\
Show where a trained model is wrong on its validation set, and which photos it found hardest. A high loss \
is often a wrong label, or a photo of something else.

  sciurus interpret runs/squirrels-20261124-101500
  sciurus interpret runs/squirrels-20261124-101500 --html report.html
  sciurus interpret runs/squirrels-20261124-101500 --top 20 --json";

#[derive(Debug, Args)]
#[command(about = "Show where a model is wrong: confusion matrix, most confused classes, top losses", long_about = INTERPRET)]
pub(crate) struct InterpretArgs {
    /// Folder of a run
    pub(crate) run: PathBuf,
    /// Photos with the highest losses to show [default: 9, and 12 on the page]
    #[arg(long, value_name = "PHOTOS")]
    pub(crate) top: Option<usize>,
    /// Also write it all as one self-contained HTML page, with curves, photos and heat maps, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Let --html replace a file that Sciurus did not write
    #[arg(long)]
    pub(crate) force: bool,
    /// Show pairs of classes that were confused at least this often
    #[arg(long, default_value_t = 1, value_name = "PHOTOS")]
    pub(crate) min_confused: usize,
    #[command(flatten)]
    pub(crate) show: Show,
}

const COMPARE: &str = "\
Tell whether model B is better than model A on the photos that validated both, or only luckier. With \
several seeds on each side it compares the recipes, not just two models.

  sciurus compare runs/a runs/b
  sciurus compare --a runs/a-1 --a runs/a-2 --b runs/b-1 --b runs/b-2
  sciurus compare runs/a runs/b --json | jq .verdict";

const COMPARE_AFTER: &str = "\
Give the same seeds on both sides, in the same order. A difference counts if chance alone would produce \
one as large in less than 5 % of cases, or 1 % where a side has only one run: two runs tell about two \
models, and another seed may put the recipes that made them in the other order.";

#[derive(Debug, Args)]
#[command(about = "Tell whether one run, or one recipe over several seeds, is really better than another", long_about = COMPARE, after_help = COMPARE_AFTER)]
pub(crate) struct CompareArgs {
    /// Two run folders: A and B
    #[arg(value_name = "RUN", num_args = 2, required_unless_present_all = ["a", "b"], conflicts_with_all = ["a", "b"])]
    pub(crate) runs: Vec<PathBuf>,
    /// A run of A; once for each seed
    #[arg(long, value_name = "RUN", requires = "b")]
    pub(crate) a: Vec<PathBuf>,
    /// A run of B; once for each seed
    #[arg(long, value_name = "RUN", requires = "a")]
    pub(crate) b: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) show: Show,
}

const PREDICT: &str = "\
Classify photos, or all photos in a folder and below it, with a trained model. Each photo is prepared \
exactly as it was when the model was measured.

  sciurus predict runs/squirrels-20261124-101500 photo.jpg
  sciurus predict model.sciurus holiday/ --top 3
  sciurus predict model.sciurus holiday/ --format csv > labels.csv";

const PREDICT_AFTER: &str = "Files that can't be read are listed at the end, and the exit code is then 1.";

#[derive(Debug, Args)]
#[command(about = "Classify photos with a trained model", long_about = PREDICT, after_help = PREDICT_AFTER)]
pub(crate) struct PredictArgs {
    /// A run, or a model.sciurus file
    #[arg(value_name = "RUN|MODEL")]
    pub(crate) model: PathBuf,
    /// Photos, or folders of photos
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Labels to show for each photo
    #[arg(long, default_value_t = 1, value_name = "LABELS")]
    pub(crate) top: usize,
    /// Give every photo a label, also those that are unlike anything the model knows
    #[arg(long)]
    pub(crate) no_reject: bool,
    /// Output: a table for reading, CSV (path,label,probability), or one JSON object per line. For a multi-label model, CSV and
    /// JSON hold every label and say which are on
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Images in a batch
    #[arg(long, default_value_t = 32, value_name = "IMAGES")]
    pub(crate) batch_size: usize,
    /// Where to compute: cpu, vulkan, metal, cuda, rocm, wgpu
    #[arg(long, default_value_t = Device::Cpu)]
    pub(crate) device: Device,
    /// Number format of activations: f32, bf16, or auto, the one that the model was measured in
    #[arg(long, default_value_t = Precision::Auto)]
    pub(crate) precision: Precision,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) show: Show,
}

const ARCHS: &str = "\
List the networks that can be trained, smallest first, with their pretrained weights and licence. More \
parameters need more memory and time, and often make fewer mistakes.

  sciurus archs
  sciurus train squirrels --arch resnet50
  sciurus archs --json | jq -r '.[].weights.url'";

const ARCHS_AFTER: &str = "\
Weights are downloaded the first time a network is used, and accepted only if their SHA-256 is right. You \
can also put the files into a folder and set SCIURUS_MODELS to it. Networks without published weights \
start from random ones (--no-pretrained).";

#[derive(Debug, Args)]
#[command(about = "List the networks: size, features, pretrained weights and their licence", long_about = ARCHS, after_help = ARCHS_AFTER)]
pub(crate) struct ArchsArgs {
    /// JSON for programs, on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

const DEMO: &str = "\
The whole story in seconds, on drawn pictures of acorns and leaves: train, let the model show which pictures \
are wrong, clean, train again, predict. Needs no photos, no network connection and no download.

  sciurus demo
  sciurus demo --into pictures --seed 7
  sciurus inspect sciurus-demo";

#[derive(Debug, Args)]
#[command(about = "Try it all in seconds on drawn pictures, with no photos and no network connection", long_about = DEMO)]
pub(crate) struct DemoArgs {
    /// Where the pictures are drawn
    #[arg(long, default_value = "sciurus-demo", value_name = "DIR")]
    pub(crate) into: PathBuf,
    /// Seed of pictures and training
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Jsonl,
}
