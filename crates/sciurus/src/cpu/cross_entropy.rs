//! Softmax cross entropy as one operation.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use sciurus_kernels::{Buffer, softmax_cross_entropy};

use super::record::{Receive, record};
use super::tensor::{floats, parameter, tracked, values};

/// Summed cross entropy (nats) `[1]` of logits `[batch, class]` against weights `[batch, class]`.
pub(crate) fn cross_entropy(logits: &Tensor<2>, targets: &[f32]) -> Option<Tensor<1>> {
    if logits.dtype() != DType::F32 {
        return None;
    }
    let [batch, classes] = logits.dims();
    let logits = tracked(logits)?;
    let node = logits.node();
    let mut gradient = Buffer::stale(batch * classes);
    let logits = parameter(logits.primitive());
    let loss = softmax_cross_entropy(values(&logits), targets, classes, &mut gradient);
    let mut output = Buffer::stale(1);
    output[0] = loss;
    let gradient = floats(gradient, [batch, classes]);
    let tracked = record(CrossEntropy, [node], gradient, floats(output, [1]));
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct CrossEntropy;

impl Backward<Flex, 1> for CrossEntropy {
    /// The gradient of the logits if the loss's gradient is 1.
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut receive = Receive::new(&ops, gradients);
        let upstream = values::<f32>(&parameter(&receive.upstream())).first().copied().unwrap_or(1.0);
        let kept = values::<f32>(&ops.state);
        receive.give(0, || {
            let mut gradient = Buffer::stale(kept.len());
            gradient.iter_mut().zip(kept).for_each(|(gradient, kept)| *gradient = kept * upstream);
            let [batch, classes] = burn::backend::TensorMetadata::shape(&ops.state).dims();
            floats(gradient, [batch, classes])
        });
    }
}
