//! Losses: what training makes small, and how it is averaged for showing.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, assert_shape};

/// Mean cross entropy (nats) of logits `[batch, class]` against classes `[batch]`; result `[1]`.
///
/// `-log softmax(logits)[target]`, averaged; PyTorch's `cross_entropy`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _classes] = logits.dims();
    assert_shape!(targets, [batch]);
    log_softmax(logits, 1).gather(1, targets.reshape([batch, 1])).mean().neg()
}

/// fastai's `train_loss` column: a debiased moving average of batch losses with decay 0.98, restarted at each fit.
///
/// ```
/// let mut smooth = sciurus::SmoothLoss::default();
/// assert!((smooth.add(0.7) - 0.7).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SmoothLoss {
    average: f64,
    count: i32,
}

const DECAY: f64 = 0.98;

impl SmoothLoss {
    /// Adds a batch's loss (nats) and returns the average so far.
    pub fn add(&mut self, loss: f64) -> f64 {
        self.average = loss + (self.average - loss) * DECAY;
        self.count += 1;
        self.average / (1.0 - DECAY.powi(self.count))
    }
}
