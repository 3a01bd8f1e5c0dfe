//! Convolutions of `[batch, height, width, channel]`: forward, and the gradient with respect to the input.
//!
//! Each thread takes a group of images, copies them with a border of zeros (unless none is needed), and sweeps the windows with
//! the packed weights: no im2col buffer, no boundary checks in the inner loop. What happens to a tile of sums at the end
//! (statistics for a norm layer, bias, shortcut, ReLU) happens while it is in registers.
//!
//! Each result is computed by one thread, in an order that depends only on the shape, so results do not depend on the number of
//! threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::element::{Element, load, store};
use crate::moments::Moments;
use crate::pack::{PackedPhase, PackedWeights, Panel, Pass};
use crate::pattern::{Source, words};
use crate::plan::{Phase, Plan};
use crate::pointer::{Shared, SharedMut};
use crate::scratch;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::size::checked_len;
use crate::tile::{Sums, accumulate, with_tile, zeros};
use crate::view::{View, ViewMut};

/// What is applied to a convolution's sums before they are written.
#[derive(Debug, Clone, Copy)]
pub struct Activation<'a, E> {
    /// One value per output channel.
    pub bias: &'a [f32],
    /// A shortcut with the output's shape, which is added.
    pub residual: Option<&'a [E]>,
    /// Whether ReLU is applied.
    pub relu: bool,
}

/// Convolves: input `[batch, height, width, in]` to output `[batch, out height, out width, out]`.
///
/// # Panics
/// When a length does not match the shape, the weights were packed for another shape, or one picture has more than `u32::MAX`
/// words or pixels.
pub fn conv_forward<E: Element>(
    shape: &ConvShape,
    input: View<'_, E>,
    weights: &PackedWeights<E>,
    output: ViewMut<'_, E>,
) {
    let plan = forward_plan(shape, &input, weights, &output);
    sweep(&plan, input, weights, output, &|_| Finish::Store);
}

/// Convolves, and returns mean and variance of each output channel over batch and pixels, for a norm layer.
///
/// # Panics
/// As [`conv_forward`].
pub fn conv_forward_moments<E: Element>(
    shape: &ConvShape,
    input: View<'_, E>,
    weights: &PackedWeights<E>,
    output: ViewMut<'_, E>,
) -> Moments {
    let plan = forward_plan(shape, &input, weights, &output);
    let channels = shape.channels[1];
    let mut parts = vec![0.0_f32; checked_len(&[plan.groups(), 3, channels])];
    let shared = SharedMut::new(&mut parts);
    sweep(&plan, input, weights, output, &|group| Finish::Measure {
        // SAFETY: every group has three rows of its own, and one thread sweeps it: where sums are measured, `slices` does
        // not cut groups.
        parts: unsafe { shared.at(group * 3 * channels) },
    });
    let [height, width] = shape.out_size();
    let images = |group: usize| plan.group.min(shape.batch - group * plan.group);
    let counts: Vec<usize> = (0..plan.groups()).map(|group| images(group) * height * width).collect();
    Moments::combined(&parts, channels, &counts)
}

/// Convolves for inference: adds bias and shortcut, applies ReLU.
///
/// # Panics
/// As [`conv_forward`]; also when bias or shortcut have other lengths.
pub fn conv_forward_activated<E: Element>(
    shape: &ConvShape,
    input: View<'_, E>,
    weights: &PackedWeights<E>,
    activation: Activation<'_, E>,
    output: ViewMut<'_, E>,
) {
    let plan = forward_plan(shape, &input, weights, &output);
    assert_eq!(activation.bias.len(), shape.channels[1], "one bias per output channel");
    assert!(
        activation.residual.is_none_or(|values| values.len() == shape.output_len()),
        "shortcut of {shape:?}"
    );
    sweep(&plan, input, weights, output, &|_| Finish::Activate {
        bias: activation.bias.as_ptr(),
        residual: activation.residual.map(<[E]>::as_ptr),
        relu: activation.relu,
    });
}

/// What happens to a gradient that is already in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// The new gradient is added to it.
    Add,
}

/// The gradient with respect to a convolution's input `[batch, height, width, in]`, from that of its output.
///
/// # Panics
/// As [`conv_forward`].
pub fn conv_input_gradient<E: Element>(
    shape: &ConvShape,
    output_gradient: View<'_, E>,
    weights: &PackedWeights<E>,
    input_gradient: ViewMut<'_, E>,
    existing: Existing,
) {
    shape.check(input_gradient.extent(), output_gradient.extent());
    weights.check(Pass::InputGradient, shape);
    let plan = Plan::input_gradient::<E>(shape, output_gradient.spacing);
    sweep(&plan, output_gradient, weights, input_gradient, &|_| match existing {
        Existing::Replace => Finish::Store,
        Existing::Add => Finish::Add,
    });
}

