//! Pooling against a search through each window.

use half::bf16;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{Element, PoolShape, concat_pool, concat_pool_gradient, max_pool, max_pool_gradient};

use crate::reference::{self, Sums};
use crate::values::{agree, config, equal, filled, kind, nan, place, random, sets, wide};

/// A pooling and a seed.
#[derive(Debug, Clone)]
struct PoolCase {
    shape: PoolShape,
    seed: u64,
}

pub(crate) fn pool_shapes() -> impl Strategy<Value = PoolShape> {
    let windows = (1..=5_usize, 1..=4_usize, 0..5_usize, any::<bool>());
    let channels = prop_oneof![select(vec![1, 3, 8, 16, 17, 32, 64]), 1..=70_usize];
    (1..=4_usize, (0..14_usize, 0..14_usize), channels, windows).prop_map(
        |(batch, (taller, wider), channels, (kernel, stride, padding, ceil))| {
            let padding = padding % kernel;
            let least = kernel.saturating_sub(2 * padding).max(1);
            PoolShape {
                batch,
                size: [least + taller, least + wider],
                channels,
                kernel,
                stride,
                padding,
                ceil,
            }
        },
    )
}

fn pool_cases() -> impl Strategy<Value = PoolCase> {
    (pool_shapes(), any::<u64>()).prop_map(|(shape, seed)| PoolCase { shape, seed })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn pooled_sizes_are_those_of_pytorch(shape in pool_shapes()) {
        prop_assert_eq!(shape.out_size(), shape.size.map(|size| reference::pooled_size(&shape, size)), "{:?}", shape);
    }

    #[test]
    fn max_pool_takes_the_first_of_the_greatest(case in pool_cases()) {
        maxima::<f32>(&case)?;
        maxima::<bf16>(&case)?;
    }

    #[test]
    fn max_pool_of_a_norm_with_relu_is_that_of_its_output(case in pool_cases()) {
        fused::<f32>(&case)?;
        fused::<bf16>(&case)?;
    }

    #[test]
    fn max_pool_gradient_goes_to_the_greatest(case in pool_cases(), relu: bool) {
        gradients::<f32>(&case, relu)?;
        gradients::<bf16>(&case, relu)?;
    }

    #[test]
    fn concat_pool_is_maximum_and_mean(batch in 1..=5_usize, pixels in 1..=60_usize, channels in 1..=70_usize, seed: u64) {
        concat::<f32>([batch, pixels, channels], seed)?;
        concat::<bf16>([batch, pixels, channels], seed)?;
    }

    #[test]
    fn concat_pool_gradient_is_shared_and_goes_to_the_greatest(batch in 1..=5_usize, pixels in 1..=60_usize, channels in 1..=70_usize, seed: u64) {
        concat_gradient::<f32>([batch, pixels, channels], seed)?;
        concat_gradient::<bf16>([batch, pixels, channels], seed)?;
    }
}

#[test]
fn a_window_of_negative_infinity_has_its_place_inside_the_picture() -> TestCaseResult {
    let shape =
        PoolShape { batch: 1, size: [4, 4], channels: 5, kernel: 3, stride: 2, padding: 1, ceil: false };
    let input = filled(f32::NEG_INFINITY, shape.input_len());
    let want: Vec<usize> = reference::max_pool(&shape, &wide(&input)).iter().map(|place| place.1).collect();
    for isa in sets() {
        let (output, places) = pooled(isa, &shape, &input, None);
        equal(
            &place::<f32>("max_pool", isa, &shape),
            &output,
            &filled(f32::NEG_INFINITY, shape.output_len()),
        )?;
        let got: Vec<usize> = places.iter().map(|&place| place.into()).collect();
        prop_assert_eq!(&got, &want, "places on {}", isa);
    }
    Ok(())
}

/// Few different numbers, multiples of 1/4: many are equal, and bf16 holds all of them.
fn coarse<E: Element>(seed: u64, len: usize) -> Box<[E]> {
    random::<E>(seed, len).iter().map(|value| E::narrow((value.widen() * 8.0).round() / 4.0)).collect()
}

fn pooled<E: Element>(
    isa: sciurus_kernels::Isa,
    shape: &PoolShape,
    input: &[E],
    norm: Option<[&[f32]; 2]>,
) -> (Box<[E]>, Box<[u8]>) {
    let mut output = filled(nan::<E>(), shape.output_len());
    let mut places = filled(u8::MAX, shape.output_len());
    max_pool(isa, shape, (input, norm), &mut output, &mut places);
    (output, places)
}

fn maxima<E: Element>(case: &PoolCase) -> TestCaseResult {
    let PoolCase { shape, seed } = case;
    for input in [random::<E>(*seed, shape.input_len()), coarse::<E>(*seed, shape.input_len())] {
        let want = reference::max_pool(shape, &wide(&input));
        let values: Vec<E> = want.iter().map(|place| input[place.0]).collect();
        for isa in sets() {
            let place = place::<E>("max_pool", isa, case);
            let (output, places) = pooled(isa, shape, &input, None);
            equal(&place, &output, &values)?;
            for (at, (&got, want)) in places.iter().zip(&want).enumerate() {
                prop_assert_eq!(usize::from(got), want.1, "place {} of {}", at, place);
            }
        }
    }
    Ok(())
}

