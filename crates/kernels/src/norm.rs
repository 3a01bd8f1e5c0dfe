//! The layers between convolutions: batch norm, shortcut and nonlinearity in one pass, and their gradients in two.
//!
//! All functions work on contiguous pixels with `channels` values each. Pixels are divided into chunks whose size depends only on
//! the shape, and sums are added in the order of the chunks, in f64. Results therefore do not depend on the number of threads.

use std::marker::PhantomData;

use rayon::prelude::*;

use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::nonlinearity::{Curve, Nonlinearity, with_curve};
use crate::pointer::SharedMut;
use crate::simd::{Job, Simd};
use crate::size::{check_pixels, checked_len};

/// Values in a chunk.
const CHUNK: usize = 64 * 1024;
/// Vectors of channels whose sums are kept in registers.
const TOGETHER: usize = 4;

/// Pixels in a chunk. The number of their values fits a `usize`: it is at most [`CHUNK`], or the channels of one pixel.
pub(crate) fn chunk_pixels(channels: usize) -> usize {
    (CHUNK / channels).max(1)
}

/// `output = input * scale + shift`, plus a shortcut, then a nonlinearity, each channel with its own scale and shift.
///
/// # Panics
/// When there are no channels, or lengths do not match.
pub fn normalize<E: Element>(
    isa: Isa,
    input: &[E],
    [scale, shift]: [&[f32]; 2],
    (residual, nonlinearity): (Option<&[E]>, Nonlinearity),
    output: &mut [E],
) {
    let channels = scale.len();
    assert_eq!(shift.len(), channels, "one shift per channel");
    check_pixels(input.len(), channels);
    assert_eq!(input.len(), output.len(), "input and output of one shape");
    assert!(residual.is_none_or(|residual| residual.len() == input.len()), "a shortcut of the same shape");
    let len = chunk_pixels(channels) * channels;
    output.par_chunks_mut(len).enumerate().for_each(|(chunk, output)| {
        let at = chunk * len..chunk * len + output.len();
        let residual = residual.map(|residual| &residual[at.clone()]);
        let input = &input[at];
        with_curve!(nonlinearity, C => {
            isa.run(Normalize::<C, E> { input, scale, shift, residual, output, curve: PhantomData });
        });
    });
}

struct Normalize<'a, C, E> {
    input: &'a [E],
    scale: &'a [f32],
    shift: &'a [f32],
    residual: Option<&'a [E]>,
    output: &'a mut [E],
    curve: PhantomData<C>,
}

impl<C: Curve, E: Element> Job for Normalize<'_, C, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let channels = self.scale.len();
        let whole = channels - channels % S::LANES;
        for pixel in (0..self.input.len()).step_by(channels) {
            // SAFETY: `normalize` checked that input, output and shortcut have one length, whole pixels of `channels` values,
            // and that there are as many scales and shifts.
            unsafe {
                for channel in (0..whole).step_by(S::LANES) {
                    self.vector::<S>(pixel, channel, S::LANES);
                }
                if whole < channels {
                    self.vector::<S>(pixel, whole, channels - whole);
                }
            }
        }
    }
}

impl<C: Curve, E: Element> Normalize<'_, C, E> {
    /// # Safety
    /// The slices hold a pixel from `pixel` on, and `channel + lanes` is at most its channels; the processor has the features
    /// of `S`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&mut self, pixel: usize, channel: usize, lanes: usize) {
        let at = pixel + channel;
        // SAFETY: `at + lanes` and `channel + lanes` lie within the slices, by the caller's promise.
        unsafe {
            let scale = load::<S, f32>(self.scale.as_ptr().add(channel), lanes);
            let shift = load::<S, f32>(self.shift.as_ptr().add(channel), lanes);
            let mut value = S::fma(load::<S, E>(self.input.as_ptr().add(at), lanes), scale, shift);
            if let Some(residual) = self.residual {
                value = S::add(value, load::<S, E>(residual.as_ptr().add(at), lanes));
            }
            store::<S, E>(self.output.as_mut_ptr().add(at), C::value::<S>(value), lanes);
        }
    }
}

/// Sums over all pixels, from which the gradients of a norm layer or a bias are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientSums {
    /// Sum of the gradient `[channel]`.
    pub gradient: Vec<f64>,
    /// Sum of gradient × (input − mean) `[channel]`; zeros where no input was given.
    pub centred: Vec<f64>,
}

