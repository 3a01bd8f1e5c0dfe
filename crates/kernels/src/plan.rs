//! What a convolution pass reads and writes, worked out once per shape: taps, windows and places of the results.
//!
//! A forward pass and an input gradient are the same sweep: every output pixel is a sum over *taps*, runs of values
//! that lie side by side in the source picture. An input gradient with stride `s` is `s × s` such sweeps, one for each
//! residue of the pixel's place (its *phase*), because each phase meets other weights.

use crate::element::Element;
use crate::shape::ConvShape;

/// A run of the source that one output pixel is multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tap {
    /// Where it begins, in words from the window's first word.
    pub(crate) offset: usize,
    /// Its length in words.
    pub(crate) words: usize,
    /// Kernel row and columns that its pixels meet, in order.
    pub(crate) row: usize,
    pub(crate) columns: Vec<usize>,
}

/// One sweep over output pixels that share their taps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    pub(crate) taps: Vec<Tap>,
    /// First word of each pixel's window, for the pixels of a group of images.
    pub(crate) windows: Vec<u32>,
    /// Where each pixel's result goes, in pixels from the group's first.
    pub(crate) places: Vec<u32>,
    /// Pixels of one image.
    pub(crate) pixels: usize,
}

impl Phase {
    /// Words that one output pixel is multiplied with.
    pub(crate) fn words(&self) -> usize {
        self.taps.iter().map(|tap| tap.words).sum()
    }
}

/// The source pictures of a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Source {
    /// Height and width (pixels).
    pub(crate) size: [usize; 2],
    /// Channels that are read.
    pub(crate) channels: usize,
    /// Zeros (pixels) above and left of it, in the copy.
    pub(crate) before: [usize; 2],
    /// Height and width (pixels) of the copy with its zeros.
    pub(crate) padded: [usize; 2],
    /// Channels of a pixel in the copy: even where a word holds two.
    pub(crate) padded_channels: usize,
    /// Whether a copy is made; otherwise windows point into the source itself.
    pub(crate) copied: bool,
}

/// A whole pass.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    pub(crate) phases: Vec<Phase>,
    /// Channels of the result.
    pub(crate) channels: usize,
    /// Pixels of one result image.
    pub(crate) out_pixels: usize,
    pub(crate) batch: usize,
    /// Images that are swept together, so that small pictures fill tiles.
    pub(crate) group: usize,
    /// Words from one image to the next in the copy, or in the source.
    pub(crate) image_words: usize,
}

/// Output pixels that a sweep should have at least, for its tiles to be full.
const FULL_SWEEP: usize = 192;

impl Plan {
    /// Groups of images: the units of work.
    pub(crate) fn groups(&self) -> usize {
        self.batch.div_ceil(self.group)
    }

    /// Words of a thread's copy of a group.
    pub(crate) fn copy_words(&self) -> usize {
        if self.source.copied { self.group * self.image_words + 1 } else { 0 }
    }

    /// The forward pass of a convolution whose source pixels lie `spacing` values apart.
    pub(crate) fn forward<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let [kernel_height, kernel_width] = shape.kernel;
        let [out_height, out_width] = shape.out_size();
        let (pad, stride) = (shape.padding, shape.stride);
        let taken = [(out_height - 1) * stride + kernel_height, (out_width - 1) * stride + kernel_width];
        let source = Source {
            size: shape.size,
            channels: shape.channels[0],
            before: [pad, pad],
            padded: [shape.size[0] + 2 * pad, shape.size[1] + 2 * pad],
            padded_channels: shape.channels[0],
            copied: true,
        };
        let source = source.fitted::<E>(spacing, taken, stride, kernel_width);
        let layout = source.layout(spacing);
        let taps = (0..kernel_height)
            .map(|row| layout.tap::<E>([row, 0], row, (0..kernel_width).collect(), source.channels))
            .collect();
        let pixels = (0..out_height * out_width).map(|pixel| {
            let (y, x) = (pixel / out_width, pixel % out_width);
            (layout.word::<E>(y * stride, x * stride), pixel as u32)
        });
        let (windows, places) = pixels.unzip();
        let phase = Phase { taps, windows, places, pixels: out_height * out_width };
        let plan = Self {
            source,
            phases: vec![phase],
            channels: shape.channels[1],
            out_pixels: out_height * out_width,
            batch: shape.batch,
            group: 1,
            image_words: layout.image::<E>(),
        };
        plan.grouped()
    }

    /// The gradient with respect to the input, from the gradient of the output, whose pixels lie `spacing` apart.
    pub(crate) fn input_gradient<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let out = shape.out_size();
        let stride = shape.stride;
        let axes = [0, 1].map(|axis| Axis::all(shape, axis));
        let least = [0, 1].map(|axis| axes[axis].iter().filter_map(Axis::least).min().unwrap_or(0).min(0));
        let most = [0, 1].map(|axis| axes[axis].iter().filter_map(Axis::greatest).max().unwrap_or(0).max(0));
        let before = least.map(|least| (-least) as usize);
        // The last pixel of a phase may look beyond the output's end.
        let last = [0, 1].map(|axis| (shape.size[axis] - 1) / stride + most[axis] as usize + 1);
        let source = Source {
            size: out,
            channels: shape.channels[1],
            before,
            padded: [0, 1].map(|axis| before[axis] + out[axis].max(last[axis])),
            padded_channels: shape.channels[1],
            copied: true,
        };
        let longest = axes[1].iter().map(|axis| axis.taps.len()).max().unwrap_or(1);
        let taken = source.padded;
        let source = source.fitted::<E>(spacing, taken, 1, longest);
        let layout = source.layout(spacing);
        let mut phases = Vec::new();
        for rows in &axes[0] {
            for columns in &axes[1] {
                phases.push(layout.phase::<E>(shape, [rows, columns], source.channels, before));
            }
        }
        let plan = Self {
            source,
            phases,
            channels: shape.channels[0],
            out_pixels: shape.size[0] * shape.size[1],
            batch: shape.batch,
            group: 1,
            image_words: layout.image::<E>(),
        };
        plan.grouped()
    }

    /// Sweeps images of one pixel count together until tiles are full.
    fn grouped(mut self) -> Self {
        let fewest = self.phases.iter().map(|phase| phase.pixels).filter(|&n| n > 0).min().unwrap_or(1);
        let group = FULL_SWEEP.div_ceil(fewest).clamp(1, self.batch);
        let repeated = |one: &[u32], distance: usize| -> Vec<u32> {
            (0..group).flat_map(|image| one.iter().map(move |at| at + (image * distance) as u32)).collect()
        };
        for phase in &mut self.phases {
            phase.windows = repeated(&phase.windows, self.image_words);
            phase.places = repeated(&phase.places, self.out_pixels);
        }
        Self { group, ..self }
    }
}