/// Scales and shifts are chosen so that f32 is exact: a rounding could decide which of two values is greater.
fn fused<E: Element>(case: &PoolCase) -> TestCaseResult {
    let PoolCase { shape, seed } = case;
    let channels = shape.channels;
    let input = coarse::<E>(*seed, shape.input_len());
    let scale: Box<[f32]> = (0..channels).map(|channel| [1.0, -2.0, 0.5, 2.0, -0.5][channel % 5]).collect();
    let shift = coarse::<f32>(seed ^ 1, channels);
    let norm = |at: usize| {
        let [input, scale, shift] =
            [input[at].widen(), scale[at % channels], shift[at % channels]].map(f64::from);
        (input * scale + shift).max(0.0)
    };
    let normed: Vec<f64> = (0..input.len()).map(norm).collect();
    let want = reference::max_pool(shape, &normed);
    let values: Vec<f32> = want.iter().map(|place| normed[place.0] as f32).collect();
    for isa in sets() {
        let place = place::<E>("max_pool with norm", isa, case);
        let (output, places) = pooled(isa, shape, &input, Some([&scale, &shift]));
        for at in 0..want.len() {
            prop_assert_eq!(output[at].widen(), values[at], "{} of {}", at, place);
            prop_assert_eq!(usize::from(places[at]), want[at].1, "place {} of {}", at, place);
        }
    }
    Ok(())
}

fn gradients<E: Element>(case: &PoolCase, relu: bool) -> TestCaseResult {
    let PoolCase { shape, seed } = case;
    let input: Box<[E]> = coarse::<E>(*seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let want_places = reference::max_pool(shape, &wide(&input));
    let places: Box<[u8]> = want_places.iter().map(|place| place.1 as u8).collect();
    // Windows whose maximum is 0 or less pass nothing on where ReLU made the output.
    let output: Box<[E]> =
        want_places.iter().map(|place| E::narrow(input[place.0].widen().max(0.0))).collect();
    let mut want = Sums::zeros(shape.input_len());
    for ((place, gradient), output) in want_places.iter().zip(wide(&gradient)).zip(&output) {
        if !relu || output.widen() > 0.0 {
            want.add(place.0, gradient);
        }
    }
    for isa in sets() {
        let mut got = filled(nan::<E>(), shape.input_len());
        max_pool_gradient(isa, shape, (&places, relu.then_some(&output[..])), &gradient, &mut got);
        agree(&format!("{}, ReLU {relu}", place::<E>("max_pool_gradient", isa, case)), &got, &want)?;
    }
    Ok(())
}

/// The sums of each channel of each image, and the first pixels of the greatest values.
fn concat_reference([batch, pixels, channels]: [usize; 3], input: &[f64]) -> (Sums, Vec<u32>) {
    let mut want = Sums::zeros(batch * 2 * channels);
    let mut places = Vec::new();
    for (image, channel) in reference::grid([batch, channels]) {
        let values = (0..pixels).map(|pixel| input[(image * pixels + pixel) * channels + channel]);
        let greatest = values.clone().fold(f64::NEG_INFINITY, f64::max);
        let first = values.clone().position(|value| value == greatest).expect("the greatest is one of them");
        places.push(first as u32);
        want.add(image * 2 * channels + channel, greatest);
        values.for_each(|value| want.add((image * 2 + 1) * channels + channel, value / pixels as f64));
    }
    (want, places)
}

fn concat<E: Element>(shape: [usize; 3], seed: u64) -> TestCaseResult {
    let [batch, pixels, channels] = shape;
    let input = coarse::<E>(seed, batch * pixels * channels);
    let (want, want_places) = concat_reference(shape, &wide(&input));
    let mut output = filled(f32::NAN, batch * 2 * channels);
    let places = concat_pool(&input, shape, &mut output);
    agree(&format!("concat_pool in {} of {shape:?}", kind::<E>()), &output, &want)?;
    prop_assert_eq!(places, want_places, "places of concat_pool in {} of {:?}", kind::<E>(), shape);
    Ok(())
}

fn concat_gradient<E: Element>(shape: [usize; 3], seed: u64) -> TestCaseResult {
    let [batch, pixels, channels] = shape;
    let (_, places) = concat_reference(shape, &wide(&coarse::<E>(seed, batch * pixels * channels)));
    let gradient = random::<f32>(seed ^ 1, batch * 2 * channels);
    let mut want = Sums::zeros(batch * pixels * channels);
    for (image, channel) in reference::grid([batch, channels]) {
        let [most, mean] = [0, 1].map(|half| f64::from(gradient[(image * 2 + half) * channels + channel]));
        let at = |pixel: usize| (image * pixels + pixel) * channels + channel;
        (0..pixels).for_each(|pixel| want.add(at(pixel), mean / pixels as f64));
        want.add(at(places[image * channels + channel] as usize), most);
    }
    let mut got = filled(nan::<E>(), batch * pixels * channels);
    concat_pool_gradient(&places, &gradient, shape, &mut got);
    agree(&format!("concat_pool_gradient in {} of {shape:?}", kind::<E>()), &got, &want)
}
