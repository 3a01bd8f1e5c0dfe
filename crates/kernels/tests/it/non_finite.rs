//! NaN and infinity: they come out where they went in, and nowhere else.

use std::sync::LazyLock;

use half::bf16;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseResult;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sciurus_kernels::{
    Activation, ConvShape, Element, Existing, Isa, Nonlinearity, NormGradient, PackedWeights, PoolShape,
    View, ViewMut, concat_pool, conv_forward, conv_forward_activated, conv_forward_moments,
    conv_input_gradient, conv_weight_gradient, gradient_sums, max_pool, norm_gradient, normalize,
};

use crate::cases::shapes;
use crate::pool::pool_shapes;
use crate::reference::{self, each_product, grid};
use crate::values::{config, equal, filled, nan, place, random, random_weights, same, sets, wide};

/// What is put into the input.
fn intruders() -> impl Strategy<Value = f32> {
    select(vec![f32::NAN, f32::NAN, f32::INFINITY, f32::NEG_INFINITY])
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn forward_is_not_finite_where_a_window_is_not(shape in shapes(), at: Index, intruder in intruders(), seed: u64) {
        let at = at.index(shape.input_len());
        forward::<f32>(&shape, at, intruder, seed)?;
        forward::<bf16>(&shape, at, intruder, seed)?;
    }

    #[test]
    fn gradients_are_not_finite_where_their_terms_are_not(shape in shapes(), at: Index, intruder in intruders(), seed: u64) {
        let of_output = at.index(shape.output_len());
        input_gradient::<f32>(&shape, of_output, intruder, seed)?;
        input_gradient::<bf16>(&shape, of_output, intruder, seed)?;
        let of_input = at.index(shape.input_len());
        weight_gradient::<f32>(&shape, of_input, intruder, seed)?;
        weight_gradient::<bf16>(&shape, of_input, intruder, seed)?;
        weight_gradient_of_output::<f32>(&shape, of_output, intruder, seed)?;
        weight_gradient_of_output::<bf16>(&shape, of_output, intruder, seed)?;
    }

    #[test]
    fn what_earlier_work_left_in_memory_does_not_matter(shape in shapes(), seed: u64) {
        left_behind::<f32>(&shape, seed)?;
        left_behind::<bf16>(&shape, seed)?;
    }

    #[test]
    fn norms_are_not_finite_where_their_input_is_not(pixels in 1..60_usize, channels in 1..=70_usize, at: Index, intruder in intruders(), seed: u64) {
        let at = at.index(pixels * channels);
        norms::<f32>([pixels, channels], at, intruder, seed)?;
        norms::<bf16>([pixels, channels], at, intruder, seed)?;
    }

    #[test]
    fn maxima_are_nan_where_a_window_has_one(shape in pool_shapes(), at: Index, seed: u64) {
        let at = at.index(shape.input_len());
        maxima::<f32>(&shape, at, seed)?;
        maxima::<bf16>(&shape, at, seed)?;
    }
}

/// Asserts which results are as before, bit for bit, and which are not finite (NaN, if the intruder is).
fn changed_only_there<E: Element>(
    place: &str,
    intruder: f32,
    [before, after]: [&[E]; 2],
    is_reached: &[Reached],
) -> TestCaseResult {
    for (at, (&before, &after)) in before.iter().zip(after).enumerate() {
        let value = after.widen();
        match is_reached[at] {
            Reached::No => {
                prop_assert!(same(before, after), "{place}: {} at {at} became {value}", before.widen());
            }
            Reached::Perhaps => {}
            Reached::Yes if intruder.is_nan() => {
                prop_assert!(value.is_nan(), "{place}: {value} at {at} is not NaN");
            }
            Reached::Yes => prop_assert!(!value.is_finite(), "{place}: {value} at {at} is finite"),
        }
    }
    Ok(())
}

/// Whether a result depends on the value that is not finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    No,
    /// A kernel may multiply the value by a zero, which PyTorch does too.
    Perhaps,
    Yes,
}

/// The values with one of them replaced.
fn with<E: Element>(values: &[E], at: usize, intruder: f32) -> Box<[E]> {
    let mut values: Box<[E]> = values.into();
    values[at] = E::narrow(intruder);
    values
}

