//! Layer norm and its gradients against their formulas in f64.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{Element, layer_norm, layer_norm_gradient};

use crate::determinism::same_in_every_pool;
use crate::reference::{self, Sums};
use crate::values::{
    bits, close, config, error, f32_error, filled, nan, place, random, random_between, sets, wide,
};

const EPSILON: f32 = 1e-3;

fn sizes() -> impl Strategy<Value = [usize; 2]> {
    let few = (1..60_usize, 1..=150_usize);
    prop_oneof![9 => few, 1 => (900..1500_usize, 60..=75_usize)]
        .prop_map(|(pixels, channels)| [pixels, channels])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn layer_norm_is_its_formula_and_so_is_its_gradient(sizes in sizes(), seed: u64) {
        formula::<f32>(sizes, seed)?;
        formula::<bf16>(sizes, seed)?;
    }

    #[test]
    fn layer_norm_is_not_finite_only_in_the_pixel_that_is_not([pixels, channels] in sizes(), at: prop::sample::Index, seed: u64) {
        let at = at.index(pixels * channels);
        intruded::<f32>([pixels, channels], at, seed)?;
        intruded::<bf16>([pixels, channels], at, seed)?;
    }
}

fn formula<E: Element>([pixels, channels]: [usize; 2], seed: u64) -> TestCaseResult {
    let len = pixels * channels;
    let [input, gradient] = [0, 1].map(|more| random::<E>(seed ^ more, len));
    let [weight, bias] = [2, 3].map(|more| random_between::<f32>(seed ^ more, channels, [-2.0, 2.0]));
    let (x, g, w) = (wide(&input), wide(&gradient), wide(&weight));
    let mut normal = Vec::new();
    let mut want = Vec::new();
    for pixel in 0..pixels {
        let at = pixel * channels..(pixel + 1) * channels;
        let [mean, variance] = reference::moments(x[at.clone()].iter().copied());
        let inverse = (variance + f64::from(EPSILON)).sqrt().recip();
        let xhat: Vec<f64> = x[at.clone()].iter().map(|x| (x - mean) * inverse).collect();
        let weighed: Vec<f64> = g[at].iter().zip(&w).map(|(g, w)| g * w).collect();
        let plain = weighed.iter().sum::<f64>() / channels as f64;
        let centred = weighed.iter().zip(&xhat).map(|(g, x)| g * x).sum::<f64>() / channels as f64;
        want.extend(weighed.iter().zip(&xhat).map(|(g, x)| (inverse * (g - plain - x * centred), inverse)));
        normal.extend(xhat.into_iter().map(|x| (x, inverse)));
    }
    let [mut bias_sums, mut weight_sums] = [0, 1].map(|_| Sums::zeros(channels));
    for at in 0..len {
        bias_sums.add(at % channels, g[at]);
        weight_sums.add(at % channels, g[at] * normal[at].0);
    }
    for isa in sets() {
        let place = place::<E>("layer_norm", isa, &[pixels, channels]);
        let mut output = filled(nan::<E>(), len);
        let moments = layer_norm(isa, &input, [&weight, &bias], EPSILON, &mut output);
        for (at, got) in output.iter().enumerate() {
            let want = normal[at].0 * w[at % channels] + f64::from(bias[at % channels]);
            // Inputs of up to 1, their differences from the mean times the inverse deviation.
            let allowed = error::<E>(want, channels, 8.0 * (1.0 + normal[at].1 + normal[at].0.abs()));
            close(&place, got.widen().into(), want, allowed)?;
        }
        let mut got = gradient.clone();
        let sums = layer_norm_gradient(isa, &input, &moments, &weight, &mut got);
        for (got, &(want, inverse)) in got.iter().zip(&want) {
            let allowed = error::<E>(want, channels, 32.0 * inverse * (1.0 + inverse));
            close(&place, got.widen().into(), want, allowed)?;
        }
        for channel in 0..channels {
            let allowed = f32_error(pixels, bias_sums.magnitude[channel]);
            close(&place, sums.gradient[channel], bias_sums.value[channel], allowed)?;
            let each: f64 = (0..pixels).map(|pixel| normal[pixel * channels + channel].1).sum();
            let allowed = f32_error(pixels + channels, weight_sums.magnitude[channel] + each);
            close(&place, sums.centred[channel], weight_sums.value[channel], allowed)?;
        }
        same_in_every_pool(&place, || {
            let mut output = filled(nan::<E>(), len);
            let moments = layer_norm(isa, &input, [&weight, &bias], EPSILON, &mut output);
            let mut got = gradient.clone();
            let sums = layer_norm_gradient(isa, &input, &moments, &weight, &mut got);
            let narrow = |sums: &[f64]| bits(&sums.iter().map(|&sum| sum as f32).collect::<Vec<f32>>());
            vec![bits(&output), bits(&got), narrow(&sums.gradient), narrow(&sums.centred)]
        })?;
    }
    Ok(())
}

fn intruded<E: Element>([pixels, channels]: [usize; 2], at: usize, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, pixels * channels);
    let affine = [1, 2].map(|more| random_between::<f32>(seed ^ more, channels, [0.5, 2.0]));
    for intruder in [f32::NAN, f32::INFINITY] {
        let mut with = input.clone();
        with[at] = E::narrow(intruder);
        for isa in sets() {
            let [mut before, mut after] = [0, 1].map(|_| filled(nan::<E>(), input.len()));
            layer_norm(isa, &input, [&affine[0], &affine[1]], EPSILON, &mut before);
            layer_norm(isa, &with, [&affine[0], &affine[1]], EPSILON, &mut after);
            for (index, (before, after)) in bits(&before).into_iter().zip(bits(&after)).enumerate() {
                let place = place::<E>("layer_norm", isa, &[pixels, channels]);
                if index / channels == at / channels {
                    prop_assert!(f32::from_bits(after).is_nan(), "{place} at {index}");
                } else {
                    prop_assert_eq!(before, after, "{} at {}", place, index);
                }
            }
        }
    }
    Ok(())
}
