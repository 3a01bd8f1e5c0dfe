//! EfficientNet-B0 (Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks").
//!
//! The features of torchvision's `efficientnet_b0`, under its names: `features.1.0.block.0.0.weight`,
//! `features.1.0.block.1.fc1.weight`, … The classifier and its pooling are cut off, as fastai does.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_kernels::Nonlinearity::{None as Linear, Silu};
use sciurus_onnx::Value;

use super::conv::{NormedConv, forward_normed, normed, square};
use crate::cpu::{self, ChainLayers, ConvNorm};
use crate::nn::{LayerGraph, Pass};

/// A stage of blocks.
pub(super) struct Stage {
    pub(super) expansion: usize,
    pub(super) kernel: usize,
    /// Stride of the first block.
    pub(super) stride: usize,
    pub(super) channels: usize,
    pub(super) blocks: usize,
}

const fn stage([expansion, kernel, stride, channels, blocks]: [usize; 5]) -> Stage {
    Stage { expansion, kernel, stride, channels, blocks }
}

/// Table 1 of the paper.
pub(super) const STAGES: [Stage; 7] = [
    stage([1, 3, 1, 16, 1]),
    stage([6, 3, 2, 24, 2]),
    stage([6, 5, 2, 40, 2]),
    stage([6, 3, 2, 80, 3]),
    stage([6, 5, 1, 112, 3]),
    stage([6, 5, 2, 192, 4]),
    stage([6, 3, 1, 320, 1]),
];

/// Channels of the stem.
pub(super) const STEM: usize = 32;

/// Options of an [`EfficientNet`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `drop_path` | 0.2 | probability to skip the last block in training; earlier blocks less, in proportion to their depth | 0..1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EfficientNetConfig {
    /// Probability (0..1) that an image skips the last block in training.
    pub drop_path: f64,
}

impl Default for EfficientNetConfig {
    fn default() -> Self {
        Self { drop_path: 0.2 }
    }
}

impl EfficientNetConfig {
    /// Builds the body, its convolutions zero until weights are set.
    pub fn init(&self, device: &Device) -> EfficientNet {
        let total: usize = STAGES.iter().map(|stage| stage.blocks).sum();
        let stem = normed(&square([3, STEM], 3).with_stride([2, 2]), device);
        let mut features = vec![Entry::Conv(stem)];
        let (mut channels_in, mut done) = (STEM, 0);
        for stage in &STAGES {
            let blocks = (0..stage.blocks).map(|block| {
                let (stride, channels) = match block {
                    0 => (stage.stride, [channels_in, stage.channels]),
                    _ => (1, [stage.channels; 2]),
                };
                let drop_path = self.drop_path * (done + block) as f64 / total as f64;
                Block { drop_path, ..Block::new(channels, stride, stage, device) }
            });
            features.push(Entry::Stage(blocks.collect()));
            (channels_in, done) = (stage.channels, done + stage.blocks);
        }
        let last = normed(&square([channels_in, EfficientNet::OUT_CHANNELS], 1), device);
        features.push(Entry::Conv(last));
        EfficientNet { features }
    }
}

/// The body of EfficientNet-B0.
#[derive(Module, Debug)]
pub struct EfficientNet {
    features: Vec<Entry>,
}

/// One numbered entry of `features`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of nine")]
pub(super) enum Entry {
    /// The stem or the last convolution, followed by SiLU.
    Conv(NormedConv),
    /// Blocks with the same number of channels.
    Stage(Vec<Block>),
}

impl EfficientNet {
    /// Channels of the last feature map.
    pub const OUT_CHANNELS: usize = 1280;

    /// Images `[batch, 3, height, width]` to features `[batch, 1280, height / 32, width / 32]` (rounded up).
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        (0..self.features.len()).fold(images, |features, index| self.entry(index, features, pass))
    }

    /// The same as nodes of a graph.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value) -> Value {
        self.features.iter().fold(images.clone(), |features, entry| match entry {
            Entry::Conv((conv, norm)) => {
                let features = net.conv(conv, Some(norm), &features);
                net.silu(&features)
            }
            Entry::Stage(blocks) => {
                blocks.iter().fold(features, |features, block| block.graph(net, &features))
            }
        })
    }

    /// Runs one entry; the first one takes images.
    fn entry(&self, index: usize, features: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match &self.features[index] {
            Entry::Conv(layer) => {
                let layers = ChainLayers::one(layer, Silu);
                let chain = if index == 0 { cpu::image_chain } else { cpu::chain };
                chain(&layers, &features, pass).unwrap_or_else(|| silu(forward_normed(layer, features, pass)))
            }
            Entry::Stage(blocks) => {
                blocks.iter().fold(features, |features, block| block.forward(features, pass))
            }
        }
    }
}

/// MBConv: an inverted residual with squeeze and excitation.
#[derive(Module, Debug)]
pub(super) struct Block {
    block: Vec<Step>,
    #[module(skip)]
    has_shortcut: bool,
    #[module(skip)]
    drop_path: f64,
}

