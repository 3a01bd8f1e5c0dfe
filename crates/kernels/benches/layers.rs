//! GFLOP/s of each convolution of ResNet-18, forward, input gradient and weight gradient.
//!
//! `cargo bench -p sciurus-kernels --bench layers -- [f32|bf16] [batch] [threads]`
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

use std::time::Instant;

use half::bf16;
use sciurus_kernels::{
    ConvShape, Element, Existing, Isa, PackedWeights, View, ViewMut, conv_forward_moments,
    conv_input_gradient, conv_weight_gradient,
};

fn main() {
    let arguments: Vec<String> = std::env::args().filter(|argument| argument != "--bench").collect();
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default.to_owned(), Clone::clone);
    let batch = argument(2, "64").parse().expect("batch");
    let threads = argument(3, "2").parse().expect("threads");
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("threads");
    println!("{}, batch {batch}, {threads} threads", Isa::current());
    match argument(1, "bf16").as_str() {
        "f32" => layers::<f32>(batch),
        _ => layers::<bf16>(batch),
    }
}

fn layers<E: Element>(batch: usize) {
    let shape = |size, channels, kernel, stride| ConvShape {
        batch,
        size: [size, size],
        channels,
        kernel: [kernel, kernel],
        stride,
        padding: if size == 230 { 0 } else { kernel / 2 },
    };
    let shapes = [
        ("stem 7x7", shape(230, [3, 64], 7, 2)),
        ("64 at 56", shape(56, [64, 64], 3, 1)),
        ("64-128 s2", shape(56, [64, 128], 3, 2)),
        ("128 at 28", shape(28, [128, 128], 3, 1)),
        ("128-256 s2", shape(28, [128, 256], 3, 2)),
        ("256 at 14", shape(14, [256, 256], 3, 1)),
        ("256-512 s2", shape(14, [256, 512], 3, 2)),
        ("512 at 7", shape(7, [512, 512], 3, 1)),
        ("128-256 1x1 s2", shape(28, [128, 256], 1, 2)),
    ];
    for (name, shape) in shapes {
        layer::<E>(name, &shape);
    }
}

fn layer<E: Element>(name: &str, shape: &ConvShape) {
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
    let forward = gflops(shape, || {
        conv_forward_moments(
            shape,
            View::new(&input, channels_in),
            &packed,
            ViewMut::new(&mut output, channels_out),
        );
    });
    let backward = gflops(shape, || {
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
    let weight = gflops(shape, || {
        let gradient = View::new(&output, channels_out);
        conv_weight_gradient(isa, shape, View::new(&input, channels_in), gradient, &mut weight_gradient);
    });
    println!(
        "{name:16} forward {forward:7.1}  input gradient {backward:7.1}  weight gradient {weight:7.1} GFLOP/s"
    );
}

fn gflops(shape: &ConvShape, mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    shape.flops() / seconds[3] / 1e9
}
