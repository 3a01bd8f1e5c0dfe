//! The head that fastai puts on every body: `create_head` with its defaults.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};

use crate::cpu;
use crate::nn::{BatchNorm, Pass, StateDict, StoredTensor};

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
    /// How it pools.
    pub(super) fn pooling(&self) -> Pooling {
        self.pooling
    }

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

/// A linear classifier of a body's mean features, to be put into a [`Head`].
///
/// The head computes it exactly: its first norm layer lets the means through, turns one maximum into the constant 1, which
/// carries the biases, and the others into 0; the hidden layer holds each logit twice, with either sign, so that ReLU loses
/// nothing; the second norm layer is the identity, and the last layer takes the difference.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// For each class its weights `[channel]` and its bias.
    pub rows: Vec<(Vec<f32>, f32)>,
}

impl LinearHead {
    /// The largest number of classes.
    pub const MOST: usize = HIDDEN / 2;

    /// The parameters of a head that computes it, by their names below `head.`; `None` if there are too many classes, or
    /// the head has no pooling.
    pub(super) fn state(&self, pooling: Pooling) -> Option<StateDict> {
        let (classes, channels) = (self.rows.len(), self.rows.first()?.0.len());
        if classes > Self::MOST || pooling != Pooling::Concat {
            return None;
        }
        let pooled = 2 * channels;
        let mut first = vec![0.0; HIDDEN * pooled];
        let mut last = vec![0.0; classes * HIDDEN];
        for (class, (weights, bias)) in self.rows.iter().enumerate() {
            for (sign, hidden) in [(1.0, class), (-1.0, class + Self::MOST)] {
                let row = &mut first[hidden * pooled..][..pooled];
                row[0] = sign * bias;
                row[channels..].iter_mut().zip(weights).for_each(|(value, weight)| *value = sign * weight);
                last[class * HIDDEN + hidden] = sign;
            }
        }
        let through = |feature: usize| if feature < channels { 0.0 } else { 1.0 };
        let constant = |feature: usize| if feature == 0 { 1.0 } else { 0.0 };
        let norm = |name: &str, weight: Vec<f32>, bias: Vec<f32>| {
            let width = weight.len();
            let variance = vec![1.0 - BatchNorm::EPSILON as f32; width];
            let values = [
                ("weight", weight),
                ("bias", bias),
                ("running_mean", vec![0.0; width]),
                ("running_var", variance),
            ];
            let named = |(field, values): (&str, Vec<f32>)| {
                (format!("head.{name}.{field}"), StoredTensor { shape: vec![width], values })
            };
            values.map(named)
        };
        let linear = |name: &str, shape: [usize; 2], values| {
            (format!("head.{name}.weight"), StoredTensor { shape: shape.to_vec(), values })
        };
        let norm_1 = norm("norm_1", (0..pooled).map(through).collect(), (0..pooled).map(constant).collect());
        let norm_2 = norm("norm_2", vec![1.0; HIDDEN], vec![0.0; HIDDEN]);
        let linears =
            [linear("linear_1", [HIDDEN, pooled], first), linear("linear_2", [classes, HIDDEN], last)];
        Some(norm_1.into_iter().chain(norm_2).chain(linears).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, VisionModel};
    use crate::nn::floats;
    use crate::{Seed, model::Pass};

    #[test]
    fn a_head_computes_a_linear_classifier_exactly() {
        let device = Device::flex();
        let (classes, channels) = (5, Arch::ResNet10Narrow.channels());
        let value = |at: usize| ((at * 37 % 101) as f32 - 50.0) / 50.0;
        let rows: Vec<(Vec<f32>, f32)> = (0..classes)
            .map(|class| ((0..channels).map(|at| value(class * channels + at)).collect(), value(class)))
            .collect();
        let model = VisionModel::new(Arch::ResNet10Narrow, classes, Seed(3), &device).unwrap();
        let model = model.with_linear_head(&LinearHead { rows: rows.clone() }).unwrap();
        let pixels: Vec<f32> = (0..3 * 3 * 64 * 64).map(|at| value(at + at / 7)).collect();
        let images = Tensor::<4>::from_data(burn::tensor::TensorData::new(pixels, [3, 3, 64, 64]), &device);
        let (logits, features) = model.logits_and_embedding(images, &mut Pass::evaluate());
        let (logits, features) = (floats(logits.into_data()), floats(features.into_data()));
        for (image, logits) in logits.chunks_exact(classes).enumerate() {
            let features = &features[image * channels..][..channels];
            for (logit, (weights, bias)) in logits.iter().zip(&rows) {
                let expected = bias + weights.iter().zip(features).map(|(a, b)| a * b).sum::<f32>();
                assert!((logit - expected).abs() < 1e-4 * expected.abs().max(1.0), "{logit} {expected}");
            }
        }
        let many = LinearHead { rows: vec![(vec![0.0; channels], 0.0); LinearHead::MOST + 1] };
        assert!(many.state(Pooling::Concat).is_none());
    }
}
