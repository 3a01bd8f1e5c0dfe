//! Layer normalisation of each pixel over its channels (arXiv:1607.06450), and its gradients.
//!
//! Pixels are divided into chunks whose size depends only on the shape, and sums over pixels are added in the order of the chunks.
//! The result therefore does not depend on the number of threads.

use rayon::prelude::*;

use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::norm::{GradientSums, chunk_pixels, combined_sums};
use crate::simd::{Job, Simd, total};
use crate::size::{check_pixels, checked_len};

/// Mean and `1 / sqrt(variance + epsilon)` of each pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelMoments(Vec<[f32; 2]>);

/// `(input - mean) / sqrt(variance + epsilon) * weight + bias`, with mean and biased variance over the channels of each
/// pixel.
///
/// # Panics
/// When there are no channels, or lengths do not match.
pub fn layer_norm<E: Element>(
    isa: Isa,
    input: &[E],
    [weight, bias]: [&[f32]; 2],
    epsilon: f32,
    output: &mut [E],
) -> PixelMoments {
    let channels = weight.len();
    assert_eq!(bias.len(), channels, "one bias per channel");
    check_pixels(input.len(), channels);
    assert_eq!(input.len(), output.len(), "input and output of one shape");
    let mut moments = vec![[0.0; 2]; input.len() / channels];
    let pixels = chunk_pixels(channels);
    let chunks = output.par_chunks_mut(pixels * channels).zip(input.par_chunks(pixels * channels));
    moments.par_chunks_mut(pixels).zip(chunks).for_each(|(moments, (output, input))| {
        isa.run(Forward { input, weight, bias, epsilon, output, moments });
    });
    PixelMoments(moments)
}

struct Forward<'a, E> {
    input: &'a [E],
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    output: &'a mut [E],
    moments: &'a mut [[f32; 2]],
}

impl<E: Element> Job for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.weight.len();
        for (pixel, moments) in self.moments.iter_mut().enumerate() {
            // SAFETY: input and output hold `channels` values for each pixel that has moments, weight and bias as many:
            // `layer_norm` checked it. `kept` holds the lanes of the widest vector.
            unsafe {
                let from = self.input.as_ptr().add(pixel * channels);
                let to = self.output.as_mut_ptr().add(pixel * channels);
                let mut sum = S::splat(0.0);
                each::<S>(channels, |at, lanes| sum = S::add(sum, load::<S, E>(from.add(at), lanes)));
                let mean = total::<S>(sum) / channels as f32;
                let mut squares = S::splat(0.0);
                each::<S>(channels, |at, lanes| {
                    let mut difference = S::sub(load::<S, E>(from.add(at), lanes), S::splat(mean));
                    if lanes < S::LANES {
                        // Beyond the last channel, lanes are 0 - mean. Clear them, so that they do not count.
                        let mut kept = [0.0_f32; 16];
                        store::<S, f32>(kept.as_mut_ptr(), difference, lanes);
                        difference = S::load(kept.as_ptr());
                    }
                    squares = S::fma(difference, difference, squares);
                });
                let inverse = (total::<S>(squares) / channels as f32 + self.epsilon).sqrt().recip();
                *moments = [mean, inverse];
                each::<S>(channels, |at, lanes| {
                    let centred = S::sub(load::<S, E>(from.add(at), lanes), S::splat(mean));
                    let weight = load::<S, f32>(self.weight.as_ptr().add(at), lanes);
                    let bias = load::<S, f32>(self.bias.as_ptr().add(at), lanes);
                    let value = S::fma(S::mul(centred, S::splat(inverse)), weight, bias);
                    store::<S, E>(to.add(at), value, lanes);
                });
            }
        }
    }
}

/// Turns the gradient of a layer norm's output into that of its input, in place. Returns sums over pixels: of the gradient, which
/// is the bias's gradient, and of gradient × normalised input (`centred`), which is the weight's.
///
/// # Panics
/// When there are no channels, or lengths do not match.
pub fn layer_norm_gradient<E: Element>(
    isa: Isa,
    input: &[E],
    PixelMoments(moments): &PixelMoments,
    weight: &[f32],
    gradient: &mut [E],
) -> GradientSums {
    let channels = weight.len();
    check_pixels(input.len(), channels);
    assert_eq!(gradient.len(), input.len(), "a gradient of the input's shape");
    assert_eq!(moments.len(), input.len() / channels, "moments of each pixel of {channels} channels");
    let pixels = chunk_pixels(channels);
    let mut parts = vec![0.0_f32; checked_len(&[moments.len().div_ceil(pixels), 2, channels])];
    let chunks = gradient.par_chunks_mut(pixels * channels).zip(input.par_chunks(pixels * channels));
    let chunks = chunks.zip(moments.par_chunks(pixels));
    parts.par_chunks_mut(2 * channels).zip(chunks).for_each(|(sums, ((gradient, input), moments))| {
        isa.run(Backward { input, moments, weight, gradient, sums });
    });
    combined_sums(&parts, channels)
}

struct Backward<'a, E> {
    input: &'a [E],
    moments: &'a [[f32; 2]],
    weight: &'a [f32],
    gradient: &'a mut [E],
    sums: &'a mut [f32],
}

impl<E: Element> Job for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.weight.len();
        for (pixel, &[mean, inverse]) in self.moments.iter().enumerate() {
            // SAFETY: input and gradient hold `channels` values for each pixel that has moments, the weight as many, `sums` two
            // rows of them: `layer_norm_gradient` checked it.
            unsafe {
                let from = self.input.as_ptr().add(pixel * channels);
                let here = self.gradient.as_mut_ptr().add(pixel * channels);
                let sums = self.sums.as_mut_ptr();
                let normalised = |at: usize, lanes: usize| {
                    S::mul(S::sub(load::<S, E>(from.add(at), lanes), S::splat(mean)), S::splat(inverse))
                };
                let (mut plain, mut centred) = (S::splat(0.0), S::splat(0.0));
                each::<S>(channels, |at, lanes| {
                    let gradient = load::<S, E>(here.add(at), lanes);
                    let value = normalised(at, lanes);
                    let weighed = S::mul(gradient, load::<S, f32>(self.weight.as_ptr().add(at), lanes));
                    plain = S::add(plain, weighed);
                    centred = S::fma(weighed, value, centred);
                    let to = sums.add(at);
                    store::<S, f32>(to, S::add(load::<S, f32>(to, lanes), gradient), lanes);
                    let to = sums.add(channels + at);
                    store::<S, f32>(to, S::fma(gradient, value, load::<S, f32>(to, lanes)), lanes);
                });
                let [plain, centred] = [plain, centred].map(|sum| total::<S>(sum) / channels as f32);
                each::<S>(channels, |at, lanes| {
                    let gradient = load::<S, E>(here.add(at), lanes);
                    let weighed = S::mul(gradient, load::<S, f32>(self.weight.as_ptr().add(at), lanes));
                    let rest = S::fma(normalised(at, lanes), S::splat(centred), S::splat(plain));
                    let result = S::mul(S::sub(weighed, rest), S::splat(inverse));
                    store::<S, E>(here.add(at), result, lanes);
                });
            }
        }
    }
}

/// Visits the vectors of a pixel: where each begins, and its lanes.
#[inline(always)]
fn each<S: Simd>(channels: usize, mut visit: impl FnMut(usize, usize)) {
    let whole = channels - channels % S::LANES;
    for at in (0..whole).step_by(S::LANES) {
        visit(at, S::LANES);
    }
    if whole < channels {
        visit(whole, channels - whole);
    }
}
