//! The gradient of a convolution with respect to its weights: a matrix product that sums over all pixels of the batch.
//!
//! Rows are the places of a kernel row and channel (`run`), columns the output channels. Images are taken a few at a
//! time. First their output gradient is laid out in panels; then each task, which owns some rows for all columns, lays
//! out its share of the input image by image and multiplies. For bf16 "laying out" pairs each pixel with the next one,
//! because the dot product sums over two. Every result is summed by one task in a fixed order, so it does not depend on
//! the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::arena::Buffer;
use crate::element::{Element, pair};
use crate::isa::Isa;
use crate::pointer::{Shared, SharedMut};
use crate::scratch;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::tile::{accumulate, zeros};
use crate::view::View;

/// Rows of a task, at most.
const BLOCK: usize = 96;
/// Rows of a tile; a block is a whole number of them.
const ROWS: usize = 6;
/// Steps (words) that are laid out and multiplied before sums go back to memory: what two operands may fill of the
/// first-level cache.
const STEPS: usize = 64;
/// Bytes of output gradient that are laid out at a time.
const GROUP_BYTES: usize = 6 << 20;
/// Tasks there should be at least; where rows are few, images are dealt out too.
const TASKS: usize = 14;

/// The gradient with respect to the weights `[out, in, kernel height, kernel width]`, from input
/// `[batch, height, width, in]` and output gradient `[batch, out height, out width, out]`. `weight_gradient` is replaced.
///
/// # Panics
/// When a length does not fit the shape.
pub fn conv_weight_gradient<E: Element>(
    isa: Isa,
    shape: &ConvShape,
    input: View<'_, E>,
    output_gradient: View<'_, E>,
    weight_gradient: &mut [f32],
) {
    shape.check(input.extent(), output_gradient.extent());
    assert_eq!(weight_gradient.len(), shape.weights_len(), "weight gradient of {shape:?}");

    let layout = Layout::new::<E>(isa, shape);
    let mut sums = Buffer::<f32>::zeroed(layout.parts * layout.rows() * layout.columns);
    let mut panels = Buffer::<u32>::stale(layout.group * layout.image_words());
    let input = Shared::new(&input.values[input.offset..], input.spacing);
    let gradient = Shared::new(&output_gradient.values[output_gradient.offset..], output_gradient.spacing);
    for first in (0..shape.batch).step_by(layout.group) {
        let images = first..shape.batch.min(first + layout.group);
        let columns = SharedMut::new(&mut panels);
        images.clone().into_par_iter().for_each(|image| {
            // SAFETY: every image has its own words.
            let to = unsafe { columns.part((image - first) * layout.image_words(), layout.image_words()) };
            isa.run(LayOutColumns { layout: &layout, gradient: &gradient, image, to });
        });
        let shared = SharedMut::new(&mut sums);
        (0..layout.tasks()).into_par_iter().for_each(|task| {
            scratch::with(STEPS * layout.block, |rows| {
                let len = layout.block * layout.columns;
                // SAFETY: every task has its own rows.
                let sums = unsafe { shared.part(task * len, len) };
                isa.run(Multiply {
                    layout: &layout,
                    input: &input,
                    panels: &panels,
                    rows,
                    sums,
                    task,
                    images: images.clone(),
                });
            });
        });
    }
    layout.hand_out(&sums, weight_gradient);
}

/// How the product is cut up.
#[derive(Debug)]
struct Layout {
    shape: ConvShape,
    /// Values of a kernel row: kernel width × channels in.
    run: usize,
    /// Rows of a block, and blocks in a kernel row; the last one may be filled up.
    block: usize,
    blocks: usize,
    /// Columns, filled up to whole panels.
    columns: usize,
    /// Vectors of a tile, and so of a panel; words of one panel's step.
    vectors: usize,
    width: usize,
    /// Steps of one image: its output pixels, in words.
    steps: usize,
    /// Images laid out at a time.
    group: usize,
    /// Shares that the images of a group are dealt into.
    parts: usize,
}

impl Layout {
    fn new<E: Element>(isa: Isa, shape: &ConvShape) -> Self {
        let [out_height, out_width] = shape.out_size();
        let run = shape.kernel[1] * shape.channels[0];
        let block = BLOCK.min(run.next_multiple_of(ROWS));
        let vectors = panel_vectors::<E>(isa, shape.channels[1]);
        let width = isa.lanes() * vectors;
        let columns = shape.channels[1].next_multiple_of(width);
        let steps = (out_height * out_width).div_ceil(E::PER_WORD);
        let blocks = run.div_ceil(block);
        let group = (GROUP_BYTES / (steps * columns * 4)).clamp(1, shape.batch);
        let parts = TASKS.div_ceil(blocks * shape.kernel[0]).min(group);
        Self { shape: *shape, run, block, blocks, columns, vectors, width, steps, group, parts }
    }

