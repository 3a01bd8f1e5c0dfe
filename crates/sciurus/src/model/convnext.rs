//! ConvNeXt-Tiny (Liu et al. 2022, "A ConvNet for the 2020s").
//!
//! The features of torchvision's `convnext_tiny`, under its names: `features.0.0.weight`, `features.1.0.layer_scale`,
//! `features.1.0.block.3.weight`, … Pooling and classifier, with the norm layer in it, are cut off, as fastai does.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Gelu, Identity, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_onnx::Value;

use super::conv::{patches, square};
use crate::cpu::{self, ConvNeXtLayers, PerceptronLayers};
use crate::nn::{LayerGraph, LayerNorm, Pass};

/// Channels and blocks of the stages.
const STAGES: [[usize; 2]; 4] = [[96, 3], [192, 3], [384, 9], [768, 3]];

/// Initial value of the layer scales.
const LAYER_SCALE: f64 = 1e-6;

/// Options of a [`ConvNeXt`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `drop_path` | 0.1 | probability to skip the last block in training; earlier blocks less, in proportion to their depth | 0..1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvNeXtConfig {
    /// Probability (0..1) that an image skips the last block in training.
    pub drop_path: f64,
}

impl Default for ConvNeXtConfig {
    fn default() -> Self {
        Self { drop_path: 0.1 }
    }
}

impl ConvNeXtConfig {
    /// Builds the body, its convolutions and linear layers zero until weights are set.
    pub fn init(&self, device: &Device) -> ConvNeXt {
        let total: usize = STAGES.iter().map(|[_, blocks]| blocks).sum();
        let stem = (patches([3, STAGES[0][0]], 4, device), LayerNorm::new(STAGES[0][0], device));
        let mut features = vec![Entry::Stem(stem)];
        let mut done = 0;
        for (index, [channels, blocks]) in STAGES.into_iter().enumerate() {
            if index > 0 {
                let channels_in = STAGES[index - 1][0];
                let smaller = patches([channels_in, channels], 2, device);
                features.push(Entry::Downsample((LayerNorm::new(channels_in, device), smaller)));
            }
            let drop_path = |block: usize| self.drop_path * (done + block) as f64 / (total - 1) as f64;
            features.push(Entry::Stage(
                (0..blocks).map(|block| Block::new(channels, drop_path(block), device)).collect(),
            ));
            done += blocks;
        }
        ConvNeXt { features }
    }
}

/// The body of ConvNeXt-Tiny.
#[derive(Module, Debug)]
pub struct ConvNeXt {
    features: Vec<Entry>,
}

/// One numbered entry of `features`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of eight")]
pub(super) enum Entry {
    /// Patches of 4x4 pixels.
    Stem((Conv2d, LayerNorm)),
    /// Halves height and width.
    Downsample((LayerNorm, Conv2d)),
    /// Blocks with the same number of channels.
    Stage(Vec<Block>),
}

impl ConvNeXt {
    /// Channels of the last feature map.
    pub const OUT_CHANNELS: usize = STAGES[3][0];

    /// Images `[batch, 3, height, width]` to features `[batch, 768, height / 32, width / 32]` (rounded down).
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        self.features.iter().fold(images, |features, entry| entry.forward(features, pass))
    }
}

impl ConvNeXt {
    /// The same as nodes of a graph.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value) -> Value {
        self.features.iter().fold(images.clone(), |features, entry| match entry {
            Entry::Stem((conv, norm)) => {
                let patches = net.conv(conv, None, &features);
                normed_graph(net, norm, &patches)
            }
            Entry::Downsample((norm, conv)) => {
                let normed = normed_graph(net, norm, &features);
                net.conv(conv, None, &normed)
            }
            Entry::Stage(blocks) => {
                blocks.iter().fold(features, |features, block| block.graph(net, &features))
            }
        })
    }
}

/// Layer norm of each pixel over its channels.
fn normed_graph(net: &mut LayerGraph, norm: &LayerNorm, features: &Value) -> Value {
    let pixels = net.transpose(features, &[0, 2, 3, 1]);
    let normed = net.layer_norm(norm, &pixels);
    net.transpose(&normed, &[0, 3, 1, 2])
}

