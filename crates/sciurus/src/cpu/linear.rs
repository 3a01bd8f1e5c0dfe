//! A linear layer without bias as one operation: a 1x1 convolution on pictures of one pixel.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use sciurus_kernels::{Buffer, ConvShape, Isa, PackedWeights, View, ViewMut, conv_forward};

use super::layer::{weight_gradient, whole_input_gradient};
use super::record::{Receive, record};
use super::tensor::{Number, floats, parameter, plain, tracked, values};
use crate::nn::Pass;

/// `[batch, in]` to `[batch, out]` in f32.
pub(crate) fn linear(layer: &Linear, input: &Tensor<2>, pass: &Pass) -> Option<Tensor<2>> {
    if !pass.is_fused() || layer.bias.is_some() || input.dtype() != DType::F32 {
        return None;
    }
    let ([batch, _], channels) = (input.dims(), layer.weight.val().dims());
    let shape = ConvShape { batch, size: [1, 1], channels, kernel: [1, 1], stride: 1, padding: 0 };
    if let (Some(input), Some(weight)) = (plain(input), plain(&layer.weight.val())) {
        let output = product(&shape, &parameter(&input), &by_output(&weight));
        return Some(Tensor::from_primitive::<Flex>(output));
    }
    let (input, weight) = (tracked(input)?, tracked(&layer.weight.val())?);
    let nodes = [input.node(), weight.node()];
    let (input, weight) = (parameter(input.primitive()), by_output(weight.primitive()));
    let output = product(&shape, &input, &weight);
    let output = record(Product, nodes, Arc::new(Saved { shape, input, weight }), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}

/// Burn's weight `[in, out]` transposed for the kernels: `[out, in]`.
pub(super) fn by_output(weight: &FlexTensor) -> FlexTensor {
    parameter(&weight.permute(&[1, 0]))
}

fn product(shape: &ConvShape, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [channels_in, channels_out] = shape.channels;
    let packed = PackedWeights::<f32>::forward(Isa::current(), shape, values(weight), None);
    let mut output = Buffer::stale(shape.output_len());
    let target = ViewMut::new(&mut output, channels_out);
    conv_forward(shape, View::new(values(input), channels_in), &packed, target);
    floats(output, [shape.batch, channels_out])
}

#[derive(Debug)]
struct Product;

#[derive(Debug)]
struct Saved {
    shape: ConvShape,
    input: FlexTensor,
    /// `[out, in]`
    weight: FlexTensor,
}

impl Backward<Flex, 2> for Product {
    type State = Arc<Saved>;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Saved { shape, input, weight } = &*ops.state;
        let [channels_in, _] = shape.channels;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = parameter(&receive.upstream());
        let upstream = values::<f32>(&upstream);
        receive.give(0, || {
            let gradient = whole_input_gradient(shape, weight, upstream);
            floats(gradient, [shape.batch, channels_in])
        });
        receive.give(1, || by_input::<f32>(shape, values(input), upstream));
    }
}

/// The gradient of a linear layer's weight in Burn's order: `[in, out]`.
pub(super) fn by_input<E: Number>(shape: &ConvShape, input: &[E], output_gradient: &[E]) -> FlexTensor {
    let [channels_in, channels_out] = shape.channels;
    let (from, to) = (View::new(input, channels_in), View::new(output_gradient, channels_out));
    let gradient = weight_gradient(shape, from, to);
    parameter(&gradient.reshape([channels_out, channels_in].into()).permute(&[1, 0]))
}
