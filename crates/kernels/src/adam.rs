//! One step of fastai's Adam, in one pass over a parameter.

use rayon::prelude::*;

use crate::element::{load, store};
use crate::isa::Isa;
use crate::simd::{Job, Simd};

/// Factors of a step; see `sciurus::Adam` for the formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Factor of the weights: 1, or `1 - learning rate * weight decay`.
    pub keep: f32,
    /// Factor (0..1) of the old average.
    pub momentum: f32,
    /// Factor (0..1) of the old average square.
    pub squared_momentum: f32,
    /// Learning rate divided by the average's debiasing.
    pub rate: f32,
    /// Divisor of the average square.
    pub debias_square: f32,
    /// Added to the root of the average square.
    pub epsilon: f32,
}

/// Computes the next weights: `next = weights * keep - rate * average / (sqrt(square / debias_square) + epsilon)`. Before that,
/// moves average and square towards the gradient and its square.
///
/// # Panics
/// When lengths differ.
pub fn adam_step(
    isa: Isa,
    step: AdamStep,
    [weights, gradient]: [&[f32]; 2],
    [average, square]: [&mut [f32]; 2],
    next: &mut [f32],
) {
    const CHUNK: usize = 16 * 1024;
    let len = weights.len();
    let lengths = [gradient.len(), average.len(), square.len(), next.len()];
    assert!(lengths.iter().all(|&other| other == len), "one length: {len} and {lengths:?}");
    let moments = average.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
    let weights = weights.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK));
    next.par_chunks_mut(CHUNK).zip(moments.zip(weights)).for_each(
        |(next, ((average, square), (weights, gradient)))| {
            isa.run(Chunk { step, weights, gradient, average, square, next });
        },
    );
}

struct Chunk<'a> {
    step: AdamStep,
    weights: &'a [f32],
    gradient: &'a [f32],
    average: &'a mut [f32],
    square: &'a mut [f32],
    next: &'a mut [f32],
}

impl Job for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let AdamStep { keep, momentum, squared_momentum, rate, debias_square, epsilon } = self.step;
        for at in (0..self.weights.len()).step_by(S::LANES) {
            let lanes = S::LANES.min(self.weights.len() - at);
            // SAFETY: `at + lanes` lies within the slices, which have one length: `adam_step` compared them, and cut all alike.
            unsafe {
                let [average_at, square_at] =
                    [self.average.as_mut_ptr().add(at), self.square.as_mut_ptr().add(at)];
                let gradient = load::<S, f32>(self.gradient.as_ptr().add(at), lanes);
                let kept = S::mul(load::<S, f32>(average_at, lanes), S::splat(momentum));
                let average = S::add(kept, S::mul(gradient, S::splat(1.0 - momentum)));
                let kept = S::mul(load::<S, f32>(square_at, lanes), S::splat(squared_momentum));
                let square =
                    S::add(kept, S::mul(S::mul(gradient, gradient), S::splat(1.0 - squared_momentum)));
                store::<S, f32>(average_at, average, lanes);
                store::<S, f32>(square_at, square, lanes);
                let root = S::sqrt(S::div(square, S::splat(debias_square)));
                let change = S::mul(S::div(average, S::add(root, S::splat(epsilon))), S::splat(rate));
                let weights = S::mul(load::<S, f32>(self.weights.as_ptr().add(at), lanes), S::splat(keep));
                store::<S, f32>(self.next.as_mut_ptr().add(at), S::sub(weights, change), lanes);
            }
        }
    }
}
