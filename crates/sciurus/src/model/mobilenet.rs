//! MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks").
//!
//! The features of torchvision's `mobilenet_v2`, under its names: `features.0.0.weight`, `features.1.conv.1.weight`, …
//! The classifier is cut off. fastai has no cut for it (it searches for a pooling layer, and there is none); this is `cut=-1`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu6;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_kernels::Nonlinearity::{None as Linear, Relu6};
use sciurus_onnx::Value;

use super::conv::{NormedConv, forward_normed, normed, square};
use crate::cpu::{self, ChainLayers, ConvNorm};
use crate::nn::{BatchNorm, LayerGraph, Pass};

/// The stages: expansion, channels, blocks, stride of the first (table 2 of the paper).
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Channels of the stem.
const STEM: usize = 32;

/// The body of MobileNetV2.
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    features: Vec<Entry>,
}

/// One numbered entry of `features`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of 19")]
pub(super) enum Entry {
    /// The stem or the last convolution, followed by ReLU6.
    Conv(NormedConv),
    /// An inverted residual.
    Residual(InvertedResidual),
}

impl MobileNetV2 {
    /// Channels of the last feature map.
    pub const OUT_CHANNELS: usize = 1280;

    /// Builds the body, its convolutions zero until weights are set.
    pub fn new(device: &Device) -> Self {
        let stem = normed(&square([3, STEM], 3).with_stride([2, 2]), device);
        let mut features = vec![Entry::Conv(stem)];
        let mut channels_in = STEM;
        for [expansion, channels_out, blocks, stride] in STAGES {
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let channels = [channels_in, channels_in * expansion, channels_out];
                features.push(Entry::Residual(InvertedResidual::new(channels, stride, device)));
                channels_in = channels_out;
            }
        }
        features.push(Entry::Conv(normed(&square([channels_in, Self::OUT_CHANNELS], 1), device)));
        Self { features }
    }

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
                net.relu6(&features)
            }
            Entry::Residual(block) => block.graph(net, &features),
        })
    }

    /// Runs one entry; the first one takes images.
    fn entry(&self, index: usize, features: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        match &self.features[index] {
            Entry::Conv(layer) => {
                let layers = ChainLayers::one(layer, Relu6);
                let chain = if index == 0 { cpu::image_chain } else { cpu::chain };
                chain(&layers, &features, pass)
                    .unwrap_or_else(|| relu6(forward_normed(layer, features, pass)))
            }
            Entry::Residual(block) => block.forward(features, pass),
        }
    }
}

/// Expansion to many channels, a depthwise convolution, and a linear projection back to few channels.
#[derive(Module, Debug)]
pub(super) struct InvertedResidual {
    conv: Vec<Step>,
    #[module(skip)]
    has_shortcut: bool,
}

/// One numbered entry of an inverted residual.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of four")]
pub(super) enum Step {
    /// Expansion or depthwise convolution, followed by ReLU6.
    Conv(NormedConv),
    /// The projection.
    Project(Conv2d),
    /// Its norm layer.
    Norm(BatchNorm),
}

impl InvertedResidual {
    /// `channels`: in, within, out. Without expansion the first two are equal.
    fn new([channels_in, within, channels_out]: [usize; 3], stride: usize, device: &Device) -> Self {
        let depthwise = square([within, within], 3).with_stride([stride, stride]).with_groups(within);
        let project = square([within, channels_out], 1).with_bias(false);
        let expand =
            (within != channels_in).then(|| Step::Conv(normed(&square([channels_in, within], 1), device)));
        let steps = [
            Step::Conv(normed(&depthwise, device)),
            Step::Project(project.init(device)),
            Step::Norm(BatchNorm::new(channels_out, device)),
        ];
        Self {
            conv: expand.into_iter().chain(steps).collect(),
            has_shortcut: stride == 1 && channels_in == channels_out,
        }
    }

    /// `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let fused = self.layers().and_then(|layers| cpu::chain(&layers, &input, pass));
        fused.unwrap_or_else(|| self.layer_by_layer(input, pass))
    }

    /// The block as a chain of fused layers.
    fn layers(&self) -> Option<ChainLayers<'_>> {
        let [before @ .., Step::Project(conv), Step::Norm(norm)] = &self.conv[..] else { return None };
        let mut main = Vec::with_capacity(self.conv.len());
        for step in before {
            let Step::Conv((conv, norm)) = step else { return None };
            main.push((ConvNorm { conv, norm }, Relu6));
        }
        main.push((ConvNorm { conv, norm }, Linear));
        Some(ChainLayers { main, excitation: None, shortcut: self.has_shortcut.then_some(0.0) })
    }

    fn layer_by_layer(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let output = self.conv.iter().fold(input.clone(), |features, step| match step {
            Step::Conv(layer) => relu6(forward_normed(layer, features, pass)),
            Step::Project(conv) => conv.forward(features),
            Step::Norm(norm) => norm.forward(features, pass),
        });
        if self.has_shortcut { input + output } else { output }
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let Some(ChainLayers { main, .. }) = self.layers() else { return input.clone() };
        let output = main.iter().fold(input.clone(), |features, (ConvNorm { conv, norm }, activation)| {
            let features = net.conv(conv, Some(norm), &features);
            if *activation == Relu6 { net.relu6(&features) } else { features }
        });
        if self.has_shortcut { net.add(input, &output) } else { output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::model::Body;
    use crate::model::single_blocks::{Walk, random_model};

    /// Rounding error of a norm layer's output: values of a few units, each exact to about 1e-7.
    const ROUNDING: f32 = 1e-6;

    /// The smallest distance of an entry's ReLU6 inputs from a corner of ReLU6, where the gradient jumps.
    fn distance_from_corner(entry: &Entry, features: &Tensor<4>) -> f32 {
        let layers: Vec<&NormedConv> = match entry {
            Entry::Conv(layer) => vec![layer],
            Entry::Residual(block) => {
                let steps = block.conv.iter();
                steps
                    .filter_map(|step| if let Step::Conv(layer) = step { Some(layer) } else { None })
                    .collect()
            }
        };
        let pass = || Pass::train(Seed(0).rng(&[]));
        let mut least = f32::INFINITY;
        for mut pass in [pass(), pass().with_frozen_norm()] {
            let mut features = features.clone();
            for layer in &layers {
                let values = forward_normed(layer, features, &mut pass);
                let distances = values.clone().abs().min_pair((values.clone() - 6.0).abs());
                least = least.min(distances.min().into_scalar());
                features = relu6(values);
            }
        }
        least
    }

    #[test]
    fn every_block_is_its_layers() {
        let body = Body::MobileNetV2(MobileNetV2::new(&Device::flex()));
        let model = random_model(body, MobileNetV2::OUT_CHANNELS);
        let Body::MobileNetV2(body) = model.body() else { unreachable!() };
        for size in [[64, 64], [75, 58]] {
            let mut walk = Walk::new(&model, size);
            for index in 0..body.features.len() {
                walk.shake_until(|features| distance_from_corner(&body.features[index], features) > ROUNDING);
                walk.step(body, |body, features, pass| body.entry(index, features, pass));
            }
        }
    }
}