/// Sums the gradient of an output over its pixels. If `output` is given, it comes from ReLU, and the gradient counts only where
/// the output is above 0.
///
/// # Panics
/// When there are no channels or no pixels, or lengths do not match.
pub fn gradient_sums<E: Element>(
    isa: Isa,
    channels: usize,
    gradient: &[E],
    output: Option<&[E]>,
    input: Option<(&[E], &[f32])>,
) -> GradientSums {
    check_pixels(gradient.len(), channels);
    // Without pixels, nothing would limit the number of channels, for which memory is allocated.
    assert!(!gradient.is_empty(), "at least one pixel of {channels} channels");
    assert!(output.is_none_or(|output| output.len() == gradient.len()), "an output of the gradient's shape");
    assert!(
        input.is_none_or(|(input, mean)| input.len() == gradient.len() && mean.len() == channels),
        "an input of the gradient's shape"
    );
    let len = chunk_pixels(channels) * channels;
    let mut parts = vec![0.0_f32; checked_len(&[gradient.len().div_ceil(len), 2, channels])];
    parts.par_chunks_mut(2 * channels).enumerate().for_each(|(chunk, sums)| {
        let at = chunk * len..gradient.len().min((chunk + 1) * len);
        let output = output.map(|output| &output[at.clone()]);
        let input = input.map(|(input, mean)| (&input[at.clone()], mean));
        isa.run(Sum { channels, gradient: &gradient[at], output, input, sums });
    });
    combined_sums(&parts, channels)
}

/// Adds parts `[part, 2, channel]` in order.
pub(crate) fn combined_sums(parts: &[f32], channels: usize) -> GradientSums {
    let total = |row: usize| {
        (0..channels)
            .map(|channel| {
                parts.chunks_exact(2 * channels).map(|part| f64::from(part[row * channels + channel])).sum()
            })
            .collect()
    };
    GradientSums { gradient: total(0), centred: total(1) }
}

struct Sum<'a, E> {
    channels: usize,
    gradient: &'a [E],
    output: Option<&'a [E]>,
    input: Option<(&'a [E], &'a [f32])>,
    sums: &'a mut [f32],
}

impl<E: Element> Job for Sum<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let block = S::LANES * TOGETHER;
        let whole = self.channels - self.channels % block;
        // SAFETY: `gradient_sums` checked that the slices have one length, whole pixels of `channels` values, and that there are
        // as many means; `sums` has two rows of them.
        unsafe {
            for channel in (0..whole).step_by(block) {
                self.block::<S, TOGETHER>(channel, S::LANES);
            }
            for channel in (whole..self.channels).step_by(S::LANES) {
                self.block::<S, 1>(channel, S::LANES.min(self.channels - channel));
            }
        }
    }
}

impl<E: Element> Sum<'_, E> {
    /// # Safety
    /// The slices are as `run` says; `VECTORS` whole vectors, or one of `lanes`, lie within a pixel from `channel` on; the
    /// processor has the features of `S`.
    #[inline(always)]
    unsafe fn block<S: Simd, const VECTORS: usize>(&mut self, channel: usize, lanes: usize) {
        // SAFETY: the block's channels lie within every pixel, the means and both rows of sums, by the caller's promise.
        unsafe {
            let mut totals = [S::splat(0.0); VECTORS];
            let mut centred = [S::splat(0.0); VECTORS];
            for pixel in (0..self.gradient.len()).step_by(self.channels) {
                for vector in 0..VECTORS {
                    let within = channel + vector * S::LANES;
                    let at = pixel + within;
                    let mut gradient = load::<S, E>(self.gradient.as_ptr().add(at), lanes);
                    if let Some(output) = self.output {
                        gradient = S::where_positive(load::<S, E>(output.as_ptr().add(at), lanes), gradient);
                    }
                    totals[vector] = S::add(totals[vector], gradient);
                    if let Some((input, mean)) = self.input {
                        let mean = load::<S, f32>(mean.as_ptr().add(within), lanes);
                        let difference = S::sub(load::<S, E>(input.as_ptr().add(at), lanes), mean);
                        centred[vector] = S::fma(gradient, difference, centred[vector]);
                    }
                }
            }
            let sums = self.sums.as_mut_ptr();
            for vector in 0..VECTORS {
                let at = channel + vector * S::LANES;
                store::<S, f32>(sums.add(at), totals[vector], lanes);
                store::<S, f32>(sums.add(self.channels + at), centred[vector], lanes);
            }
        }
    }
}

/// The gradient of a norm layer's input: `gradient * by_gradient + input * by_input + constant`, each `[channel]`.
///
/// From Ioffe & Szegedy 2015, with `n` pixels, `s = 1 / sqrt(variance + epsilon)` and the [`GradientSums`]:
/// `by_gradient = weight s`, `by_input = - weight s³ centred / n`, `constant = - weight s gradient / n - mean by_input`.
#[derive(Debug, Clone, PartialEq)]
pub struct NormGradient {
    /// Factor of the output's gradient.
    pub by_gradient: Vec<f32>,
    /// Factor of the layer's input.
    pub by_input: Vec<f32>,
    /// The constant term.
    pub constant: Vec<f32>,
}

