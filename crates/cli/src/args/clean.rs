//! The options of `sciurus clean`.

use std::path::PathBuf;

use clap::Args;
use sciurus::ArchChoice;

use super::{DataArgs, Show};

const ABOUT: &str = "\
Find wrong labels, copies, odd and unreadable photos in a folder, or in the photos of a run. Nothing \
changes until you decide; files are moved, never deleted, and can be moved back.

  sciurus clean squirrels                      look: the worst of each kind
  sciurus clean squirrels --review             decide, one key a photo
  sciurus clean squirrels --html report.html   look at pictures in a browser";

const EXAMPLES: &str = "\
More examples:
  sciurus clean squirrels --plan clean.json    write proposals and decisions
  sciurus clean squirrels --apply clean.json   move files as you decided
  sciurus clean squirrels --undo               move them back
  sciurus clean squirrels --auto               only equal copies, broken files
  sciurus train squirrels --plan clean.json    train as it says, moving nothing
  sciurus clean squirrels --retrain            before and after, same photos

What leaves the data set is moved to _set_aside/ inside the folder; nothing is overwritten. Decisions are \
kept in .sciurus/decisions.jsonl inside the folder, by the content of each photo. A folder from somebody \
else may bring such files too: they are named and ignored, unless you trust whoever made them and say so \
with --trust-state.";

#[derive(Debug, Args)]
#[command(about = "Find wrong labels, copies and odd photos, decide, and move files there and back", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct CleanArgs {
    /// Photos, in a folder per class; or the folder of a run, to clean the photos it was trained on
    pub(crate) folder: PathBuf,
    /// Pretrained networks that look at the photos, separated by commas; several are slower and see more [default: auto, as for
    /// train]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) arch: Vec<ArchChoice>,
    /// Weights of the network from this file (.safetensors, .pth), or a run or model.sciurus of other photos [default:
    /// SCIURUS_MODELS, else its publisher's]
    #[arg(long, value_name = "FILE|RUN")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Write the queue, with what was decided, to a file: .json, or .parquet for DuckDB, pandas and polars
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Write a self-contained page with pictures
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Let --plan, --html and --out replace files that Sciurus did not write, or that were edited since
    #[arg(long)]
    pub(crate) force: bool,
    /// Decide photo by photo in the terminal
    #[arg(long, conflicts_with_all = ["json", "auto"])]
    pub(crate) review: bool,
    /// Move the files of a plan as you decided, or write the corrected table of photos that have one
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["review", "plan", "html", "auto", "undo", "retrain"])]
    pub(crate) apply: Option<PathBuf>,
    /// With --apply, act on proposals too that nobody decided
    #[arg(long, requires = "apply")]
    pub(crate) proposals: bool,
    /// The corrected table [default: NAME.clean.csv beside the table]
    #[arg(long, value_name = "FILE", requires = "apply")]
    pub(crate) out: Option<PathBuf>,
    /// Take the last --apply or --auto back
    #[arg(long, conflicts_with_all = ["review", "plan", "html", "auto", "retrain"])]
    pub(crate) undo: bool,
    /// Set aside what is certain: all but one of exact copies with the same label, and pictures that are broken
    #[arg(long)]
    pub(crate) auto: bool,
    /// Train on the photos as they are and as you decided, and compare both on the same reviewed photos
    #[arg(long, conflicts_with = "auto")]
    pub(crate) retrain: bool,
    /// Where decisions are kept [default: .sciurus/decisions.jsonl in the folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Act on a log of moves, decisions or a run that came with the folder from somebody else
    #[arg(long)]
    pub(crate) trust_state: bool,
    /// Photos to show of each kind
    #[arg(long, default_value_t = 5, value_name = "PHOTOS")]
    pub(crate) worst: usize,
    /// Photos between two checks whether to stop [default: a thirtieth of all, at most 50]
    #[arg(long, value_name = "PHOTOS", help_heading = "Review")]
    pub(crate) page: Option<usize>,
    /// Stop when fewer than this share (0 to 1) of the last pages were wrong
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", help_heading = "Review")]
    pub(crate) stop_below: f64,
    /// Download nothing: weights that are not on this machine are an error (also SCIURUS_OFFLINE=1)
    #[arg(long)]
    pub(crate) offline: bool,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) show: Show,
}
