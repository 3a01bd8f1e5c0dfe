//! Speed and peak memory of a training step or of inference on random data; the peer of PyTorch's own program.
//!
//! `cargo xtask bench-step train --arch resnet18 --precision f32 --batch 64 --size 224 --threads 2 --steps 7`
//! prints one line: median milliseconds, images/s, peak memory.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use clap::{Parser, ValueEnum};
use sciurus::model::{FoldedLayers, ParamGroup, Pass, VisionModel};
use sciurus::{Arch, Hyper, Precision, Seed, Trainer};

#[derive(Debug, Parser)]
struct Options {
    mode: Mode,
    #[arg(long, default_value_t = Arch::ResNet18)]
    arch: Arch,
    #[arg(long, default_value_t = Precision::Auto)]
    precision: Precision,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    #[arg(long, default_value_t = 224)]
    size: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, default_value_t = 7)]
    steps: usize,
    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Train,
    Frozen,
    Infer,
}

fn main() {
    let options = Options::parse();
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global().unwrap();
    let precision = options.precision.on(sciurus::Device::Cpu).unwrap();
    let device = Device::flex();
    let model = VisionModel::new(options.arch, 2, Seed(0), &device).unwrap();
    let shape = [options.batch, 3, options.size, options.size];
    let images = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let targets: Vec<usize> = (0..options.batch).map(|item| item % 2).collect();
    let median = match options.mode {
        Mode::Infer => {
            let model = model.valid();
            let folded = FoldedLayers::default();
            let pass = || Pass::evaluate().with_precision(precision).with_folded(&folded);
            time(options.steps, || drop(model.forward(images.clone(), &mut pass()).into_data()))
        }
        mode => {
            let mut trainer = Trainer::new(model, &device, Seed(0)).with_precision(precision);
            if matches!(mode, Mode::Frozen) {
                trainer.freeze_to(ParamGroup(VisionModel::GROUPS - 1));
            }
            let images = Tensor::from_data(images.into_data(), trainer.device());
            let hyper = Hyper { learning_rates: vec![1e-4; VisionModel::GROUPS], momentum: 0.9 };
            time(options.steps, || {
                trainer.step_on(images.clone(), &targets, &hyper);
            })
        }
    };
    println!(
        "sciurus {} {} {} {} batch {} threads {}: {:.1} ms, {:.2} images/s, peak {} MB",
        env!("CARGO_PKG_VERSION"),
        format!("{:?}", options.mode).to_lowercase(),
        options.arch,
        precision,
        options.batch,
        options.threads,
        median.as_secs_f64() * 1e3,
        options.batch as f64 / median.as_secs_f64(),
        peak_megabytes().map_or_else(|| "unknown".to_owned(), |peak| peak.to_string()),
    );
}

/// Median time of a step, after two to warm up.
fn time(steps: usize, mut step: impl FnMut()) -> Duration {
    step();
    step();
    let mut times: Vec<Duration> = (0..steps.max(1))
        .map(|_| {
            let started = Instant::now();
            step();
            started.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Largest resident memory of this process so far, where the system tells it (Linux).
fn peak_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}
