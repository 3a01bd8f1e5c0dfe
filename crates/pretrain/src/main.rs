//! Trains the backbone that Sciurus carries. In: folders of photos, photos to leave out, teachers. Out: `backbone.safetensors`.
//!
//! Four stages, each of which is skipped if its result is there, so that a run which was killed goes on when it is started again:
//! collect the photos, let the teachers look at them, train the student, measure it. Everything is seeded.
//!
//! docs/backbone.md says what the one in the program has seen and how good it is.

mod candidates;
mod collect;
mod drawings;
mod lessons;
mod probe;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser};
use sciurus::Arch;

/// Train the backbone that Sciurus carries.
#[derive(Debug, Parser)]
enum Pretrain {
    /// Collect photos, let teachers look at them, train a student
    Train(TrainArgs),
    /// Measure weights by a linear probe
    Probe(ProbeArgs),
    /// Fit and measure what tells drawings from photos
    Drawings(DrawingArgs),
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Folder for everything that is made
    #[arg(long)]
    work: PathBuf,
    #[command(flatten)]
    folders: Folders,
    /// Networks to learn from; their weights are looked for in SCIURUS_MODELS
    #[arg(long, required = true)]
    teacher: Vec<Arch>,
    #[command(flatten)]
    student: StudentArgs,
    #[command(flatten)]
    probe: ProbeSets,
}

/// Where photos come from. Each option may be given more than once.
#[derive(Debug, Args)]
struct Folders {
    /// Photos
    #[arg(long)]
    photos: Vec<PathBuf>,
    /// Photos among which crops of those to be left out may be
    #[arg(long)]
    related: Vec<PathBuf>,
    /// Photos that must not be seen, nor any copy of them
    #[arg(long)]
    leave_out: Vec<PathBuf>,
}

/// The student and its training.
#[derive(Debug, Args)]
struct StudentArgs {
    /// Its architecture
    #[arg(long)]
    arch: Arch,
    /// Weights to go on from, instead of random ones
    #[arg(long)]
    from: Option<PathBuf>,
    /// Passes over the photos
    #[arg(long, default_value_t = 10)]
    epochs: usize,
    /// Side of the square that it sees, in pixels
    #[arg(long, default_value_t = 112)]
    image_size: usize,
    /// Smallest share of a photo that it sees
    #[arg(long, default_value_t = 0.35)]
    min_scale: f64,
    /// Photos in a batch
    #[arg(long, default_value_t = 96)]
    batch_size: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 4e-3)]
    learning_rate: f64,
    /// How much the labels of the photos' folders count, beside the teachers' features
    #[arg(long, default_value_t = 0.1)]
    labels: f64,
    /// Only about this many photos, chosen by their content: for a short trial
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of weights, order and crops
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(Debug, Args)]
struct ProbeArgs {
    /// Architecture
    #[arg(long)]
    arch: Arch,
    /// Its weights
    #[arg(long)]
    weights: PathBuf,
    /// Side of the square that it sees, in pixels
    #[arg(long, default_value_t = probe::SIDE)]
    image_size: usize,
    #[command(flatten)]
    sets: ProbeSets,
}

/// Each option may be given more than once.
#[derive(Debug, Args)]
struct DrawingArgs {
    /// Photos; half of them are kept back
    #[arg(long)]
    photos: Vec<PathBuf>,
    /// Drawings, pages, screenshots; half of them are kept back
    #[arg(long)]
    drawings: Vec<PathBuf>,
    /// Photos to measure on alone
    #[arg(long)]
    measure_photos: Vec<PathBuf>,
    /// Drawings to measure on alone
    #[arg(long)]
    measure_drawings: Vec<PathBuf>,
    /// Most pictures of a folder
    #[arg(long, default_value_t = 1000)]
    limit: usize,
}

/// What is measured on.
#[derive(Debug, Args)]
struct ProbeSets {
    /// Folders of photos to measure on, a folder for each class; may be given more than once
    #[arg(long)]
    probe: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    candidates::register()?;
    match Pretrain::parse() {
        Pretrain::Probe(args) => {
            for (name, accuracy) in
                probe::measure(args.arch, (&args.weights, args.image_size), &args.sets.probe)?
            {
                say(&format!("{name} {accuracy:.3}"));
            }
            Ok(())
        }
        Pretrain::Drawings(args) => drawings::fit(&args),
        Pretrain::Train(args) => {
            let photos = collect::photos(&args.work, &args.folders)?;
            let photos = collect::limited(photos, args.student.limit);
            let teachers = lessons::of(&args.work, &args.teacher, &photos)?;
            train::student(&args, &photos, teachers)
        }
    }
}

/// A line for the person who waits.
#[allow(clippy::print_stderr, reason = "a program of the project's own")]
fn say(line: &str) {
    eprintln!("{line}");
}
