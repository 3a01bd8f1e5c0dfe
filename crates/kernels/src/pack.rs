//! Packs weights for the tiles: panels of a few vectors of output channels, word by word.
//!
//! In: weights `[out, in, height, width]` in f32, PyTorch's order. Out: [`PackedWeights`].

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::arena::Buffer;
use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::pattern::{Pattern, Tap, words};
use crate::scratch;
use crate::shape::ConvShape;
use crate::simd::{Job, Simd};
use crate::size::checked_len;

/// Weights of a convolution, packed for one instruction set and one of its passes.
#[derive(Debug)]
pub struct PackedWeights<E> {
    pub(crate) isa: Isa,
    pub(crate) phases: Vec<PackedPhase>,
    pass: Pass,
    channels: [usize; 2],
    kernel: [usize; 2],
    element: PhantomData<E>,
}

/// The panels of one phase, one after another.
#[derive(Debug)]
pub(crate) struct PackedPhase {
    words: Buffer<u32>,
    pub(crate) panels: Vec<Panel>,
}

/// Some output channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    offset: usize,
    /// First channel.
    pub(crate) channel: usize,
    /// Number of channels; the rest of the last vector is zero.
    pub(crate) channels: usize,
    pub(crate) vectors: usize,
}

impl PackedPhase {
    /// Whether it has `words` steps for `channels` output channels.
    pub(crate) fn fits(&self, words: usize, channels: usize, lanes: usize) -> bool {
        let vectors: usize = self.panels.iter().map(|panel| panel.vectors).sum();
        let present: usize = self.panels.iter().map(|panel| panel.channels).sum();
        present == channels && self.words.len() == words * vectors * lanes
    }

    /// The panel's words, tap by tap, followed by those of the next panels.
    pub(crate) fn panel(&self, panel: &Panel) -> &[u32] {
        &self.words[panel.offset..]
    }
}

/// Which of a convolution's passes weights are packed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Forward,
    InputGradient,
}

impl<E: Element> PackedWeights<E> {
    /// Packs weights `[out, in, height, width]` for [`conv_forward`](crate::conv_forward).
    ///
    /// Each output channel is multiplied by its `scale`, which folds a norm layer in.
    ///
    /// # Panics
    /// When the slices do not have the shape's lengths, or the shape is not a valid convolution.
    pub fn forward(isa: Isa, shape: &ConvShape, weights: &[f32], scale: Option<&[f32]>) -> Self {
        assert!(scale.is_none_or(|scale| scale.len() == shape.channels[1]), "one scale per output channel");
        let reader = Reader::new(shape, weights, Pass::Forward, scale);
        reader.pack(isa, &Pattern::forward::<E>(shape, shape.channels[0]))
    }

    /// Packs weights `[out, in, height, width]` for [`conv_input_gradient`](crate::conv_input_gradient).
    ///
    /// # Panics
    /// When `weights` does not have the shape's length, or the shape is not a valid convolution.
    pub fn input_gradient(isa: Isa, shape: &ConvShape, weights: &[f32]) -> Self {
        let reader = Reader::new(shape, weights, Pass::InputGradient, None);
        reader.pack(isa, &Pattern::input_gradient::<E>(shape, shape.channels[1]))
    }

    /// Checks that they are for this pass, and for a convolution with these channels and this kernel. The kernel is then no larger
    /// than the weights, so it is safe to make a plan for it.
    ///
    /// # Panics
    /// When they are not.
    pub(crate) fn check(&self, pass: Pass, shape: &ConvShape) {
        assert!(self.pass == pass, "weights packed for another pass: {:?}, not {pass:?}", self.pass);
        assert!(
            self.channels == shape.channels && self.kernel == shape.kernel,
            "weights packed for channels {:?} and kernel {:?}, not for {shape:?}",
            self.channels,
            self.kernel
        );
    }
}

/// Unpacked weights, and what they are packed for.
#[derive(Clone, Copy)]
struct Reader<'a> {
    shape: &'a ConvShape,
    weights: &'a [f32],
    pass: Pass,
    scale: Option<&'a [f32]>,
}

impl<'a> Reader<'a> {
    /// # Panics
    /// When the shape is not a valid convolution, or has a different number of weights. Both are checked before the pattern is
    /// computed, because that takes time for every kernel position.
    fn new(shape: &'a ConvShape, weights: &'a [f32], pass: Pass, scale: Option<&'a [f32]>) -> Self {
        shape.check_sizes();
        assert_eq!(weights.len(), shape.weights_len(), "weights of {shape:?}");
        Self { shape, weights, pass, scale }
    }

    fn pack<E: Element>(&self, isa: Isa, pattern: &Pattern) -> PackedWeights<E> {
        let phases = pattern.phases.iter().map(|taps| self.phase::<E>(isa, pattern, taps)).collect();
        let ConvShape { channels, kernel, .. } = *self.shape;
        PackedWeights { isa, phases, pass: self.pass, channels, kernel, element: PhantomData }
    }

    fn phase<E: Element>(&self, isa: Isa, pattern: &Pattern, taps: &[Tap]) -> PackedPhase {
        let words = words(taps);
        let total = checked_len(&[words, pattern.channels.next_multiple_of(isa.lanes())]);
        let panels = panels::<E>(isa, words, pattern.channels);
        let mut packed = Buffer::<u32>::stale(total);
        let mut rest = &mut packed[..];
        let mut pieces = Vec::new();
        for panel in &panels {
            let (piece, after) = rest.split_at_mut(words * panel.vectors * isa.lanes());
            pieces.push((panel, piece));
            rest = after;
        }
        let places = self.places::<E>(taps, pattern.source.padded_channels);
        pieces.into_par_iter().for_each(|(panel, piece)| {
            isa.run(Fill { reader: self, places: &places, panel, piece, element: PhantomData::<E> });
        });
        PackedPhase { words: packed, panels }
    }