impl Entry {
    fn forward(&self, features: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match self {
            Entry::Stem((conv, norm)) => {
                let patches =
                    cpu::biased_image_conv(conv, &features, pass).unwrap_or_else(|| conv.forward(features));
                normed(norm, patches, pass)
            }
            Entry::Downsample((norm, conv)) => {
                let normed = normed(norm, features, pass);
                cpu::biased_conv(conv, &normed, pass).unwrap_or_else(|| conv.forward(normed))
            }
            Entry::Stage(blocks) => {
                blocks.iter().fold(features, |features, block| block.forward(features, pass))
            }
        }
    }
}

/// Layer norm of each pixel over its channels.
fn normed(norm: &LayerNorm, features: Tensor<4>, pass: &Pass) -> Tensor<4> {
    cpu::layer_norm_pixels(norm, &features, pass).unwrap_or_else(|| norm.forward_pixels(features))
}

/// A 7x7 convolution of each channel by itself, then two linear layers over each pixel.
#[derive(Module, Debug)]
pub(super) struct Block {
    layer_scale: Param<Tensor<3>>,
    /// Numbered like torchvision's, whose entries 1 and 4 have no weights: permutation and GELU.
    block: (Conv2d, Identity, LayerNorm, Linear, Gelu, Linear),
    #[module(skip)]
    drop_path: f64,
}

impl Block {
    fn new(channels: usize, drop_path: f64, device: &Device) -> Self {
        let depthwise = square([channels, channels], 7).with_groups(channels).init(device);
        let linear =
            |d_in, d_out| LinearConfig::new(d_in, d_out).with_initializer(Initializer::Zeros).init(device);
        Self {
            layer_scale: Param::from_tensor(Tensor::full([channels, 1, 1], LAYER_SCALE, device)),
            block: (
                depthwise,
                Identity::new(),
                LayerNorm::new(channels, device),
                linear(channels, 4 * channels),
                Gelu::new(),
                linear(4 * channels, channels),
            ),
            drop_path,
        }
    }

    /// `x + layer_scale * linear(gelu(linear(norm(conv(x)))))`: `[batch, channel, h, w]`, same shape out.
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (conv, _, norm, widen, gelu, narrow) = &self.block;
        let layers = ConvNeXtLayers {
            depthwise: conv,
            perceptron: PerceptronLayers { norm, linear: [widen, narrow] },
            scale: &self.layer_scale,
            drop_path: self.drop_path,
        };
        if let Some(output) = cpu::convnext_block(&layers, &input, pass) {
            return output;
        }
        let pixels = norm.forward(conv.forward(input.clone()).permute([0, 2, 3, 1]));
        let branch = narrow.forward(gelu.forward(widen.forward(pixels))).permute([0, 3, 1, 2]);
        input + pass.drop_path(branch * self.layer_scale.val().unsqueeze::<4>(), self.drop_path)
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let (conv, _, norm, widen, _, narrow) = &self.block;
        let mixed = net.conv(conv, None, input);
        let pixels = net.transpose(&mixed, &[0, 2, 3, 1]);
        let normed = net.layer_norm(norm, &pixels);
        let wide = net.linear(widen, &normed);
        let wide = net.gelu(&wide);
        let narrow = net.linear(narrow, &wide);
        let branch = net.transpose(&narrow, &[0, 3, 1, 2]);
        let scale = net.parameter(&self.layer_scale);
        let scaled = net.graph.op("Mul", &[&branch, &scale]);
        net.add(input, &scaled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use crate::model::single_blocks::{Walk, random_model};

    #[test]
    fn every_block_is_its_layers() {
        let body = Body::ConvNeXt(ConvNeXtConfig { drop_path: 0.3 }.init(&Device::flex()));
        let model = random_model(body, ConvNeXt::OUT_CHANNELS);
        let Body::ConvNeXt(body) = model.body() else { unreachable!() };
        for size in [[64, 64], [75, 58]] {
            let mut walk = Walk::new(&model, size);
            for entry in &body.features {
                match entry {
                    Entry::Stage(blocks) => blocks.iter().for_each(|block| walk.step(block, Block::forward)),
                    other => walk.step(other, Entry::forward),
                }
            }
        }
    }
}