fn forward<E: Element>(shape: &ConvShape, at: usize, intruder: f32, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let intruded = with(&input, at, intruder);
    let weights = random_weights::<E>(seed ^ 1, shape.weights_len());
    let bias = random::<f32>(seed ^ 2, shape.channels[1]);
    let mut reached = vec![Reached::No; shape.output_len()];
    beyond_odd_runs::<E>(shape, at, &mut reached);
    each_product(shape, |from, _, to| {
        if from == at {
            reached[to] = Reached::Yes;
        }
    });
    for isa in sets() {
        let place = format!("{intruder} at {at}, {}", place::<E>("conv_forward", isa, shape));
        let packed = PackedWeights::<E>::forward(isa, shape, &weights, None);
        let results = [&input, &intruded].map(|input| forward_results(shape, input, &packed, &bias));
        for which in 0..3 {
            // ReLU makes a 0 of minus infinity, as it should.
            if which < 2 || intruder.is_nan() {
                changed_only_there(&place, intruder, [&results[0].0[which], &results[1].0[which]], &reached)?;
            }
        }
        moments_are_not_finite(&place, shape, &reached, &results[1].1)?;
    }
    Ok(())
}

type Forward<E> = ([Box<[E]>; 3], sciurus_kernels::Moments);

/// A plain, a measured and an activated output, and the measured one's moments.
fn forward_results<E: Element>(
    shape: &ConvShape,
    input: &[E],
    packed: &PackedWeights<E>,
    bias: &[f32],
) -> Forward<E> {
    let [channels_in, channels_out] = shape.channels;
    let input = View::new(input, channels_in);
    let mut outputs = [(); 3].map(|()| filled(nan::<E>(), shape.output_len()));
    let [plain, measured, activated] = &mut outputs;
    conv_forward(shape, input, packed, ViewMut::new(plain, channels_out));
    let moments = conv_forward_moments(shape, input, packed, ViewMut::new(measured, channels_out));
    let activation = Activation { bias, residual: None, relu: true };
    conv_forward_activated(shape, input, packed, activation, ViewMut::new(activated, channels_out));
    (outputs, moments)
}

fn moments_are_not_finite(
    place: &str,
    shape: &ConvShape,
    reached: &[Reached],
    moments: &sciurus_kernels::Moments,
) -> TestCaseResult {
    let channels = shape.channels[1];
    for channel in 0..channels {
        let mut pixels = reached.iter().skip(channel).step_by(channels);
        if pixels.any(|&reached| reached == Reached::Yes) {
            let [mean, variance] = [moments.mean[channel], moments.variance[channel]];
            prop_assert!(
                !mean.is_finite() && !variance.is_finite(),
                "moments {mean} and {variance}, {place}"
            );
        }
    }
    Ok(())
}

/// Where bf16 is read without a copy, and the values of a kernel row are odd in number, the one beyond them is
/// multiplied by zero: outputs that this reaches may become NaN.
fn beyond_odd_runs<E: Element>(shape: &ConvShape, at: usize, reached: &mut [Reached]) {
    let run = shape.kernel[1] * shape.channels[0];
    if E::PER_WORD == 1 || shape.padding > 0 || run.is_multiple_of(2) {
        return;
    }
    let [out_height, out_width] = shape.out_size();
    let [height, width] = shape.size;
    for (image, (out_y, out_x)) in
        (0..shape.batch).flat_map(|image| grid([out_height, out_width]).map(move |out| (image, out)))
    {
        for row in 0..shape.kernel[0] {
            let first = ((image * height + out_y * shape.stride + row) * width + out_x * shape.stride)
                * shape.channels[0];
            if first + run == at {
                let pixel = (image * out_height + out_y) * out_width + out_x;
                reached[pixel * shape.channels[1]..][..shape.channels[1]].fill(Reached::Perhaps);
            }
        }
    }
}

fn input_gradient<E: Element>(shape: &ConvShape, at: usize, intruder: f32, seed: u64) -> TestCaseResult {
    let gradient = random::<E>(seed, shape.output_len());
    let intruded = with(&gradient, at, intruder);
    let weights = random_weights::<E>(seed ^ 1, shape.weights_len());
    let mut reached = vec![Reached::No; shape.input_len()];
    each_product(shape, |to, _, from| {
        if from == at {
            reached[to] = Reached::Yes;
        }
    });
    for isa in sets() {
        let place = format!("{intruder} at {at}, {}", place::<E>("conv_input_gradient", isa, shape));
        let packed = PackedWeights::<E>::input_gradient(isa, shape, &weights);
        let [before, after] = [&gradient, &intruded].map(|gradient| {
            let mut result = filled(nan::<E>(), shape.input_len());
            let view = ViewMut::new(&mut result, shape.channels[0]);
            conv_input_gradient(
                shape,
                View::new(gradient, shape.channels[1]),
                &packed,
                view,
                Existing::Replace,
            );
            result
        });
        changed_only_there(&place, intruder, [&before, &after], &reached)?;
    }
    Ok(())
}

