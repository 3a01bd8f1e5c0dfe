//! ResNet with basic blocks (ResNet-18, 34) or bottlenecks (ResNet-50, 101): He et al. 2015, "Deep Residual Learning for Image
//! Recognition".
//!
//! Fields have torchvision's names, so that a torchvision state dict loads key by key. The classifier (`avgpool`, `fc`) is cut
//! off, as fastai does.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_onnx::Value;

use super::conv::{NormedConv, normed, square};
use super::{OwnBody, ParamGroup};
use crate::cpu::{self, BlockLayers, ConvNorm, pool_shape};
use crate::nn::{BatchNorm, LayerGraph, Pass};

/// The kind of block in a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResNetBlock {
    /// Two 3x3 convolutions.
    Basic,
    /// A 1x1 convolution to few channels, a 3x3 one, and a 1x1 one to four times as many.
    Bottleneck,
}

impl ResNetBlock {
    /// A block's output channels, as a multiple of its stage's width.
    fn expansion(self) -> usize {
        match self {
            ResNetBlock::Basic => 1,
            ResNetBlock::Bottleneck => 4,
        }
    }
}

/// Depth and width of a ResNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResNetConfig {
    /// The kind of block.
    pub block: ResNetBlock,
    /// Blocks in each of the four stages; ResNet-18: `[2, 2, 2, 2]`.
    pub blocks: [usize; 4],
    /// Width of the first stage, doubled in each further one; ResNet-18: 64.
    pub width: usize,
}

impl ResNetConfig {
    /// A ResNet of basic blocks.
    pub const fn basic(blocks: [usize; 4], width: usize) -> Self {
        Self { block: ResNetBlock::Basic, blocks, width }
    }

    /// A ResNet of bottlenecks.
    pub const fn bottleneck(blocks: [usize; 4], width: usize) -> Self {
        Self { block: ResNetBlock::Bottleneck, blocks, width }
    }

    /// Channels of the last stage: `8 * width`, with bottlenecks `32 * width`.
    pub fn out_channels(&self) -> usize {
        self.width * 8 * self.block.expansion()
    }

    /// Builds the body, its convolutions zero until weights are set.
    pub fn init(&self, device: &Device) -> ResNet {
        let stem = square([3, self.width], 7).with_stride([2, 2]);
        let (conv1, bn1) = normed(&stem, device);
        let [layer1, layer2, layer3, layer4] = [0, 1, 2, 3].map(|index| self.stage(index, device));
        let maxpool = MaxPool2dConfig::new([3, 3])
            .with_strides([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init();
        ResNet { conv1, bn1, maxpool, layer1, layer2, layer3, layer4 }
    }

    fn stage(&self, index: usize, device: &Device) -> Vec<Block> {
        let width = self.width << index;
        let channels_out = width * self.block.expansion();
        let (channels_in, stride) = if index == 0 { (self.width, 1) } else { (channels_out / 2, 2) };
        (0..self.blocks[index])
            .map(|block| match block {
                0 => self.block([channels_in, width], stride, device),
                _ => self.block([channels_out, width], 1, device),
            })
            .collect()
    }

    fn block(&self, channels: [usize; 2], stride: usize, device: &Device) -> Block {
        match self.block {
            ResNetBlock::Basic => Block::Basic(BasicBlock::new(channels, stride, device)),
            ResNetBlock::Bottleneck => Block::Bottleneck(Bottleneck::new(channels, stride, device)),
        }
    }
}

/// The body of a ResNet: stem and four stages.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: MaxPool2d,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

impl ResNet {
    /// Images `[batch, 3, height, width]` to features `[batch, channel, height / 32, width / 32]` (rounded up), with
    /// [`ResNetConfig::out_channels`] channels.
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        let stem = self.stem(images, pass);
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .fold(stem, |features, block| block.forward(features, pass))
    }

    /// The same as nodes of a graph.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value) -> Value {
        let stem = net.conv(&self.conv1, Some(&self.bn1), images);
        let stem = net.relu(&stem);
        let stem = net.max_pool(&self.maxpool, &stem);
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .fold(stem, |features, block| block.graph(net, &features))
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layer = ConvNorm { conv: &self.conv1, norm: &self.bn1 };
        cpu::norm_stem(layer, pool_shape(&self.maxpool), &images, pass)
            .unwrap_or_else(|| self.maxpool.forward(relu(self.bn1.forward(self.conv1.forward(images), pass))))
    }
}

/// A block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "those of a network are all of one kind")]
pub(super) enum Block {
    /// Two convolutions.
    Basic(BasicBlock),
    /// Three convolutions.
    Bottleneck(Bottleneck),
}

