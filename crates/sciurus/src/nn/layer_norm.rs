//! Layer normalisation under PyTorch's names, over the last dimension, or over the channels of a feature map.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};

/// `y = (x - mean) / sqrt(variance + 1e-6) * weight + bias` over the last dimension (layer normalization, arXiv:1607.06450).
///
/// The epsilon is that of ConvNeXt and of timm's vision transformers, not PyTorch's default of 1e-5.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale `[feature]`.
    pub weight: Param<Tensor<1>>,
    /// Offset `[feature]`.
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Added to the variance before the square root.
    pub const EPSILON: f64 = 1e-6;

    /// A layer for `features` features, with scale 1 and offset 0.
    pub fn new(features: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([features], device)),
            bias: Param::from_tensor(Tensor::zeros([features], device)),
        }
    }

    /// Normalises `[…, feature]`; same shape out.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [features] = self.weight.lazy_shape().dims();
        assert_shape!(input, [.., features]);
        burn::tensor::module::layer_norm(input, self.weight.val(), Some(self.bias.val()), Self::EPSILON)
    }

    /// Normalises each pixel of `[batch, feature, height, width]` over its features, torchvision's `LayerNorm2d`; same
    /// shape out.
    pub fn forward_pixels(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward(input.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
    }
}