impl Source {
    /// Decides whether windows can point into the source itself, whose pixels lie `spacing` values apart.
    fn fitted<E: Element>(mut self, spacing: usize, taken: [usize; 2], stride: usize, run: usize) -> Self {
        self.copied = !self.is_direct::<E>(spacing, taken, stride, run);
        // Weights are packed for pixels that lie side by side. Where those would be read in place, a copy has no zeros
        // between pixels either, so that packed weights fit views of any spacing.
        if !self.is_direct::<E>(self.channels, taken, stride, run) {
            self.padded_channels = self.channels.next_multiple_of(E::PER_WORD);
        }
        self
    }

    /// Whether no zeros are needed, and every run begins at a word.
    fn is_direct<E: Element>(&self, spacing: usize, taken: [usize; 2], stride: usize, run: usize) -> bool {
        let even = |values: usize| values.is_multiple_of(E::PER_WORD);
        let aligned = even(spacing * stride)
            && even(spacing * self.size[1])
            && even(self.size[0] * self.size[1] * spacing);
        // Only a run that lies side by side is one tap, and an odd one reads a value beyond its end.
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

/// Where pixels lie in what windows point into.
#[derive(Debug, Clone, Copy)]
struct Layout {
    size: [usize; 2],
    spacing: usize,
}

impl Layout {
    fn word<E: Element>(&self, y: usize, x: usize) -> u32 {
        ((y * self.size[1] + x) * self.spacing / E::PER_WORD) as u32
    }

    fn image<E: Element>(&self) -> usize {
        self.size[0] * self.size[1] * self.spacing / E::PER_WORD
    }

    /// The tap that begins at pixel `at` of the window and meets `columns` of kernel row `row`.
    fn tap<E: Element>(&self, at: [usize; 2], row: usize, columns: Vec<usize>, channels: usize) -> Tap {
        let values = (columns.len() - 1) * self.spacing + channels;
        let offset = self.word::<E>(at[0], at[1]) as usize;
        Tap { offset, words: values.div_ceil(E::PER_WORD), row, columns }
    }

    fn phase<E: Element>(
        &self,
        shape: &ConvShape,
        [rows, columns]: [&Axis; 2],
        channels: usize,
        before: [usize; 2],
    ) -> Phase {
        let mut taps = Vec::new();
        if let Some(left) = columns.least() {
            let run: Vec<usize> = columns.taps.iter().map(|&(_, kernel)| kernel).collect();
            let x = (left + before[1] as isize) as usize;
            for &(distance, row) in &rows.taps {
                let y = (distance + before[0] as isize) as usize;
                taps.push(self.tap::<E>([y, x], row, run.clone(), channels));
            }
        }
        let count = |axis: &Axis, size: usize| size.saturating_sub(axis.phase).div_ceil(shape.stride);
        let (height, width) = (count(rows, shape.size[0]), count(columns, shape.size[1]));
        let pixels = (0..height * width).map(|pixel| {
            let (a, b) = (pixel / width, pixel % width);
            let place = (a * shape.stride + rows.phase) * shape.size[1] + b * shape.stride + columns.phase;
            (self.word::<E>(a, b), place as u32)
        });
        let (windows, places) = pixels.unzip();
        Phase { taps, windows, places, pixels: height * width }
    }
}

/// Along one axis: which kernel places a phase meets, and how far from the pixel (in output pixels) each reads.
#[derive(Debug, Clone)]
struct Axis {
    phase: usize,
    /// Distance and kernel place, by rising distance. Distances are consecutive.
    taps: Vec<(isize, usize)>,
}

impl Axis {
    fn all(shape: &ConvShape, axis: usize) -> Vec<Self> {
        (0..shape.stride).map(|phase| Self::new(shape, axis, phase)).collect()
    }

    /// Input pixel `stride * a + phase` was read by output pixel `a + distance` through kernel place `k` where
    /// `stride * distance = phase + padding - k`.
    fn new(shape: &ConvShape, axis: usize, phase: usize) -> Self {
        let stride = shape.stride as isize;
        let mut taps: Vec<(isize, usize)> = (0..shape.kernel[axis])
            .filter_map(|kernel| {
                let distance = (phase + shape.padding) as isize - kernel as isize;
                (distance % stride == 0).then_some((distance / stride, kernel))
            })
            .collect();
        taps.sort_unstable();
        Self { phase, taps }
    }

    fn least(&self) -> Option<isize> {
        self.taps.first().map(|tap| tap.0)
    }

    fn greatest(&self) -> Option<isize> {
        self.taps.last().map(|tap| tap.0)
    }
}