impl Block {
    /// `relu(main(x) + shortcut(x))`: `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layers = self.layers();
        cpu::residual_block(&layers, &input, pass).unwrap_or_else(|| layer_by_layer(&layers, input, pass))
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let layers = self.layers();
        let mut inner = input.clone();
        for (index, ConvNorm { conv, norm }) in layers.main.iter().enumerate() {
            let activated = if index == 0 { inner } else { net.relu(&inner) };
            inner = net.conv(conv, Some(norm), &activated);
        }
        let shortcut = match &layers.shortcut {
            Some(ConvNorm { conv, norm }) => net.conv(conv, Some(norm), input),
            None => input.clone(),
        };
        let sum = net.add(&inner, &shortcut);
        net.relu(&sum)
    }

    fn layers(&self) -> BlockLayers<'_> {
        match self {
            Block::Basic(block) => block.layers(),
            Block::Bottleneck(block) => block.layers(),
        }
    }
}

/// A block with Burn's own operations.
fn layer_by_layer(layers: &BlockLayers<'_>, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
    let mut inner = input.clone();
    for (index, ConvNorm { conv, norm }) in layers.main.iter().enumerate() {
        let activated = if index == 0 { inner } else { relu(inner) };
        inner = norm.forward(conv.forward(activated), pass);
    }
    let shortcut = match &layers.shortcut {
        Some(ConvNorm { conv, norm }) => norm.forward(conv.forward(input), pass),
        None => input,
    };
    relu(inner + shortcut)
}

/// Two 3x3 convolutions with a shortcut around them.
#[derive(Module, Debug)]
pub(super) struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<NormedConv>,
}

impl BasicBlock {
    /// `channels`: in and out.
    fn new([channels_in, width]: [usize; 2], stride: usize, device: &Device) -> Self {
        let (conv1, bn1) = normed(&square([channels_in, width], 3).with_stride([stride, stride]), device);
        let (conv2, bn2) = normed(&square([width, width], 3), device);
        Self { conv1, bn1, conv2, bn2, downsample: downsample([channels_in, width], stride, device) }
    }

    fn layers(&self) -> BlockLayers<'_> {
        BlockLayers {
            main: vec![
                ConvNorm { conv: &self.conv1, norm: &self.bn1 },
                ConvNorm { conv: &self.conv2, norm: &self.bn2 },
            ],
            shortcut: self.downsample.as_ref().map(|(conv, norm)| ConvNorm { conv, norm }),
        }
    }
}

/// A 3x3 convolution over few channels between two 1x1 ones, with a shortcut around them. As in torchvision ("ResNet v1.5"), the
/// 3x3 convolution has the stride; in the paper it is the first 1x1 one.
#[derive(Module, Debug)]
pub(super) struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Conv2d,
    bn3: BatchNorm,
    downsample: Option<NormedConv>,
}

impl Bottleneck {
    /// `channels`: in and within. The output has four times as many as within.
    fn new([channels_in, width]: [usize; 2], stride: usize, device: &Device) -> Self {
        let channels_out = width * ResNetBlock::Bottleneck.expansion();
        let (conv1, bn1) = normed(&square([channels_in, width], 1), device);
        let (conv2, bn2) = normed(&square([width, width], 3).with_stride([stride, stride]), device);
        let (conv3, bn3) = normed(&square([width, channels_out], 1), device);
        let downsample = downsample([channels_in, channels_out], stride, device);
        Self { conv1, bn1, conv2, bn2, conv3, bn3, downsample }
    }

    fn layers(&self) -> BlockLayers<'_> {
        BlockLayers {
            main: vec![
                ConvNorm { conv: &self.conv1, norm: &self.bn1 },
                ConvNorm { conv: &self.conv2, norm: &self.bn2 },
                ConvNorm { conv: &self.conv3, norm: &self.bn3 },
            ],
            shortcut: self.downsample.as_ref().map(|(conv, norm)| ConvNorm { conv, norm }),
        }
    }
}

/// The shortcut's own convolution, if input and output differ in size.
fn downsample(channels: [usize; 2], stride: usize, device: &Device) -> Option<NormedConv> {
    let differs = stride != 1 || channels[0] != channels[1];
    differs.then(|| normed(&square(channels, 1).with_stride([stride, stride]), device))
}
/// A ResNet of other sizes than ours may be a network of your own.
impl OwnBody for ResNet {
    fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        ResNet::forward(self, images, pass)
    }

    /// fastai's split before `layer3`.
    fn group(&self, name: &str) -> ParamGroup {
        ParamGroup(usize::from(matches!(name.split('.').next(), Some("layer3" | "layer4"))))
    }
}