/// One numbered entry of a block.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of four")]
pub(super) enum Step {
    /// Expansion or depthwise convolution, followed by SiLU.
    Conv(NormedConv),
    /// Squeeze and excitation.
    Excite(SqueezeExcitation),
    /// The projection, without a nonlinearity.
    Project(NormedConv),
}

impl Block {
    fn new([channels_in, channels_out]: [usize; 2], stride: usize, stage: &Stage, device: &Device) -> Self {
        let within = channels_in * stage.expansion;
        let depthwise =
            square([within, within], stage.kernel).with_stride([stride, stride]).with_groups(within);
        let expand =
            (within != channels_in).then(|| Step::Conv(normed(&square([channels_in, within], 1), device)));
        let steps = [
            Step::Conv(normed(&depthwise, device)),
            Step::Excite(SqueezeExcitation::new(within, channels_in / 4, device)),
            Step::Project(normed(&square([within, channels_out], 1), device)),
        ];
        Self {
            block: expand.into_iter().chain(steps).collect(),
            has_shortcut: stride == 1 && channels_in == channels_out,
            drop_path: 0.0,
        }
    }

    /// `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let fused = self.layers().and_then(|layers| cpu::chain(&layers, &input, pass));
        fused.unwrap_or_else(|| self.layer_by_layer(input, pass))
    }

    /// The block as a chain of fused layers.
    fn layers(&self) -> Option<ChainLayers<'_>> {
        let [before @ .., Step::Excite(excite), Step::Project((conv, norm))] = &self.block[..] else {
            return None;
        };
        let mut main = Vec::with_capacity(self.block.len());
        for step in before {
            let Step::Conv((conv, norm)) = step else { return None };
            main.push((ConvNorm { conv, norm }, Silu));
        }
        main.push((ConvNorm { conv, norm }, Linear));
        let excitation = Some([&excite.fc1, &excite.fc2]);
        Some(ChainLayers { main, excitation, shortcut: self.has_shortcut.then_some(self.drop_path) })
    }

    fn layer_by_layer(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let output = self.block.iter().fold(input.clone(), |features, step| match step {
            Step::Conv(layer) => silu(forward_normed(layer, features, pass)),
            Step::Excite(excite) => excite.forward(features),
            Step::Project(layer) => forward_normed(layer, features, pass),
        });
        if self.has_shortcut { input + pass.drop_path(output, self.drop_path) } else { output }
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let output = self.block.iter().fold(input.clone(), |features, step| match step {
            Step::Conv((conv, norm)) => {
                let features = net.conv(conv, Some(norm), &features);
                net.silu(&features)
            }
            Step::Excite(excite) => excite.graph(net, &features),
            Step::Project((conv, norm)) => net.conv(conv, Some(norm), &features),
        });
        if self.has_shortcut { net.add(input, &output) } else { output }
    }
}

/// A weight (0..1) for each channel, computed from the means of all channels (Hu et al. 2018, "Squeeze-and-Excitation
/// Networks").
#[derive(Module, Debug)]
pub(super) struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
}

impl SqueezeExcitation {
    fn new(channels: usize, squeezed: usize, device: &Device) -> Self {
        Self {
            fc1: square([channels, squeezed], 1).init(device),
            fc2: square([squeezed, channels], 1).init(device),
        }
    }

    /// `x * sigmoid(fc2(silu(fc1(mean(x)))))`: `[batch, channel, h, w]`, same shape out.
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let means = input.clone().mean_dims(&[2, 3]);
        input * sigmoid(self.fc2.forward(silu(self.fc1.forward(means))))
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let means = net.graph.op("GlobalAveragePool", &[input]);
        let squeezed = net.conv(&self.fc1, None, &means);
        let squeezed = net.silu(&squeezed);
        let excited = net.conv(&self.fc2, None, &squeezed);
        let weights = net.graph.op("Sigmoid", &[&excited]);
        net.graph.op("Mul", &[input, &weights])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;
    use crate::model::single_blocks::{Walk, random_model};

    #[test]
    fn every_block_is_its_layers() {
        let body = Body::EfficientNet(EfficientNetConfig { drop_path: 0.3 }.init(&Device::flex()));
        let model = random_model(body, EfficientNet::OUT_CHANNELS);
        let Body::EfficientNet(body) = model.body() else { unreachable!() };
        for size in [[64, 64], [75, 58]] {
            let mut walk = Walk::new(&model, size);
            for (index, entry) in body.features.iter().enumerate() {
                match entry {
                    Entry::Conv(_) => {
                        walk.step(body, |body, features, pass| body.entry(index, features, pass));
                    }
                    Entry::Stage(blocks) => blocks.iter().for_each(|block| walk.step(block, Block::forward)),
                }
            }
        }
    }
}
