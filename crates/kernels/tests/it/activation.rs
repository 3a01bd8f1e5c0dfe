//! Nonlinearities and their gradients against their formulas in f64, and factors and sums of single images.

use half::bf16;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{
    Activated, Element, Nonlinearity, activation_gradient, image_sums, normalize, scale_images,
};

use crate::determinism::same_in_every_pool;
use crate::reference::Sums;
use crate::values::{
    agree, bits, close, config, error, f32_error, filled, nan, place, random_between, sets, wide,
};

const ALL: [Nonlinearity; 5] =
    [Nonlinearity::None, Nonlinearity::Relu, Nonlinearity::Relu6, Nonlinearity::Silu, Nonlinearity::Gelu];

#[derive(Debug, Clone)]
struct Case {
    pixels: usize,
    channels: usize,
    seed: u64,
    nonlinearity: Nonlinearity,
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = prop_oneof![9 => (1..120_usize, 1..=100_usize), 1 => (900..1500_usize, 60..=75_usize)];
    (sizes, any::<u64>(), select(ALL.to_vec())).prop_map(|((pixels, channels), seed, nonlinearity)| Case {
        pixels,
        channels,
        seed,
        nonlinearity,
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_nonlinearity_is_its_formula(case in cases()) {
        values::<f32>(&case)?;
        values::<bf16>(&case)?;
    }

    #[test]
    fn its_gradient_is_its_formula_and_is_summed(case in cases()) {
        gradients::<f32>(&case)?;
        gradients::<bf16>(&case)?;
    }

    #[test]
    fn each_image_has_its_own_factors_and_sums(images in 1..5_usize, case in cases()) {
        images_of::<f32>(images, &case)?;
        images_of::<bf16>(images, &case)?;
    }

    #[test]
    fn what_is_not_finite_stays_so(case in cases(), at: prop::sample::Index) {
        not_finite::<f32>(&case, at.index(case.pixels * case.channels))?;
        not_finite::<bf16>(&case, at.index(case.pixels * case.channels))?;
    }
}

/// The normal distribution function: its integral from 0 by Simpson's rule.
fn distribution(x: f64) -> f64 {
    const STEPS: usize = 400;
    let width = x / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let factor = if step == 0 || step == STEPS { 1.0 } else { [2.0, 4.0][step % 2] };
            factor * density(step as f64 * width)
        })
        .sum();
    0.5 + sum * width / 3.0
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Value and slope.
fn formula(nonlinearity: Nonlinearity, x: f64) -> [f64; 2] {
    let step = |condition: bool| f64::from(u8::from(condition));
    match nonlinearity {
        Nonlinearity::None => [x, 1.0],
        Nonlinearity::Relu => [x.max(0.0), step(x > 0.0)],
        Nonlinearity::Relu6 => [x.clamp(0.0, 6.0), step(x > 0.0 && x < 6.0)],
        Nonlinearity::Silu => [x * sigmoid(x), sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)))],
        Nonlinearity::Gelu => [x * distribution(x), distribution(x) + x * density(x)],
    }
}

/// How far slopes may be off by rounding of `x`: where a slope jumps, either side is right.
fn jumps(nonlinearity: Nonlinearity, x: f64) -> bool {
    let near = |to: f64| (x - to).abs() < 1e-5;
    match nonlinearity {
        Nonlinearity::Relu => near(0.0),
        Nonlinearity::Relu6 => near(0.0) || near(6.0),
        _ => false,
    }
}

/// Inputs of which some are far out, and scale and shift.
fn inputs<E: Element>(case: &Case) -> (Box<[E]>, [Box<[f32]>; 2]) {
    let input = random_in::<E>(case.seed, case.pixels * case.channels, 9.0);
    let affine = [[0.5, 1.5], [-1.0, 1.0]];
    let affine = [0, 1].map(|i| random_between::<f32>(case.seed ^ (1 + i as u64), case.channels, affine[i]));
    (input, affine)
}

/// Values of their kind from `-most` to `most`.
fn random_in<E: Element>(seed: u64, len: usize, most: f32) -> Box<[E]> {
    random_between::<E>(seed, len, [-most, most]).iter().map(|&value| E::narrow(value)).collect()
}

fn before<E: Element>(input: &[E], [scale, shift]: &[Box<[f32]>; 2]) -> Vec<f64> {
    let channels = scale.len();
    let at = |(at, x): (usize, f64)| x * f64::from(scale[at % channels]) + f64::from(shift[at % channels]);
    wide(input).into_iter().enumerate().map(at).collect()
}

/// Error of a value: some units of the largest term, plus what the approximations state.
const OFF: f64 = 3e-6;

fn values<E: Element>(case: &Case) -> TestCaseResult {
    let (input, affine) = inputs::<E>(case);
    let x = before(&input, &affine);
    for isa in sets() {
        let mut output = filled(nan::<E>(), input.len());
        normalize(isa, &input, [&affine[0], &affine[1]], (None, case.nonlinearity), &mut output);
        for (&x, got) in x.iter().zip(&output) {
            let [want, _] = formula(case.nonlinearity, x);
            let allowed = error::<E>(want, 2, 0.0) + OFF;
            close(&place::<E>("normalize", isa, case), got.widen().into(), want, allowed)?;
        }
    }
    Ok(())
}

