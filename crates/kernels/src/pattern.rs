//! What a convolution pass sums over: the taps of each phase, and the layout of the source picture.
//!
//! A forward pass and an input gradient are the same kind of sweep: every output pixel is a sum over *taps*, which are runs of
//! contiguous values in the source picture. An input gradient with stride `s` takes up to `s × s` sweeps, one for each residue of
//! the pixel position (its *phase*), because each phase meets different weights. Pixels that meet no weights form one more phase,
//! without taps.
//!
//! Packing weights needs only this. It costs no more time and memory than the weights themselves, however large the pictures claim
//! to be.

use std::collections::BTreeMap;

use crate::element::Element;
use crate::shape::ConvShape;
use crate::size::checked_len;

/// The taps of each phase, and the source that they read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    pub(crate) source: Source,
    pub(crate) phases: Vec<Vec<Tap>>,
    /// Channels of the result.
    pub(crate) channels: usize,
    pub(crate) layout: Layout,
}

/// A run of source values that contribute to one output pixel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tap {
    /// Where it begins, in words from the window's first word.
    pub(crate) offset: usize,
    /// Its length in words.
    pub(crate) words: usize,
    /// The kernel row and columns of its pixels, in order.
    pub(crate) row: usize,
    pub(crate) columns: Vec<usize>,
}

/// The source pictures of a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Source {
    /// Height and width (pixels).
    pub(crate) size: [usize; 2],
    /// Channels that are read.
    pub(crate) channels: usize,
    /// Zeros (pixels) above and to the left, in the copy.
    pub(crate) before: [usize; 2],
    /// Height and width (pixels) of the copy, including zeros.
    pub(crate) padded: [usize; 2],
    /// Channels of a pixel in the copy; even if a word holds two.
    pub(crate) padded_channels: usize,
    /// Whether a copy is made; otherwise windows point into the source itself.
    pub(crate) copied: bool,
}

/// Words that contribute to one output pixel.
pub(crate) fn words(taps: &[Tap]) -> usize {
    taps.iter().map(|tap| tap.words).sum()
}

impl Pattern {
    /// The forward pass of a convolution whose source pixels are `spacing` values apart.
    ///
    /// The shape's sizes must have been checked.
    pub(crate) fn forward<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let [kernel_height, kernel_width] = shape.kernel;
        let out = shape.out_size();
        let (pad, stride) = (shape.padding, shape.stride);
        let taken = [0, 1].map(|axis| (out[axis] - 1) * stride + shape.kernel[axis]);
        let source = Source {
            size: shape.size,
            channels: shape.channels[0],
            before: [pad, pad],
            padded: shape.padded_size(),
            padded_channels: shape.channels[0],
            copied: true,
        };
        let source = source.fitted::<E>(spacing, taken, stride, kernel_width);
        let layout = source.layout(spacing);
        let taps = (0..kernel_height)
            .map(|row| layout.tap::<E>([row, 0], row, (0..kernel_width).collect(), source.channels))
            .collect();
        Self { source, phases: vec![taps], channels: shape.channels[1], layout }
    }

    /// The gradient with respect to the input, from the gradient of the output, whose pixels are `spacing` values apart.
    ///
    /// The shape's sizes must have been checked.
    pub(crate) fn input_gradient<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let out = shape.out_size();
        let axes = [0, 1].map(|axis| Axis::all(shape, axis));
        let least = [0, 1].map(|axis| axes[axis].iter().map(Axis::least).min().unwrap_or(0).min(0));
        let most = [0, 1].map(|axis| axes[axis].iter().map(Axis::greatest).max().unwrap_or(0).max(0));
        let before = least.map(isize::unsigned_abs);
        // The last pixel of a phase may reach beyond the output's end.
        let last = [0, 1].map(|axis| (shape.size[axis] - 1) / shape.stride + most[axis].unsigned_abs() + 1);
        let source = Source {
            size: out,
            channels: shape.channels[1],
            before,
            padded: [0, 1].map(|axis| before[axis] + out[axis].max(last[axis])),
            padded_channels: shape.channels[1],
            copied: true,
        };
        let longest = axes[1].iter().map(|axis| axis.taps.len()).max().unwrap_or(1);
        let source = source.fitted::<E>(spacing, source.padded, 1, longest);
        let layout = source.layout(spacing);
        let pairs = axes[0].iter().flat_map(|rows| axes[1].iter().map(move |columns| [rows, columns]));
        let mut phases: Vec<Vec<Tap>> = pairs.map(|pair| layout.taps::<E>(pair, &source)).collect();
        if [0, 1].iter().any(|&axis| axes[axis].len() < shape.stride.min(shape.size[axis])) {
            phases.push(Vec::new());
        }
        Self { source, phases, channels: shape.channels[0], layout }
    }

    /// The layout. Checks that positions in it and in a result of this size fit 32 bits.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn checked_layout<E: Element>(&self, result: [usize; 2]) -> Layout {
        let (words, pixels) = (self.layout.image::<E>(), result[0] * result[1]);
        assert!(
            u32::try_from(words).is_ok() && u32::try_from(pixels).is_ok(),
            "pictures of more than 32 bits can count: {words} words, {pixels} pixels"
        );
        self.layout
    }
}

