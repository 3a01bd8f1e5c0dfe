//! SqueezeNet 1.1 (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters").
//!
//! The features of torchvision's `squeezenet1_1`, under its names: `features.0.weight`, `features.3.squeeze.weight`, …
//! The numbers also count activation and pooling layers, which is why the list includes them.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{PaddingConfig2d, Relu};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_onnx::Value;

use crate::cpu::{self, FireLayers, pool_shape};
use crate::nn::{LayerGraph, Pass};

/// The body of SqueezeNet 1.1. It has no norm layers, so nothing in it trains while it is frozen.
#[derive(Module, Debug)]
pub struct SqueezeNet {
    features: Vec<Layer>,
}

/// One numbered entry of `features`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a list of 13")]
pub(super) enum Layer {
    /// The 3x3 stem, stride 2.
    Stem(Conv2d),
    /// The activation after the stem.
    Relu(Relu),
    /// 3x3 max pooling, stride 2, rounding up.
    Pool(MaxPool2d),
    /// A fire module.
    Fire(Fire),
}

impl SqueezeNet {
    /// Channels of the last feature map.
    pub const OUT_CHANNELS: usize = 512;

    /// Builds the body, its convolutions zero until weights are set.
    pub fn new(device: &Device) -> Self {
        let fire =
            |channels_in, squeeze, expand| Layer::Fire(Fire::new(channels_in, squeeze, expand, device));
        let pool =
            || Layer::Pool(MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_ceil_mode(true).init());
        let stem = Conv2dConfig::new([3, 64], [3, 3])
            .with_stride([2, 2])
            .with_initializer(burn::nn::Initializer::Zeros)
            .init(device);
        Self {
            features: vec![
                Layer::Stem(stem),
                Layer::Relu(Relu::new()),
                pool(),
                fire(64, 16, 64),
                fire(128, 16, 64),
                pool(),
                fire(128, 32, 128),
                fire(256, 32, 128),
                pool(),
                fire(256, 48, 192),
                fire(384, 48, 192),
                fire(384, 64, 256),
                fire(512, 64, 256),
            ],
        }
    }

    /// Images `[batch, 3, height, width]` to features `[batch, 512, about height / 16, about width / 16]`.
    pub fn forward(&self, images: Tensor<4>, pass: &Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        self.features.iter().fold(images, |features, layer| match layer {
            Layer::Stem(conv) => {
                cpu::relu_stem(conv, &features, pass).unwrap_or_else(|| relu(conv.forward(features)))
            }
            // The fused stem already includes its ReLU.
            Layer::Relu(_) => features,
            Layer::Pool(pool) => {
                cpu::max_pool(pool_shape(pool), &features, pass).unwrap_or_else(|| pool.forward(features))
            }
            Layer::Fire(fire) => fire.forward(features, pass),
        })
    }
}

impl SqueezeNet {
    /// The same as nodes of a graph.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value) -> Value {
        self.features.iter().fold(images.clone(), |features, layer| match layer {
            Layer::Stem(conv) => net.conv(conv, None, &features),
            Layer::Relu(_) => net.relu(&features),
            Layer::Pool(pool) => net.max_pool(pool, &features),
            Layer::Fire(fire) => fire.graph(net, &features),
        })
    }
}

/// Squeeze to few channels, expand with 1x1 and 3x3 kernels side by side.
#[derive(Module, Debug)]
pub(super) struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn new(channels_in: usize, squeeze: usize, expand: usize, device: &Device) -> Self {
        let conv = |channels: [usize; 2], kernel: usize| {
            let padding = kernel / 2;
            Conv2dConfig::new(channels, [kernel, kernel])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
                .with_initializer(burn::nn::Initializer::Zeros)
                .init(device)
        };
        Self {
            squeeze: conv([channels_in, squeeze], 1),
            expand1x1: conv([squeeze, expand], 1),
            expand3x3: conv([squeeze, expand], 3),
        }
    }

    /// `[batch, in, h, w]` to `[batch, 2 * expand, h, w]`.
    fn forward(&self, input: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let layers = FireLayers { squeeze: &self.squeeze, expand: [&self.expand1x1, &self.expand3x3] };
        if let Some(output) = cpu::fire(&layers, &input, pass) {
            return output;
        }
        let squeezed = relu(self.squeeze.forward(input));
        let expanded = [self.expand1x1.forward(squeezed.clone()), self.expand3x3.forward(squeezed)];
        Tensor::cat(expanded.map(relu).to_vec(), 1)
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let squeezed = net.conv(&self.squeeze, None, input);
        let squeezed = net.relu(&squeezed);
        let expanded = [&self.expand1x1, &self.expand3x3].map(|conv| {
            let expanded = net.conv(conv, None, &squeezed);
            net.relu(&expanded)
        });
        net.concat(&[&expanded[0], &expanded[1]], 1)
    }
}