    /// Rows of one part, filled up to whole blocks.
    fn rows(&self) -> usize {
        self.shape.kernel[0] * self.blocks * self.block
    }

    fn tasks(&self) -> usize {
        self.parts * self.shape.kernel[0] * self.blocks
    }

    fn image_words(&self) -> usize {
        self.steps * self.columns
    }

    /// Adds the parts up and brings the sums into the order of the weights.
    fn hand_out(&self, sums: &[f32], weight_gradient: &mut [f32]) {
        const TOGETHER: usize = 16;
        let [channels_in, _] = self.shape.channels;
        let [kernel_height, kernel_width] = self.shape.kernel;
        let area = kernel_height * kernel_width;
        let one = channels_in * area;
        weight_gradient.par_chunks_mut(TOGETHER * one).enumerate().for_each(|(chunk, target)| {
            for channel in 0..channels_in {
                for place in 0..area {
                    let (row, column) = (place / kernel_width, place % kernel_width);
                    let value = column * channels_in + channel;
                    let at = ((row * self.blocks + value / self.block) * self.block + value % self.block)
                        * self.columns
                        + chunk * TOGETHER;
                    for (out, target) in target.chunks_exact_mut(one).enumerate() {
                        let parts =
                            (0..self.parts).map(|part| sums[part * self.rows() * self.columns + at + out]);
                        target[channel * area + place] = parts.sum();
                    }
                }
            }
        });
    }
}

/// Vectors of a panel: as many as fill columns up least, and of those the most.
fn panel_vectors<E: Element>(isa: Isa, channels: usize) -> usize {
    let filled = |vectors: usize| channels.next_multiple_of(vectors * isa.lanes());
    (1..=isa.panel_vectors::<E>()).rev().min_by_key(|&vectors| filled(vectors)).unwrap_or(1)
}

/// Lays out the output gradient of one image: for each panel, for each step, its columns.
struct LayOutColumns<'a, E> {
    layout: &'a Layout,
    gradient: &'a Shared<E>,
    image: usize,
    to: &'a mut [u32],
}

impl<E: Element> Job for LayOutColumns<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Layout { shape, columns, width, steps, .. } = self.layout;
        let [out_height, out_width] = shape.out_size();
        let pixels = out_height * out_width;
        let spacing = self.gradient.spacing;
        let zeros = [E::default(); BLOCK];
        for panel in 0..columns / width {
            let channel = panel * width;
            let present = (shape.channels[1] - channel).min(*width);
            for step in 0..*steps {
                // SAFETY: the image's pixels lie within the gradient; a pixel beyond the last is zeros.
                unsafe {
                    let first = self
                        .gradient
                        .pointer()
                        .add((self.image * pixels + step * E::PER_WORD) * spacing + channel);
                    let second = if step * E::PER_WORD + 1 < pixels {
                        first.wrapping_add(spacing)
                    } else {
                        zeros.as_ptr()
                    };
                    let to = self.to.as_mut_ptr().add((panel * steps + step) * width);
                    pair::<S, E>(to, first, second, present);
                    to.add(present).write_bytes(0, width - present);
                }
            }
        }
    }
}

/// One task: a block of rows, for all columns, over its share of a group's images.
struct Multiply<'a, E> {
    layout: &'a Layout,
    input: &'a Shared<E>,
    panels: &'a [u32],
    rows: &'a mut [u32],
    sums: &'a mut [f32],
    task: usize,
    images: Range<usize>,
}

/// Side-by-side values that lie in a block.
#[derive(Debug, Clone)]
struct Piece {
    /// For each output pixel, and for none after the last: its values' place from the picture's beginning, if inside.
    places: Vec<u32>,
    len: usize,
}

/// A place outside of the picture.
const OUTSIDE: u32 = u32::MAX;

impl<E: Element> Job for Multiply<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let layout = self.layout;
        let tasks_of_part = layout.tasks() / layout.parts;
        let (part, rest) = (self.task / tasks_of_part, self.task % tasks_of_part);
        let (kernel_row, block) = (rest / layout.blocks, rest % layout.blocks);
        let values = block * layout.block..layout.run.min((block + 1) * layout.block);
        let pieces = self.pieces(kernel_row, values.clone());
        let share = self.images.len().div_ceil(layout.parts);
        for image in self.images.clone().skip(part * share).take(share) {
            for first in (0..layout.steps).step_by(STEPS) {
                let steps = first..layout.steps.min(first + STEPS);
                // SAFETY: `rows` holds so many steps, `panels` the group's images, `sums` the block.
                unsafe {
                    self.lay_out::<S>(image, &pieces, steps.clone());
                    match layout.vectors {
                        4 => self.multiply::<S, 4>(image, values.len(), steps),
                        3 => self.multiply::<S, 3>(image, values.len(), steps),
                        2 => self.multiply::<S, 2>(image, values.len(), steps),
                        _ => self.multiply::<S, 1>(image, values.len(), steps),
                    }
                }
            }
        }
    }
}

