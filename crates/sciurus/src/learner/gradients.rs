//! What happens to gradients between the backward pass and the optimizer: accumulation over batches, and clipping.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Gradients, Tensor};

use crate::model::VisionModel;

/// Adds up the gradients of several batches, so that the optimizer steps once for all of them, as if they were one batch.
pub(super) struct Accumulation {
    batches: usize,
    seen: usize,
    sum: GradientsAccumulator<VisionModel>,
}

impl std::fmt::Debug for Accumulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accumulation({} of {} batches)", self.seen, self.batches)
    }
}

impl Accumulation {
    /// Steps after this many batches.
    pub(super) fn over(batches: usize) -> Self {
        Self { batches, seen: 0, sum: GradientsAccumulator::new() }
    }

    /// Adds a batch's gradients. Returns the sum and its number of batches once there are enough.
    pub(super) fn add(
        &mut self,
        model: &VisionModel,
        gradients: Gradients,
    ) -> Option<(GradientsParams, usize)> {
        let gradients = GradientsParams::from_grads(gradients, model);
        if self.batches == 1 {
            return Some((gradients, 1));
        }
        self.sum.accumulate(model, gradients);
        self.seen += 1;
        if self.seen == self.batches { self.take() } else { None }
    }

    /// Whether gradients are waiting for a step.
    pub(super) fn waits(&self) -> bool {
        self.seen > 0
    }

    /// Takes the sum so far, if there is one. Used at the end of an epoch, which does not wait for more batches.
    pub(super) fn take(&mut self) -> Option<(GradientsParams, usize)> {
        let seen = std::mem::take(&mut self.seen);
        (seen > 0).then(|| (self.sum.grads(), seen))
    }
}

/// The norm of all gradients together: the root of the sum of their squares.
pub(super) fn norm(model: &VisionModel, gradients: &GradientsParams) -> f64 {
    let mut squares = Squares { gradients, sum: 0.0 };
    model.visit(&mut squares);
    squares.sum.sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += gradient.square().sum().into_data().iter::<f64>().sum::<f64>();
        }
    }
}

/// The factor that brings gradients of this norm down to a norm of at most `largest`: PyTorch's `clip_grad_norm_`.
pub(super) fn clipping(norm: f64, largest: f64) -> f64 {
    (largest / (norm + 1e-6)).min(1.0)
}
