//! EfficientNet-Lite (Tan & Le 2019 without squeeze and excitation, and with ReLU6): the networks of Google's
//! `efficientnet-lite`, which run fast on phones and CPUs.
//!
//! The features of timm's `tf_efficientnet_lite0` and `tf_efficientnet_lite2`, under timm's names: `conv_stem.weight`,
//! `blocks.1.0.conv_dw.weight`, `bn2.running_var`, … The classifier is cut off.
//!
//! # The network runs upside down
//!
//! TensorFlow pads a convolution of stride 2 on an even size with one pixel more at the end than at the start (`SAME`); our
//! kernels, like PyTorch, pad both sides alike. On a picture that is turned by 180°, with kernels that are turned too, the
//! two are the same: turned, TensorFlow's window for output `o` covers the pixels `2o - k/2` to `2o + k/2`, which is the window of
//! a convolution padded by `k/2`. On odd sizes TensorFlow pads both sides alike, and turning changes nothing. So images are turned
//! on their way in, features on their way out, and kernels once, when weights are read or written
//! ([`super::parameters`]).

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::relu6;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_kernels::Nonlinearity::{None as Linear, Relu6};
use sciurus_onnx::Value;

use super::conv::square;
use super::efficientnet::{STAGES, STEM, Stage};
use crate::cpu::{self, ChainLayers, ConvNorm};
use crate::nn::{BatchNorm, LayerGraph, Padding, Pass};

/// TensorFlow's small number in norm layers.
const EPSILON: f64 = 1e-3;

/// A size of EfficientNet-Lite.
///
/// | Name | Meaning | Lite0 | Lite2 |
/// |---|---|---|---|
/// | `width` | factor of the channels, which are rounded to multiples of 8 | 1 | 1.1 |
/// | `depth` | factor of the blocks of a stage but the first and the last, rounded up | 1 | 1.2 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EfficientNetLiteConfig {
    /// Factor of the channels.
    pub width: f64,
    /// Factor of the number of blocks.
    pub depth: f64,
}

impl EfficientNetLiteConfig {
    /// EfficientNet-Lite0.
    pub const LITE0: Self = Self { width: 1.0, depth: 1.0 };
    /// EfficientNet-Lite2.
    pub const LITE2: Self = Self { width: 1.1, depth: 1.2 };

    /// Builds the body, its convolutions zero until weights are set.
    pub fn init(&self, device: &Device) -> EfficientNetLite {
        let mut channels_in = STEM;
        let mut blocks = Vec::with_capacity(STAGES.len());
        for (place, stage) in STAGES.iter().enumerate() {
            let channels = self.channels(stage.channels);
            let is_inner = place > 0 && place + 1 < STAGES.len();
            let depth = if is_inner { self.blocks(stage.blocks) } else { stage.blocks };
            blocks.push(
                (0..depth)
                    .map(|block| {
                        let within = if block == 0 { channels_in } else { channels };
                        let stride = if block == 0 { stage.stride } else { 1 };
                        Block::new([within, channels], stride, stage, device)
                    })
                    .collect(),
            );
            channels_in = channels;
        }
        EfficientNetLite {
            conv_stem: plain(&square([3, STEM], 3).with_stride([2, 2]), device),
            bn1: norm(STEM, device),
            blocks,
            conv_head: plain(&square([channels_in, EfficientNetLite::OUT_CHANNELS], 1), device),
            bn2: norm(EfficientNetLite::OUT_CHANNELS, device),
        }
    }

    /// TensorFlow's rounding: to the nearest multiple of 8, but at most a tenth down.
    fn channels(&self, channels: usize) -> usize {
        let wanted = channels as f64 * self.width;
        let rounded = (((wanted + 4.0) / 8.0).floor() as usize * 8).max(8);
        if (rounded as f64) < 0.9 * wanted { rounded + 8 } else { rounded }
    }

    fn blocks(&self, blocks: usize) -> usize {
        (blocks as f64 * self.depth).ceil() as usize
    }
}

/// The body of an EfficientNet-Lite.
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    conv_stem: Conv2d,
    bn1: BatchNorm,
    blocks: Vec<Vec<Block>>,
    conv_head: Conv2d,
    bn2: BatchNorm,
}

impl EfficientNetLite {
    /// Channels of the last feature map.
    pub const OUT_CHANNELS: usize = 1280;

    /// Images `[batch, 3, height, width]` to features `[batch, 1280, height / 32, width / 32]` (rounded up).
    pub fn forward(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        assert_shape!(images, [_, 3, _, _]);
        let features = self.stem(images.flip([2, 3]), pass);
        let features =
            self.blocks.iter().flatten().fold(features, |features, block| block.forward(features, pass));
        self.last(features, pass).flip([2, 3])
    }

