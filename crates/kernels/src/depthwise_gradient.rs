//! The gradient of a depthwise convolution with respect to its weights: for each kernel position, the sum of gradient × input
//! over all pixels.
//!
//! The output's rows are divided into shares that depend only on the shape, not on the number of threads. Each share has its own
//! sums, which are added in order, so that the result is always the same.

use std::ops::Range;

use rayon::prelude::*;

use crate::depthwise::{COLUMNS, check};
use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::size::checked_len;

/// Fewest shares, if there are that many rows: enough to keep many cores busy.
const SHARES: usize = 16;

/// The gradient with respect to the weights `[channel, 1, kernel height, kernel width]` of a depthwise convolution, from
/// input `[batch, height, width, channel]` and output gradient `[batch, out height, out width, channel]`.
/// `weight_gradient` is replaced.
///
/// # Panics
/// As [`depthwise_forward`](crate::depthwise_forward).
pub fn depthwise_weight_gradient<E: Element>(
    isa: Isa,
    shape: &ConvShape,
    input: &[E],
    output_gradient: &[E],
    weight_gradient: &mut [f32],
) {
    let channels = check(shape, input.len(), output_gradient.len());
    let area = shape.kernel[0] * shape.kernel[1];
    assert_eq!(weight_gradient.len(), channels * area, "depthwise weight gradient of {shape:?}");
    let rows = shape.batch * shape.out_size()[0];
    let share = rows.div_ceil(SHARES);
    let zeros = vec![E::default(); channels];
    let mut sums = vec![0.0_f32; checked_len(&[rows.div_ceil(share), area, channels])];
    sums.par_chunks_exact_mut(area * channels).enumerate().for_each(|(index, sums)| {
        let rows = index * share..rows.min((index + 1) * share);
        isa.run(Share { shape, input, gradient: output_gradient, zeros: &zeros, sums, rows });
    });
    for (channel, gradient) in weight_gradient.chunks_exact_mut(area).enumerate() {
        for (place, gradient) in gradient.iter_mut().enumerate() {
            let at = place * channels + channel;
            *gradient = sums.iter().skip(at).step_by(area * channels).sum();
        }
    }
}

/// Some rows of the output, counted over the batch, and their sums `[kernel height, kernel width, channel]`.
struct Share<'a, E> {
    shape: &'a ConvShape,
    input: &'a [E],
    gradient: &'a [E],
    zeros: &'a [E],
    sums: &'a mut [f32],
    rows: Range<usize>,
}

impl<E: Element> Job for Share<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the slices have the shape's lengths, which `depthwise_weight_gradient` checked, its kernel no more columns
        // than `COLUMNS`; of each line here `(PIXELS - 1) * STRIDE + KERNEL` is no more either.
        unsafe {
            match (self.shape.kernel[1], self.shape.stride) {
                (3, 1) => self.all::<S, 3, 1, 8>(),
                (3, 2) => self.all::<S, 3, 2, 6>(),
                (5, 1) => self.all::<S, 5, 1, 8>(),
                (5, 2) => self.all::<S, 5, 2, 5>(),
                (7, 1) => self.all::<S, 7, 1, 7>(),
                _ => self.all::<S, 0, 0, 1>(),
            }
        }
    }
}

impl<E: Element> Share<'_, E> {
    /// Adds all products, `PIXELS` neighbouring output pixels at a time. A `KERNEL` of 0 stands for a width that is not known at
    /// compile time.
    ///
    /// # Safety
    /// The slices have the shape's lengths; `KERNEL` and `STRIDE` are the shape's or 0 with one pixel at a time;
    /// `(PIXELS - 1) * STRIDE + KERNEL` is at most [`COLUMNS`]; the processor has the features of `S`.
    #[inline(always)]
    unsafe fn all<S: Simd, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(&mut self) {
        let ConvShape { size: [height, width], kernel, stride, padding, .. } = *self.shape;
        let [out_height, out_width] = self.shape.out_size();
        let channels = self.zeros.len();
        let mut gradients = [self.zeros.as_ptr(); PIXELS];
        let mut columns = [self.zeros.as_ptr(); COLUMNS];
        for row in self.rows.clone() {
            let (image, out_y) = (row / out_height, row % out_height);
            for first in (0..out_width).step_by(PIXELS) {
                let present = PIXELS.min(out_width - first);
                for (pixel, pointer) in gradients.iter_mut().enumerate() {
                    *pointer = if pixel < present {
                        self.gradient[(row * out_width + first + pixel) * channels..].as_ptr()
                    } else {
                        self.zeros.as_ptr()
                    };
                }
                for kernel_row in 0..kernel[0] {
                    let y = (out_y * stride + kernel_row).wrapping_sub(padding);
                    if y >= height {
                        continue;
                    }
                    let needed = (present - 1) * stride + kernel[1];
                    for (column, pointer) in columns.iter_mut().enumerate() {
                        let x = (first * stride + column).wrapping_sub(padding);
                        *pointer = if column < needed && x < width {
                            self.input[((image * height + y) * width + x) * channels..].as_ptr()
                        } else {
                            self.zeros.as_ptr()
                        };
                    }
                    let mut channel = 0;
                    while channel < channels {
                        let lanes = S::LANES.min(channels - channel);
                        let at = kernel_row * kernel[1] * channels + channel;
                        // SAFETY: the caller's promise; every pointer, a whole pixel of a slice or the zeros, reaches
                        // `channels` values, and `sums` as many from each place of the kernel on.
                        unsafe {
                            self.add::<S, KERNEL, STRIDE, PIXELS>(
                                (&gradients, &columns),
                                (channel, lanes),
                                at,
                            );
                        };
                        channel += lanes;
                    }
                }
            }
        }
    }

    /// Adds the products of some pixels with a row of the kernel to the sums from `at` on.
    ///
    /// # Safety
    /// As for `all`; every pointer reaches `channel + lanes` values, and `sums` has `lanes` values from `at` on and from as
    /// many channels later for each further column of the kernel.
    #[inline(always)]
    unsafe fn add<S: Simd, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
        &mut self,
        (gradients, columns): (&[*const E; PIXELS], &[*const E; COLUMNS]),
        (channel, lanes): (usize, usize),
        at: usize,
    ) {
        let channels = self.zeros.len();
        let kernel = if KERNEL == 0 { self.shape.kernel[1] } else { KERNEL };
        // SAFETY: the caller's promise.
        unsafe {
            let sums = self.sums.as_mut_ptr().add(at);
            let mut gradient = [S::splat(0.0); PIXELS];
            for (gradient, pointer) in gradient.iter_mut().zip(gradients) {
                *gradient = load::<S, E>(pointer.add(channel), lanes);
            }
            if KERNEL == 0 {
                for (place, column) in columns.iter().enumerate().take(kernel) {
                    let to = sums.add(place * channels);
                    let pixel = load::<S, E>(column.add(channel), lanes);
                    store::<S, f32>(to, S::fma(gradient[0], pixel, load::<S, f32>(to, lanes)), lanes);
                }
                return;
            }
            let mut pixels = [S::splat(0.0); COLUMNS];
            for column in 0..(PIXELS - 1) * STRIDE + KERNEL {
                pixels[column] = load::<S, E>(columns[column].add(channel), lanes);
            }
            for place in 0..KERNEL {
                let to = sums.add(place * channels);
                let mut sum = load::<S, f32>(to, lanes);
                for pixel in 0..PIXELS {
                    sum = S::fma(gradient[pixel], pixels[pixel * STRIDE + place], sum);
                }
                store::<S, f32>(to, sum, lanes);
            }
        }
    }
}
