//! Depthwise convolutions, where each channel has its own kernel: forward, and the gradient of the input.
//!
//! Pixels are stored with all their channels together, so a vector holds channels of one pixel. A few neighbouring results are
//! computed together: their windows overlap, and each pixel is read once for all of them. Pixels outside the picture are read
//! from a row of zeros. An input gradient with stride `s` takes `s` sweeps per row, one for each residue of the pixel position
//! modulo `s`, because each residue meets different kernel positions.

use rayon::prelude::*;

use crate::conv::measure;
use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::moments::Moments;
use crate::pointer::SharedMut;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::size::checked_len;
use crate::view::Extent;

/// Neighbouring results that are computed together.
const TOGETHER: usize = 4;
/// Most pixels of a source row that their windows cover.
pub(crate) const COLUMNS: usize = 16;
/// Values in a band, which is the rows that one thread takes.
const BAND: usize = 64 * 1024;

/// Convolves each channel by itself: input `[batch, height, width, channel]` to output `[batch, out height, out width,
/// channel]` with `weights` `[channel, 1, kernel height, kernel width]`, and adds `bias` `[channel]`. Returns mean and
/// variance of each output channel, for a norm layer.
///
/// # Panics
/// When a length does not match the shape, its channels in and out differ, or the kernel is wider than 16 pixels.
pub fn depthwise_forward<E: Element>(
    isa: Isa,
    shape: &ConvShape,
    input: &[E],
    [weights, bias]: [&[f32]; 2],
    output: &mut [E],
) -> Moments {
    let channels = check(shape, input.len(), output.len());
    assert_eq!(bias.len(), channels, "one bias per channel");
    let weights = by_place(shape, weights);
    let [out_height, out_width] = shape.out_size();
    let band = (BAND / (out_width * channels)).clamp(1, out_height);
    let bands = out_height.div_ceil(band);
    let mut parts = vec![0.0_f32; checked_len(&[shape.batch, bands, 3, channels])];
    let zeros = vec![E::default(); channels];
    let target = SharedMut::new(output);
    parts.par_chunks_exact_mut(3 * channels).enumerate().for_each(|(task, parts)| {
        let (image, first) = (task / bands, task % bands * band);
        for out_y in first..out_height.min(first + band) {
            let at = (image * out_height + out_y) * out_width * channels;
            // SAFETY: every task writes rows of its own.
            let to = unsafe { target.part(at, out_width * channels) };
            let mut rows = Vec::with_capacity(shape.kernel[0]);
            for row in 0..shape.kernel[0] {
                if let Some(y) = inside(out_y * shape.stride + row, shape.padding, shape.size[0]) {
                    let from = (image * shape.size[0] + y) * shape.size[1] * channels;
                    rows.push(Row {
                        source: &input[from..from + shape.size[1] * channels],
                        weights: &weights[row * shape.kernel[1] * channels..][..shape.kernel[1] * channels],
                    });
                }
            }
            let line = Line {
                rows: &rows,
                channels,
                kernel: shape.kernel[1],
                stride: shape.stride,
                first: -(shape.padding as isize),
                count: out_width,
                step: 1,
                start: bias,
                zeros: &zeros,
            };
            isa.run(Sweep { line, to, parts: Some((&mut *parts, (out_y - first) * out_width)) });
        }
    });
    let rows = |task: usize| band.min(out_height - task % bands * band);
    let counts: Vec<usize> = (0..shape.batch * bands).map(|task| rows(task) * out_width).collect();
    Moments::combined(&parts, channels, &counts)
}

/// The gradient with respect to the input of a depthwise convolution, from that of its output.
///
/// # Panics
/// As [`depthwise_forward`].
pub fn depthwise_input_gradient<E: Element>(
    isa: Isa,
    shape: &ConvShape,
    output_gradient: &[E],
    weights: &[f32],
    input_gradient: &mut [E],
) {
    let channels = check(shape, input_gradient.len(), output_gradient.len());
    let [height, width] = shape.size;
    let [out_height, out_width] = shape.out_size();
    let weights = by_place(shape, weights);
    // If the stride is larger than the row, the phases beyond the row have no pixels.
    let step = shape.stride.min(width);
    let phases: Vec<Phase> = (0..step).map(|phase| Phase::new(shape, phase, &weights)).collect();
    let zeros = vec![E::default(); channels];
    let start = vec![0.0_f32; channels];
    let band = (BAND / (width * channels)).clamp(1, height);
    let bands = height.div_ceil(band);
    let target = SharedMut::new(input_gradient);
    (0..shape.batch * bands).into_par_iter().for_each(|task| {
        let (image, first) = (task / bands, task % bands * band);
        for y in first..height.min(first + band) {
            // SAFETY: every task writes rows of its own.
            let to = unsafe { target.part((image * height + y) * width * channels, width * channels) };
            for phase in &phases {
                let mut rows = Vec::with_capacity(shape.kernel[0]);
                for row in 0..shape.kernel[0] {
                    let Some(distance) = (y + shape.padding).checked_sub(row) else { continue };
                    let out_y = distance / shape.stride;
                    if distance.is_multiple_of(shape.stride) && out_y < out_height {
                        let from = (image * out_height + out_y) * out_width * channels;
                        rows.push(Row {
                            source: &output_gradient[from..from + out_width * channels],
                            weights: &phase.weights[row * phase.kernel * channels..]
                                [..phase.kernel * channels],
                        });
                    }
                }
                let line = Line {
                    rows: &rows,
                    channels,
                    kernel: phase.kernel,
                    stride: 1,
                    first: phase.first,
                    count: (width - phase.x).div_ceil(shape.stride),
                    step,
                    start: &start,
                    zeros: &zeros,
                };
                isa.run(Sweep { line, to: &mut to[phase.x * channels..], parts: None });
            }
        }
    });
}