/// Turns the gradient of `relu(norm(input) + shortcut)` into that of `input`.
///
/// If `output` is given, it comes from ReLU. With `into`, the result goes there, and `gradient` keeps what passed the ReLU,
/// which is the shortcut's gradient. Without it, the result replaces `gradient`.
///
/// # Panics
/// When there are no channels, or lengths do not match.
pub fn norm_gradient<E: Element>(
    isa: Isa,
    factors: &NormGradient,
    (input, output): (&[E], Option<&[E]>),
    gradient: &mut [E],
    into: Option<&mut [E]>,
) {
    let channels = factors.by_gradient.len();
    assert!(
        factors.by_input.len() == channels && factors.constant.len() == channels,
        "factors of one length"
    );
    check_pixels(input.len(), channels);
    assert_eq!(gradient.len(), input.len(), "a gradient of the input's shape");
    assert!(output.is_none_or(|output| output.len() == input.len()), "an output of the input's shape");
    assert!(into.as_ref().is_none_or(|into| into.len() == input.len()), "a result of the input's shape");
    let len = chunk_pixels(channels) * channels;
    let into = into.map(SharedMut::new);
    gradient.par_chunks_mut(len).enumerate().for_each(|(chunk, gradient)| {
        let at = chunk * len..chunk * len + gradient.len();
        // SAFETY: every chunk has its own part, and a single thread works on it.
        let into = into.as_ref().map(|into| unsafe { into.part(at.start, at.len()) });
        let output = output.map(|output| &output[at.clone()]);
        isa.run(Apply { factors, input: &input[at], output, gradient, into });
    });
}

struct Apply<'a, E> {
    factors: &'a NormGradient,
    input: &'a [E],
    output: Option<&'a [E]>,
    gradient: &'a mut [E],
    into: Option<&'a mut [E]>,
}

impl<E: Element> Job for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let channels = self.factors.by_gradient.len();
        for pixel in (0..self.input.len()).step_by(channels) {
            for channel in (0..channels).step_by(S::LANES) {
                // SAFETY: `norm_gradient` checked that the slices have one length, whole pixels of `channels` values, and that
                // there are as many of each factor.
                unsafe { self.vector::<S>(pixel + channel, channel, S::LANES.min(channels - channel)) };
            }
        }
    }
}

impl<E: Element> Apply<'_, E> {
    /// # Safety
    /// `at + lanes` lies within the slices, `channel + lanes` within the factors; the processor has the features of `S`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&mut self, at: usize, channel: usize, lanes: usize) {
        let NormGradient { by_gradient, by_input, constant } = self.factors;
        // SAFETY: the caller's promise.
        unsafe {
            let here = self.gradient.as_mut_ptr().add(at);
            let mut gradient = load::<S, E>(here, lanes);
            if let Some(output) = self.output {
                gradient = S::where_positive(load::<S, E>(output.as_ptr().add(at), lanes), gradient);
            }
            let input = load::<S, E>(self.input.as_ptr().add(at), lanes);
            let constant = load::<S, f32>(constant.as_ptr().add(channel), lanes);
            let by_input = S::fma(input, load::<S, f32>(by_input.as_ptr().add(channel), lanes), constant);
            let result = S::fma(gradient, load::<S, f32>(by_gradient.as_ptr().add(channel), lanes), by_input);
            match &mut self.into {
                Some(into) => {
                    store::<S, E>(here, gradient, lanes);
                    store::<S, E>(into.as_mut_ptr().add(at), result, lanes);
                }
                None => store::<S, E>(here, result, lanes),
            }
        }
    }
}

/// Sets the gradient to 0 where ReLU's `output` is not above 0.
///
/// # Panics
/// When lengths do not match.
pub fn relu_gradient<E: Element>(isa: Isa, output: &[E], gradient: &mut [E]) {
    assert_eq!(output.len(), gradient.len(), "an output of the gradient's shape");
    gradient.par_chunks_mut(CHUNK).zip(output.par_chunks(CHUNK)).for_each(|(gradient, output)| {
        isa.run(Mask { output, gradient });
    });
}

struct Mask<'a, E> {
    output: &'a [E],
    gradient: &'a mut [E],
}

impl<E: Element> Job for Mask<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.output.len()).step_by(S::LANES) {
            let lanes = S::LANES.min(self.output.len() - at);
            // SAFETY: `at + lanes` lies within both slices, whose lengths `relu_gradient` compared.
            unsafe {
                let here = self.gradient.as_mut_ptr().add(at);
                let output = load::<S, E>(self.output.as_ptr().add(at), lanes);
                store::<S, E>(here, S::where_positive(output, load::<S, E>(here, lanes)), lanes);
            }
        }
    }
}
