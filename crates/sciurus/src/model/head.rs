//! The head that fastai puts on every body: `create_head` with its defaults.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use sciurus_onnx::Value;
use serde::{Deserialize, Serialize};

use crate::cpu;
use crate::nn::{BatchNorm, LayerGraph, Pass, StateDict, StoredTensor};

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

/// What the head begins with when fine-tuning begins.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HeadStart {
    /// What was measured to suit the network: a linear probe for the one that is built in, where the photos permit it; random
    /// weights for others.
    #[default]
    Auto,
    /// Random weights, as fastai does.
    Random,
    /// A linear classifier of the pretrained features of the training photos, by logistic regression. For one label a photo, at most
    /// 256 classes, and networks whose head pools. Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and
    /// Underperform Out-of-Distribution" (LP-FT).
    LinearProbe,
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

    /// The same as nodes of a graph, and the embeddings on the way: the features' means `[batch, channel]`.
    pub(super) fn graph(&self, net: &mut LayerGraph, features: &Value) -> [Value; 2] {
        let means = net.means(features);
        let pooled = match self.pooling {
            Pooling::Concat => {
                let maxima = net.maxima(features);
                net.concat(&[&maxima, &means], 1)
            }
            Pooling::Nothing => means.clone(),
        };
        let hidden = net.head_linear(&self.linear_1, &self.norm_1, &pooled);
        let hidden = net.relu(&hidden);
        [net.head_linear(&self.linear_2, &self.norm_2, &hidden), means]
    }
}

/// A linear classifier of a body's mean features, to be put into a [`Head`].
///
/// The head computes it exactly, and can train from there: the norm layers know the mean and the variance of what they see, the hidden
/// layer holds each score several times with either sign, so that neither ReLU nor dropout loses it, and the last layer takes the
/// mean of the differences. The maxima count for nothing at first.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// For each class its weights `[channel]` and its bias.
    rows: Vec<(Vec<f32>, f32)>,
    /// Of each feature.
    features: Vec<Moments>,
    /// For each class those of its score, centred and without its bias: of what is above zero, and of what is below.
    scores: Vec<[Moments; 2]>,
}

/// Mean and biased variance.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Self { mean, variance }
    }

    /// What a norm layer divides by.
    fn deviation(self) -> f64 {
        (self.variance + BatchNorm::EPSILON).sqrt()
    }
}

impl LinearHead {
    /// The largest number of classes.
    pub const MOST: usize = HIDDEN / 2;

    /// The classifier with these weights `[channel]` and this bias for each class, of a body that finds these features
    /// `[photo, channel]` in the photos that it was fitted on.
    pub fn new(rows: Vec<(Vec<f32>, f32)>, features: &[f32]) -> Self {
        let channels = rows.first().map_or(0, |(weights, _)| weights.len()).max(1);
        let column =
            |channel: usize| features.iter().skip(channel).step_by(channels).map(|value| f64::from(*value));
        let moments: Vec<Moments> = (0..channels).map(|channel| Moments::of(column(channel))).collect();
        let scores = |(weights, _): &(Vec<f32>, f32)| {
            let centred = |((weight, value), of): ((&f32, &f32), &Moments)| {
                f64::from(*weight) * (f64::from(*value) - of.mean)
            };
            let score = |photo: &[f32]| weights.iter().zip(photo).zip(&moments).map(centred).sum::<f64>();
            let scores: Vec<f64> = features.chunks_exact(channels).map(score).collect();
            [1.0, -1.0].map(|sign| Moments::of(scores.iter().map(|score| (sign * score).max(0.0))))
        };
        let scores = rows.iter().map(scores).collect();
        Self { rows, features: moments, scores }
    }

    /// Number of classes.
    pub(super) fn classes(&self) -> usize {
        self.rows.len()
    }

