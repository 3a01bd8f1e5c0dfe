//! The gradient of a convolution with respect to its weights: a matrix product that sums over all pixels of the batch.
//!
//! Rows are kernel positions, each with its input channels; columns are output channels. The sums are cut into blocks that stay in
//! a core's second-level cache. A task owns a block and a share of the pixels. It takes a few pixels at a time, of one or several
//! images, packs both operands for the tiles, and multiplies. For bf16, packing pairs each pixel with the next one, because the
//! dot product sums over two. Every result is summed in an order that depends only on the shape, so it does not depend on the
//! number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::arena::Buffer;
use crate::conv::Existing;
use crate::element::{Element, pair};
use crate::isa::Isa;
use crate::pointer::{Shared, SharedMut};
use crate::scratch;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::size::checked_len;
use crate::tile::{accumulate, with_tile, zeros};
use crate::view::View;

/// Most rows and columns of a block. The larger they are, the less packing costs. But a block's sums, with a few steps of its
/// operands, should stay in a second-level cache of 1 MB. Of 192 to 2304 rows and 64 to 256 columns these were the fastest; 3x3
/// convolutions of up to 64 channels are one block (`cargo bench --bench layers`).
const BLOCK: [usize; 2] = [576, 192];
/// Steps (words) that are packed and multiplied before sums go back to memory. A panel of this many steps, and one tile's rows,
/// stay in the first-level cache.
const STEPS: usize = 64;
/// Most pixels in this many steps (bf16 has two per word).
const PIXELS: usize = 2 * STEPS;
/// Fewest tasks. If there are fewer blocks, the pixels are divided too.
const TASKS: usize = 16;

/// The gradient with respect to the weights `[out, in, kernel height, kernel width]`, from input
/// `[batch, height, width, in]` and output gradient `[batch, out height, out width, out]`. `weight_gradient` is replaced.
///
/// # Panics
/// When a length does not match the shape.
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
    let mut sums = Buffer::<f32>::stale(checked_len(&[layout.tasks(), layout.block_len()]));
    let input = Shared::new(&input.values[input.offset..], input.spacing);
    let gradient = Shared::new(&output_gradient.values[output_gradient.offset..], output_gradient.spacing);
    let shared = SharedMut::new(&mut sums);
    (0..layout.tasks()).into_par_iter().with_max_len(1).for_each(|task| {
        scratch::with(STEPS * (layout.row_step + layout.columns), |scratch| {
            let (rows, columns) = scratch.split_at_mut(STEPS * layout.row_step);
            // SAFETY: every task has its own block of sums, and one thread does it.
            let sums = unsafe { shared.part(task * layout.block_len(), layout.block_len()) };
            let (input, gradient) = (&input, &gradient);
            isa.run(Multiply { layout: &layout, input, gradient, rows, columns, sums, task });
        });
    });
    layout.hand_out(&sums, weight_gradient);
}

/// How the product is divided.
#[derive(Debug)]
struct Layout {
    shape: ConvShape,
    /// Rows of all blocks: kernel height × kernel width × channels in.
    values: usize,
    /// Rows in a block, number of blocks below each other, and words from one packed step to the next.
    rows: usize,
    row_blocks: usize,
    row_step: usize,
    /// Columns in a block, rounded up to whole panels, and number of blocks next to each other.
    columns: usize,
    column_blocks: usize,
    /// Vectors in a tile and in a panel; words in one step of a panel.
    vectors: usize,
    width: usize,
    /// Output pixels of the batch, and the number of chunks of [`STEPS`] steps.
    pixels: usize,
    chunks: usize,
    /// Number of shares that the chunks are divided into.
    parts: usize,
}

