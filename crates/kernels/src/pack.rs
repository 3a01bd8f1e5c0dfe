//! Weights laid out for the tiles: panels of a few vectors of output channels, word after word.
//!
//! In: weights `[out, in, height, width]` in f32, as PyTorch keeps them. Out: [`PackedWeights`].

use std::marker::PhantomData;

use rayon::prelude::*;

use crate::arena::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::plan::{Phase, Plan, Tap};
use crate::shape::ConvShape;

/// Weights of a convolution, packed for one instruction set and one of its passes.
#[derive(Debug)]
pub struct PackedWeights<E> {
    pub(crate) isa: Isa,
    pub(crate) phases: Vec<PackedPhase>,
    element: PhantomData<E>,
}

/// The panels of one phase, one after the other.
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
    /// Channels that exist; the rest of the last vector is zero.
    pub(crate) channels: usize,
    pub(crate) vectors: usize,
}

impl PackedPhase {
    /// Whether it holds `words` steps for `channels` output channels.
    pub(crate) fn fits(&self, words: usize, channels: usize, lanes: usize) -> bool {
        let vectors: usize = self.panels.iter().map(|panel| panel.vectors).sum();
        let present: usize = self.panels.iter().map(|panel| panel.channels).sum();
        present == channels && self.words.len() == words * vectors * lanes
    }

    /// The panel's words, tap after tap.
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
    /// `scale` multiplies each output channel, which folds a norm layer in.
    ///
    /// # Panics
    /// When the slices do not have the shape's lengths.
    pub fn forward(isa: Isa, shape: &ConvShape, weights: &[f32], scale: Option<&[f32]>) -> Self {
        assert!(scale.is_none_or(|scale| scale.len() == shape.channels[1]), "one scale per output channel");
        let plan = Plan::forward::<E>(shape, shape.channels[0]);
        Reader { shape, weights, pass: Pass::Forward, scale }.pack(isa, &plan)
    }

    /// Packs weights `[out, in, height, width]` for [`conv_input_gradient`](crate::conv_input_gradient).
    ///
    /// # Panics
    /// When `weights` does not have the shape's length.
    pub fn input_gradient(isa: Isa, shape: &ConvShape, weights: &[f32]) -> Self {
        let plan = Plan::input_gradient::<E>(shape, shape.channels[1]);
        Reader { shape, weights, pass: Pass::InputGradient, scale: None }.pack(isa, &plan)
    }
}

/// Weights as they come, and what they are packed for.
struct Reader<'a> {
    shape: &'a ConvShape,
    weights: &'a [f32],
    pass: Pass,
    scale: Option<&'a [f32]>,
}

impl Reader<'_> {
    fn pack<E: Element>(&self, isa: Isa, plan: &Plan) -> PackedWeights<E> {
        assert_eq!(self.weights.len(), self.shape.weights_len(), "weights of {:?}", self.shape);
        let phases = plan.phases.iter().map(|phase| self.phase::<E>(isa, plan, phase)).collect();
        PackedWeights { isa, phases, element: PhantomData }
    }

    fn phase<E: Element>(&self, isa: Isa, plan: &Plan, phase: &Phase) -> PackedPhase {
        let words = phase.words();
        let panels = panels::<E>(isa, words, plan.channels);
        let total = panels.last().map_or(0, |panel| panel.offset + words * panel.vectors * isa.lanes());
        let mut packed = Buffer::<u32>::zeroed(total);
        let mut rest = &mut packed[..];
        let mut pieces = Vec::new();
        for panel in &panels {
            let (piece, after) = rest.split_at_mut(words * panel.vectors * isa.lanes());
            pieces.push((panel, piece));
            rest = after;
        }
        let places = self.places::<E>(&phase.taps, plan.source.padded_channels);
        pieces.into_par_iter().for_each(|(panel, piece)| {
            self.fill::<E>(&places, panel, panel.vectors * isa.lanes(), piece);
        });
        PackedPhase { words: packed, panels }
    }

    /// For each pixel of each tap: where its first channel's value goes, counted in values, and its place in the kernel.
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

    /// Writes one panel: for each tap, each of its words, each of `width` channels.
    ///
    /// The weights of one pair of channels lie side by side, so they are read together and dealt out over taps.
    fn fill<E: Element>(&self, places: &[(usize, usize)], panel: &Panel, width: usize, piece: &mut [u32]) {
        let [channels_in, channels_out] = self.shape.channels;
        let area = self.shape.kernel[0] * self.shape.kernel[1];
        // Distance of the result's channels and of the source's channels in the weights, and how many sources.
        let (result_step, source_step, depth) = match self.pass {
            Pass::Forward => (channels_in * area, area, channels_in),
            Pass::InputGradient => (area, channels_in * area, channels_out),
        };
        for channel in 0..depth {
            for lane in 0..panel.channels {
                let scale = self.scale.map_or(1.0, |scale| scale[panel.channel + lane]);
                let first = channel * source_step + (panel.channel + lane) * result_step;
                for &(value, place) in places {
                    let value = value + channel;
                    let bits = bits::<E>(self.weights[first + place] * scale);
                    piece[value / E::PER_WORD * width + lane] |= bits << (16 * (value % E::PER_WORD));
                }
            }
        }
    }
}

/// The bits of a value as an [`Element`], in the low end of a word.
fn bits<E: Element>(value: f32) -> u32 {
    if E::PER_WORD == 1 { value.to_bits() } else { u32::from(half::bf16::from_f32(value).to_bits()) }
}

/// Words of a panel that should stay in a core's second-level cache beside the picture.
const PANEL_WORDS: usize = 160 * 1024;

/// Splits channels into panels. Long ones are narrower, so that they stay in the cache.
fn panels<E: Element>(isa: Isa, words: usize, channels: usize) -> Vec<Panel> {
    let lanes = isa.lanes();
    let full = isa.panel_vectors::<E>();
    let most = if full == 4 && words * full * lanes > PANEL_WORDS { 2 } else { full };
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