fn weight_gradients<E: Element>(isa: Isa, shape: &ConvShape, input: &[E], gradient: &[E]) -> Box<[f32]> {
    let mut result = filled(f32::NAN, shape.weights_len());
    let [input, gradient] = [View::new(input, shape.channels[0]), View::new(gradient, shape.channels[1])];
    conv_weight_gradient(isa, shape, input, gradient, &mut result);
    result
}

fn weight_gradient<E: Element>(shape: &ConvShape, at: usize, intruder: f32, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let intruded = with(&input, at, intruder);
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let mut reached = vec![Reached::No; shape.weights_len()];
    each_product(shape, |from, to, _| {
        if from == at {
            reached[to] = Reached::Yes;
        }
    });
    for isa in sets() {
        let place = format!("{intruder} at {at}, {}", place::<E>("conv_weight_gradient", isa, shape));
        let [before, after] = [&input, &intruded].map(|input| weight_gradients(isa, shape, input, &gradient));
        changed_only_there(&place, intruder, [&before, &after], &reached)?;
    }
    Ok(())
}

/// The kernels multiply the output's gradient by the zeros of the padding too.
fn weight_gradient_of_output<E: Element>(
    shape: &ConvShape,
    at: usize,
    intruder: f32,
    seed: u64,
) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let intruded = with(&gradient, at, intruder);
    let mut reached = vec![Reached::No; shape.weights_len()];
    let of_channel = shape.weights_len() / shape.channels[1];
    reached[at % shape.channels[1] * of_channel..][..of_channel].fill(Reached::Perhaps);
    each_product(shape, |_, to, from| {
        if from == at {
            reached[to] = Reached::Yes;
        }
    });
    for isa in sets() {
        let place =
            format!("gradient {intruder} at {at}, {}", place::<E>("conv_weight_gradient", isa, shape));
        let [before, after] =
            [&gradient, &intruded].map(|gradient| weight_gradients(isa, shape, &input, gradient));
        changed_only_there(&place, intruder, [&before, &after], &reached)?;
    }
    Ok(())
}

fn norms<E: Element>([pixels, channels]: [usize; 2], at: usize, intruder: f32, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, pixels * channels);
    let intruded = with(&input, at, intruder);
    let [scale, shift, constant] = [1, 2, 3].map(|more| random::<f32>(seed ^ more, channels).to_vec());
    let mut reached = vec![Reached::No; input.len()];
    reached[at] = Reached::Yes;
    for isa in sets() {
        let place = format!("{intruder} at {at}, {}", place::<E>("normalize", isa, &[pixels, channels]));
        for relu in [false, true].into_iter().filter(|relu| !relu || intruder.is_nan()) {
            let [before, after] = [&input, &intruded].map(|input| {
                let mut output = filled(nan::<E>(), input.len());
                normalize(
                    isa,
                    input,
                    [&scale, &shift],
                    (None, if relu { Nonlinearity::Relu } else { Nonlinearity::None }),
                    &mut output,
                );
                output
            });
            changed_only_there(&place, intruder, [&before, &after], &reached)?;
        }
        let factors =
            NormGradient { by_gradient: scale.clone(), by_input: shift.clone(), constant: constant.clone() };
        let [before, after] = [&input, &intruded].map(|gradient| {
            let mut gradient = gradient.clone();
            norm_gradient(isa, &factors, (&input, None), &mut gradient, None);
            gradient
        });
        changed_only_there(&format!("norm_gradient, {place}"), intruder, [&before, &after], &reached)?;
        let sums = gradient_sums(isa, channels, &intruded, None, Some((&input, &shift)));
        for channel in 0..channels {
            let is_finite = [&sums.gradient, &sums.centred].map(|sums| sums[channel].is_finite());
            prop_assert_eq!(is_finite, [channel != at % channels; 2], "gradient_sums, {}", place);
        }
    }
    Ok(())
}