impl Layout {
    fn new<E: Element>(isa: Isa, shape: &ConvShape) -> Self {
        let [channels_in, channels_out] = shape.channels;
        let values = shape.kernel[0] * shape.kernel[1] * channels_in;
        let vectors = panel_vectors::<E>(isa, channels_out);
        let width = isa.lanes() * vectors;
        let [rows, columns] = [even(values, BLOCK[0], 24), even(channels_out, BLOCK[1], width)];
        // An odd number of cache lines per step, so that the steps of a row are spread over all sets of the cache.
        let row_step = (rows.div_ceil(16) | 1) * 16;
        let (row_blocks, column_blocks) = (values.div_ceil(rows), channels_out.div_ceil(columns));
        let [height, width_out] = shape.out_size();
        let pixels = shape.batch * height * width_out;
        let chunks = pixels.div_ceil(STEPS * E::PER_WORD);
        let parts = TASKS.div_ceil(row_blocks * column_blocks).min(chunks);
        let shape = *shape;
        Self {
            shape,
            values,
            rows,
            row_blocks,
            row_step,
            columns,
            column_blocks,
            vectors,
            width,
            pixels,
            chunks,
            parts,
        }
    }

    fn tasks(&self) -> usize {
        self.parts * self.row_blocks * self.column_blocks
    }

    fn block_len(&self) -> usize {
        self.rows * self.columns
    }

    /// Adds the shares, and writes the sums in the order of the weights.
    fn hand_out(&self, sums: &[f32], weight_gradient: &mut [f32]) {
        const TOGETHER: usize = 16;
        let channels_in = self.shape.channels[0];
        let area = self.shape.kernel[0] * self.shape.kernel[1];
        let part_len = self.row_blocks * self.column_blocks * self.block_len();
        let one = channels_in * area;
        let (block_len, row_of_blocks) = (self.block_len(), self.column_blocks * self.block_len());
        weight_gradient.par_chunks_mut(TOGETHER * one).enumerate().for_each(|(chunk, target)| {
            let mut columns = [0; TOGETHER];
            for (column, at) in (chunk * TOGETHER..).zip(&mut columns) {
                *at = column / self.columns * block_len + column % self.columns;
            }
            for channel in 0..channels_in {
                for place in 0..area {
                    let row = place * channels_in + channel;
                    let row = row / self.rows * row_of_blocks + row % self.rows * self.columns;
                    for (target, column) in target.chunks_exact_mut(one).zip(columns) {
                        let parts = sums[row + column..].iter().step_by(part_len);
                        target[channel * area + place] = parts.sum();
                    }
                }
            }
        });
    }
}

/// The size of blocks when `total` is cut into the fewest blocks of at most `most`, all of about the same size; rounded up to a
/// multiple of `multiple`.
fn even(total: usize, most: usize, multiple: usize) -> usize {
    total.div_ceil(total.div_ceil(most)).next_multiple_of(multiple)
}

/// Vectors in a panel: the number that leaves the fewest columns unused; of several, the largest.
fn panel_vectors<E: Element>(isa: Isa, channels: usize) -> usize {
    let filled = |vectors: usize| channels.next_multiple_of(vectors * isa.lanes());
    (1..=isa.panel_vectors::<E>()).rev().min_by_key(|&vectors| filled(vectors)).unwrap_or(1)
}

/// One task: a block of sums over a share of the pixels.
struct Multiply<'a, E> {
    layout: &'a Layout,
    input: &'a Shared<'a, E>,
    gradient: &'a Shared<'a, E>,
    /// For each of `STEPS` steps, the rows, `row_step` words from one to the next.
    rows: &'a mut [u32],
    /// For each panel, for each of `STEPS` steps, its columns.
    columns: &'a mut [u32],
    /// The task's block.
    sums: &'a mut [f32],
    task: usize,
}

/// Rows that are contiguous in the input.
#[derive(Debug, Clone)]
struct Piece {
    /// Its kernel position.
    y: usize,
    x: usize,
    channel: usize,
    len: usize,
}

/// Where an output pixel's window begins in the input.
#[derive(Debug, Clone, Copy)]
struct Corner {
    /// In pixels. Beyond any picture for a pixel after the last; wrapped around in the zeros above and to the left.
    y: usize,
    x: usize,
    /// Its position in values from the first image, wrapped around as well.
    place: usize,
}

