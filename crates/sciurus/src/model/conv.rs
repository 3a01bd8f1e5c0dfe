//! The convolutions that bodies are built from: square, padded so that stride 1 keeps the size, zero until weights are set.
//!
//! In: channels and kernel. Out: Burn's configuration, to which stride, groups and bias can be added.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use crate::nn::{BatchNorm, Pass};

/// A `kernel` x `kernel` convolution from `channels[0]` to `channels[1]`, with a bias unless `with_bias(false)` follows.
/// `kernel` is odd.
pub(super) fn square(channels: [usize; 2], kernel: usize) -> Conv2dConfig {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_initializer(Initializer::Zeros)
}

/// Turns adjacent square patches into one pixel each: a `size` x `size` convolution with stride `size` and a bias. Incomplete
/// patches at the right and bottom edges are ignored.
pub(super) fn patches(channels: [usize; 2], size: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [size, size])
        .with_stride([size, size])
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// A convolution without bias and its norm layer: torchvision's `Conv2dNormActivation`, whose entries `0` and `1` have weights.
pub(super) type NormedConv = (Conv2d, BatchNorm);

/// A convolution of this configuration, without bias, and its norm layer.
pub(super) fn normed(config: &Conv2dConfig, device: &Device) -> NormedConv {
    (config.clone().with_bias(false).init(device), BatchNorm::new(config.channels[1], device))
}

/// `norm(conv(input))`: `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
pub(super) fn forward_normed((conv, norm): &NormedConv, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
    norm.forward(conv.forward(input), pass)
}
