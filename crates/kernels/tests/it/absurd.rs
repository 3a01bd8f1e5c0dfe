//! Sizes that make no sense, given to every function that takes sizes: it returns, or it panics with a message of ours. It
//! never faults, never hangs and never asks for absurd memory.
//!
//! In: shapes that are right but for a size or two, which are 0, or so large that products with them wrap round. Slices are as
//! long as the *wrapped* product says, so that a check that wraps too lets them pass.
//!
//! A panic of the language (`attempt to multiply with overflow`, `index out of bounds`) is a failure as well: in release the
//! first is not raised, and the wrapped product goes on. So the same test means the same in every profile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::Once;

use half::bf16;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::*;

use crate::values::{config, filled, random, sets};

/// Bytes that no test of small slices has a use for.
const ABSURD_BYTES: usize = 1 << 30;

/// The system's memory, of which nobody gets an absurd piece: a `Vec` that asks for one ends the process, as it would on a
/// machine that has no such memory.
struct Limited;

#[global_allocator]
static MEMORY: Limited = Limited;

// SAFETY: the system's allocator, or null, which says that there is no memory.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= ABSURD_BYTES {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= ABSURD_BYTES {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size >= ABSURD_BYTES {
            return null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.realloc(start, layout, size) }
    }
}

/// Sizes of which few are needed for a product to wrap round, some of them to a small number that is not 0.
const ABSURD: [usize; 16] = [
    0,
    1 << 16,
    1 << (usize::BITS / 2 - 1),
    u32::MAX as usize,
    1 << (usize::BITS / 2),
    (1 << (usize::BITS / 2)) + 1,
    1 << (usize::BITS - 4),
    (1 << (usize::BITS - 3)) + 1,
    1 << (usize::BITS - 2),
    (1 << (usize::BITS - 2)) + 1,
    usize::MAX / 4 + 2,
    usize::MAX / 2,
    usize::MAX / 2 + 1,
    usize::MAX / 2 + 2,
    usize::MAX - 1,
    usize::MAX,
];

fn cases() -> ProptestConfig {
    let few = config();
    ProptestConfig { cases: 16 * few.cases, ..few }
}

/// Right sizes, mostly 1 to 4, `COUNT` of them, and the same with none, one or two that are absurd.
fn sizes<const COUNT: usize>() -> impl Strategy<Value = [usize; COUNT]> {
    let absurd = prop::collection::vec((0..COUNT, select(&ABSURD[..])), 0..=2);
    (prop::array::uniform(select(vec![1, 2, 3, 4, 4, 8])), absurd).prop_map(
        |(mut sizes, absurd): ([usize; COUNT], _)| {
            absurd.into_iter().for_each(|(at, size)| sizes[at] = size);
            sizes
        },
    )
}

/// The product as release multiplies.
fn wrapped(sizes: &[usize]) -> usize {
    sizes.iter().fold(1, |product, &size| product.wrapping_mul(size))
}

/// A slice as long as the wrapped product of these sizes, if that is short, else of some length.
fn slice<E: Element>(sizes: &[usize]) -> Box<[E]> {
    let len = wrapped(sizes);
    random(7, if len <= 1 << 14 { len } else { 5 })
}

/// Says nothing of panics that a test expects.
fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_EXPECTED.get() {
                loud(panic);
            }
        }));
    });
}

