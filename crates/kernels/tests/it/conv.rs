//! Convolutions and their gradients against sums over all products.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{
    Activation, ConvShape, Element, Existing, Moments, PackedWeights, View, ViewMut, conv_forward,
    conv_forward_activated, conv_forward_moments, conv_input_gradient, conv_weight_gradient,
};

use crate::cases::{ConvCase, conv_cases, large_cases};
use crate::reference::{self, Sums};
use crate::values::{
    F32_ROUNDING, agree, close, config, equal, f32_error, filled, nan, place, random, random_between,
    random_weights, sets, wide,
};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn forward_sums_all_products_and_measures_them(case in conv_cases()) {
        forward::<f32>(&case)?;
        forward::<bf16>(&case)?;
    }

    #[test]
    fn forward_adds_bias_and_shortcut_and_applies_relu(case in conv_cases(), residual: bool, relu: bool) {
        activated::<f32>(&case, residual, relu)?;
        activated::<bf16>(&case, residual, relu)?;
    }

    #[test]
    fn moments_of_a_large_mean_keep_a_small_spread(batch in 1..=9_usize, size in (3..20_usize, 3..20_usize), channels in 1..=70_usize, seed: u64) {
        let shape = ConvShape { batch, size: [size.0, size.1], channels: [2, channels], kernel: [1, 1], stride: 1, padding: 0 };
        large_mean::<f32>(&shape, seed)?;
        large_mean::<bf16>(&shape, seed)?;
    }

    #[test]
    fn input_gradient_sums_all_products(case in conv_cases()) {
        input_gradient::<f32>(&case)?;
        input_gradient::<bf16>(&case)?;
    }

    #[test]
    fn weight_gradient_sums_all_products(case in conv_cases()) {
        weight_gradient::<f32>(&case)?;
        weight_gradient::<bf16>(&case)?;
    }
}

#[test]
fn large_convolutions_sum_all_products() -> TestCaseResult {
    for case in large_cases() {
        forward::<f32>(&case)?;
        forward::<bf16>(&case)?;
        input_gradient::<f32>(&case)?;
        input_gradient::<bf16>(&case)?;
        weight_gradient::<f32>(&case)?;
        weight_gradient::<bf16>(&case)?;
    }
    Ok(())
}

fn forward<E: Element>(case: &ConvCase) -> TestCaseResult {
    let ConvCase { shape, seed, .. } = case;
    let [channels_in, channels_out] = shape.channels;
    let input = random::<E>(*seed, shape.input_len());
    let weights = random_weights::<E>(seed ^ 1, shape.weights_len());
    let want = reference::conv_forward(shape, &wide(&input), &wide(&weights));
    let spread = case.input.spread(&input, channels_in);
    let before = case.output.spread(&filled(nan::<E>(), shape.output_len()), channels_out);
    for isa in sets() {
        let place = place::<E>("conv_forward", isa, case);
        let packed = PackedWeights::<E>::forward(isa, shape, &weights, None);
        let mut output = before.clone();
        let view = case.output.view_mut(&mut output, channels_out);
        conv_forward(shape, case.input.view(&spread, channels_in), &packed, view);
        let (inside, outside) = case.output.gathered(&output, channels_out);
        agree(&place, &inside, &want)?;
        equal(&format!("outside of {place}"), &outside, &case.output.gathered(&before, channels_out).1)?;

        let mut measured = before.clone();
        let view = case.output.view_mut(&mut measured, channels_out);
        let moments = conv_forward_moments(shape, case.input.view(&spread, channels_in), &packed, view);
        equal(&format!("measured {place}"), &measured, &output)?;
        moments_agree(&place, &moments, &want)?;
    }
    Ok(())
}

/// Moments of the sums before they are rounded to bf16. Each sum has an error, and so have sums over pixels.
fn moments_agree(place: &str, got: &Moments, want: &Sums) -> TestCaseResult {
    let channels = got.mean.len();
    for channel in 0..channels {
        let values = want.value.iter().copied().skip(channel).step_by(channels);
        let [mean, variance] = reference::moments(values.clone());
        let range = values.clone().fold(f64::MIN, f64::max) - values.clone().fold(f64::MAX, f64::min);
        let each = want.worst(channel, channels, f32_error);
        let pixels = values.count();
        let place = format!("moments of channel {channel} of {place}");
        close(&place, got.mean[channel].into(), mean, each + f32_error(pixels, range + mean.abs()))?;
        let allowed = 2.0 * range * each + each * each + f32_error(pixels, 2.0 * range * range);
        close(&place, got.variance[channel].into(), variance, allowed)?;
    }
    Ok(())
}

