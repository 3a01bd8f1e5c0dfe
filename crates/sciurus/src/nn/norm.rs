//! Batch normalisation as PyTorch does it, over `[batch, channel, …]`.
//!
//! Burn's own layer averages the batch's biased variance into the running variance; PyTorch, and so every published set of
//! weights, uses the unbiased one. On small batches the difference is visible, hence this layer.

use burn::module::{Module, Param};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

use super::pass::{MOMENTUM, Pass};

/// Whose mean and variance the norm layers of a pretrained body use in training.
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
pub enum NormStatistics {
    /// What was measured to suit the network.
    #[default]
    Auto,
    /// Each batch's, by which the running ones move, as in PyTorch and fastai.
    Batch,
    /// The running ones that came with the weights, which stay as they are: "frozen batch norm", fastai's `BnFreeze`. A few
    /// augmented batches then don't replace what was learnt from many photos.
    Running,
}

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` per channel (Ioffe & Szegedy 2015).
///
/// A training pass uses the mean and the biased variance of the batch, and moves the running statistics by
/// `momentum` 0.1 towards the mean and the unbiased variance, as `torch.nn.BatchNorm2d` does.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale `[channel]`.
    pub weight: Param<Tensor<1>>,
    /// Offset `[channel]`.
    pub bias: Param<Tensor<1>>,
    /// Running mean `[channel]`, no gradient.
    pub running_mean: Param<Tensor<1>>,
    /// Running unbiased variance `[channel]`, no gradient.
    pub running_var: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl BatchNorm {
    /// PyTorch's default of what is added to the variance before the square root.
    pub const EPSILON: f64 = 1e-5;

    /// A layer for `channels` channels that starts as the identity.
    pub fn new(channels: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([channels], device);
        let ones = || Tensor::ones([channels], device);
        Self {
            weight: Param::from_tensor(ones()),
            bias: Param::from_tensor(zeros()),
            running_mean: Param::from_tensor(zeros()).set_require_grad(false),
            running_var: Param::from_tensor(ones()).set_require_grad(false),
            epsilon: Self::EPSILON,
        }
    }

    /// Sets what is added to the variance before the square root, above 0. Networks that come from TensorFlow have 1e-3.
    #[must_use]
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// What is added to the variance before the square root.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Normalises `[batch, channel, …]`; same shape out.
    pub fn forward<const D: usize>(&self, input: Tensor<D>, pass: &mut Pass) -> Tensor<D> {
        match pass.uses_running_statistics() {
            true => self.forward_running(input),
            false => self.forward_moving(input, pass, MOMENTUM),
        }
    }

    /// Normalises by the running statistics.
    fn forward_running<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [channels] = self.weight.lazy_shape().dims();
        assert_shape!(input, [_, channels, ..]);
        let (mean, variance) = (self.running_mean.val(), self.running_var.val());
        batch_norm(input, self.weight.val(), self.bias.val(), mean, variance, self.epsilon)
    }

    /// Like [`forward`](Self::forward), with running statistics that move by `momentum` (0..=1) of the way to the batch's.
    pub(crate) fn forward_moving<const D: usize>(
        &self,
        input: Tensor<D>,
        pass: &mut Pass,
        momentum: f64,
    ) -> Tensor<D> {
        if !pass.is_training() {
            return self.forward_running(input);
        }
        let [channels] = self.weight.lazy_shape().dims();
        assert_shape!(input, [_, channels, ..]);
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let per_channel = input.shape().num_elements() / channels;
        let result = batch_norm_train(input, weight, bias, self.epsilon);
        self.note_moving([result.mean.inner(), result.variance.inner()], per_channel, (pass, momentum));
        result.output
    }

    /// Records the new running statistics after a training pass with this mean and biased variance `[channel]`, over `count`
    /// values per channel.
    pub(crate) fn note_moments(&self, moments: [Tensor<1>; 2], count: usize, pass: &mut Pass) {
        self.note_moving(moments, count, (pass, MOMENTUM));
    }

    fn note_moving(
        &self,
        [mean, variance]: [Tensor<1>; 2],
        count: usize,
        (pass, momentum): (&mut Pass, f64),
    ) {
        // With one value per channel there is no unbiased variance. PyTorch refuses; we keep the biased one.
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        pass.note(self.running_mean.id, moved(&self.running_mean, mean, [momentum, 1.0]));
        pass.note(self.running_var.id, moved(&self.running_var, variance, [momentum, unbiased]));
    }
}

/// The running statistic, moved by `momentum` of the way to `scale * batch`, outside of autodiff.
fn moved(running: &Param<Tensor<1>>, batch: Tensor<1>, [momentum, scale]: [f64; 2]) -> Tensor<1> {
    running.val().inner().mul_scalar(1.0 - momentum) + batch.mul_scalar(momentum * scale)
}
