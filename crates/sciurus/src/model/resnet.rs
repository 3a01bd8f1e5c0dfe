//! ResNet with basic blocks: ResNet-18 and 34 (He et al. 2015, "Deep Residual Learning for Image Recognition").
//!
//! Fields carry torchvision's names, so that a torchvision state dict loads key by key. The classifier (`avgpool`,
//! `fc`) is cut off, as fastai does.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use super::{BatchNorm, Pass};
use crate::cpu::{self, BlockLayers, ConvNorm, pool_shape};

/// Depth and width of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Basic blocks in each of the four stages; ResNet-18: `[2, 2, 2, 2]`.
    pub blocks: [usize; 4],
    /// Channels of the first stage, doubled in each further one; ResNet-18: 64.
    pub width: usize,
}

impl ResNetConfig {
    /// Channels of the last stage: `8 * width`.
    pub fn out_channels(&self) -> usize {
        self.width * 8
    }

    /// Builds the body, its convolutions zero until weights are set.
    pub fn init(&self, device: &Device) -> ResNet {
        let width = self.width;
        let stage = |index: usize| {
            let channels_out = width << index;
            let (channels_in, stride) = if index == 0 { (width, 1) } else { (channels_out / 2, 2) };
            (0..self.blocks[index])
                .map(|block| match block {
                    0 => BasicBlock::new([channels_in, channels_out], stride, device),
                    _ => BasicBlock::new([channels_out, channels_out], 1, device),
                })
                .collect()
        };
        ResNet {
            conv1: convolution([3, width], 7, 2, device),
            bn1: BatchNorm::new(width, device),
            maxpool: MaxPool2dConfig::new([3, 3])
                .with_strides([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }
}

/// The body of a ResNet: stem and four stages.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: MaxPool2d,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    layer4: Vec<BasicBlock>,
}

impl ResNet {
    /// Images `[batch, 3, height, width]` to features `[batch, 8 * width, height / 32, width / 32]` (rounded up).
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        let stem = self.stem(images, pass);
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .fold(stem, |features, block| block.forward(features, pass))
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layer = ConvNorm { conv: &self.conv1, norm: &self.bn1 };
        cpu::norm_stem(layer, pool_shape(&self.maxpool), &images, pass)
            .unwrap_or_else(|| self.maxpool.forward(relu(self.bn1.forward(self.conv1.forward(images), pass))))
    }
}

/// Two 3x3 convolutions with a shortcut around them.
#[derive(Module, Debug)]
pub(super) struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl BasicBlock {
    fn new([channels_in, channels_out]: [usize; 2], stride: usize, device: &Device) -> Self {
        let shortcut = (stride != 1 || channels_in != channels_out).then(|| {
            (
                convolution([channels_in, channels_out], 1, stride, device),
                BatchNorm::new(channels_out, device),
            )
        });
        Self {
            conv1: convolution([channels_in, channels_out], 3, stride, device),
            bn1: BatchNorm::new(channels_out, device),
            conv2: convolution([channels_out, channels_out], 3, 1, device),
            bn2: BatchNorm::new(channels_out, device),
            downsample: shortcut,
        }
    }

    /// `relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))`: `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]`.
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        if let Some(output) = cpu::basic_block(&self.layers(), &input, pass) {
            return output;
        }
        let inner = relu(self.bn1.forward(self.conv1.forward(input.clone()), pass));
        let inner = self.bn2.forward(self.conv2.forward(inner), pass);
        let shortcut = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input), pass),
            None => input,
        };
        relu(inner + shortcut)
    }

    fn layers(&self) -> BlockLayers<'_> {
        BlockLayers {
            first: ConvNorm { conv: &self.conv1, norm: &self.bn1 },
            second: ConvNorm { conv: &self.conv2, norm: &self.bn2 },
            shortcut: self.downsample.as_ref().map(|(conv, norm)| ConvNorm { conv, norm }),
        }
    }
}

/// A square convolution without bias that keeps the size at stride 1.
fn convolution(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
        .with_bias(false)
        .with_initializer(burn::nn::Initializer::Zeros)
        .init(device)
}
