//! The backward pass through a nonlinearity and the norm layer or bias before it, with the sums that the layer's gradients need.

use rayon::prelude::*;

use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::nonlinearity::{Curve, Nonlinearity, with_curve};
use crate::norm::{GradientSums, chunk_pixels, combined_sums};
use crate::simd::{Job, Simd};
use crate::size::{check_pixels, checked_len};

/// The inputs of an activation `nonlinearity(input * scale + shift)`, where each channel has its own scale and shift.
#[derive(Debug, Clone, Copy)]
pub struct Activated<'a, E> {
    /// Pixels `[…, channel]`.
    pub input: &'a [E],
    /// Scale and shift `[channel]`.
    pub affine: [&'a [f32]; 2],
    /// The function that was applied.
    pub nonlinearity: Nonlinearity,
}

/// Turns the gradient of an activation into that of `input * scale + shift`, in place. Returns two sums of the latter over
/// pixels: plain, and times (input − `mean`).
///
/// # Panics
/// When there are no channels, or lengths do not match.
pub fn activation_gradient<E: Element>(
    isa: Isa,
    activated: &Activated<'_, E>,
    mean: &[f32],
    gradient: &mut [E],
) -> GradientSums {
    let Activated { input, affine: [scale, shift], nonlinearity } = *activated;
    let channels = mean.len();
    assert!(scale.len() == channels && shift.len() == channels, "one scale, shift and mean per channel");
    check_pixels(input.len(), channels);
    assert_eq!(gradient.len(), input.len(), "a gradient of the input's shape");
    let len = chunk_pixels(channels) * channels;
    let mut parts = vec![0.0_f32; checked_len(&[gradient.len().div_ceil(len), 2, channels])];
    let chunks = gradient.par_chunks_mut(len).zip(input.par_chunks(len));
    parts.par_chunks_mut(2 * channels).zip(chunks).for_each(|(sums, (gradient, input))| {
        let chunk = Chunk { input, affine: [scale, shift], mean, gradient, sums };
        with_curve!(nonlinearity, C => isa.run(Through::<C, E>(chunk, std::marker::PhantomData)));
    });
    combined_sums(&parts, channels)
}

struct Chunk<'a, E> {
    input: &'a [E],
    affine: [&'a [f32]; 2],
    mean: &'a [f32],
    gradient: &'a mut [E],
    sums: &'a mut [f32],
}

struct Through<'a, C, E>(Chunk<'a, E>, std::marker::PhantomData<C>);

/// Vectors of channels whose sums are kept in registers: as many bf16 values as a cache line holds.
const TOGETHER: usize = 2;

impl<C: Curve, E: Element> Job for Through<'_, C, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let channels = self.0.mean.len();
        let block = S::LANES * TOGETHER;
        let whole = channels - channels % block;
        // SAFETY: `activation_gradient` checked that input and gradient have one length, whole pixels of `channels` values, and
        // that there are as many scales, shifts and means; `sums` has two rows of them.
        unsafe {
            for channel in (0..whole).step_by(block) {
                self.block::<S, TOGETHER>(channel, S::LANES);
            }
            for channel in (whole..channels).step_by(S::LANES) {
                self.block::<S, 1>(channel, S::LANES.min(channels - channel));
            }
        }
    }
}

impl<C: Curve, E: Element> Through<'_, C, E> {
    /// # Safety
    /// The slices are as `run` says; `VECTORS` whole vectors, or one of `lanes`, lie within a pixel from `channel` on; the
    /// processor has the features of `S`.
    #[inline(always)]
    unsafe fn block<S: Simd, const VECTORS: usize>(&mut self, channel: usize, lanes: usize) {
        let Chunk { input, affine: [scale, shift], mean, gradient, sums } = &mut self.0;
        let channels = mean.len();
        // SAFETY: the block's channels lie within every pixel, the factors and both rows of sums, by the caller's promise.
        unsafe {
            let zero = [S::splat(0.0); VECTORS];
            let [mut totals, mut centred, mut scales, mut shifts, mut means] = [zero; 5];
            for vector in 0..VECTORS {
                let at = channel + vector * S::LANES;
                scales[vector] = load::<S, f32>(scale.as_ptr().add(at), lanes);
                shifts[vector] = load::<S, f32>(shift.as_ptr().add(at), lanes);
                means[vector] = load::<S, f32>(mean.as_ptr().add(at), lanes);
            }
            for pixel in (0..input.len()).step_by(channels) {
                for vector in 0..VECTORS {
                    let at = pixel + channel + vector * S::LANES;
                    let here = gradient.as_mut_ptr().add(at);
                    let value = load::<S, E>(input.as_ptr().add(at), lanes);
                    let passed = C::gradient::<S>(
                        S::fma(value, scales[vector], shifts[vector]),
                        load::<S, E>(here, lanes),
                    );
                    store::<S, E>(here, passed, lanes);
                    totals[vector] = S::add(totals[vector], passed);
                    centred[vector] = S::fma(passed, S::sub(value, means[vector]), centred[vector]);
                }
            }
            for vector in 0..VECTORS {
                let at = channel + vector * S::LANES;
                store::<S, f32>(sums.as_mut_ptr().add(at), totals[vector], lanes);
                store::<S, f32>(sums.as_mut_ptr().add(channels + at), centred[vector], lanes);
            }
        }
    }
}
