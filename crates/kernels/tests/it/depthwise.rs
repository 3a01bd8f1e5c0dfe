//! Depthwise convolutions and their gradients against sums over all products.

use half::bf16;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{
    ConvShape, Element, Isa, depthwise_forward, depthwise_input_gradient, depthwise_weight_gradient,
};

use crate::determinism::same_in_every_pool;
use crate::reference::{self, Sums, grid, input_pixel};
use crate::values::{
    agree, bits, close, config, f32_error, filled, nan, place, random, random_weights, sets, wide,
};

/// Any depthwise convolution that does not take long, more often one that networks have.
fn depthwise_shapes() -> impl Strategy<Value = ConvShape> {
    let kernels =
        select(vec![[3, 3], [5, 5], [7, 7], [3, 3], [5, 5], [1, 1], [2, 2], [4, 3], [3, 4], [2, 7], [1, 16]]);
    let channels = prop_oneof![select(vec![1, 3, 8, 15, 16, 17, 24, 31, 32, 33, 64]), 1..=70_usize];
    let rest = (0..14_usize, 0..20_usize, 1..=3_usize, 0..7_usize);
    (1..=5_usize, channels, kernels, rest).prop_map(
        |(batch, channels, kernel, (taller, wider, stride, padding))| {
            let padding = padding % kernel[0].min(kernel[1]);
            let size = |axis: usize, more: usize| kernel[axis].saturating_sub(2 * padding).max(1) + more;
            let size = [size(0, taller), size(1, wider)];
            ConvShape { batch, size, channels: [channels; 2], kernel, stride, padding }
        },
    )
}