impl<E: Element> Job for Multiply<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let layout = self.layout;
        let blocks = layout.row_blocks * layout.column_blocks;
        let (part, block) = (self.task / blocks, self.task % blocks);
        let (row, column) = (block / layout.column_blocks, block % layout.column_blocks);
        let values = row * layout.rows..layout.values.min((row + 1) * layout.rows);
        let channels = column * layout.columns..layout.shape.channels[1].min((column + 1) * layout.columns);
        let pieces = self.pieces(values.clone());
        let cut = |part: usize| layout.chunks * part / layout.parts;
        for chunk in cut(part)..cut(part + 1) {
            let first = chunk * STEPS * E::PER_WORD;
            let pixels = first..layout.pixels.min(first + STEPS * E::PER_WORD);
            let steps = pixels.len().div_ceil(E::PER_WORD);
            let existing = if chunk == cut(part) { Existing::Replace } else { Existing::Add };
            // SAFETY: input and gradient were checked to have the shape's sizes; `rows` and `columns` hold `STEPS` steps of a
            // block and `sums` a block, as `conv_weight_gradient` cut them. Pixels and channels are those of the gradient.
            unsafe {
                self.lay_out_columns::<S>(channels.clone(), pixels.clone());
                self.lay_out_rows::<S>(&pieces, pixels);
                with_tile!(S, E, layout.vectors, (ROWS, VECTORS) => {
                    self.multiply::<S, ROWS, VECTORS>([values.len(), channels.len()], steps, existing);
                });
            }
        }
    }
}