fn gradients<E: Element>(case: &Case) -> TestCaseResult {
    let (input, affine) = inputs::<E>(case);
    let mean = random_between::<f32>(case.seed ^ 4, case.channels, [-1.0, 1.0]);
    let gradient = random_in::<E>(case.seed ^ 5, input.len(), 1.0);
    let activated =
        Activated { input: &input, affine: [&affine[0], &affine[1]], nonlinearity: case.nonlinearity };
    let x = before(&input, &affine);
    for isa in sets() {
        let place = place::<E>("activation_gradient", isa, case);
        let mut got = gradient.clone();
        let sums = activation_gradient(isa, &activated, &mean, &mut got);
        let [mut total, mut centred] = [Sums::zeros(case.channels), Sums::zeros(case.channels)];
        for (at, (&x, gradient)) in x.iter().zip(wide(&gradient)).enumerate() {
            let passed = if jumps(case.nonlinearity, x) {
                f64::from(got[at].widen())
            } else {
                let want = gradient * formula(case.nonlinearity, x)[1];
                close(&place, got[at].widen().into(), want, error::<E>(want, 2, 0.0) + OFF)?;
                want
            };
            let channel = at % case.channels;
            total.add(channel, passed);
            centred.add(channel, passed * (f64::from(input[at].widen()) - f64::from(mean[channel])));
        }
        for channel in 0..case.channels {
            for (got, want, largest) in [(&sums.gradient, &total, 1.0), (&sums.centred, &centred, 10.0)] {
                let (terms, magnitude) = (want.terms[channel], want.magnitude[channel]);
                let allowed = f32_error(terms, magnitude) + terms as f64 * OFF * largest;
                close(&place, got[channel], want.value[channel], allowed)?;
            }
        }
        same_in_every_pool(&place, || {
            let mut got = gradient.clone();
            let sums = activation_gradient(isa, &activated, &mean, &mut got);
            let narrow = |sums: &[f64]| bits(&sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>());
            vec![bits(&got), narrow(&sums.gradient), narrow(&sums.centred)]
        })?;
    }
    Ok(())
}

fn images_of<E: Element>(images: usize, case: &Case) -> TestCaseResult {
    let Case { pixels, channels, seed, .. } = *case;
    let pixels = pixels.min(60);
    let len = images * pixels * channels;
    let [input, other] = [0, 1].map(|more| random_in::<E>(seed ^ more, len, 1.0));
    let [scale, shift] =
        [2, 3].map(|more| random_between::<f32>(seed ^ more, images * channels, [-2.0, 2.0]));
    let factor = |at: usize| at / (pixels * channels) * channels + at % channels;
    let mut want = Sums::zeros(len);
    want.add_each(wide(&input).into_iter().enumerate().map(|(at, x)| x * f64::from(scale[factor(at)])));
    want.add_each((0..len).map(|at| f64::from(shift[factor(at)])));
    let mut added = want.clone();
    added.add_each(wide(&other));
    let [mut sums, mut products] = [0, 1].map(|_| Sums::zeros(images * channels));
    for (at, (x, y)) in wide(&input).into_iter().zip(wide(&other)).enumerate() {
        sums.add(factor(at), x);
        products.add(factor(at), x * y);
    }
    for isa in sets() {
        let place = place::<E>("images", isa, case);
        for (residual, want) in [(None, &want), (Some(&other[..]), &added)] {
            let mut output = filled(nan::<E>(), len);
            scale_images(isa, &input, (channels, [&scale, &shift]), residual, &mut output);
            agree(&place, &output, want)?;
        }
        let got = image_sums(isa, [images, channels], &input, Some(&other));
        for (at, (sum, product)) in
            got.iter().flat_map(|sums| sums.gradient.iter().zip(&sums.centred)).enumerate()
        {
            close(&place, *sum, sums.value[at], f32_error(pixels, sums.magnitude[at]))?;
            close(&place, *product, products.value[at], f32_error(pixels, products.magnitude[at]))?;
        }
    }
    Ok(())
}

fn not_finite<E: Element>(case: &Case, at: usize) -> TestCaseResult {
    let (mut input, affine) = inputs::<E>(case);
    for intruder in [f32::NAN, f32::INFINITY] {
        input[at] = E::narrow(intruder);
        for isa in sets() {
            let place = place::<E>("normalize", isa, case);
            let mut output = filled(E::narrow(0.0), input.len());
            normalize(isa, &input, [&affine[0], &affine[1]], (None, case.nonlinearity), &mut output);
            let got = output[at].widen();
            match (intruder.is_nan(), case.nonlinearity) {
                (true, _) => prop_assert!(got.is_nan(), "{place}: {got}, not NaN"),
                (false, Nonlinearity::Relu6) => prop_assert_eq!(got, 6.0, "{}", place),
                (false, _) => prop_assert_eq!(got, f32::INFINITY, "{}", place),
            }
        }
    }
    Ok(())
}