/// One input channel is 1000 everywhere, the other one is small.
fn large_mean<E: Element>(shape: &ConvShape, seed: u64) -> TestCaseResult {
    let channels = shape.channels[1];
    let small = random::<E>(seed, shape.input_len() / 2);
    let input: Box<[E]> = small.iter().flat_map(|&value| [E::narrow(1000.0), value]).collect();
    let weights: Box<[f32]> =
        (0..channels).flat_map(|channel| [1.0, if channel % 2 == 0 { 1.0 } else { -0.25 }]).collect();
    let want = reference::conv_forward(shape, &wide(&input), &wide(&weights));
    for isa in sets() {
        let place = place::<E>("conv_forward_moments", isa, shape);
        let packed = PackedWeights::<E>::forward(isa, shape, &weights, None);
        let mut output = filled(nan::<E>(), shape.output_len());
        let moments =
            conv_forward_moments(shape, View::new(&input, 2), &packed, ViewMut::new(&mut output, channels));
        for channel in 0..channels {
            let [mean, variance] =
                reference::moments(want.value.iter().copied().skip(channel).step_by(channels));
            close(&place, moments.mean[channel].into(), mean, 4.0 * F32_ROUNDING * mean)?;
            // Squares of numbers near 1000 would have lost all but a digit of it.
            close(&place, moments.variance[channel].into(), variance, 2e-3 * variance)?;
        }
    }
    Ok(())
}

fn activated<E: Element>(case: &ConvCase, has_residual: bool, relu: bool) -> TestCaseResult {
    let ConvCase { shape, seed, .. } = case;
    let [channels_in, channels_out] = shape.channels;
    let input = random::<E>(*seed, shape.input_len());
    let weights = random_weights::<E>(seed ^ 1, shape.weights_len());
    let scale = random_between::<f32>(seed ^ 2, channels_out, [-2.0, 2.0]);
    let bias = random::<f32>(seed ^ 3, channels_out);
    let residual = has_residual.then(|| random::<E>(seed ^ 4, shape.output_len()));
    let want = {
        let of_channel = weights.chunks_exact(shape.weights_len() / channels_out).zip(&scale);
        // The scale is folded into the weights before they are rounded to the kind of element.
        let folded = of_channel
            .flat_map(|(weights, scale)| weights.iter().map(move |weight| E::narrow(weight * scale)));
        let mut want = reference::conv_forward(shape, &wide(&input), &wide(&folded.collect::<Vec<E>>()));
        want.add_each((0..shape.output_len()).map(|at| f64::from(bias[at % channels_out])));
        want.add_each(residual.iter().flat_map(|residual| wide(residual)));
        if relu {
            want.relu();
        }
        want
    };
    let spread = case.input.spread(&input, channels_in);
    let before = case.output.spread(&filled(nan::<E>(), shape.output_len()), channels_out);
    for isa in sets() {
        let place = format!(
            "{}, shortcut {has_residual}, ReLU {relu}",
            place::<E>("conv_forward_activated", isa, case)
        );
        let packed = PackedWeights::<E>::forward(isa, shape, &weights, Some(&scale));
        let activation = Activation { bias: &bias, residual: residual.as_deref(), relu };
        let mut output = before.clone();
        let view = case.output.view_mut(&mut output, channels_out);
        conv_forward_activated(shape, case.input.view(&spread, channels_in), &packed, activation, view);
        let (inside, outside) = case.output.gathered(&output, channels_out);
        agree(&place, &inside, &want)?;
        equal(&format!("outside of {place}"), &outside, &case.output.gathered(&before, channels_out).1)?;
    }
    Ok(())
}

fn input_gradient<E: Element>(case: &ConvCase) -> TestCaseResult {
    let ConvCase { shape, seed, .. } = case;
    let [channels_in, channels_out] = shape.channels;
    let gradient = random::<E>(*seed, shape.output_len());
    let weights = random_weights::<E>(seed ^ 1, shape.weights_len());
    let existing = random::<E>(seed ^ 2, shape.input_len());
    let replaced = reference::conv_input_gradient(shape, &wide(&gradient), &wide(&weights));
    let mut added = replaced.clone();
    added.add_each(wide(&existing));
    let spread = case.output.spread(&gradient, channels_out);
    let stale = filled(nan::<E>(), shape.input_len());
    for isa in sets() {
        let packed = PackedWeights::<E>::input_gradient(isa, shape, &weights);
        let passes = [(Existing::Replace, &stale, &replaced), (Existing::Add, &existing, &added)];
        for (existing, values, want) in passes {
            let place = format!("{existing:?}, {}", place::<E>("conv_input_gradient", isa, case));
            let before = case.input.spread(values, channels_in);
            let mut result = before.clone();
            let view = case.input.view_mut(&mut result, channels_in);
            conv_input_gradient(shape, case.output.view(&spread, channels_out), &packed, view, existing);
            let (inside, outside) = case.input.gathered(&result, channels_in);
            agree(&place, &inside, want)?;
            equal(&format!("outside of {place}"), &outside, &case.input.gathered(&before, channels_in).1)?;
        }
    }
    Ok(())
}

fn weight_gradient<E: Element>(case: &ConvCase) -> TestCaseResult {
    let ConvCase { shape, seed, .. } = case;
    let [channels_in, channels_out] = shape.channels;
    let input = random::<E>(*seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let want = reference::conv_weight_gradient(shape, &wide(&input), &wide(&gradient));
    let input = case.input.spread(&input, channels_in);
    let gradient = case.output.spread(&gradient, channels_out);
    for isa in sets() {
        let mut result = filled(f32::NAN, shape.weights_len());
        let input = case.input.view(&input, channels_in);
        conv_weight_gradient(isa, shape, input, case.output.view(&gradient, channels_out), &mut result);
        agree(&place::<E>("conv_weight_gradient", isa, case), &result, &want)?;
    }
    Ok(())
}