/// Shapes whose rows are dealt out over several bands and shares.
fn large_shapes() -> [ConvShape; 3] {
    let shape = |size, channels, kernel, stride, padding| ConvShape {
        batch: 2,
        size,
        channels: [channels; 2],
        kernel: [kernel; 2],
        stride,
        padding,
    };
    [shape([40, 41], 70, 3, 1, 1), shape([45, 44], 72, 5, 2, 2), shape([14, 7], 770, 7, 1, 3)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn depthwise_convolutions_sum_all_products(shape in depthwise_shapes(), seed: u64) {
        all::<f32>(&shape, seed)?;
        all::<bf16>(&shape, seed)?;
    }

    #[test]
    fn depthwise_convolutions_are_the_same_for_any_number_of_threads(shape in depthwise_shapes(), seed: u64) {
        threads::<f32>(&shape, seed)?;
        threads::<bf16>(&shape, seed)?;
    }

    #[test]
    fn depthwise_convolutions_are_not_finite_where_a_window_is_not(
        shape in depthwise_shapes(),
        at: prop::sample::Index,
        intruder in select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        seed: u64,
    ) {
        intruded::<f32>(&shape, at.index(shape.input_len()), intruder, seed)?;
        intruded::<bf16>(&shape, at.index(shape.input_len()), intruder, seed)?;
    }
}

#[test]
fn large_depthwise_convolutions_sum_all_products() -> TestCaseResult {
    for (seed, shape) in large_shapes().iter().enumerate() {
        all::<f32>(shape, seed as u64)?;
        all::<bf16>(shape, seed as u64)?;
        threads::<f32>(shape, seed as u64)?;
        threads::<bf16>(shape, seed as u64)?;
    }
    Ok(())
}

fn weights_len(shape: &ConvShape) -> usize {
    shape.channels[0] * shape.kernel[0] * shape.kernel[1]
}

/// Visits every product: the places of its input value, its weight and its output value.
fn each_product(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let out = shape.out_size();
    let channels = shape.channels[0];
    for image in 0..shape.batch {
        for (out_y, out_x) in grid(out) {
            for (row, column) in grid(shape.kernel) {
                let Some([y, x]) = input_pixel(shape, [out_y, out_x], [row, column]) else { continue };
                let input = ((image * shape.size[0] + y) * shape.size[1] + x) * channels;
                let output = ((image * out[0] + out_y) * out[1] + out_x) * channels;
                for channel in 0..channels {
                    let weight = (channel * shape.kernel[0] + row) * shape.kernel[1] + column;
                    visit(input + channel, weight, output + channel);
                }
            }
        }
    }
}

fn all<E: Element>(shape: &ConvShape, seed: u64) -> TestCaseResult {
    let channels = shape.channels[0];
    let input = random::<E>(seed, shape.input_len());
    let weights = random_weights::<E>(seed ^ 1, weights_len(shape));
    let bias = random::<f32>(seed ^ 2, channels);
    let gradient = random::<E>(seed ^ 3, shape.output_len());
    let [wide_input, wide_weights, wide_gradient] = [wide(&input), wide(&weights), wide(&gradient)];
    let mut output = Sums::zeros(shape.output_len());
    let mut input_gradient = Sums::zeros(shape.input_len());
    let mut weight_gradient = Sums::zeros(weights.len());
    output.add_each((0..shape.output_len()).map(|at| f64::from(bias[at % channels])));
    each_product(shape, |from, weight, to| {
        output.add(to, wide_input[from] * wide_weights[weight]);
        input_gradient.add(from, wide_gradient[to] * wide_weights[weight]);
        weight_gradient.add(weight, wide_input[from] * wide_gradient[to]);
    });
    for isa in sets() {
        let mut got = filled(nan::<E>(), shape.output_len());
        let moments = depthwise_forward(isa, shape, &input, [&weights, &bias], &mut got);
        let name = place::<E>("depthwise_forward", isa, shape);
        agree(&name, &got, &output)?;
        for channel in 0..channels {
            let values = output.value.iter().copied().skip(channel).step_by(channels);
            let [mean, variance] = reference::moments(values.clone());
            let range = values.clone().fold(f64::MIN, f64::max) - values.clone().fold(f64::MAX, f64::min);
            let each = output.worst(channel, channels, f32_error);
            let pixels = values.count();
            let name = format!("moments of channel {channel} of {name}");
            let allowed = each + f32_error(pixels, range + mean.abs());
            close(&name, moments.mean[channel].into(), mean, allowed)?;
            let allowed = 2.0 * range * each + each * each + f32_error(pixels, 2.0 * range * range);
            close(&name, moments.variance[channel].into(), variance, allowed)?;
        }
        let mut got = filled(nan::<E>(), shape.input_len());
        depthwise_input_gradient(isa, shape, &gradient, &weights, &mut got);
        agree(&place::<E>("depthwise_input_gradient", isa, shape), &got, &input_gradient)?;
        let mut got = filled(f32::NAN, weights.len());
        depthwise_weight_gradient(isa, shape, &input, &gradient, &mut got);
        agree(&place::<E>("depthwise_weight_gradient", isa, shape), &got, &weight_gradient)?;
    }
    Ok(())
}

/// The bits of all three passes and of the moments.
fn results<E: Element>(isa: Isa, shape: &ConvShape, seed: u64) -> Vec<Vec<u32>> {
    let input = random::<E>(seed, shape.input_len());
    let weights = random_weights::<E>(seed ^ 1, weights_len(shape));
    let bias = random::<f32>(seed ^ 2, shape.channels[0]);
    let gradient = random::<E>(seed ^ 3, shape.output_len());
    let mut output = filled(nan::<E>(), shape.output_len());
    let moments = depthwise_forward(isa, shape, &input, [&weights, &bias], &mut output);
    let mut input_gradient = filled(nan::<E>(), shape.input_len());
    depthwise_input_gradient(isa, shape, &gradient, &weights, &mut input_gradient);
    let mut weight_gradient = filled(f32::NAN, weights.len());
    depthwise_weight_gradient(isa, shape, &input, &gradient, &mut weight_gradient);
    let moments = [bits(&moments.mean), bits(&moments.variance)];
    [bits(&output), bits(&input_gradient), bits(&weight_gradient)].into_iter().chain(moments).collect()
}

fn threads<E: Element>(shape: &ConvShape, seed: u64) -> TestCaseResult {
    for isa in sets() {
        let place = place::<E>("depthwise convolution", isa, shape);
        same_in_every_pool(&place, || results::<E>(isa, shape, seed))?;
    }
    Ok(())
}

/// One input value is not finite: outputs that see it are not either, and all others are as before.
fn intruded<E: Element>(shape: &ConvShape, at: usize, intruder: f32, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let mut with = input.clone();
    with[at] = E::narrow(intruder);
    // No weight is 0, which would make NaN of an infinity; PyTorch does the same.
    let weights = random_weights::<E>(seed ^ 1, weights_len(shape));
    let bias = random::<f32>(seed ^ 2, shape.channels[0]);
    let mut sees = vec![false; shape.output_len()];
    each_product(shape, |from, _, to| sees[to] |= from == at);
    for isa in sets() {
        let [mut before, mut after] = [0, 1].map(|_| filled(nan::<E>(), shape.output_len()));
        depthwise_forward(isa, shape, &input, [&weights, &bias], &mut before);
        depthwise_forward(isa, shape, &with, [&weights, &bias], &mut after);
        let place = place::<E>("depthwise_forward", isa, shape);
        for (index, (&before, &after)) in before.iter().zip(&after).enumerate() {
            let (before, after) = (before.widen(), after.widen());
            if sees[index] {
                prop_assert!(!after.is_finite(), "{place}: {after} at {index} is finite");
                prop_assert!(!intruder.is_nan() || after.is_nan(), "{place}: {after} at {index} is not NaN");
            } else {
                prop_assert_eq!(before.to_bits(), after.to_bits(), "{} at {}", place, index);
            }
        }
    }
    Ok(())
}
