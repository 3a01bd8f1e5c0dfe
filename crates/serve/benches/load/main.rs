//! How `sciurus serve` does under load, beside what people would otherwise write: FastAPI with PyTorch, and with onnxruntime. In: a
//! trained ResNet-18, photos, and a Python with the packages that peers/README.md names. Out: a table for docs/performance.md.
//! `cargo xtask serve-bench` runs it.
//!
//! All servers get the same model and the same photos, in turn, several times, and are asked over connections that stay open.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program to look at, not a library"
)]

mod client;
mod contestant;
mod load;
mod refusals;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use client::Answered;
use contestant::Contestant;
use load::Load;
use table::Table;

#[derive(Debug, Parser)]
struct Args {
    /// The model: a ResNet-18 that `sciurus train` made
    #[arg(long)]
    model: PathBuf,
    /// A folder of JPEGs, looked into to the bottom [default: hymenoptera of SCIURUS_SHARED]
    #[arg(long, value_name = "FOLDER")]
    photos: Option<PathBuf>,
    /// Photos that are asked in turn
    #[arg(long, default_value_t = 64)]
    count: usize,
    /// The program [default: the one beside this, from `cargo build --release --workspace --bins`]
    #[arg(long)]
    sciurus: Option<PathBuf>,
    /// A Python with the peers' packages; without it there are no peers
    #[arg(long)]
    python: Option<PathBuf>,
    /// An ONNX file of the model, from pixels to logits [default: exported by PyTorch]
    #[arg(long)]
    onnx: Option<PathBuf>,
    /// Connections at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// Seconds of each measurement, after a fifth as many to warm up
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How often all are measured; the table has medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads of each server [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Print a line of JSON too
    #[arg(long)]
    json: bool,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse();
    let photos = photos(&args);
    let folder = tempfile::tempdir().unwrap();
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let contestants = Contestant::all(&args, folder.path(), threads);
    let mut table = Table::new(&args.connections);
    let mut ours: Vec<Answered> = Vec::new();
    for round in 0..args.rounds {
        for contestant in &contestants {
            eprintln!("round {} of {}: {}", round + 1, args.rounds, contestant.name);
            let running = contestant.start(&photos[0]).await;
            table.cold(contestant.name, running.cold);
            let answers = load::ask_each(running.port, &photos).await;
            if ours.is_empty() {
                ours = answers;
            } else {
                table.agreement(contestant.name, &ours, &answers);
            }
            for &connections in &args.connections {
                let load = Load { connections, seconds: Duration::from_secs_f64(args.seconds) };
                let measured = load.on(running.port, &photos).await;
                table.measured(contestant.name, connections, &measured);
            }
            table.memory(contestant.name, &running);
        }
    }
    println!("{table}");
    if args.json {
        println!("{}", table.json());
    }
    let sciurus = &contestants[0];
    refusals::measure(sciurus, &photos[0]).await;
}

/// The bytes of some photos, from all over the folder.
fn photos(args: &Args) -> Vec<Vec<u8>> {
    let usual = || {
        let shared = std::env::var_os("SCIURUS_SHARED").map_or("../../../shared".into(), PathBuf::from);
        shared.join("data/hymenoptera")
    };
    let folder = args.photos.clone().unwrap_or_else(usual);
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    assert!(!files.is_empty(), "there is no JPEG in {}; name a folder with --photos", folder.display());
    let step = files.len().div_ceil(args.count.max(1));
    files.into_iter().step_by(step).map(|file| std::fs::read(file).unwrap()).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_jpeg = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("jpg"));
        match path.is_dir() {
            true => collect(&path, files),
            false if is_jpeg => files.push(path),
            false => {}
        }
    }
}
