//! `bench-peers`: Sciurus beside PyTorch and fastai on this machine, in turn, as ratios with the bars of the project.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::{accept, bench, report};

/// Which peers, where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Python that has torch, torchvision and fastai
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Folder with bench/, data/ and models/
    #[arg(long, env = "SCIURUS_SHARED", default_value = "../shared")]
    shared: PathBuf,
    /// How often each pair is run
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only rows whose name holds this
    #[arg(long)]
    only: Option<String>,
}

/// One row: what is run, and which ratio it must reach.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    program: Program,
    ours: &'static str,
    /// `SCIURUS_CPU` for ours; the peer is limited to the same.
    isa: Option<&'static str>,
    /// Ways to run the peer; the best counts.
    peer: &'static [&'static str],
    compared: Compared,
    must: f64,
}

/// PyTorch's program.
#[derive(Clone, Copy)]
enum Program {
    /// Of the shared folder.
    Shared,
    /// Of this crate: the networks that the other does not know.
    Networks,
}

#[derive(Clone, Copy)]
enum Compared {
    /// Images per second, ours over the peer's: at least the bar.
    Speed,
    /// Milliseconds, ours over the peer's: at most the bar.
    Latency,
    /// Peak memory, ours over the peer's: at most the bar.
    Memory,
}

const INSTALLED: &str = "train --dtype fp32 --layout nchw";
const ROWS: &[Row] = &[
    Row {
        name: "training step f32, fastai as installed",
        ours: "train --precision f32",
        program: Program::Shared,
        isa: None,
        peer: &[INSTALLED],
        compared: Compared::Speed,
        must: 1.8,
    },
    Row {
        name: "training step bf16, fastai as installed",
        ours: "train --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &[INSTALLED],
        compared: Compared::Speed,
        must: 3.0,
    },
    Row {
        name: "training step bf16, PyTorch at its best",
        ours: "train --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &["train --dtype bf16 --layout channels_last --tuned"],
        compared: Compared::Speed,
        must: 0.9,
    },
    Row {
        name: "frozen step bf16, PyTorch at its best",
        ours: "frozen --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &["frozen --dtype bf16 --layout channels_last --tuned"],
        compared: Compared::Speed,
        must: 0.9,
    },
    Row {
        name: "inference batch 64, PyTorch at its best",
        ours: "infer --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &["infer --dtype bf16 --layout channels_last --tuned"],
        compared: Compared::Speed,
        must: 0.9,
    },
    Row {
        name: "inference batch 1, PyTorch at its best",
        ours: "infer --precision bf16 --batch 1 --steps 41",
        program: Program::Shared,
        isa: None,
        peer: &[
            "infer --dtype bf16 --layout channels_last --tuned --batch 1 --steps 41",
            "infer --dtype fp32 --layout channels_last --tuned --batch 1 --steps 41",
            "infer --dtype bf16 --layout nchw --tuned --batch 1 --steps 41",
        ],
        compared: Compared::Latency,
        must: 1.0,
    },
    Row {
        name: "memory of training bf16, PyTorch f32",
        ours: "train --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &[INSTALLED],
        compared: Compared::Memory,
        must: 0.6,
    },
    Row {
        name: "SqueezeNet training f32, PyTorch channels-last",
        ours: "train --arch squeezenet1_1 --precision f32",
        program: Program::Shared,
        isa: None,
        peer: &["train --arch squeezenet1_1 --dtype fp32 --layout channels_last"],
        compared: Compared::Speed,
        must: 1.0,
    },
    Row {
        name: "SqueezeNet training bf16, PyTorch channels-last",
        ours: "train --arch squeezenet1_1 --precision bf16",
        program: Program::Shared,
        isa: None,
        peer: &["train --arch squeezenet1_1 --dtype bf16 --layout channels_last"],
        compared: Compared::Speed,
        must: 1.0,
    },
    Row {
        name: "training step on AVX2, fastai on AVX2",
        ours: "train --precision f32",
        program: Program::Shared,
        isa: Some("avx2"),
        peer: &[INSTALLED],
        compared: Compared::Speed,
        must: 1.2,
    },
];

/// A further network's training step and prediction, in f32 and in bf16.
macro_rules! network {
    ($arch:literal) => {
        [
            network!($arch, "train", "f32", "fp32"),
            network!($arch, "train", "bf16", "bf16"),
            network!($arch, "infer", "f32", "fp32"),
            network!($arch, "infer", "bf16", "bf16"),
        ]
    };
    ($arch:literal, $mode:literal, $precision:literal, $dtype:literal) => {
        Row {
            name: concat!("network ", $arch, " ", $mode, " ", $precision, ", PyTorch channels-last"),
            ours: concat!($mode, " --arch ", $arch, " --batch 32 --steps 3 --precision ", $precision),
            program: Program::Networks,
            isa: None,
            peer: &[concat!($mode, " --arch ", $arch, " --batch 32 --steps 3 --dtype ", $dtype)],
            compared: Compared::Speed,
            must: 1.0,
        }
    };
}

const NETWORKS: [[Row; 4]; 10] = [
    network!("hazel"),
    network!("resnet18"),
    network!("squeezenet1_1"),
    network!("efficientnet_lite0"),
    network!("resnet50"),
    network!("resnet101"),
    network!("mobilenet_v2"),
    network!("efficientnet_b0"),
    network!("convnext_tiny"),
    network!("vit_small_patch16_224"),
];