impl Source {
    /// Decides whether windows can point into the source itself, whose pixels are `spacing` values apart.
    ///
    /// # Panics
    /// When the copy with its zeros is more than memory can hold.
    fn fitted<E: Element>(mut self, spacing: usize, taken: [usize; 2], stride: usize, run: usize) -> Self {
        // The largest size that is addressed; channels may be rounded up by one. All products below are smaller.
        checked_len(&[self.padded[0], self.padded[1], spacing.max(self.channels + 1)]);
        self.copied = !self.is_direct::<E>(spacing, taken, stride, run);
        // Weights are packed for contiguous pixels. If such pixels would be read in place, a copy has no zeros between pixels
        // either, so that packed weights work for views of any spacing.
        if !self.is_direct::<E>(self.channels, taken, stride, run) {
            self.padded_channels = self.channels.next_multiple_of(E::PER_WORD);
        }
        self
    }

    /// Whether the source can be read in place: no zeros are needed, and every run begins at a whole word.
    fn is_direct<E: Element>(&self, spacing: usize, taken: [usize; 2], stride: usize, run: usize) -> bool {
        let even = |values: usize| values.is_multiple_of(E::PER_WORD);
        let aligned = (even(spacing) || even(stride))
            && even(spacing * self.size[1])
            && even(self.size[0] * self.size[1] * spacing);
        // Only a contiguous run is one tap, and an odd run reads one value beyond its end.
        let together = run == 1 || spacing == self.channels;
        let inside = even(run * self.channels) || taken[1] < self.size[1];
        self.padded == self.size && aligned && together && inside && self.before == [0, 0]
    }

    fn layout(&self, spacing: usize) -> Layout {
        match self.copied {
            true => Layout { size: self.padded, spacing: self.padded_channels },
            false => Layout { size: self.size, spacing },
        }
    }
}

/// The layout of the memory that windows point into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Layout {
    size: [usize; 2],
    spacing: usize,
}

impl Layout {
    pub(crate) fn word<E: Element>(&self, y: usize, x: usize) -> usize {
        (y * self.size[1] + x) * self.spacing / E::PER_WORD
    }

    pub(crate) fn image<E: Element>(&self) -> usize {
        self.size[0] * self.size[1] * self.spacing / E::PER_WORD
    }

    /// The tap that begins at pixel `at` of the window and meets `columns` of kernel row `row`.
    fn tap<E: Element>(&self, at: [usize; 2], row: usize, columns: Vec<usize>, channels: usize) -> Tap {
        let values = (columns.len() - 1) * self.spacing + channels;
        Tap { offset: self.word::<E>(at[0], at[1]), words: values.div_ceil(E::PER_WORD), row, columns }
    }

    /// The taps of a phase of an input gradient.
    fn taps<E: Element>(&self, [rows, columns]: [&Axis; 2], source: &Source) -> Vec<Tap> {
        let at = |axis: usize, distance: isize| source.before[axis].wrapping_add_signed(distance);
        let run: Vec<usize> = columns.taps.iter().map(|&(_, kernel)| kernel).collect();
        let x = at(1, columns.least());
        let tap = |&(distance, row): &(isize, usize)| {
            self.tap::<E>([at(0, distance), x], row, run.clone(), source.channels)
        };
        rows.taps.iter().map(tap).collect()
    }
}

/// One axis of a phase: which kernel positions it meets (at least one), and the distance (in output pixels) at which each reads.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) phase: usize,
    /// Distance and kernel position, by rising distance. Distances are consecutive.
    taps: Vec<(isize, usize)>,
}

impl Axis {
    /// The phases that have pixels and meet the kernel, in order. There may be far fewer than the stride.
    ///
    /// Input pixel `stride * a + phase` was read by output pixel `a + distance` at kernel position `k` if
    /// `stride * distance = phase + padding - k`.
    pub(crate) fn all(shape: &ConvShape, axis: usize) -> Vec<Self> {
        let ConvShape { stride, padding, .. } = *shape;
        let mut phases: BTreeMap<usize, Vec<(isize, usize)>> = BTreeMap::new();
        // Distances rise as kernel positions fall.
        for kernel in (0..shape.kernel[axis]).rev() {
            let phase = (kernel % stride + stride - padding % stride) % stride;
            if phase < shape.size[axis] {
                let distance = ((phase + padding) as isize - kernel as isize) / stride as isize;
                phases.entry(phase).or_default().push((distance, kernel));
            }
        }
        phases.into_iter().map(|(phase, taps)| Self { phase, taps }).collect()
    }

    fn least(&self) -> isize {
        self.taps.first().map_or(0, |tap| tap.0)
    }

    fn greatest(&self) -> isize {
        self.taps.last().map_or(0, |tap| tap.0)
    }
}
