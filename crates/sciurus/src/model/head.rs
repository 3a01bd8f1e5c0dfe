//! The head that fastai puts on every body: `create_head` with its defaults.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::cpu;
use crate::nn::{BatchNorm, Pass};

/// Features of the hidden layer.
const HIDDEN: usize = 512;

/// How a head turns a feature map into one row of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Maximum and mean of each channel: fastai's `AdaptiveConcatPool2d`.
    Concat,
    /// No pooling, because the map is a single pixel, such as the class token of a transformer. fastai: `pool=False`.
    Nothing,
}

/// Shape of a [`Head`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadConfig {
    /// Channels of the body's last feature map.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Dropout probabilities (0..1) before the two linear layers; fastai: `[0.25, 0.5]`.
    pub dropout: [f64; 2],
    /// How a feature map becomes a row of numbers.
    pub pooling: Pooling,
}

impl HeadConfig {
    /// fastai's dropout of 0.25 and 0.5, over maximum and mean.
    pub fn new(channels: usize, classes: usize) -> Self {
        Self { channels, classes, dropout: [0.25, 0.5], pooling: Pooling::Concat }
    }

    /// Other dropout probabilities (0..1).
    #[must_use]
    pub fn dropout(self, dropout: [f64; 2]) -> Self {
        Self { dropout, ..self }
    }

    /// Another pooling.
    #[must_use]
    pub fn pooling(self, pooling: Pooling) -> Self {
        Self { pooling, ..self }
    }

    /// Builds the head, its linear layers zero until weights are set.
    pub fn init(&self, device: &Device) -> Head {
        let linear = |d_in, d_out| {
            LinearConfig::new(d_in, d_out).with_bias(false).with_initializer(Initializer::Zeros).init(device)
        };
        let pooled = match self.pooling {
            Pooling::Concat => self.channels * 2,
            Pooling::Nothing => self.channels,
        };
        Head {
            norm_1: BatchNorm::new(pooled, device),
            linear_1: linear(pooled, HIDDEN),
            norm_2: BatchNorm::new(HIDDEN, device),
            linear_2: linear(HIDDEN, self.classes),
            dropout: self.dropout,
            pooling: self.pooling,
        }
    }
}

/// Concatenated max and average pooling, then norm, dropout, linear (512), ReLU, norm, dropout, linear (classes).
///
/// Without pooling the first step is left out. Neither linear layer has a bias. Source: fastai `create_head` and `LinBnDrop`.
#[derive(Module, Debug)]
pub struct Head {
    norm_1: BatchNorm,
    linear_1: Linear,
    norm_2: BatchNorm,
    linear_2: Linear,
    #[module(skip)]
    dropout: [f64; 2],
    #[module(skip)]
    pooling: Pooling,
}

impl Head {
    /// Features `[batch, channel, height, width]` to logits `[batch, class]`. Without pooling, height and width are 1.
    pub fn forward(&self, features: Tensor<4>, pass: &mut Pass) -> Tensor<2> {
        let pooled = match self.pooling {
            Pooling::Concat => cpu::concat_pool(&features, pass).unwrap_or_else(|| concat_pool(features)),
            Pooling::Nothing => only_pixel(features),
        };
        let momentum = pass.head_momentum();
        let pooled = self.norm_1.forward_moving(pooled, pass, momentum);
        let hidden = relu(linear(&self.linear_1, dropped(pooled, self.dropout[0], pass), pass));
        let hidden = self.norm_2.forward_moving(hidden, pass, momentum);
        linear(&self.linear_2, dropped(hidden, self.dropout[1], pass), pass)
    }
}

/// Global maximum and average pooling, the maximum first: `[batch, channel, height, width]` to `[batch, 2 * channel]`.
pub fn concat_pool(features: Tensor<4>) -> Tensor<2> {
    assert_shape!(features, [_, _, _, _]);
    let [batch, channels, height, width] = features.dims();
    let flat = features.reshape([batch, channels, height * width]);
    let pooled = Tensor::cat(vec![flat.clone().max_dim(2), flat.mean_dim(2)], 1);
    pooled.reshape([batch, channels * 2])
}

fn linear(layer: &Linear, input: Tensor<2>, pass: &Pass) -> Tensor<2> {
    cpu::linear(layer, &input, pass).unwrap_or_else(|| layer.forward(input))
}

/// The only pixel of a map: `[batch, channel, 1, 1]` to `[batch, channel]`.
fn only_pixel(features: Tensor<4>) -> Tensor<2> {
    assert_shape!(features, [_, _, 1, 1]);
    let [batch, channels, ..] = features.dims();
    features.reshape([batch, channels])
}

fn dropped(input: Tensor<2>, probability: f64, pass: &mut Pass) -> Tensor<2> {
    match pass.dropout_mask(input.dims(), probability, &input.device()) {
        Some(mask) => input * mask,
        None => input,
    }
}
