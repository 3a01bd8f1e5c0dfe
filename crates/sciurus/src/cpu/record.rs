//! Records an operation in Burn's autodiff graph, and hands out its gradients.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn_flex::FlexTensor;

use super::tensor::Tracked;

/// Records an operation and its state, if any of its parents needs a gradient.
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

/// Receives the gradients of an operation's parents.
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

    /// Gives the gradients of a norm layer. Parent `layer` is its convolution's weight; the norm's weight and bias follow.
    pub(super) fn give_norm(&mut self, layer: usize, [weight, bias]: [FlexTensor; 2]) {
        self.give(layer + 1, || weight);
        self.give(layer + 2, || bias);
    }
}