    /// For each pixel of each tap: where its first channel's value goes, in values, and its kernel position.
    fn places<E: Element>(&self, taps: &[Tap], spacing: usize) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        let mut begin = 0;
        for tap in taps {
            let columns = tap.columns.iter().enumerate();
            places.extend(columns.map(|(pixel, column)| {
                (begin * E::PER_WORD + pixel * spacing, tap.row * self.shape.kernel[1] + column)
            }));
            begin += tap.words;
        }
        places
    }

    /// The source's channels, over which each result channel sums.
    fn depth(&self) -> usize {
        match self.pass {
            Pass::Forward => self.shape.channels[0],
            Pass::InputGradient => self.shape.channels[1],
        }
    }
}

/// Weights of one result channel that are read together. They, and the words that a panel's weights become, stay in the
/// first-level cache.
const TOGETHER: usize = 128;

/// Writes one panel: for each tap, each of its words, each of its channels.
struct Fill<'a, E> {
    reader: &'a Reader<'a>,
    places: &'a [(usize, usize)],
    panel: &'a Panel,
    piece: &'a mut [u32],
    element: PhantomData<E>,
}

impl<E: Element> Job for Fill<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let depth = self.reader.depth();
        let width = self.panel.vectors * S::LANES;
        if self.places.len() * depth * self.panel.channels != self.piece.len() * E::PER_WORD {
            self.piece.fill(0);
        }
        let area = self.reader.shape.kernel[0] * self.reader.shape.kernel[1];
        let together = TOGETHER.div_ceil(area);
        scratch::with(checked_len(&[together.max(width), area]), |run| {
            for first in (0..depth).step_by(together) {
                let channels = first..depth.min(first + together);
                // SAFETY: the processor has the features of `S`, by the caller's promise; `run` has room for the weights of
                // `together` channels, and for those of `width`.
                unsafe { self.channels::<S>(channels, area, run) };
            }
        });
    }
}

impl<E: Element> Fill<'_, E> {
    /// Writes the words of some source channels. Their weights are stored in runs: all source channels of one result channel, or
    /// one source channel for all result channels.
    ///
    /// # Safety
    /// The processor has the features of `S`; `run` has `area` words for each of the channels, and for each of the panel's.
    #[inline(always)]
    unsafe fn channels<S: Simd>(&mut self, channels: Range<usize>, area: usize, run: &mut [u32]) {
        let Reader { shape, weights, pass, scale } = *self.reader;
        let width = self.panel.vectors * S::LANES;
        let lanes = self.panel.channel..self.panel.channel + self.panel.channels;
        let row = shape.channels[0] * area;
        let run = run.as_mut_ptr().cast::<E>();
        let piece = self.piece.as_mut_ptr().cast::<E>();
        let at = |value: usize, lane: usize| {
            (value / E::PER_WORD * width + lane) * E::PER_WORD + value % E::PER_WORD
        };
        // SAFETY: a run is as long as `narrow`'s slice, `channels` or `lanes` times the area, for which `run` has room: a
        // word holds an element. Weights are indexed. `value + channel` is below the values of the phase's words, as
        // `places` counts them, and `lane` below the panel's width, so that the place is one of the piece's
        // `words * width`: `phase` cut it of that length.
        unsafe {
            match pass {
                Pass::Forward => {
                    for (lane, out) in lanes.enumerate() {
                        let factor = S::splat(scale.map_or(1.0, |scale| scale[out]));
                        let from = &weights[out * row + channels.start * area..][..channels.len() * area];
                        narrow::<S, E>(from, factor, run);
                        for &(value, place) in self.places {
                            for (index, channel) in channels.clone().enumerate() {
                                *piece.add(at(value + channel, lane)) = *run.add(index * area + place);
                            }
                        }
                    }
                }
                Pass::InputGradient => {
                    for channel in channels {
                        let from = &weights[channel * row + lanes.start * area..][..lanes.len() * area];
                        narrow::<S, E>(from, S::splat(1.0), run);
                        for &(value, place) in self.places {
                            for lane in 0..lanes.len() {
                                *piece.add(at(value + channel, lane)) = *run.add(lane * area + place);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Writes weights times a factor as [`Element`]s.
///
/// # Safety
/// `to` is valid for as many values, and the processor has the features of `S`.
#[inline(always)]
unsafe fn narrow<S: Simd, E: Element>(from: &[f32], factor: S::V, to: *mut E) {
    for at in (0..from.len()).step_by(S::LANES) {
        let lanes = S::LANES.min(from.len() - at);
        // SAFETY: the caller's promise.
        unsafe {
            store::<S, E>(to.add(at), S::mul(load::<S, f32>(from.as_ptr().add(at), lanes), factor), lanes);
        }
    }
}

/// Words of a panel that should stay in a core's second-level cache beside the picture.
const PANEL_WORDS: usize = 160 * 1024;

/// Splits channels into panels. Long panels are narrower, so that they stay in the cache.
fn panels<E: Element>(isa: Isa, words: usize, channels: usize) -> Vec<Panel> {
    let lanes = isa.lanes();
    let full = isa.panel_vectors::<E>();
    let most = if full == 4 && words > PANEL_WORDS / (full * lanes) { 2 } else { full };
    let mut panels = Vec::new();
    let (mut channel, mut offset) = (0, 0);
    while channel < channels {
        let present = (channels - channel).min(most * lanes);
        let vectors = present.div_ceil(lanes);
        panels.push(Panel { offset, channel, channels: present, vectors });
        channel += present;
        offset += words * vectors * lanes;
    }
    panels
}
