//! Each convolution of ResNet-18 or ResNet-50: GFLOP/s of forward, input gradient and weight gradient, and milliseconds
//! of all layers of that shape, those of the norm layers after them too.
//!
//! `cargo bench -p sciurus-kernels --bench layers -- [f32|bf16] [batch] [threads] [resnet18|resnet50]`
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::time::Instant;

use half::bf16;
use sciurus_kernels::{
    ConvShape, Element, Existing, Isa, Nonlinearity, NormGradient, PackedWeights, View, ViewMut,
    conv_forward_moments, conv_input_gradient, conv_weight_gradient, gradient_sums, norm_gradient, normalize,
};

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default.to_owned(), Clone::clone);
    let batch = argument(2, "64").parse().expect("batch");
    let threads = argument(3, "2").parse().expect("threads");
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("threads");
    println!("{}, batch {batch}, {threads} threads", Isa::current());
    let layers = match argument(4, "resnet18").as_str() {
        "resnet50" => resnet50(batch),
        _ => resnet18(batch),
    };
    let mut total = Spent::default();
    for (name, count, shape) in &layers {
        let spent = match argument(1, "bf16").as_str() {
            "f32" => layer::<f32>(name, *count, shape),
            _ => layer::<bf16>(name, *count, shape),
        };
        total.add(&spent);
    }
    println!("{:22} {total}", "all");
}

/// Milliseconds.
#[derive(Debug, Default)]
struct Spent([f64; 6]);

impl Spent {
    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, more)| *mine += more);
    }
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [forward, input, weight, pack, norm, norm_gradient] = self.0;
        write!(
            f,
            "{forward:6.1} {input:6.1} {weight:6.1} | pack {pack:5.1} norm {norm:6.1} {norm_gradient:6.1} ms"
        )
    }
}