/// Makes a plan. Checks lengths and weights first, because a plan needs memory for every pixel and every kernel position.
fn forward_plan<E: Element>(
    shape: &ConvShape,
    input: &View<'_, E>,
    weights: &PackedWeights<E>,
    output: &ViewMut<'_, E>,
) -> Plan {
    shape.check(input.extent(), output.extent());
    weights.check(Pass::Forward, shape);
    Plan::forward::<E>(shape, input.spacing)
}

/// Sweeps a source and a target whose lengths match the plan's. `finish` is called for each group; its pointers belong to slices
/// that outlive the sweep.
fn sweep<'a, E: Element>(
    plan: &Plan,
    source: View<'_, E>,
    weights: &PackedWeights<E>,
    target: ViewMut<'_, E>,
    finish: &(dyn Fn(usize) -> Finish<E> + Sync + 'a),
) {
    assert_eq!(weights.phases.len(), plan.phases.len(), "weights packed for another pass");
    for (packed, phase) in weights.phases.iter().zip(&plan.phases) {
        assert!(
            packed.fits(words(&phase.taps), plan.channels, weights.isa.lanes()),
            "weights packed for another shape"
        );
    }
    let source = Shared::new(&source.values[source.offset..], source.spacing);
    let ViewMut { values, offset, spacing } = target;
    let target = SharedMut::new(&mut values[offset..]);
    let slices = slices(plan, weights, finish(0));
    (0..plan.groups() * slices.len()).into_par_iter().for_each(|item| {
        let (group, slice) = (item / slices.len(), &slices[item % slices.len()]);
        scratch::with(plan.copy_words(), |copy| {
            // SAFETY: the group's first pixel lies within the target, which has `batch * out_pixels` of them. Every group
            // writes the pixels of its own images only, every slice its own pixels or channels.
            let target = unsafe { target.at(group * plan.group * plan.out_pixels * spacing) };
            let finish = finish(group);
            weights.isa.run(Group {
                plan,
                source: &source,
                weights,
                copy,
                target,
                spacing,
                finish,
                group,
                slice,
            });
        });
    });
}

/// A part of a group's work: some of its pixels, with some of the panels.
#[derive(Debug, Clone)]
struct Slice {
    pixels: Range<usize>,
    panels: Range<usize>,
}

/// Fewest pixels in a slice, so that it fills several tiles.
const FULL_SLICE: usize = 48;

/// Cuts groups into slices if there are fewer groups than threads, as with a single image. Result values do not depend on this, but
/// sums over pixels would, so passes that measure stay whole, as do passes with several phases.
fn slices<E: Element>(plan: &Plan, weights: &PackedWeights<E>, finish: Finish<E>) -> Vec<Slice> {
    let whole = Slice { pixels: 0..usize::MAX, panels: 0..usize::MAX };
    let wanted = rayon::current_num_threads().div_ceil(plan.groups());
    let [phase] = &plan.phases[..] else { return vec![whole] };
    if wanted <= 1 || matches!(finish, Finish::Measure { .. }) {
        return vec![whole];
    }
    let (pixels, panels) = (phase.pixels * plan.group, weights.phases[0].panels.len());
    let cut = |total: usize, index: usize, parts: usize| total * index / parts..total * (index + 1) / parts;
    if pixels >= wanted * FULL_SLICE {
        return (0..wanted).map(|i| Slice { pixels: cut(pixels, i, wanted), ..whole.clone() }).collect();
    }
    let parts = wanted.min(panels);
    (0..parts).map(|i| Slice { panels: cut(panels, i, parts), ..whole.clone() }).collect()
}

/// What happens to a tile of sums.
#[derive(Debug, Clone, Copy)]
enum Finish<E> {
    /// Written.
    Store,
    /// Added to what is there.
    Add,
    /// Written and measured: pivot, sum and sum of squares per channel.
    Measure { parts: *mut f32 },
    /// Bias, shortcut and ReLU are applied, then written. The shortcut has the output's layout, without spacing.
    Activate { bias: *const f32, residual: Option<*const E>, relu: bool },
}

/// One group of images through all phases.
struct Group<'a, E> {
    plan: &'a Plan,
    source: &'a Shared<'a, E>,
    weights: &'a PackedWeights<E>,
    /// Memory of the plan's `copy_words`.
    copy: &'a mut [u32],
    /// The group's first output value.
    target: *mut E,
    /// Values from one output pixel to the next.
    spacing: usize,
    finish: Finish<E>,
    group: usize,
    slice: &'a Slice,
}

