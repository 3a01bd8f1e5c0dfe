//! Batch norm with shortcut and ReLU, forward and backward, against its formulas and against finite differences.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{
    Element, GradientSums, Isa, Nonlinearity, NormGradient, gradient_sums, norm_gradient, normalize,
    relu_gradient,
};

use crate::reference::{self, Sums};
use crate::values::{
    agree, close, config, equal, error, f32_error, filled, nan, place, random, random_between, sets, wide,
};

/// Pixels with channels, and which of the optional operands are there.
#[derive(Debug, Clone)]
struct NormCase {
    pixels: usize,
    channels: usize,
    seed: u64,
    residual: bool,
    relu: bool,
}

/// Mostly few pixels; some fill several of the chunks that threads take.
fn norm_cases() -> impl Strategy<Value = NormCase> {
    let sizes = prop_oneof![9 => (1..150_usize, 1..=150_usize), 1 => (900..2500_usize, 60..=75_usize)];
    (sizes, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |((pixels, channels), seed, residual, relu)| NormCase { pixels, channels, seed, residual, relu },
    )
}

/// So few pixels that finite differences are quick.
fn small_cases() -> impl Strategy<Value = NormCase> {
    (2..24_usize, 1..40_usize, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(pixels, channels, seed, residual, relu)| NormCase { pixels, channels, seed, residual, relu },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn normalize_scales_shifts_adds_and_applies_relu(case in norm_cases()) {
        normalizes::<f32>(&case)?;
        normalizes::<bf16>(&case)?;
    }

    #[test]
    fn gradient_sums_are_sums_over_pixels(case in norm_cases()) {
        sums::<f32>(&case)?;
        sums::<bf16>(&case)?;
    }

    #[test]
    fn norm_gradient_applies_its_factors(case in norm_cases()) {
        factors::<f32>(&case)?;
        factors::<bf16>(&case)?;
    }

    #[test]
    fn norm_gradient_is_the_gradient_of_batch_norm(case in small_cases()) {
        batch_norm::<f32>(&case)?;
        batch_norm::<bf16>(&case)?;
    }

    #[test]
    fn relu_gradient_passes_where_the_output_is_positive(case in norm_cases()) {
        relu::<f32>(&case)?;
        relu::<bf16>(&case)?;
    }
}

fn rectifier(relu: bool) -> Nonlinearity {
    if relu { Nonlinearity::Relu } else { Nonlinearity::None }
}

/// A ReLU's output: about half of it is 0, some of that -0.
fn rectified<E: Element>(seed: u64, len: usize) -> Box<[E]> {
    let zero = |value: f32| if value < -0.9 { -0.0 } else { 0.0 };
    random::<E>(seed, len)
        .iter()
        .map(|value| if value.widen() > 0.0 { *value } else { E::narrow(zero(value.widen())) })
        .collect()
}

/// The gradient where the output is above 0, else 0.
fn masked(gradient: &[f64], output: Option<&[f64]>) -> Vec<f64> {
    let passes = |at: usize| output.is_none_or(|output| output[at] > 0.0);
    gradient.iter().enumerate().map(|(at, &gradient)| if passes(at) { gradient } else { 0.0 }).collect()
}

fn normalizes<E: Element>(case: &NormCase) -> TestCaseResult {
    let NormCase { channels, seed, .. } = *case;
    let len = case.pixels * channels;
    let input = random::<E>(seed, len);
    let [scale, shift] = [1, 2].map(|more| random_between::<f32>(seed ^ more, channels, [-2.0, 2.0]));
    let residual = case.residual.then(|| random::<E>(seed ^ 3, len));
    let mut want = Sums::zeros(len);
    want.add_each((0..len).map(|at| f64::from(input[at].widen()) * f64::from(scale[at % channels])));
    want.add_each((0..len).map(|at| f64::from(shift[at % channels])));
    want.add_each(residual.iter().flat_map(|residual| wide(residual)));
    if case.relu {
        want.relu();
    }
    for isa in sets() {
        let mut output = filled(nan::<E>(), len);
        normalize(isa, &input, [&scale, &shift], (residual.as_deref(), rectifier(case.relu)), &mut output);
        agree(&place::<E>("normalize", isa, case), &output, &want)?;
    }
    Ok(())
}

fn sums<E: Element>(case: &NormCase) -> TestCaseResult {
    let NormCase { channels, seed, .. } = *case;
    let len = case.pixels * channels;
    let gradient = random::<E>(seed, len);
    let output = case.relu.then(|| rectified::<E>(seed ^ 1, len));
    let input = random::<E>(seed ^ 2, len);
    let mean = random::<f32>(seed ^ 3, channels);
    let passed = masked(&wide(&gradient), output.as_deref().map(wide).as_deref());
    let [mut want, mut centred] = [Sums::zeros(channels), Sums::zeros(channels)];
    for (at, (&gradient, input)) in passed.iter().zip(wide(&input)).enumerate() {
        want.add(at % channels, gradient);
        // Without input, which is what `residual` decides here, the sums stay 0.
        centred.add(
            at % channels,
            if case.residual { gradient * (input - f64::from(mean[at % channels])) } else { 0.0 },
        );
    }
    for isa in sets() {
        let place = place::<E>("gradient_sums", isa, case);
        let with_input = case.residual.then_some((&input[..], &mean[..]));
        let got = gradient_sums(isa, channels, &gradient, output.as_deref(), with_input);
        sums_agree(&place, &got.gradient, &want)?;
        sums_agree(&place, &got.centred, &centred)?;
    }
    Ok(())
}

fn sums_agree(place: &str, got: &[f64], want: &Sums) -> TestCaseResult {
    prop_assert_eq!(got.len(), want.value.len(), "{}", place);
    for (channel, (&got, &value)) in got.iter().zip(&want.value).enumerate() {
        let allowed = f32_error(want.terms[channel], want.magnitude[channel]);
        close(&format!("channel {channel} of {place}"), got, value, allowed)?;
    }
    Ok(())
}

fn factors<E: Element>(case: &NormCase) -> TestCaseResult {
    let NormCase { channels, seed, .. } = *case;
    let len = case.pixels * channels;
    let [gradient, input] = [0, 1].map(|more| random::<E>(seed ^ more, len));
    let output = case.relu.then(|| rectified::<E>(seed ^ 2, len));
    let [by_gradient, by_input, constant] =
        [3, 4, 5].map(|more| random::<f32>(seed ^ more, channels).to_vec());
    let passed = masked(&wide(&gradient), output.as_deref().map(wide).as_deref());
    let mut want = Sums::zeros(len);
    for (at, (gradient, input)) in passed.iter().zip(wide(&input)).enumerate() {
        want.add(at, gradient * f64::from(by_gradient[at % channels]));
        want.add(at, input * f64::from(by_input[at % channels]));
        want.add(at, constant[at % channels].into());
    }
    let factors = NormGradient { by_gradient, by_input, constant };
    let passed: Vec<E> = passed.iter().map(|&value| E::narrow(value as f32)).collect();
    for isa in sets() {
        let place = place::<E>("norm_gradient", isa, case);
        let (mut replaced, mut kept) = (gradient.clone(), gradient.clone());
        let mut result = filled(nan::<E>(), len);
        norm_gradient(isa, &factors, (&input, output.as_deref()), &mut replaced, None);
        norm_gradient(isa, &factors, (&input, output.as_deref()), &mut kept, Some(&mut result));
        agree(&place, &replaced, &want)?;
        equal(&format!("{place}, into another place"), &result, &replaced)?;
        equal(&format!("{place}, gradient of the shortcut"), &kept, &passed)?;
    }
    Ok(())
}

fn relu<E: Element>(case: &NormCase) -> TestCaseResult {
    let len = case.pixels * case.channels;
    let output = rectified::<E>(case.seed, len);
    let gradient = random::<E>(case.seed ^ 1, len);
    let want = masked(&wide(&gradient), Some(&wide(&output)));
    let want: Vec<E> = want.iter().map(|&value| E::narrow(value as f32)).collect();
    for isa in sets() {
        let mut got = gradient.clone();
        relu_gradient(isa, &output, &mut got);
        equal(&place::<E>("relu_gradient", isa, case), &got, &want)?;
    }
    Ok(())
}

const EPSILON: f64 = 1e-5;

/// A batch norm layer in training: its weights, and what it measured of its input.
struct Layer {
    weight: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Layer {
    fn of(input: &[f64], channels: usize, weight: Vec<f64>) -> Self {
        let of_channel =
            |channel: usize| reference::moments(input.iter().copied().skip(channel).step_by(channels));
        let (mean, variance) = (0..channels).map(of_channel).map(|[mean, variance]| (mean, variance)).unzip();
        Self { weight, mean, variance }
    }

    /// What the documentation of [`NormGradient`] says.
    fn gradient(&self, sums: &GradientSums, pixels: usize) -> NormGradient {
        let count = pixels as f64;
        let mut factors =
            NormGradient { by_gradient: Vec::new(), by_input: Vec::new(), constant: Vec::new() };
        for channel in 0..self.weight.len() {
            let inverse = 1.0 / (self.variance[channel] + EPSILON).sqrt();
            let by_gradient = self.weight[channel] * inverse;
            let by_input = -self.weight[channel] * inverse.powi(3) * sums.centred[channel] / count;
            let constant = -by_gradient * sums.gradient[channel] / count - self.mean[channel] * by_input;
            factors.by_gradient.push(by_gradient as f32);
            factors.by_input.push(by_input as f32);
            factors.constant.push(constant as f32);
        }
        factors
    }
}

/// Values of one channel through batch norm with weight 1 and bias 0.
fn normalized(values: &[f64]) -> Vec<f64> {
    let [mean, variance] = reference::moments(values.iter().copied());
    values.iter().map(|value| (value - mean) / (variance + EPSILON).sqrt()).collect()
}

/// Moves each input value a little both ways: how much does the sum of output × passed gradient change?
fn finite_differences(input: &[f64], passed: &[f64], weight: &[f64]) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let channels = weight.len();
    let mut result = vec![0.0; input.len()];
    for channel in 0..channels {
        let mut values: Vec<f64> = input.iter().copied().skip(channel).step_by(channels).collect();
        let gradient: Vec<f64> = passed.iter().copied().skip(channel).step_by(channels).collect();
        let mut loss_at = |pixel: usize, value: f64| {
            let kept = std::mem::replace(&mut values[pixel], value);
            let loss: f64 =
                normalized(&values).iter().zip(&gradient).map(|(output, gradient)| output * gradient).sum();
            values[pixel] = kept;
            loss
        };
        for pixel in 0..gradient.len() {
            let here = input[pixel * channels + channel];
            let change = loss_at(pixel, here + STEP) - loss_at(pixel, here - STEP);
            result[pixel * channels + channel] = weight[channel] * change / (2.0 * STEP);
        }
    }
    result
}

/// Normalizes, then goes back through ReLU, norm and shortcut as a network does.
fn batch_norm<E: Element>(case: &NormCase) -> TestCaseResult {
    let NormCase { pixels, channels, seed, .. } = *case;
    let len = pixels * channels;
    // Some spread is needed: the formula loses digits where the variance is as small as epsilon.
    let input: Box<[E]> = random::<E>(seed, len)
        .iter()
        .enumerate()
        .map(|(at, value)| spread_out(*value, at / channels))
        .collect();
    let weight = wide(&random_between::<f32>(seed ^ 1, channels, [0.5, 1.5]));
    let layer = Layer::of(&wide(&input), channels, weight.clone());
    let residual = case.residual.then(|| random::<E>(seed ^ 2, len));
    let gradient = random::<E>(seed ^ 3, len);
    for isa in sets() {
        let place = place::<E>("norm_gradient of batch norm", isa, case);
        let output = outputs(isa, &layer, &input, residual.as_deref(), case.relu);
        let output = case.relu.then_some(&output[..]);
        let mean: Vec<f32> = layer.mean.iter().map(|&mean| mean as f32).collect();
        let sums = gradient_sums(isa, channels, &gradient, output, Some((&input, &mean)));
        let factors = layer.gradient(&sums, pixels);
        let mut got = gradient.clone();
        norm_gradient(isa, &factors, (&input, output), &mut got, None);

        let passed = masked(&wide(&gradient), output.map(wide).as_deref());
        let want = finite_differences(&wide(&input), &passed, &weight);
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            let magnitude = magnitude(&layer, at % channels, pixels);
            let allowed = error::<E>(want, pixels, magnitude) + 1e-7 * magnitude;
            close(&format!("{at} of {place}"), got.widen().into(), want, allowed)?;
        }
    }
    Ok(())
}