    /// The parameters of a head that computes it, by their names below `head.`; `None` if there are too many classes, or
    /// the head has no pooling.
    pub(super) fn state(&self, pooling: Pooling) -> Option<StateDict> {
        let (classes, channels) = (self.rows.len(), self.rows.first()?.0.len());
        if classes > Self::MOST || pooling != Pooling::Concat {
            return None;
        }
        let (pooled, copies) = (2 * channels, Self::MOST / classes);
        let mut first = vec![0.0; HIDDEN * pooled];
        let mut last = vec![0.0; classes * HIDDEN];
        let mut hidden_norm = [vec![1.0; HIDDEN], vec![0.0; HIDDEN], vec![0.0; HIDDEN], vec![1.0; HIDDEN]];
        for (class, ((weights, bias), scores)) in self.rows.iter().zip(&self.scores).enumerate() {
            let at_mean = |(weight, of): (&f32, &Moments)| f64::from(*weight) * of.mean;
            let bias = f64::from(*bias) + weights.iter().zip(&self.features).map(at_mean).sum::<f64>();
            for (side, sign) in [1.0, -1.0].into_iter().enumerate() {
                let of = scores[side];
                let shift = if side == 0 { of.mean + bias } else { of.mean };
                for hidden in (0..copies).map(|copy| side * Self::MOST + class * copies + copy) {
                    let row = &mut first[hidden * pooled + channels..][..channels];
                    row.iter_mut().zip(weights).zip(&self.features).for_each(|((value, weight), of)| {
                        *value = (sign * f64::from(*weight) * of.deviation()) as f32;
                    });
                    last[class * HIDDEN + hidden] = (sign / copies as f64) as f32;
                    let values = [of.deviation(), shift, of.mean, of.variance];
                    hidden_norm.iter_mut().zip(values).for_each(|(of, value)| of[hidden] = value as f32);
                }
            }
        }
        let feature_norm = |maximum: f32, of: fn(&Moments) -> f64| {
            let means = self.features.iter().map(|moments| of(moments) as f32);
            std::iter::repeat_n(maximum, channels).chain(means).collect()
        };
        let (means, variances) = (feature_norm(0.0, |of| of.mean), feature_norm(1.0, |of| of.variance));
        let norm_1 = norm("norm_1", [vec![1.0; pooled], vec![0.0; pooled], means, variances]);
        let norm_2 = norm("norm_2", hidden_norm);
        let linear = |name: &str, shape: [usize; 2], values| {
            (format!("head.{name}.weight"), StoredTensor { shape: shape.to_vec(), values })
        };
        let linears =
            [linear("linear_1", [HIDDEN, pooled], first), linear("linear_2", [classes, HIDDEN], last)];
        Some(norm_1.into_iter().chain(norm_2).chain(linears).collect())
    }
}

/// A norm layer's parameters: weight, bias, running mean, running variance.
fn norm(name: &str, values: [Vec<f32>; 4]) -> impl Iterator<Item = (String, StoredTensor)> + use<> {
    let name = name.to_owned();
    let fields = ["weight", "bias", "running_mean", "running_var"].into_iter().zip(values);
    fields.map(move |(field, values)| {
        (format!("head.{name}.{field}"), StoredTensor { shape: vec![values.len()], values })
    })
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
        let pixels: Vec<f32> = (0..3 * 3 * 64 * 64).map(|at| value(at + at / 7)).collect();
        let images = Tensor::<4>::from_data(burn::tensor::TensorData::new(pixels, [3, 3, 64, 64]), &device);
        let (_, features) = model.logits_and_embedding(images.clone(), &mut Pass::evaluate());
        let features = floats(features.into_data());
        let model = model.with_linear_head(&LinearHead::new(rows.clone(), &features)).unwrap();
        let (logits, _) = model.logits_and_embedding(images, &mut Pass::evaluate());
        let logits = floats(logits.into_data());
        for (image, logits) in logits.chunks_exact(classes).enumerate() {
            let features = &features[image * channels..][..channels];
            for (logit, (weights, bias)) in logits.iter().zip(&rows) {
                let expected = bias + weights.iter().zip(features).map(|(a, b)| a * b).sum::<f32>();
                assert!((logit - expected).abs() < 1e-4 * expected.abs().max(1.0), "{logit} {expected}");
            }
        }
        let many = LinearHead::new(vec![(vec![0.0; channels], 0.0); LinearHead::MOST + 1], &features);
        assert!(many.state(Pooling::Concat).is_none());
    }
}