thread_local! {
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What the panics of the language and of the libraries begin with.
const FOREIGN: [&str; 12] = [
    "attempt to ",
    "index out of bounds",
    "range ",
    "slice index",
    "mid > len",
    "copy_from_slice",
    "source slice length",
    "capacity overflow",
    "chunk",
    "called `",
    "assertion failed",
    "unsafe precondition",
];

/// What came of a call: a value, or none after a panic of ours.
fn refused_or<R>(place: &str, call: impl FnOnce() -> R) -> Result<Option<R>, TestCaseError> {
    silence_expected_panics();
    IS_EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_EXPECTED.set(false);
    let payload = match result {
        Ok(value) => return Ok(Some(value)),
        Err(payload) => payload,
    };
    let message = payload.downcast_ref::<String>().map(String::as_str);
    let message = message.or(payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let is_ours = !FOREIGN.iter().any(|foreign| message.starts_with(foreign));
    prop_assert!(is_ours, "{place}: not refused by a check, but by: {message}");
    Ok(None)
}

/// Calls that are judged one by one.
macro_rules! each_refused_or {
    ($place:expr, $($call:expr),+ $(,)?) => {{
        $( refused_or(&format!("{} of {:?}", stringify!($call), $place), || { let _ = $call; })?; )+
    }};
}

#[test]
fn a_buffer_larger_than_memory_is_refused() {
    for len in [usize::MAX / 4 + 2, usize::MAX / 4 + 1, usize::MAX / 8, usize::MAX / 32] {
        let buffer = refused_or("stale", || Buffer::<f32>::stale(len)).expect("a message of ours");
        assert!(buffer.is_none(), "{len} values");
    }
}

#[test]
fn a_batch_whose_values_wrap_round_to_none_is_refused() {
    let shape =
        |batch| ConvShape { batch, size: [2, 2], channels: [1, 1], kernel: [1, 1], stride: 1, padding: 0 };
    let packed = PackedWeights::<f32>::forward(Isa::current(), &shape(1), &[1.0], None);
    let batch = 1 << (usize::BITS - 2);
    let result = refused_or("conv_forward", || {
        conv_forward(&shape(batch), View::new(&[], 1), &packed, ViewMut::new(&mut [], 1));
    });
    assert_eq!(result.expect("a message of ours"), None);
}

/// Packing takes no pictures, so only the weights may bound what it does: a large stride or picture costs nothing.
#[test]
fn a_stride_as_long_as_a_picture_that_is_not_there_costs_nothing() {
    let far = 1 << (usize::BITS / 4);
    let shape =
        ConvShape { batch: 1, size: [far, far], channels: [1, 1], kernel: [2, 3], stride: far, padding: 0 };
    let weights = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    PackedWeights::<f32>::forward(Isa::current(), &shape, &weights, None);
    let small = ConvShape { size: [2, 4], ..shape };
    let packed = PackedWeights::<f32>::input_gradient(Isa::current(), &small, &weights);
    PackedWeights::<f32>::input_gradient(Isa::current(), &shape, &weights);
    let mut gradient = [9.0; 8];
    let target = ViewMut::new(&mut gradient, 1);
    conv_input_gradient(&small, View::new(&[2.0], 1), &packed, target, Existing::Replace);
    assert_eq!(gradient, [2.0, 4.0, 6.0, 0.0, 8.0, 10.0, 12.0, 0.0]);
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn buffers_of_absurd_lengths_are_refused([len] in sizes::<1>()) {
        each_refused_or!(
            len,
            Buffer::<f32>::stale(len), Buffer::<f32>::zeroed(len), Buffer::<bf16>::stale(len),
            Buffer::<bf16>::zeroed(len), Buffer::<u32>::stale(len), Buffer::<u8>::zeroed(len),
        );
    }

    #[test]
    fn convolutions_of_absurd_shapes_are_refused(
        sizes in sizes::<9>(), views in sizes::<4>(), is_dense in any::<[bool; 2]>(), set: prop::sample::Index,
    ) {
        let case = ConvCase::new(sizes, views, is_dense);
        let isa = *set.get(&sets());
        convolutions::<f32>(isa, &case)?;
        convolutions::<bf16>(isa, &case)?;
        let channels = [case.shape.channels[0]; 2];
        let shape = ConvShape { channels, ..case.shape };
        depthwise::<f32>(isa, &shape)?;
        depthwise::<bf16>(isa, &shape)?;
    }

    #[test]
    fn pooling_of_absurd_shapes_is_refused(sizes in sizes::<7>(), ceil: bool, set: prop::sample::Index) {
        let [batch, height, width, channels, kernel, stride, padding] = sizes;
        let padding = if padding < 9 { padding % kernel.clamp(1, 9) } else { padding };
        let shape = PoolShape { batch, size: [height, width], channels, kernel, stride, padding, ceil };
        let isa = *set.get(&sets());
        maxima::<f32>(isa, &shape)?;
        maxima::<bf16>(isa, &shape)?;
        whole_pictures::<f32>([batch, height, channels])?;
        whole_pictures::<bf16>([batch, height, channels])?;
    }

    #[test]
    fn attention_of_absurd_shapes_is_refused(sizes in sizes::<4>(), set: prop::sample::Index) {
        let [batch, tokens, heads, features] = sizes;
        let shape = AttentionShape { batch, tokens, heads, features };
        let isa = *set.get(&sets());
        attentions::<f32>(isa, &shape)?;
        attentions::<bf16>(isa, &shape)?;
    }

    #[test]
    fn pixels_of_absurd_channels_are_refused(
        sizes in sizes::<3>(), lengths in prop::array::uniform4(0..20_usize), set: prop::sample::Index,
    ) {
        let isa = *set.get(&sets());
        norms::<f32>(isa, lengths)?;
        norms::<bf16>(isa, lengths)?;
        sums::<f32>(isa, sizes)?;
        sums::<bf16>(isa, sizes)?;
        others(isa, sizes, lengths)?;
    }

    #[test]
    fn images_of_absurd_sizes_are_refused(sizes in sizes::<7>()) {
        let [batch, channels, height, width, padding, padded_height, padded_width] = sizes;
        let images = slice::<f32>(&[batch, channels, height, width]);
        let padded = [padded_height, padded_width];
        let (mut wide, mut narrow) = (slice::<f32>(&[batch, channels, padded_height, padded_width]), slice::<bf16>(&[]));
        each_refused_or!(
            sizes,
            prepare_images(&images, [channels, height, width], padding, padded, &mut wide),
            prepare_images(&images, [channels, height, width], padding, padded, &mut narrow),
        );
    }
}

/// A convolution, the same with absurd sizes, and where its pixels lie.
#[derive(Debug)]
struct ConvCase {
    right: ConvShape,
    shape: ConvShape,
    /// Offset and spacing of input and output.
    views: [[usize; 2]; 2],
}

impl ConvCase {
    fn new(sizes: [usize; 9], views: [usize; 4], is_dense: [bool; 2]) -> Self {
        let build = |[
            batch,
            height,
            width,
            channels_in,
            channels_out,
            kernel_height,
            kernel_width,
            stride,
            padding,
        ]: [usize; 9]| ConvShape {
            batch,
            size: [height, width],
            channels: [channels_in, channels_out],
            kernel: [kernel_height, kernel_width],
            stride,
            padding,
        };
        let mut shape = build(sizes);
        // Sizes that are right by themselves are made to fit each other.
        let right = build(sizes.map(|size| if (1..=8).contains(&size) { size } else { 1 }));
        let least = right.kernel[0].min(right.kernel[1]);
        if shape.padding <= 8 {
            shape.padding %= least;
        }
        let padding = right.padding % least;
        let fitting = |axis: usize| right.size[axis].max(right.kernel[axis].saturating_sub(2 * padding));
        let right = ConvShape { size: [fitting(0), fitting(1)], padding, ..right };
        for axis in [0, 1] {
            if (1..=8).contains(&shape.size[axis]) {
                shape.size[axis] = right.size[axis];
            }
        }
        let view = |which: usize| match is_dense[which] {
            true => [0, shape.channels[which]],
            false => [views[2 * which], views[2 * which + 1]],
        };
        Self { right, shape, views: [view(0), view(1)] }
    }
}

/// Output height and width as release computes them.
fn wrapped_out(shape: &ConvShape) -> [usize; 2] {
    [0, 1].map(|axis| {
        let padded = shape.size[axis].wrapping_add(shape.padding.wrapping_mul(2));
        (padded.saturating_sub(shape.kernel[axis]) / shape.stride.max(1)).wrapping_add(1)
    })
}

fn convolutions<E: Element>(isa: Isa, case: &ConvCase) -> TestCaseResult {
    let ConvCase { right, shape, views: [[from, from_spacing], [to, to_spacing]] } = *case;
    let ConvShape { batch, size, channels, kernel, .. } = shape;
    let out = wrapped_out(&shape);
    each_refused_or!(
        case,
        shape.out_size(),
        shape.input_len(),
        shape.output_len(),
        shape.weights_len(),
        shape.flops()
    );
    let input = slice::<E>(&[batch, size[0], size[1], from_spacing]);
    let mut output = slice::<E>(&[batch, out[0], out[1], to_spacing]);
    let mut weights = slice::<f32>(&[channels[0], channels[1], kernel[0], kernel[1]]);
    let right_weights = random::<f32>(3, right.weights_len());
    let bias = slice::<f32>(&[channels[1]]);
    let residual = slice::<E>(&[batch, out[0], out[1], channels[1]]);
    let activation = Activation { bias: &bias, residual: Some(&residual), relu: true };

    let forward = refused_or("PackedWeights::forward", || {
        PackedWeights::<E>::forward(isa, &shape, &weights, Some(&bias))
    })?;
    for packed in forward.into_iter().chain([PackedWeights::forward(isa, &right, &right_weights, None)]) {
        let input = View::part(&input, from, from_spacing);
        each_refused_or!(
            case,
            conv_forward(&shape, input, &packed, ViewMut::part(&mut output, to, to_spacing)),
            conv_forward_moments(&shape, input, &packed, ViewMut::part(&mut output, to, to_spacing)),
            conv_forward_activated(
                &shape,
                input,
                &packed,
                activation,
                ViewMut::part(&mut output, to, to_spacing)
            ),
        );
    }
    let gradient = View::part(&output, to, to_spacing);
    let mut result = input.clone();
    let backward = refused_or("PackedWeights::input_gradient", || {
        PackedWeights::<E>::input_gradient(isa, &shape, &weights)
    })?;
    for packed in backward.into_iter().chain([PackedWeights::input_gradient(isa, &right, &right_weights)]) {
        for existing in [Existing::Replace, Existing::Add] {
            let result = ViewMut::part(&mut result, from, from_spacing);
            each_refused_or!(case, conv_input_gradient(&shape, gradient, &packed, result, existing));
        }
    }
    let input = View::part(&input, from, from_spacing);
    each_refused_or!(case, conv_weight_gradient(isa, &shape, input, gradient, &mut weights));
    Ok(())
}

fn depthwise<E: Element>(isa: Isa, shape: &ConvShape) -> TestCaseResult {
    let ConvShape { batch, size, channels: [channels, _], kernel, .. } = *shape;
    let out = wrapped_out(shape);
    let mut input = slice::<E>(&[batch, size[0], size[1], channels]);
    let mut output = slice::<E>(&[batch, out[0], out[1], channels]);
    let mut weights = slice::<f32>(&[channels, kernel[0], kernel[1]]);
    let bias = slice::<f32>(&[channels]);
    each_refused_or!(
        shape,
        depthwise_forward(isa, shape, &input, [&weights, &bias], &mut output),
        depthwise_input_gradient(isa, shape, &output, &weights, &mut input),
        depthwise_weight_gradient(isa, shape, &input, &output, &mut weights),
    );
    Ok(())
}

fn maxima<E: Element>(isa: Isa, shape: &PoolShape) -> TestCaseResult {
    let PoolShape { batch, size, channels, kernel, stride, padding, ceil } = *shape;
    let out = size.map(|size| {
        let padded = size.wrapping_add(padding.wrapping_mul(2));
        let (span, stride) = (padded.saturating_sub(kernel), stride.max(1));
        let out = (if ceil { span.div_ceil(stride) } else { span / stride }).wrapping_add(1);
        let begin = out.wrapping_sub(1).wrapping_mul(stride);
        if begin >= size.wrapping_add(padding) { out.wrapping_sub(1) } else { out }
    });
    let mut input = slice::<E>(&[batch, size[0], size[1], channels]);
    let mut output = slice::<E>(&[batch, out[0], out[1], channels]);
    let mut places = filled(0_u8, output.len());
    let factors = slice::<f32>(&[channels]);
    let norm = Some([&factors[..], &factors[..]]);
    each_refused_or!(
        shape,
        shape.out_size(),
        shape.input_len(),
        shape.output_len(),
        max_pool(isa, shape, (&input, norm), &mut output, &mut places),
        max_pool_gradient(isa, shape, (&places, None), &output, &mut input),
    );
    Ok(())
}

fn whole_pictures<E: Element>(sizes: [usize; 3]) -> TestCaseResult {
    let [batch, pixels, channels] = sizes;
    let mut input = slice::<E>(&[batch, pixels, channels]);
    let mut output = slice::<f32>(&[batch, 2, channels]);
    let places = filled(0_u32, output.len() / 2);
    each_refused_or!(
        sizes,
        concat_pool(&input, sizes, &mut output),
        concat_pool_gradient(&places, &output, sizes, &mut input),
    );
    Ok(())
}

fn attentions<E: Element>(isa: Isa, shape: &AttentionShape) -> TestCaseResult {
    let AttentionShape { batch, tokens, heads, features } = *shape;
    let qkv = slice::<E>(&[3, batch, tokens, heads, features]);
    let mut output = slice::<E>(&[batch, tokens, heads, features]);
    let log_sums = slice::<f32>(&[batch, heads, tokens]);
    let mut gradient = qkv.clone();
    each_refused_or!(
        shape,
        shape.output_len(),
        attention(isa, shape, &qkv, &mut output),
        attention_gradient(isa, shape, (&qkv, &output, &log_sums), &output, &mut gradient),
    );
    Ok(())
}

/// Channels are those of slices here: there can be none, or not as many as others have.
fn norms<E: Element>(isa: Isa, lengths: [usize; 4]) -> TestCaseResult {
    let [len, other, channels, others] = lengths;
    let other = if other.is_multiple_of(2) { len } else { other };
    let others = if others.is_multiple_of(2) { channels } else { others };
    let input = random::<E>(1, len);
    let mut gradient = random::<E>(2, other);
    let mut into = random::<E>(2, len);
    let [factors, more] = [random::<f32>(3, channels), random::<f32>(4, others)];
    let affine = [&factors[..], &more[..]];
    let activated = Activated { input: &input, affine, nonlinearity: Nonlinearity::Silu };
    let norm =
        NormGradient { by_gradient: factors.to_vec(), by_input: more.to_vec(), constant: factors.to_vec() };
    each_refused_or!(
        lengths,
        normalize(isa, &input, affine, (Some(&into.clone()), Nonlinearity::Gelu), &mut gradient),
        norm_gradient(isa, &norm, (&input, Some(&input)), &mut gradient, Some(&mut into)),
        relu_gradient(isa, &input, &mut gradient),
        activation_gradient(isa, &activated, &factors, &mut gradient),
        layer_norm(isa, &input, affine, 1e-5, &mut gradient),
    );
    let moments = refused_or("layer_norm", || layer_norm(isa, &input, [&factors; 2], 1e-5, &mut into))?;
    if let Some(moments) = moments {
        each_refused_or!(lengths, layer_norm_gradient(isa, &input, &moments, &more, &mut gradient));
    }
    Ok(())
}

/// Channels are numbers here.
fn sums<E: Element>(isa: Isa, sizes: [usize; 3]) -> TestCaseResult {
    let [images, pixels, channels] = sizes;
    let values = slice::<E>(&[images, pixels, channels]);
    let mut output = values.clone();
    let factors = slice::<f32>(&[images, channels]);
    let mean = slice::<f32>(&[channels]);
    each_refused_or!(
        sizes,
        gradient_sums(isa, channels, &values, Some(&values), Some((&values, &mean))),
        gradient_sums::<E>(isa, channels, &values, None, None),
        gradient_sums::<E>(isa, channels, &[], None, None),
        image_sums(isa, [images, channels], &values, Some(&values)),
        image_sums::<E>(isa, [images, channels], &[], None),
        scale_images(isa, &values, (channels, [&factors, &factors]), Some(&values), &mut output),
        scale_images::<E>(isa, &[], (channels, [&[], &[]]), None, &mut []),
    );
    Ok(())
}

/// What takes floats alone.
fn others(isa: Isa, sizes: [usize; 3], [len, other, more, _]: [usize; 4]) -> TestCaseResult {
    let [rows, classes, _] = sizes;
    let logits = slice::<f32>(&[rows, classes]);
    let mut gradient = logits.clone();
    let [weights, mut average, mut next] = [len, other, more].map(|len| random::<f32>(5, len));
    let mut square = weights.clone();
    let step = AdamStep {
        keep: 1.0,
        momentum: 0.9,
        squared_momentum: 0.99,
        rate: 0.1,
        debias_square: 0.5,
        epsilon: 1e-5,
    };
    each_refused_or!(
        sizes,
        softmax_cross_entropy(&logits, &logits, classes, &mut gradient),
        softmax_cross_entropy(&[], &[], classes, &mut []),
        adam_step(isa, step, [&weights, &weights], [&mut average, &mut square], &mut next),
    );
    Ok(())
}