fn maxima<E: Element>(shape: &PoolShape, at: usize, seed: u64) -> TestCaseResult {
    let mut input = random::<E>(seed, shape.input_len());
    input[at] = nan::<E>();
    let want = reference::max_pool(shape, &wide(&input));
    for isa in sets() {
        let place = format!("NaN at {at}, {}", place::<E>("max_pool", isa, shape));
        let (mut output, mut places) =
            (filled(E::default(), shape.output_len()), filled(u8::MAX, shape.output_len()));
        max_pool(isa, shape, (&input, None), &mut output, &mut places);
        for (which, &(from, window)) in want.iter().enumerate() {
            let [got, value] = [output[which].widen(), input[from].widen()];
            prop_assert!(
                got == value || (got.is_nan() && value.is_nan()),
                "{place}: {got} at {which}, not {value}"
            );
            prop_assert_eq!(usize::from(places[which]), window, "place {} of {}", which, place);
        }
    }
    let clean = random::<E>(seed, shape.input_len());
    whole_maxima(shape, [&clean, &input], at)
}

fn whole_maxima<E: Element>(shape: &PoolShape, inputs: [&[E]; 2], at: usize) -> TestCaseResult {
    let channels = shape.channels;
    let pixels = shape.size[0] * shape.size[1];
    let mut reached = vec![Reached::No; shape.batch * 2 * channels];
    let image = at / channels / pixels;
    for half in [0, 1] {
        reached[(image * 2 + half) * channels + at % channels] = Reached::Yes;
    }
    let [before, after] = inputs.map(|input| {
        let mut output = filled(0.0, reached.len());
        concat_pool(input, [shape.batch, pixels, channels], &mut output);
        output
    });
    changed_only_there(
        &format!("concat_pool, NaN at {at} of {shape:?}"),
        f32::NAN,
        [&before, &after],
        &reached,
    )
}

/// One thread, so that all work has the same working memory.
static ALONE: LazyLock<ThreadPool> =
    LazyLock::new(|| ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started"));

/// Working memory that is full of NaN must not be seen in the results: it may only be read after it was written.
fn left_behind<E: Element>(shape: &ConvShape, seed: u64) -> TestCaseResult {
    let input = random::<E>(seed, shape.input_len());
    let gradient = random::<E>(seed ^ 1, shape.output_len());
    let weights = random_weights::<E>(seed ^ 2, shape.weights_len());
    // The first leaves few zeros in the working memory of a thread; the second, memory of the sizes that are asked for.
    let large =
        ConvShape { batch: 1, size: [40, 40], channels: [64, 64], kernel: [2, 2], stride: 1, padding: 1 };
    for isa in sets() {
        let results = [false, true].map(|is_poisoned| {
            ALONE.install(|| {
                for shape in [&large, shape].into_iter().filter(|_| is_poisoned) {
                    let [input, gradient] =
                        [shape.input_len(), shape.output_len()].map(|len| filled(nan::<E>(), len));
                    passes(isa, shape, [&input, &gradient], &filled(1.0, shape.weights_len()));
                }
                passes(isa, shape, [&input, &gradient], &weights)
            })
        });
        let place = place::<E>("convolutions in memory full of NaN", isa, shape);
        let [(clean, clean_weights), (poisoned, poisoned_weights)] = &results;
        equal(&place, &poisoned[0], &clean[0])?;
        equal(&place, &poisoned[1], &clean[1])?;
        equal(&place, poisoned_weights, clean_weights)?;
        prop_assert!(
            clean.iter().all(|values| values.iter().all(|value| value.widen().is_finite())),
            "{place}"
        );
    }
    Ok(())
}

/// Output, gradient of the input, and gradient of the weights.
fn passes<E: Element>(
    isa: Isa,
    shape: &ConvShape,
    [input, gradient]: [&[E]; 2],
    weights: &[f32],
) -> ([Box<[E]>; 2], Box<[f32]>) {
    let [channels_in, channels_out] = shape.channels;
    let mut output = filled(nan::<E>(), shape.output_len());
    let packed = PackedWeights::<E>::forward(isa, shape, weights, None);
    conv_forward(shape, View::new(input, channels_in), &packed, ViewMut::new(&mut output, channels_out));
    let mut result = filled(nan::<E>(), shape.input_len());
    let packed = PackedWeights::<E>::input_gradient(isa, shape, weights);
    let view = ViewMut::new(&mut result, channels_in);
    conv_input_gradient(shape, View::new(gradient, channels_out), &packed, view, Existing::Replace);
    ([output, result], weight_gradients(isa, shape, input, gradient))
}