/// Pixels of an input row that meet the same kernel positions.
struct Phase {
    /// The first of these pixels.
    x: usize,
    /// How many positions along the kernel's width they meet.
    kernel: usize,
    /// The first output pixel that the first of them contributes to; may be outside.
    first: isize,
    /// `[kernel height, kernel, channel]`.
    weights: Vec<f32>,
}

impl Phase {
    /// `by_place` are the weights `[height, width, channel]`.
    fn new(shape: &ConvShape, x: usize, by_place: &[f32]) -> Self {
        let [height, width] = shape.kernel;
        // Output pixel `o` reads input pixel `x` at kernel position `k` if `o * stride = x + padding - k`.
        let residue = (x + shape.padding) % shape.stride;
        let places: Vec<usize> = (0..width).rev().filter(|k| k % shape.stride == residue).collect();
        let channels = shape.channels[0];
        let weights = (0..height).flat_map(|row| places.iter().map(move |place| row * width + place));
        let weights = weights.flat_map(|place| by_place[place * channels..][..channels].iter().copied());
        let first = places
            .first()
            .map_or(0, |&k| ((x + shape.padding) as isize - k as isize) / shape.stride as isize);
        Self { x, kernel: places.len(), first, weights: weights.collect() }
    }
}

/// The source pixel `at - padding`, if it is inside `size`.
fn inside(at: usize, padding: usize, size: usize) -> Option<usize> {
    at.checked_sub(padding).filter(|&at| at < size)
}

/// Checks lengths; returns the channels.
pub(crate) fn check(shape: &ConvShape, input: usize, output: usize) -> usize {
    let [channels, channels_out] = shape.channels;
    assert_eq!(channels, channels_out, "each channel by itself: {shape:?}");
    assert!(shape.kernel[1] <= COLUMNS, "kernel of more than {COLUMNS} columns: {shape:?}");
    shape.check(Extent::whole(input, channels), Extent::whole(output, channels));
    channels
}

/// Weights `[channel, 1, height, width]` as `[height, width, channel]`.
fn by_place(shape: &ConvShape, weights: &[f32]) -> Vec<f32> {
    let area = shape.kernel[0] * shape.kernel[1];
    let channels = shape.channels[0];
    assert_eq!(weights.len(), channels * area, "depthwise weights of {shape:?}");
    let mut turned = vec![0.0; weights.len()];
    for (channel, kernel) in weights.chunks_exact(area).enumerate() {
        for (place, &weight) in kernel.iter().enumerate() {
            turned[place * channels + channel] = weight;
        }
    }
    turned
}

/// A source row of whole pixels, and the weights `[kernel, channel]` it is multiplied by.
struct Row<'a, E> {
    source: &'a [E],
    weights: &'a [f32],
}

/// Results along a row: the window of result `i` begins at source pixel `first + i * stride`, and the result is written to pixel
/// `i * step`. Windows are at most [`COLUMNS`] wide.
struct Line<'a, E> {
    rows: &'a [Row<'a, E>],
    channels: usize,
    kernel: usize,
    stride: usize,
    first: isize,
    count: usize,
    step: usize,
    /// Initial value of the sums `[channel]`.
    start: &'a [f32],
    /// A pixel of zeros, for pixels outside the source `[channel]`.
    zeros: &'a [E],
}

/// One line; the `count` pixels, `step` apart, that it is written to; and the part's pivot, sum and sum of squares `[3, channel]`,
/// with the number of results already in it.
struct Sweep<'a, E> {
    line: Line<'a, E>,
    to: &'a mut [E],
    parts: Option<(&'a mut [f32], usize)>,
}