impl<E: Element> Job for Group<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let images = self.plan.group.min(self.plan.batch - self.group * self.plan.group);
        // SAFETY: source and target were checked to have the shape's sizes, of which the plan was made; `sweep` asserted that
        // the weights of each phase have as many words as its taps, for as many channels.
        unsafe {
            let windows = self.windows(images);
            for (phase, packed) in self.plan.phases.iter().zip(&self.weights.phases) {
                let end = self.slice.pixels.end.min(images * phase.pixels);
                self.phase::<S>(phase, packed, windows, self.slice.pixels.start.min(end)..end);
            }
        }
    }
}

impl<E: Element> Group<'_, E> {
    /// The memory that windows point into: the source itself, or its copy with a border of zeros.
    ///
    /// # Safety
    /// The source has the plan's size, and at least `images` images from the group's first on.
    #[inline(always)]
    unsafe fn windows(&mut self, images: usize) -> *const u32 {
        let source = &self.plan.source;
        let first = self.group * self.plan.group;
        let image_values = source.size[0] * source.size[1] * self.source.spacing;
        if !source.copied {
            // SAFETY: the group's images lie within the source, by the caller's promise.
            return unsafe { self.source.pointer().add(first * image_values) }.cast();
        }
        let copy = self.copy.as_mut_ptr();
        let values = self.plan.image_words * E::PER_WORD;
        for image in 0..images {
            let rows = self.copied_rows(image);
            // SAFETY: the image lies within the source, by the caller's promise. The copy has `image_words` for each image of
            // a group, is this thread's own, and is reached by this pointer alone from here on.
            unsafe {
                let from = self.source.pointer().add((first + image) * image_values);
                let to = copy.cast::<E>().add(image * values);
                copy_padded(source, rows, from, self.source.spacing, to);
            }
        }
        copy
    }

    /// The rows of an image's copy that the slice's windows need: all of them, unless pixels are sliced.
    fn copied_rows(&self, image: usize) -> Range<usize> {
        let rows = self.plan.source.padded[0];
        let [phase] = &self.plan.phases[..] else { return 0..rows };
        let first = self.slice.pixels.start.max(image * phase.pixels);
        let last = self.slice.pixels.end.min((image + 1) * phase.pixels);
        if last <= first {
            return 0..0;
        }
        let row_words = self.plan.image_words / rows;
        let row = |pixel: usize| (phase.windows[pixel] as usize - image * self.plan.image_words) / row_words;
        let reach = phase.taps.iter().map(|tap| tap.offset / row_words).max().unwrap_or(0);
        row(first)..(row(last - 1) + reach + 1).min(rows)
    }

    /// # Safety
    /// As for `run`; `windows` is what the method of this name gave, and `pixels` are below those of the group's images.
    #[inline(always)]
    unsafe fn phase<S: Simd>(
        &self,
        phase: &Phase,
        packed: &PackedPhase,
        windows: *const u32,
        pixels: Range<usize>,
    ) {
        if phase.taps.is_empty() && matches!(self.finish, Finish::Add) {
            return;
        }
        let panels = self.slice.panels.start..self.slice.panels.end.min(packed.panels.len());
        for panel in &packed.panels[panels] {
            let pixels = pixels.clone();
            let weights = (panel, packed.panel(panel).as_ptr());
            // SAFETY: the caller's promise; the panel's weights are `vectors` wide.
            unsafe {
                with_tile!(S, E, panel.vectors, (ROWS, VECTORS) => {
                    self.rows::<S, ROWS, VECTORS>(phase, weights, windows, pixels);
                });
            }
        }
    }

    /// Multiplies all pixels by one panel of weights, a tile of `ROWS` pixels at a time.
    ///
    /// # Safety
    /// As for `phase`; `weights` has `VECTORS` vectors for each word of the phase's taps.
    #[inline(always)]
    unsafe fn rows<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        phase: &Phase,
        (panel, weights): (&Panel, *const u32),
        windows: *const u32,
        pixels: Range<usize>,
    ) {
        for first in pixels.clone().step_by(ROWS) {
            let count = ROWS.min(pixels.end - first);
            // SAFETY: a phase has a window and a place for each pixel of a group. Windows and taps were planned for this
            // source or copy: from each window, every tap lies within its image, an odd run of bf16 with the value after it
            // (see `Source::is_direct`). Places lie within the group's images. A short tile repeats its last window and
            // writes only `count` rows.
            unsafe {
                let mut rows = [windows; ROWS];
                for (row, window) in rows.iter_mut().enumerate() {
                    let pixel = first + row.min(count - 1);
                    *window = windows.add(*phase.windows.get_unchecked(pixel) as usize);
                }
                let mut sums = zeros::<S, ROWS, VECTORS>();
                let mut b = weights;
                for tap in &phase.taps {
                    let mut at = rows;
                    for row in &mut at {
                        *row = row.add(tap.offset);
                    }
                    accumulate::<S, E, ROWS, VECTORS>(&mut sums, &at, 1, tap.words, b);
                    b = b.add(tap.words * VECTORS * S::LANES);
                }
                let places = phase.places.get_unchecked(first..first + count);
                self.finish::<S, ROWS, VECTORS>(&sums, panel, places, first);
            }
        }
    }

    /// # Safety
    /// `places` are pixels of the group's images, no more than `ROWS`; `panel` is one of the weights', `VECTORS` wide.
    #[inline(always)]
    unsafe fn finish<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        sums: &Sums<S, ROWS, VECTORS>,
        panel: &Panel,
        places: &[u32],
        first: usize,
    ) {
        // SAFETY: the places lie within the target, by the caller's promise, and `channel + lanes` is at most the plan's
        // channels, which a pixel of the target has. `parts` has three rows of as many, `bias` one, and `residual` as many for
        // each pixel of the batch: the entrances checked it.
        unsafe {
            for vector in 0..VECTORS {
                let channel = panel.channel + vector * S::LANES;
                let lanes = S::LANES.min(panel.channels - vector * S::LANES);
                if let Finish::Measure { parts } = self.finish {
                    let column = sums.iter().map(|row| row[vector]).take(places.len());
                    measure::<S>(column, (parts, self.plan.channels), (channel, lanes), first);
                }
                for (row, &place) in places.iter().enumerate() {
                    let at = self.target.add(place as usize * self.spacing + channel);
                    let mut value = sums[row][vector];
                    match self.finish {
                        Finish::Store | Finish::Measure { .. } => {}
                        Finish::Add => value = S::add(value, load::<S, E>(at, lanes)),
                        Finish::Activate { bias, residual, relu } => {
                            value = S::add(value, load::<S, f32>(bias.add(channel), lanes));
                            if let Some(residual) = residual {
                                let image = self.group * self.plan.group * self.plan.out_pixels;
                                let from =
                                    residual.add((image + place as usize) * self.plan.channels + channel);
                                value = S::add(value, load::<S, E>(from, lanes));
                            }
                            if relu {
                                value = S::relu(value);
                            }
                        }
                    }
                    store::<S, E>(at, value, lanes);
                }
            }
        }
    }
}

