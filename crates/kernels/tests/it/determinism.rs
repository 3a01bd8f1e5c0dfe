//! The same bits from one, two and four threads.

use std::sync::LazyLock;

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sciurus_kernels::{
    Activation, AdamStep, Element, Existing, Isa, Nonlinearity, NormGradient, PackedWeights, PoolShape, View,
    ViewMut, adam_step, concat_pool, concat_pool_gradient, conv_forward, conv_forward_activated,
    conv_forward_moments, conv_input_gradient, conv_weight_gradient, gradient_sums, max_pool,
    max_pool_gradient, norm_gradient, normalize, prepare_images,
};

use crate::cases::{ConvCase, conv_cases, large_cases};
use crate::pool::pool_shapes;
use crate::values::{bits, config, filled, nan, place, random, random_weights, sets};

static POOLS: LazyLock<[ThreadPool; 3]> = LazyLock::new(|| {
    [1, 2, 4]
        .map(|threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started"))
});

/// Asserts that some results have the same bits in every pool.
pub(crate) fn same_in_every_pool(place: &str, results: impl Fn() -> Vec<Vec<u32>> + Sync) -> TestCaseResult {
    let [first, others @ ..] = &*POOLS;
    let want = first.install(&results);
    for pool in others {
        let got = pool.install(&results);
        for (which, (got, want)) in got.iter().zip(&want).enumerate() {
            prop_assert!(
                got == want,
                "{place}: result {which} differs with {} threads",
                pool.current_num_threads()
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn convolutions_do_not_depend_on_the_number_of_threads(case in conv_cases()) {
        convolutions::<f32>(&case)?;
        convolutions::<bf16>(&case)?;
    }

    #[test]
    fn norms_do_not_depend_on_the_number_of_threads(pixels in 1..3000_usize, channels in 1..=70_usize, seed: u64) {
        norms::<f32>(pixels, channels, seed)?;
        norms::<bf16>(pixels, channels, seed)?;
    }

    #[test]
    fn pooling_does_not_depend_on_the_number_of_threads(shape in pool_shapes(), seed: u64) {
        pooling::<f32>(&shape, seed)?;
        pooling::<bf16>(&shape, seed)?;
    }

    #[test]
    fn adam_does_not_depend_on_the_number_of_threads(len in 1..60_000_usize, seed: u64) {
        for isa in sets() {
            same_in_every_pool(&place::<f32>("adam_step", isa, &len), || adam(isa, len, seed))?;
        }
    }
}

#[test]
fn large_convolutions_do_not_depend_on_the_number_of_threads() -> TestCaseResult {
    for case in large_cases() {
        convolutions::<f32>(&case)?;
        convolutions::<bf16>(&case)?;
    }
    Ok(())
}

fn convolutions<E: Element>(case: &ConvCase) -> TestCaseResult {
    let ConvCase { shape, seed, .. } = case;
    let input = random::<E>(*seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let weights = random_weights::<E>(seed ^ 2, shape.weights_len());
    for isa in sets() {
        let place = place::<E>("convolutions", isa, shape);
        same_in_every_pool(&place, || forward_results(isa, case, &input, &weights))?;
        same_in_every_pool(&place, || gradient_results(isa, case, (&input, &gradient), &weights))?;
    }
    Ok(())
}

fn forward_results<E: Element>(isa: Isa, case: &ConvCase, input: &[E], weights: &[f32]) -> Vec<Vec<u32>> {
    let shape = &case.shape;
    let [channels_in, channels_out] = shape.channels;
    let input = View::new(input, channels_in);
    let packed = PackedWeights::<E>::forward(isa, shape, weights, None);
    let mut outputs = [(); 3].map(|()| filled(nan::<E>(), shape.output_len()));
    let [plain, measured, activated] = &mut outputs;
    conv_forward(shape, input, &packed, ViewMut::new(plain, channels_out));
    let moments = conv_forward_moments(shape, input, &packed, ViewMut::new(measured, channels_out));
    let bias = random::<f32>(case.seed, channels_out);
    let activation = Activation { bias: &bias, residual: None, relu: true };
    conv_forward_activated(shape, input, &packed, activation, ViewMut::new(activated, channels_out));
    let outputs = outputs.iter().map(|output| bits(output));
    outputs.chain([bits(&moments.mean), bits(&moments.variance)]).collect()
}

fn gradient_results<E: Element>(
    isa: Isa,
    case: &ConvCase,
    (input, gradient): (&[E], &[E]),
    weights: &[f32],
) -> Vec<Vec<u32>> {
    let shape = &case.shape;
    let [channels_in, channels_out] = shape.channels;
    let packed = PackedWeights::<E>::input_gradient(isa, shape, weights);
    let mut result: Box<[E]> = input.into();
    let gradient = View::new(gradient, channels_out);
    conv_input_gradient(shape, gradient, &packed, ViewMut::new(&mut result, channels_in), Existing::Add);
    let mut of_weights = filled(f32::NAN, shape.weights_len());
    conv_weight_gradient(isa, shape, View::new(input, channels_in), gradient, &mut of_weights);
    vec![bits(&result), bits(&of_weights)]
}

fn norms<E: Element>(pixels: usize, channels: usize, seed: u64) -> TestCaseResult {
    let [input, gradient] = [0, 1].map(|more| random::<E>(seed ^ more, pixels * channels));
    let [scale, shift, constant] = [2, 3, 4].map(|more| random::<f32>(seed ^ more, channels).to_vec());
    for isa in sets() {
        same_in_every_pool(&place::<E>("norms", isa, &[pixels, channels]), || {
            let mut output = filled(nan::<E>(), input.len());
            normalize(isa, &input, [&scale, &shift], (Some(&gradient), Nonlinearity::Relu), &mut output);
            let sums = gradient_sums(isa, channels, &gradient, Some(&output), Some((&input, &constant)));
            let factors = NormGradient {
                by_gradient: scale.clone(),
                by_input: shift.clone(),
                constant: constant.clone(),
            };
            let mut result = gradient.clone();
            norm_gradient(isa, &factors, (&input, Some(&output)), &mut result, None);
            vec![bits(&output), halves(&sums.gradient), halves(&sums.centred), bits(&result)]
        })?;
    }
    Ok(())
}

/// The bits of f64, as two words each.
fn halves(values: &[f64]) -> Vec<u32> {
    values.iter().flat_map(|value| [value.to_bits() as u32, (value.to_bits() >> 32) as u32]).collect()
}

fn pooling<E: Element>(shape: &PoolShape, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let pixels = shape.size[0] * shape.size[1];
    let all = [shape.batch, pixels, shape.channels];
    for isa in sets() {
        same_in_every_pool(&place::<E>("pooling", isa, shape), || {
            let (mut output, mut places) =
                (filled(nan::<E>(), shape.output_len()), filled(0, shape.output_len()));
            max_pool(isa, shape, (&input, None), &mut output, &mut places);
            let mut result = filled(nan::<E>(), shape.input_len());
            max_pool_gradient(isa, shape, (&places, Some(&output)), &gradient, &mut result);
            let mut whole = filled(f32::NAN, shape.batch * 2 * shape.channels);
            let whole_places = concat_pool(&input, all, &mut whole);
            let mut whole_result = filled(nan::<E>(), shape.input_len());
            concat_pool_gradient(&whole_places, &whole, all, &mut whole_result);
            let images: Box<[f32]> = input.iter().map(|value| value.widen()).collect();
            let mut prepared = filled(nan::<E>(), shape.input_len());
            prepare_images(
                &images,
                [shape.channels, shape.size[0], shape.size[1]],
                0,
                shape.size,
                &mut prepared,
            );
            let places = places.iter().map(|&place| place.into()).collect();
            vec![
                bits(&output),
                places,
                bits(&result),
                bits(&whole),
                whole_places,
                bits(&whole_result),
                bits(&prepared),
            ]
        })?;
    }
    Ok(())
}

fn adam(isa: Isa, len: usize, seed: u64) -> Vec<Vec<u32>> {
    let [weights, gradient, mut average] = [0, 1, 2].map(|more| random::<f32>(seed ^ more, len));
    let mut square: Box<[f32]> = average.iter().map(|average| average.abs()).collect();
    let mut next = filled(f32::NAN, len);
    let step = AdamStep {
        keep: 0.99,
        momentum: 0.9,
        squared_momentum: 0.99,
        rate: 1e-2,
        debias_square: 0.5,
        epsilon: 1e-5,
    };
    adam_step(isa, step, [&weights, &gradient], [&mut average, &mut square], &mut next);
    vec![bits(&next), bits(&average), bits(&square)]
}