impl<E: Element> Job for Sweep<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the slices are as long as `Line` says, to which `Sweep`'s makers cut them after they had checked lengths
        // against the shape.
        unsafe {
            match (self.line.kernel, self.line.stride) {
                (1, 1) => self.all::<S, 1, 1, TOGETHER>(),
                (2, 1) => self.all::<S, 2, 1, TOGETHER>(),
                (3, 1) => self.all::<S, 3, 1, TOGETHER>(),
                (3, 2) => self.all::<S, 3, 2, TOGETHER>(),
                (5, 1) => self.all::<S, 5, 1, TOGETHER>(),
                (5, 2) => self.all::<S, 5, 2, TOGETHER>(),
                (7, 1) => self.all::<S, 7, 1, TOGETHER>(),
                _ => self.all::<S, 0, 0, 1>(),
            }
        }
    }
}

impl<E: Element> Sweep<'_, E> {
    /// Computes all results, `RESULTS` at a time. A `KERNEL` of 0 stands for a width that is not known at compile time.
    ///
    /// # Safety
    /// The slices are as long as [`Line`] and [`Row`] say, `KERNEL` and `STRIDE` those of the line or 0 with one result at a
    /// time; `(RESULTS - 1) * STRIDE + KERNEL` is at most [`COLUMNS`]; the processor has the features of `S`.
    #[inline(always)]
    unsafe fn all<S: Simd, const KERNEL: usize, const STRIDE: usize, const RESULTS: usize>(&mut self) {
        let Line { rows, channels, count, .. } = self.line;
        let mut table: Vec<[*const E; COLUMNS]> = vec![[self.line.zeros.as_ptr(); COLUMNS]; rows.len()];
        for first in (0..count).step_by(RESULTS) {
            let present = RESULTS.min(count - first);
            for (row, columns) in rows.iter().zip(&mut table) {
                self.line.point(row.source, first..first + present, columns);
            }
            let mut channel = 0;
            // SAFETY: the caller's promise; every pointer of the table, a whole pixel of a row or the zeros, reaches `channels`
            // values.
            unsafe {
                while channel < channels {
                    let lanes = S::LANES.min(channels - channel);
                    self.sums::<S, KERNEL, STRIDE, RESULTS>(&table, (first, present), (channel, lanes));
                    channel += lanes;
                }
            }
        }
    }

    /// # Safety
    /// As for `all`; `channel + lanes` is at most the line's channels, `first + present` its count.
    #[inline(always)]
    unsafe fn sums<S: Simd, const KERNEL: usize, const STRIDE: usize, const RESULTS: usize>(
        &mut self,
        table: &[[*const E; COLUMNS]],
        (first, present): (usize, usize),
        (channel, lanes): (usize, usize),
    ) {
        let channels = self.line.channels;
        let kernel = if KERNEL == 0 { self.line.kernel } else { KERNEL };
        // SAFETY: the caller's promise: weights have `channels` values for each place of the kernel, the last result is pixel
        // `(count - 1) * step`, and a part has three rows of `channels` values.
        unsafe {
            let mut sums = [load::<S, f32>(self.line.start.as_ptr().add(channel), lanes); RESULTS];
            for (row, columns) in self.line.rows.iter().zip(table) {
                let weights = row.weights.as_ptr().add(channel);
                if KERNEL == 0 {
                    for (place, column) in columns.iter().enumerate().take(kernel) {
                        let weight = load::<S, f32>(weights.add(place * channels), lanes);
                        let pixel = load::<S, E>(column.add(channel), lanes);
                        sums[0] = S::fma(pixel, weight, sums[0]);
                    }
                    continue;
                }
                let mut pixels = [S::splat(0.0); COLUMNS];
                for column in 0..(RESULTS - 1) * STRIDE + KERNEL {
                    pixels[column] = load::<S, E>(columns[column].add(channel), lanes);
                }
                for place in 0..KERNEL {
                    let weight = load::<S, f32>(weights.add(place * channels), lanes);
                    for result in 0..RESULTS {
                        sums[result] = S::fma(pixels[result * STRIDE + place], weight, sums[result]);
                    }
                }
            }
            let step = self.line.step * channels;
            let to = self.to.as_mut_ptr().add(first * step + channel);
            for (result, &sum) in sums.iter().enumerate().take(present) {
                store::<S, E>(to.add(result * step), sum, lanes);
            }
            if let Some((parts, before)) = &mut self.parts {
                let column = sums.iter().copied().take(present);
                measure::<S>(column, (parts.as_mut_ptr(), channels), (channel, lanes), *before + first);
            }
        }
    }
}

impl<E: Element> Line<'_, E> {
    /// Pointers to the pixels that some results need; pixels outside the source point to zeros.
    #[inline(always)]
    fn point(&self, source: &[E], results: std::ops::Range<usize>, columns: &mut [*const E; COLUMNS]) {
        let width = (source.len() / self.channels) as isize;
        let first = self.first + (results.start * self.stride) as isize;
        let needed = (results.len() - 1) * self.stride + self.kernel;
        for (column, pointer) in columns.iter_mut().enumerate() {
            let x = first + column as isize;
            *pointer = if column < needed && x >= 0 && x < width {
                source[x as usize * self.channels..].as_ptr()
            } else {
                self.zeros.as_ptr()
            };
        }
    }
}