/// Adds one vector of a tile to the group's pivot, sum and sum of squares `[3, channel]`. The pivot is the group's first value.
/// Differences from a value of similar size are summed, because plain sums of squares lose digits when the mean is large.
///
/// # Safety
/// `parts` is valid for three rows of `channels` values, `channel + lanes <= channels`, `lanes <= LANES`, and the processor
/// has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn measure<S: Simd>(
    column: impl Iterator<Item = S::V> + Clone,
    (parts, channels): (*mut f32, usize),
    (channel, lanes): (usize, usize),
    first: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |row: usize| parts.add(row * channels + channel);
        if let Some(pivot) = column.clone().next().filter(|_| first == 0) {
            store::<S, f32>(at(0), pivot, lanes);
        }
        let pivot = load::<S, f32>(at(0), lanes);
        let (mut sum, mut square) = (load::<S, f32>(at(1), lanes), load::<S, f32>(at(2), lanes));
        for value in column {
            let difference = S::sub(value, pivot);
            sum = S::add(sum, difference);
            square = S::fma(difference, difference, square);
        }
        store::<S, f32>(at(1), sum, lanes);
        store::<S, f32>(at(2), square, lanes);
    }
}

/// Copies some rows of one image, with a border of zeros.
///
/// # Safety
/// `from` is valid for an image of the source, its pixels `spacing` values apart, `to` for one with its zeros; `rows` are
/// rows of that.
#[inline(always)]
unsafe fn copy_padded<E: Element>(
    source: &Source,
    rows: Range<usize>,
    from: *const E,
    spacing: usize,
    to: *mut E,
) {
    let [height, width] = source.size;
    let padded_width = source.padded[1];
    let [above, left] = source.before;
    let channels = source.padded_channels;
    let row_values = padded_width * channels;
    for y in rows {
        // SAFETY: the caller's promise. A row's values end at `left + width` pixels or before `padded_width`, and a pixel's
        // `source.channels` lie within `spacing` and within `channels`.
        unsafe {
            let row = to.add(y * row_values);
            if y < above || y >= above + height {
                row.write_bytes(0, row_values);
                continue;
            }
            let from = from.add((y - above) * width * spacing);
            row.write_bytes(0, left * channels);
            row.add((left + width) * channels).write_bytes(0, (padded_width - left - width) * channels);
            let inner = row.add(left * channels);
            if channels == spacing && channels == source.channels {
                std::ptr::copy_nonoverlapping(from, inner, width * channels);
                continue;
            }
            for x in 0..width {
                let pixel = inner.add(x * channels);
                std::ptr::copy_nonoverlapping(from.add(x * spacing), pixel, source.channels);
                pixel.add(source.channels).write_bytes(0, channels - source.channels);
            }
        }
    }
}
