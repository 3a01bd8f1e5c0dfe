//! The plan of a convolution pass: where its windows begin, and where its results go.
//!
//! A plan takes memory in proportion to the pictures of a batch, so it is only made after the slices' lengths were checked.

use crate::element::Element;
use crate::pattern::{Axis, Pattern, Source, Tap};
use crate::shape::ConvShape;

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
    /// Images in a group. They are swept together, so that small pictures fill the tiles.
    pub(crate) group: usize,
    /// Words from one image to the next in the copy, or in the source.
    pub(crate) image_words: usize,
}

/// One sweep over output pixels that share their taps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Phase {
    pub(crate) taps: Vec<Tap>,
    /// First word of each pixel's window, for all pixels of a group of images.
    pub(crate) windows: Vec<u32>,
    /// Where each pixel's result goes, in pixels from the group's first.
    pub(crate) places: Vec<u32>,
    /// The phase's pixels in one image.
    pub(crate) pixels: usize,
}

/// Fewest output pixels in a sweep, so that its tiles are full.
const FULL_SWEEP: usize = 192;

impl Plan {
    /// The number of groups of images, which are the units of work.
    pub(crate) fn groups(&self) -> usize {
        self.batch.div_ceil(self.group)
    }

    /// Words of a thread's copy of a group.
    pub(crate) fn copy_words(&self) -> usize {
        if self.source.copied { self.group * self.image_words + 1 } else { 0 }
    }

    /// The forward pass of a convolution whose source pixels are `spacing` values apart.
    ///
    /// # Panics
    /// As [`input_gradient`](Self::input_gradient).
    pub(crate) fn forward<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let pattern = Pattern::forward::<E>(shape, spacing);
        let out = shape.out_size();
        let layout = pattern.checked_layout::<E>(out);
        let pixels = (0..out[0] * out[1]).map(|pixel| {
            let (y, x) = (pixel / out[1], pixel % out[1]);
            (layout.word::<E>(y * shape.stride, x * shape.stride) as u32, pixel as u32)
        });
        let pixels = vec![pixels.unzip()];
        Self::new::<E>(pattern, pixels, [shape.batch, out[0] * out[1]])
    }

    /// The gradient with respect to the input, from the gradient of the output, whose pixels are `spacing` values apart.
    ///
    /// The shape, the lengths of its pictures and its weights must have been checked.
    ///
    /// # Panics
    /// When a picture has more than `u32::MAX` words, or a result more pixels.
    pub(crate) fn input_gradient<E: Element>(shape: &ConvShape, spacing: usize) -> Self {
        let pattern = Pattern::input_gradient::<E>(shape, spacing);
        let ConvShape { size: [height, width], stride, .. } = *shape;
        let layout = pattern.checked_layout::<E>(shape.size);
        let axes = [0, 1].map(|axis| Axis::all(shape, axis));
        let mut pixels: Vec<(Vec<u32>, Vec<u32>)> = Vec::with_capacity(pattern.phases.len());
        for rows in &axes[0] {
            for columns in &axes[1] {
                let rows = (rows.phase..height).step_by(stride);
                let of_row = |y: usize| (columns.phase..width).step_by(stride).map(move |x| (y, x));
                let of_pixel =
                    |(y, x)| (layout.word::<E>(y / stride, x / stride) as u32, (y * width + x) as u32);
                pixels.push(rows.flat_map(of_row).map(of_pixel).unzip());
            }
        }
        if pixels.len() < pattern.phases.len() {
            pixels.push(bare_pixels(shape, &axes));
        }
        Self::new::<E>(pattern, pixels, [shape.batch, height * width])
    }

    /// Makes a plan, with groups of as many images as fill the tiles.
    fn new<E: Element>(
        pattern: Pattern,
        pixels: Vec<(Vec<u32>, Vec<u32>)>,
        [batch, out_pixels]: [usize; 2],
    ) -> Self {
        let Pattern { source, phases: taps, channels, layout } = pattern;
        let image_words = layout.image::<E>();
        let tapped = taps.iter().zip(&pixels).filter(|(taps, _)| !taps.is_empty());
        let fewest = tapped.map(|(_, (windows, _))| windows.len()).min().unwrap_or(1);
        // Windows and places are 32-bit offsets from the group's first image, which limits the group.
        let most = u32::MAX as usize / image_words.max(out_pixels).max(1);
        let group = FULL_SWEEP.div_ceil(fewest).min(most).clamp(1, batch);
        let repeated = |one: &[u32], distance: usize| -> Vec<u32> {
            (0..group).flat_map(|image| one.iter().map(move |at| at + (image * distance) as u32)).collect()
        };
        let phases = taps.into_iter().zip(pixels).map(|(taps, (windows, places))| Phase {
            taps,
            pixels: places.len(),
            windows: repeated(&windows, image_words),
            places: repeated(&places, out_pixels),
        });
        Self { source, phases: phases.collect(), channels, out_pixels, batch, group, image_words }
    }
}

/// The pixels that no kernel position meets. Their windows are never read, and may be anywhere.
fn bare_pixels(shape: &ConvShape, axes: &[Vec<Axis>; 2]) -> (Vec<u32>, Vec<u32>) {
    let [height, width] = shape.size;
    // Axes are sorted by phase.
    let met = |axis: usize, at: usize| {
        axes[axis].binary_search_by_key(&(at % shape.stride), |axis| axis.phase).is_ok()
    };
    let columns: Vec<bool> = (0..width).map(|x| met(1, x)).collect();
    let mut places = Vec::new();
    for y in 0..height {
        let is_met = met(0, y);
        places.extend((0..width).filter(|&x| !(is_met && columns[x])).map(|x| (y * width + x) as u32));
    }
    (vec![0; places.len()], places)
}