/// The figures of one line of either program.
#[derive(Debug, Clone, Copy)]
struct Figures {
    milliseconds: f64,
    images_per_second: f64,
    megabytes: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| name.contains(only));
    let all = ROWS.iter().chain(NETWORKS.iter().flatten());
    let rows: Vec<&Row> = all.filter(|row| wanted(row.name)).collect();
    let mut measured = Measured::new();
    for _ in 0..args.rounds.max(1) {
        run_round(args, &rows, &mut measured)?;
    }
    rows.iter().for_each(|row| report(&judged(row, &measured)));
    if wanted("fine_tune") {
        fine_tune(args)?;
    }
    Ok(())
}

/// What a program gave in each round, by the program's name, instruction set and options.
type Measured = HashMap<(&'static str, Option<&'static str>, &'static str), Vec<Figures>>;

/// Runs every program that the rows need once, ours and the peer's in turn.
fn run_round(args: &Args, rows: &[&Row], measured: &mut Measured) -> anyhow::Result<()> {
    let mut done = HashSet::new();
    for row in rows {
        let ours = std::iter::once(("sciurus", row.isa, row.ours));
        for key in ours.chain(row.peer.iter().map(|options| ("pytorch", row.isa, *options))) {
            if done.insert(key) {
                let figures = if key.0 == "sciurus" { sciurus(row)? } else { pytorch(args, row, key.2)? };
                measured.entry(key).or_default().push(figures);
            }
        }
    }
    Ok(())
}

/// A row's medians, their ratio and whether it holds. Of several ways to run the peer the best counts.
fn judged(row: &Row, measured: &Measured) -> String {
    let (unit, more_is_better, figure): (_, _, fn(&Figures) -> f64) = match row.compared {
        Compared::Speed => ("images/s", true, |figures| figures.images_per_second),
        Compared::Latency => ("ms", false, |figures| figures.milliseconds),
        Compared::Memory => ("MB", false, |figures| figures.megabytes),
    };
    let of = |program, options| median(measured[&(program, row.isa, options)].iter().map(figure));
    let ours = of("sciurus", row.ours);
    let theirs = row.peer.iter().map(|options| of("pytorch", *options));
    let theirs =
        if more_is_better { theirs.fold(0.0, f64::max) } else { theirs.fold(f64::INFINITY, f64::min) };
    let ratio = ours / theirs;
    let verdict = if more_is_better == (ratio >= row.must) { "holds" } else { "MISSED" };
    format!("{}: {ours:.1} against {theirs:.1} {unit}, {ratio:.2} x; must {} {verdict}", row.name, row.must)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sciurus(row: &Row) -> anyhow::Result<Figures> {
    let mut command = bench::command("step", row.ours.split_whitespace());
    if let Some(isa) = row.isa {
        command.env("SCIURUS_CPU", isa);
    }
    figures(command)
}

fn pytorch(args: &Args, row: &Row, options: &str) -> anyhow::Result<Figures> {
    let mut command = Command::new(&args.python);
    let program = match row.program {
        Program::Shared => args.shared.join("bench/pytorch_step.py"),
        Program::Networks => Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/network_step.py"),
    };
    command.arg(program).args(options.split_whitespace());
    if row.isa == Some("avx2") {
        command.env("ONEDNN_MAX_CPU_ISA", "AVX2").env("MKL_ENABLE_INSTRUCTIONS", "AVX2");
    }
    figures(command)
}

/// Runs a program and reads `…: 950.0 ms, 67.3 images/s, peak 1500 MB`.
fn figures(mut command: Command) -> anyhow::Result<Figures> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.contains("images/s")).context("no line with images/s")?;
    let before =
        |unit: &str| -> Option<f64> { line.split(unit).next()?.split_whitespace().next_back()?.parse().ok() };
    Ok(Figures {
        milliseconds: before(" ms").context("no milliseconds")?,
        images_per_second: before(" images/s").context("no images/s")?,
        megabytes: before(" MB").context("no megabytes")?,
    })
}

/// The whole command on ants and bees, in turn with fastai's program.
fn fine_tune(args: &Args) -> anyhow::Result<()> {
    accept::build()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..args.rounds.max(1) as u64 {
        ours.push(accept::train(&args.shared, "hymenoptera", round + 1, &[])?.whole.as_secs_f64());
        let started = Instant::now();
        let data = args.shared.join("data/hymenoptera");
        let status = Command::new(&args.python)
            .arg(args.shared.join("bench/fastai_fine_tune.py"))
            .arg(data)
            .args(["--train", "train", "--valid", "val", "--seeds", &(round + 1).to_string(), "--weights"])
            .arg(args.shared.join("models/resnet18-surrogate.safetensors"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "fastai's program failed");
        theirs.push(started.elapsed().as_secs_f64());
    }
    let (ours, theirs) = (median(ours.into_iter()), median(theirs.into_iter()));
    let ratio = theirs / ours;
    let verdict = if ratio >= 2.5 { "holds" } else { "MISSED" };
    report(&format!(
        "fine_tune(4) on hymenoptera, whole command: {ours:.1} against {theirs:.1} s, {ratio:.2} x; must 2.5 {verdict}"
    ));
    Ok(())
}