    /// The same as nodes of a graph, which needs no turning: ONNX knows TensorFlow's padding.
    pub(super) fn graph(&self, net: &mut LayerGraph, images: &Value) -> Value {
        let stem = net.padded_conv(&self.conv_stem, Some(&self.bn1), Padding::Same, images);
        let stem = net.relu6(&stem);
        let features = self.blocks.iter().flatten().fold(stem, |features, block| block.graph(net, &features));
        let last = net.padded_conv(&self.conv_head, Some(&self.bn2), Padding::Same, &features);
        net.relu6(&last)
    }

    fn stem(&self, images: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layers = chain_of([(&self.conv_stem, &self.bn1)]);
        cpu::image_chain(&layers, &images, pass)
            .unwrap_or_else(|| relu6(self.bn1.forward(self.conv_stem.forward(images), pass)))
    }

    fn last(&self, features: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let layers = chain_of([(&self.conv_head, &self.bn2)]);
        cpu::chain(&layers, &features, pass)
            .unwrap_or_else(|| relu6(self.bn2.forward(self.conv_head.forward(features), pass)))
    }
}

/// Expansion to many channels, a depthwise convolution, and a linear projection; the first stage's block has no expansion.
#[derive(Module, Debug)]
struct Block {
    /// The expansion; without it, the projection of the first stage's block, as timm names it.
    conv_pw: Conv2d,
    bn1: BatchNorm,
    conv_dw: Conv2d,
    bn2: BatchNorm,
    /// The projection of a block with an expansion.
    conv_pwl: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    #[module(skip)]
    has_shortcut: bool,
}

impl Block {
    fn new([channels_in, channels_out]: [usize; 2], stride: usize, stage: &Stage, device: &Device) -> Self {
        let within = channels_in * stage.expansion;
        let depthwise =
            square([within, within], stage.kernel).with_stride([stride, stride]).with_groups(within);
        let expands = stage.expansion > 1;
        let pointwise = if expands { [channels_in, within] } else { [within, channels_out] };
        Self {
            conv_pw: plain(&square(pointwise, 1), device),
            bn1: norm(within, device),
            conv_dw: plain(&depthwise, device),
            bn2: norm(if expands { within } else { channels_out }, device),
            conv_pwl: expands.then(|| plain(&square([within, channels_out], 1), device)),
            bn3: expands.then(|| norm(channels_out, device)),
            has_shortcut: stride == 1 && channels_in == channels_out,
        }
    }

    /// The layers before the projection, each followed by ReLU6, and the projection.
    fn layers(&self) -> (Vec<Layer<'_>>, Layer<'_>) {
        match (&self.conv_pwl, &self.bn3) {
            (Some(project), Some(bn3)) => {
                (vec![(&self.conv_pw, &self.bn1), (&self.conv_dw, &self.bn2)], (project, bn3))
            }
            _ => (vec![(&self.conv_dw, &self.bn1)], (&self.conv_pw, &self.bn2)),
        }
    }

    /// `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]` (rounded up).
    fn forward(&self, input: Tensor<4>, pass: &mut Pass) -> Tensor<4> {
        let (before, (project, last)) = self.layers();
        let mut layers = chain_of(before.iter().copied());
        layers.main.push((ConvNorm { conv: project, norm: last }, Linear));
        layers.shortcut = self.has_shortcut.then_some(0.0);
        if let Some(output) = cpu::chain(&layers, &input, pass) {
            return output;
        }
        let within = before
            .into_iter()
            .fold(input.clone(), |features, (conv, norm)| relu6(norm.forward(conv.forward(features), pass)));
        let output = last.forward(project.forward(within), pass);
        if self.has_shortcut { input + output } else { output }
    }

    fn graph(&self, net: &mut LayerGraph, input: &Value) -> Value {
        let (before, (project, last)) = self.layers();
        let within = before.into_iter().fold(input.clone(), |features, (conv, norm)| {
            let features = net.padded_conv(conv, Some(norm), Padding::Same, &features);
            net.relu6(&features)
        });
        let output = net.padded_conv(project, Some(last), Padding::Same, &within);
        if self.has_shortcut { net.add(input, &output) } else { output }
    }
}

/// A convolution and the norm layer after it.
type Layer<'a> = (&'a Conv2d, &'a BatchNorm);

/// Layers that ReLU6 follows.
fn chain_of<'a>(layers: impl IntoIterator<Item = Layer<'a>>) -> ChainLayers<'a> {
    let main = layers.into_iter().map(|(conv, norm)| (ConvNorm { conv, norm }, Relu6)).collect();
    ChainLayers { main, excitation: None, shortcut: None }
}

fn plain(config: &Conv2dConfig, device: &Device) -> Conv2d {
    config.clone().with_bias(false).init(device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNorm::new(channels, device).with_epsilon(EPSILON)
}
