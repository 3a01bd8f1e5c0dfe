//! Writing an operation into Burn's graph, and handing its gradients out.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn_flex::FlexTensor;

use super::tensor::Tracked;

/// Records an operation and what it keeps, if anything it depends on needs a gradient.
pub(super) fn record<O, const N: usize>(
    operation: O,
    parents: [NodeGuard; N],
    state: O::State,
    output: FlexTensor,
) -> Tracked
where
    O: Backward<Flex, N>,
{
    match operation.prepare::<NoCheckpointing>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// Where the gradients of an operation's parents go.
pub(super) struct Receive<'a, S, const N: usize> {
    ops: &'a Ops<S, N>,
    gradients: &'a mut Gradients,
}

impl<'a, S, const N: usize> Receive<'a, S, N> {
    pub(super) fn new(ops: &'a Ops<S, N>, gradients: &'a mut Gradients) -> Self {
        Self { ops, gradients }
    }

    /// The gradient of the operation's output.
    pub(super) fn upstream(&mut self) -> FlexTensor {
        self.gradients.consume::<Flex>(&self.ops.node)
    }

    /// Whether a parent needs its gradient.
    pub(super) fn needs(&self, parent: usize) -> bool {
        self.ops.parents[parent].is_some()
    }

    /// Computes a parent's gradient, if it needs one.
    pub(super) fn give(&mut self, parent: usize, gradient: impl FnOnce() -> FlexTensor) {
        if let Some(node) = &self.ops.parents[parent] {
            self.gradients.register::<Flex>(node.id, gradient());
        }
    }

    /// Gradients of the norm layer whose convolution's weight is parent `layer`: weight and bias follow it.
    pub(super) fn give_norm(&mut self, layer: usize, [weight, bias]: [FlexTensor; 2]) {
        self.give(layer + 1, || weight);
        self.give(layer + 2, || bias);
    }
}