impl<E: Element> Multiply<'_, E> {
    /// The pieces that make up some rows.
    fn pieces(&self, rows: Range<usize>) -> Vec<Piece> {
        let shape = &self.layout.shape;
        let channels = shape.channels[0];
        // Without a border of zeros, a whole kernel row is contiguous, and is one piece.
        let together = shape.padding == 0 && self.input.spacing == channels;
        let side_by_side = if together { shape.kernel[1] * channels } else { channels };
        let Range { start: mut row, end } = rows;
        let mut pieces = Vec::new();
        while row < end {
            let (place, channel) = (row / channels, row % channels);
            let len = (side_by_side - row % side_by_side).min(end - row);
            pieces.push(Piece { y: place / shape.kernel[1], x: place % shape.kernel[1], channel, len });
            row += len;
        }
        pieces
    }

    /// Where the windows of some output pixels begin.
    fn corners(&self, pixels: Range<usize>) -> [Corner; PIXELS] {
        let shape = &self.layout.shape;
        let [height, width] = shape.size;
        let [out_height, out_width] = shape.out_size();
        let mut image = pixels.start / (out_height * out_width);
        let mut y = pixels.start / out_width % out_height;
        let mut x = pixels.start % out_width;
        let mut corners = [Corner { y: usize::MAX / 2, x: 0, place: 0 }; PIXELS];
        for corner in &mut corners[..pixels.len()] {
            corner.y = (y * shape.stride).wrapping_sub(shape.padding);
            corner.x = (x * shape.stride).wrapping_sub(shape.padding);
            let row = (image * height).wrapping_add(corner.y);
            corner.place = row.wrapping_mul(width).wrapping_add(corner.x).wrapping_mul(self.input.spacing);
            x += 1;
            if x == out_width {
                (x, y) = (0, y + 1);
            }
            if y == out_height {
                (y, image) = (0, image + 1);
            }
        }
        corners
    }

    /// Packs some pixels of a block's rows.
    ///
    /// # Safety
    /// The input has the shape's size; the pieces are rows of one block, the pixels no more than `STEPS` words of them; the
    /// processor has the features of `S`.
    #[inline(always)]
    unsafe fn lay_out_rows<S: Simd>(&mut self, pieces: &[Piece], pixels: Range<usize>) {
        let [height, width] = self.layout.shape.size;
        let zeros = [E::default(); BLOCK[0]];
        let steps = pixels.len().div_ceil(E::PER_WORD);
        let corners = self.corners(pixels);
        let input = self.input;
        let mut to = self.rows.as_mut_ptr();
        for piece in pieces {
            // Positions wrap around, as corners do. For a pixel inside the picture, the sum is its true position.
            let row = piece.y.wrapping_mul(width).wrapping_add(piece.x);
            let within = row.wrapping_mul(input.spacing).wrapping_add(piece.channel);
            let at = |corner: &Corner| {
                let inside =
                    corner.y.wrapping_add(piece.y) < height && corner.x.wrapping_add(piece.x) < width;
                let place = input.pointer().wrapping_add(corner.place.wrapping_add(within));
                if inside { place } else { zeros.as_ptr() }
            };
            for (step, corners) in corners.chunks_exact(E::PER_WORD).take(steps).enumerate() {
                let [first, second] = [&corners[0], &corners[E::PER_WORD - 1]].map(at);
                // SAFETY: a pixel that is read lies inside the picture with all of the piece: it is some of its channels,
                // or, where nothing is padded, of those of its neighbours in the row, which the kernel covers too. Else zeros
                // are read, as many as a block has rows. `rows` holds every step, and the pieces together are no longer than
                // one.
                unsafe { pair::<S, E>(to.add(step * self.layout.row_step), first, second, piece.len) };
            }
            // SAFETY: the pieces together are no longer than a step.
            to = unsafe { to.add(piece.len) };
        }
    }

    /// Packs some pixels of a block's columns.
    ///
    /// # Safety
    /// The gradient has these pixels and channels; the channels are columns of one block, the pixels no more than `STEPS`
    /// words of them; the processor has the features of `S`.
    #[inline(always)]
    unsafe fn lay_out_columns<S: Simd>(&mut self, channels: Range<usize>, pixels: Range<usize>) {
        let width = self.layout.width;
        let zeros = [E::default(); BLOCK[1]];
        let columns = self.columns.as_mut_ptr();
        for (step, pixel) in pixels.clone().step_by(E::PER_WORD).enumerate() {
            for (panel, channel) in channels.clone().step_by(width).enumerate() {
                let present = width.min(channels.end - channel);
                // SAFETY: the pixels and channels lie within the gradient; instead of a pixel beyond the last, zeros are
                // read, of which there are more than a panel is wide. `columns` holds `STEPS` steps of each panel of a block.
                unsafe {
                    let first = self.gradient.pointer().add(pixel * self.gradient.spacing + channel);
                    let second = match pixel + 1 < pixels.end {
                        true => first.wrapping_add(self.gradient.spacing),
                        false => zeros.as_ptr(),
                    };
                    let to = columns.add((panel * STEPS + step) * width);
                    pair::<S, E>(to, first, second, present);
                    to.add(present).write_bytes(0, width - present);
                }
            }
        }
    }

    /// Multiplies the packed operands. The product replaces the sums, or is added to them.
    ///
    /// # Safety
    /// The block has so many rows and columns, and `VECTORS` is the layout's; no more than `STEPS` steps are laid out. The
    /// processor has the features of `S`.
    #[inline(always)]
    unsafe fn multiply<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        [rows, columns]: [usize; 2],
        steps: usize,
        existing: Existing,
    ) {
        let Layout { columns: all_columns, width, row_step, .. } = *self.layout;
        let all_sums = self.sums.as_mut_ptr();
        for panel in 0..columns.div_ceil(width) {
            for first in (0..rows).step_by(ROWS) {
                let count = ROWS.min(rows - first);
                // SAFETY: the rows and the panel's steps lie within what is laid out, and the sums within the block, whose
                // columns are whole panels; a short tile repeats its last row and writes only `count` rows.
                unsafe {
                    let mut tile_rows = [self.rows.as_ptr(); ROWS];
                    for (index, row) in tile_rows.iter_mut().enumerate() {
                        *row = row.add(first + index.min(count - 1));
                    }
                    let mut tile_sums = zeros::<S, ROWS, VECTORS>();
                    let b = self.columns.as_ptr().add(panel * STEPS * width);
                    accumulate::<S, E, ROWS, VECTORS>(&mut tile_sums, &tile_rows, row_step, steps, b);
                    for (index, sums) in tile_sums.iter().take(count).enumerate() {
                        let at = all_sums.add((first + index) * all_columns + panel * width);
                        for (vector, &sum) in sums.iter().enumerate() {
                            let at = at.add(vector * S::LANES);
                            let sum = match existing {
                                Existing::Replace => sum,
                                Existing::Add => S::add(S::load(at), sum),
                            };
                            S::store(at, sum);
                        }
                    }
                }
            }
        }
    }
}