impl<E: Element> Multiply<'_, E> {
    fn pieces(&self, kernel_row: usize, values: Range<usize>) -> Vec<Piece> {
        let shape = &self.layout.shape;
        let channels = shape.channels[0];
        // Without zeros around the picture, a kernel row lies side by side and is one piece.
        let together = shape.padding == 0 && self.input.spacing == channels;
        let Range { start: mut value, end } = values;
        let mut pieces = Vec::new();
        while value < end {
            let (column, channel) = (value / channels, value % channels);
            let len = if together { end - value } else { (channels - channel).min(end - value) };
            pieces.push(Piece { places: self.places(kernel_row, column, channel), len });
            value += len;
        }
        pieces
    }

    /// Where each output pixel finds a channel of a place of the kernel.
    fn places(&self, kernel_row: usize, column: usize, channel: usize) -> Vec<u32> {
        let shape = &self.layout.shape;
        let [height, width] = shape.size;
        let [out_height, out_width] = shape.out_size();
        let mut places = Vec::with_capacity(self.layout.steps * E::PER_WORD);
        for out_y in 0..out_height {
            let y = (out_y * shape.stride + kernel_row).wrapping_sub(shape.padding);
            for out_x in 0..out_width {
                let x = (out_x * shape.stride + column).wrapping_sub(shape.padding);
                let inside = y < height && x < width;
                let place = y
                    .wrapping_mul(width)
                    .wrapping_add(x)
                    .wrapping_mul(self.input.spacing)
                    .wrapping_add(channel);
                places.push(if inside { place as u32 } else { OUTSIDE });
            }
        }
        places.resize(self.layout.steps * E::PER_WORD, OUTSIDE);
        places
    }

    /// Lays out some steps of a block of the input: for each step, its rows.
    #[inline(always)]
    unsafe fn lay_out<S: Simd>(&self, image: usize, pieces: &[Piece], steps: Range<usize>) {
        let [height, width] = self.layout.shape.size;
        let block = self.layout.block;
        let zeros = [E::default(); BLOCK];
        let to = self.rows.as_ptr().cast_mut();
        let mut filled = 0;
        // SAFETY: only pixels inside the picture are read, and `rows` holds every step.
        unsafe {
            let picture = self.input.pointer().add(image * height * width * self.input.spacing);
            for piece in pieces {
                let places = &piece.places[steps.start * E::PER_WORD..steps.end * E::PER_WORD];
                for (step, places) in places.chunks_exact(E::PER_WORD).enumerate() {
                    let [first, second] = [places[0], places[E::PER_WORD - 1]].map(|place| match place {
                        OUTSIDE => zeros.as_ptr(),
                        place => picture.add(place as usize),
                    });
                    pair::<S, E>(to.add(step * block + filled), first, second, piece.len);
                }
                filled += piece.len;
            }
            if filled < block {
                for step in 0..steps.len() {
                    to.add(step * block + filled).write_bytes(0, block - filled);
                }
            }
        }
    }

    /// Adds the first `present` rows × panels to the sums.
    #[inline(always)]
    unsafe fn multiply<S: Simd, const VECTORS: usize>(
        &self,
        image: usize,
        present: usize,
        steps: Range<usize>,
    ) {
        let Layout { columns, width, block, .. } = *self.layout;
        let all_sums = self.sums.as_ptr().cast_mut();
        for panel in 0..columns / width {
            let begin = (image - self.images.start) * self.layout.image_words();
            for tile in 0..present.div_ceil(ROWS) {
                // SAFETY: the block's rows, the panel's steps and the sums are all of the layout's sizes.
                unsafe {
                    let row = self.rows.as_ptr().add(tile * ROWS);
                    let mut rows = [row; ROWS];
                    for (index, row) in rows.iter_mut().enumerate() {
                        *row = row.add(index);
                    }
                    let mut tile_sums = zeros::<S, ROWS, VECTORS>();
                    let b =
                        self.panels.as_ptr().add(begin + (panel * self.layout.steps + steps.start) * width);
                    accumulate::<S, E, ROWS, VECTORS>(&mut tile_sums, &rows, block, steps.len(), b);
                    for (index, sums) in tile_sums.iter().enumerate() {
                        let at = all_sums.add((tile * ROWS + index) * columns + panel * width);
                        for (vector, &sum) in sums.iter().enumerate() {
                            let at = at.add(vector * S::LANES);
                            S::store(at, S::add(S::load(at), sum));
                        }
                    }
                }
            }
        }
    }
}
