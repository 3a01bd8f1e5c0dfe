//! One pass through a model: for evaluation, or for training.
//!
//! In: the random stream of a training step. Out: dropout masks, and new running statistics of the norm layers. A forward pass
//! does not change the model: it collects the new statistics here, and the optimizer's step writes them into the model.

use burn::module::ParamId;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use sciurus_data::Rng;

use super::{FoldedLayers, Precision};

/// PyTorch's default: the weight of a batch in the running statistics.
pub(super) const MOMENTUM: f64 = 0.1;

/// The mode of a forward pass, and the running statistics that it collects.
///
/// ```
/// use sciurus::model::Pass;
/// assert!(!Pass::evaluate().is_training());
/// assert!(Pass::train(sciurus::Seed(1).rng(&[0])).is_training());
/// ```
#[derive(Debug)]
pub struct Pass {
    training: Option<Training>,
    precision: Precision,
    folded: FoldedLayers,
    fused: bool,
}

#[derive(Debug)]
struct Training {
    rng: Rng,
    statistics: Vec<(ParamId, Tensor<1>)>,
    head_momentum: f64,
    frozen_norm: bool,
}

impl Pass {
    /// A pass that uses the running statistics and drops nothing.
    pub fn evaluate() -> Self {
        Self::new(None)
    }

    /// A pass that uses the statistics of the batch and drops features at random.
    pub fn train(rng: Rng) -> Self {
        let training = Training { rng, statistics: Vec::new(), head_momentum: MOMENTUM, frozen_norm: false };
        Self::new(Some(training))
    }

    fn new(training: Option<Training>) -> Self {
        Self { training, precision: Precision::F32, folded: FoldedLayers::default(), fused: true }
    }

    /// Runs every layer by itself with Burn's own operations, as on devices other than the CPU. Slow on the CPU; the kernels are
    /// tested against it.
    #[must_use]
    pub fn layer_by_layer(mut self) -> Self {
        self.fused = false;
        self
    }

    /// Whether blocks may run as fused operations, if the device can.
    pub(crate) fn is_fused(&self) -> bool {
        self.fused
    }

    /// Sets the number format of activations; the default is f32. Devices other than the CPU always use f32.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Declares this to be training step `step`, counted from 0, of a new head. The running statistics of its norm layers are
    /// then the plain mean over the first ten batches, and a moving average afterwards, so that their arbitrary start does
    /// not count: PyTorch's cumulative average, then its moving one.
    #[must_use]
    pub fn with_new_head(mut self, step: u64) -> Self {
        if let Some(training) = &mut self.training {
            training.head_momentum = MOMENTUM.max(1.0 / (step + 1) as f64);
        }
        self
    }

    /// Has the norm layers of the body use their running statistics and keep them, as in evaluation, while weights train; those
    /// of the head are as ever. Batches are then normalised as single photos will be, and statistics of millions of photos
    /// are not replaced by those of a few augmented ones. Source: fastai's `BnFreeze`; Keras's guide to fine-tuning.
    #[must_use]
    pub fn with_frozen_norm(mut self) -> Self {
        if let Some(training) = &mut self.training {
            training.frozen_norm = true;
        }
        self
    }

    /// Whether norm layers of the body use their running statistics.
    pub(crate) fn uses_running_statistics(&self) -> bool {
        self.training.as_ref().is_none_or(|training| training.frozen_norm)
    }

    /// How far the running statistics of the head's norm layers move in this pass (0..=1).
    pub(crate) fn head_momentum(&self) -> f64 {
        self.training.as_ref().map_or(MOMENTUM, |training| training.head_momentum)
    }

    /// Keeps folded weights in `folded` from pass to pass. Use it for a single model that does not change.
    #[must_use]
    pub fn with_folded(mut self, folded: &FoldedLayers) -> Self {
        self.folded = folded.clone();
        self
    }

    /// The number format of activations.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Where folded weights are kept.
    pub(crate) fn folded_layers(&self) -> &FoldedLayers {
        &self.folded
    }

    /// Whether this is a training pass.
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }

    /// The running statistics after this pass: parameter and new value `[channel]`.
    pub fn into_statistics(self) -> Vec<(ParamId, Tensor<1>)> {
        self.training.map(|training| training.statistics).unwrap_or_default()
    }

    /// Records the new value of a running statistic. Does nothing in an evaluation pass.
    pub(crate) fn note(&mut self, id: ParamId, value: Tensor<1>) {
        if let Some(training) = &mut self.training {
            training.statistics.push((id, value));
        }
    }

    /// Stochastic depth: in training, each image's branch `[batch, …]` is dropped with `probability` (0..1), and the others
    /// are divided by `1 - probability`. Source: Huang et al. 2016; torchvision's `StochasticDepth` in mode `row`.
    pub(crate) fn drop_path<const D: usize>(&mut self, branch: Tensor<D>, probability: f64) -> Tensor<D> {
        let batch = branch.dims()[0];
        match self.dropout_mask([batch, 1], probability, &branch.device()) {
            None => branch,
            Some(mask) => {
                let mut shape = [1; D];
                shape[0] = batch;
                branch * mask.reshape(shape)
            }
        }
    }

    /// A dropout mask `[rows, columns]`: 0 with `probability`, else `1 / (1 - probability)`. `None` when nothing is dropped.
    ///
    /// The mask comes from the pass's own random stream, not from the device's generator, so that a run is the same on every
    /// device and for every number of threads.
    pub(crate) fn dropout_mask(
        &mut self,
        shape: [usize; 2],
        probability: f64,
        device: &Device,
    ) -> Option<Tensor<2>> {
        let mask = self.dropout_factors(shape[0] * shape[1], probability)?;
        Some(Tensor::from_data(TensorData::new(mask, shape), device))
    }

    /// A dropout mask as plain numbers.
    pub(crate) fn dropout_factors(&mut self, count: usize, probability: f64) -> Option<Vec<f32>> {
        let training = self.training.as_mut().filter(|_| probability > 0.0)?;
        let kept = (1.0 / (1.0 - probability)) as f32;
        let factor = |_| if training.rng.random::<f64>() < probability { 0.0 } else { kept };
        Some((0..count).map(factor).collect())
    }
}