type Layer = (&'static str, usize, ConvShape);

fn shape(batch: usize, size: usize, channels: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    let padding = if size == 230 { 0 } else { kernel / 2 };
    ConvShape { batch, size: [size, size], channels, kernel: [kernel, kernel], stride, padding }
}

fn resnet18(batch: usize) -> Vec<Layer> {
    let shape = |size, channels, kernel, stride| shape(batch, size, channels, kernel, stride);
    vec![
        ("stem 7x7", 1, shape(230, [3, 64], 7, 2)),
        ("64 at 56", 4, shape(56, [64, 64], 3, 1)),
        ("64-128 s2", 1, shape(56, [64, 128], 3, 2)),
        ("128 at 28", 3, shape(28, [128, 128], 3, 1)),
        ("128-256 s2", 1, shape(28, [128, 256], 3, 2)),
        ("256 at 14", 3, shape(14, [256, 256], 3, 1)),
        ("256-512 s2", 1, shape(14, [256, 512], 3, 2)),
        ("512 at 7", 3, shape(7, [512, 512], 3, 1)),
        ("64-128 1x1 s2", 1, shape(56, [64, 128], 1, 2)),
        ("128-256 1x1 s2", 1, shape(28, [128, 256], 1, 2)),
        ("256-512 1x1 s2", 1, shape(14, [256, 512], 1, 2)),
    ]
}

fn resnet50(batch: usize) -> Vec<Layer> {
    let shape = |size, channels, kernel, stride| shape(batch, size, channels, kernel, stride);
    vec![
        ("stem 7x7", 1, shape(230, [3, 64], 7, 2)),
        ("64-64 1x1 at 56", 1, shape(56, [64, 64], 1, 1)),
        ("64-256 1x1 at 56", 4, shape(56, [64, 256], 1, 1)),
        ("256-64 1x1 at 56", 2, shape(56, [256, 64], 1, 1)),
        ("64 3x3 at 56", 3, shape(56, [64, 64], 3, 1)),
        ("256-128 1x1 at 56", 1, shape(56, [256, 128], 1, 1)),
        ("128 3x3 s2", 1, shape(56, [128, 128], 3, 2)),
        ("256-512 1x1 s2", 1, shape(56, [256, 512], 1, 2)),
        ("128-512 1x1 at 28", 4, shape(28, [128, 512], 1, 1)),
        ("512-128 1x1 at 28", 3, shape(28, [512, 128], 1, 1)),
        ("128 3x3 at 28", 3, shape(28, [128, 128], 3, 1)),
        ("512-256 1x1 at 28", 1, shape(28, [512, 256], 1, 1)),
        ("256 3x3 s2", 1, shape(28, [256, 256], 3, 2)),
        ("512-1024 1x1 s2", 1, shape(28, [512, 1024], 1, 2)),
        ("256-1024 1x1 at 14", 6, shape(14, [256, 1024], 1, 1)),
        ("1024-256 1x1 at 14", 5, shape(14, [1024, 256], 1, 1)),
        ("256 3x3 at 14", 5, shape(14, [256, 256], 3, 1)),
        ("1024-512 1x1 at 14", 1, shape(14, [1024, 512], 1, 1)),
        ("512 3x3 s2", 1, shape(14, [512, 512], 3, 2)),
        ("1024-2048 1x1 s2", 1, shape(14, [1024, 2048], 1, 2)),
        ("512-2048 1x1 at 7", 3, shape(7, [512, 2048], 1, 1)),
        ("2048-512 1x1 at 7", 2, shape(7, [2048, 512], 1, 1)),
        ("512 3x3 at 7", 2, shape(7, [512, 512], 3, 1)),
    ]
}

fn layer<E: Element>(name: &str, count: usize, shape: &ConvShape) -> Spent {
    let isa = Isa::current();
    let numbers =
        |count: usize| -> Vec<f32> { (0..count).map(|i| ((i * 7919) % 255) as f32 / 128.0 - 1.0).collect() };
    let elements = |count: usize| -> Vec<E> { numbers(count).into_iter().map(E::narrow).collect() };
    let input = elements(shape.input_len());
    let weights = numbers(shape.weights_len());
    let mut output = elements(shape.output_len());
    let mut input_gradient = elements(shape.input_len());
    let packed = PackedWeights::<E>::forward(isa, shape, &weights, None);
    let turned = PackedWeights::<E>::input_gradient(isa, shape, &weights);
    let [channels_in, channels_out] = shape.channels;
    let forward = seconds(|| {
        conv_forward_moments(
            shape,
            View::new(&input, channels_in),
            &packed,
            ViewMut::new(&mut output, channels_out),
        );
    });
    let backward = seconds(|| {
        let gradient = View::new(&output, channels_out);
        conv_input_gradient(
            shape,
            gradient,
            &turned,
            ViewMut::new(&mut input_gradient, channels_in),
            Existing::Replace,
        );
    });
    let mut weight_gradient = weights.clone();
    let weight = seconds(|| {
        let gradient = View::new(&output, channels_out);
        conv_weight_gradient(isa, shape, View::new(&input, channels_in), gradient, &mut weight_gradient);
    });
    let pack = seconds(|| {
        PackedWeights::<E>::forward(isa, shape, &weights, None);
        PackedWeights::<E>::input_gradient(isa, shape, &weights);
    });
    let ones = vec![1.0; channels_out];
    let mut normal = elements(shape.output_len());
    let norm = seconds(|| normalize(isa, &output, [&ones, &ones], (None, Nonlinearity::Relu), &mut normal));
    let factors = NormGradient { by_gradient: ones.clone(), by_input: ones.clone(), constant: ones.clone() };
    let mut behind = elements(shape.output_len());
    let norm_gradient = seconds(|| {
        gradient_sums(isa, channels_out, &behind, Some(&normal), Some((&output, &ones)));
        norm_gradient(isa, &factors, (&output, Some(&normal)), &mut behind, None);
    });
    let gflops = |seconds: f64| shape.flops() / seconds / 1e9;
    let all = [forward, backward, weight, pack, norm, norm_gradient];
    let spent = Spent(all.map(|seconds| 1e3 * seconds * count as f64));
    println!(
        "{name:18} x {count} {:7.0} {:7.0} {:7.0} GFLOP/s | {spent}",
        gflops(forward),
        gflops(backward),
        gflops(weight)
    );
    spent
}

/// The median of a few runs.
fn seconds(mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[3]
}