/// What `relu(norm(input) + shortcut)` is, as the kernels compute it.
fn outputs<E: Element>(isa: Isa, layer: &Layer, input: &[E], residual: Option<&[E]>, relu: bool) -> Box<[E]> {
    let inverse = layer.variance.iter().map(|variance| 1.0 / (variance + EPSILON).sqrt());
    let scale: Vec<f32> =
        layer.weight.iter().zip(inverse).map(|(weight, inverse)| (weight * inverse) as f32).collect();
    let shift: Vec<f32> =
        layer.mean.iter().zip(&scale).map(|(mean, scale)| (-mean * f64::from(*scale)) as f32).collect();
    let mut output = filled(nan::<E>(), input.len());
    normalize(isa, input, [&scale, &shift], (residual, rectifier(relu)), &mut output);
    output
}

/// A value that is far from others, depending on its pixel.
fn spread_out<E: Element>(value: E, pixel: usize) -> E {
    E::narrow(value.widen() + if pixel.is_multiple_of(2) { 1.5 } else { -1.5 })
}

/// The size of the terms that cancel in the gradient of one channel: values of up to 2.5, and gradients of up to 1.
fn magnitude(layer: &Layer, channel: usize, pixels: usize) -> f64 {
    let inverse = 1.0 / (layer.variance[channel] + EPSILON).sqrt();
    let terms = 1.0 + 1.0 + 2.0 * (2.5 * inverse).powi(2);
    layer.weight[channel] * inverse * terms * (pixels as f64).sqrt().max(1.0)
}
