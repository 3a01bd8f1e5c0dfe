//! Pooling operations: the maximum of windows, and maximum and mean of the whole picture.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::PaddingConfig2d;
use burn::nn::pool::MaxPool2d;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{Buffer, Isa, PoolShape, concat_pool_gradient, gradient_sums, max_pool_gradient};

use super::record::{Receive, record};
use super::tensor::{Number, features, floats, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;

/// The window of a pooling layer. The sizes of its input are left 0.
pub(crate) fn pool_shape(pool: &MaxPool2d) -> PoolShape {
    let padding = match pool.padding {
        PaddingConfig2d::Explicit(top, ..) => top,
        _ => 0,
    };
    PoolShape {
        batch: 0,
        size: [0, 0],
        channels: 0,
        kernel: pool.kernel_size[0],
        stride: pool.stride[0],
        padding,
        ceil: pool.ceil_mode,
    }
}

/// Max pooling of features `[batch, channel, height, width]`. `shape` gives the window; the rest comes from the features.
pub(crate) fn max_pool(shape: PoolShape, input: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match input.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => max_pool_of::<bf16>(shape, input),
        DType::F32 => max_pool_of::<f32>(shape, input),
        _ => None,
    }
}

fn max_pool_of<E: Number>(shape: PoolShape, input: &Tensor<4>) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = input.dims();
    let shape = PoolShape { batch, size: [height, width], channels, ..shape };
    if let Some(input) = plain(input) {
        let (output, _) = pooled(&shape, values::<E>(&pixels::<E>(input)));
        return Some(Tensor::from_primitive::<Flex>(output));
    }
    let input = tracked(input)?;
    let node = input.node();
    let (output, places) = pooled(&shape, values::<E>(&pixels::<E>(input.into_primitive())));
    let tracked = record(MaxPool::<E>(PhantomData), [node], Arc::new((shape, places)), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

/// Pools pixels. Also returns where in its window each maximum was.
pub(super) fn pooled<E: Number>(shape: &PoolShape, input: &[E]) -> (FlexTensor, Buffer<u8>) {
    let mut output = Buffer::stale(shape.output_len());
    let mut places = Buffer::stale(output.len());
    sciurus_kernels::max_pool(Isa::current(), shape, (input, None), &mut output, &mut places);
    let [height, width] = shape.out_size();
    (features(output, [shape.batch, shape.channels, height, width]), places)
}

#[derive(Debug)]
struct MaxPool<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 1> for MaxPool<E> {
    type State = Arc<(PoolShape, Buffer<u8>)>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (shape, places) = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = pixels::<E>(receive.upstream());
        receive.give(0, || {
            let mut gradient = Buffer::<E>::stale(shape.input_len());
            max_pool_gradient(Isa::current(), shape, (places, None), values(&upstream), &mut gradient);
            features(gradient, [shape.batch, shape.channels, shape.size[0], shape.size[1]])
        });
    }
}

/// Maximum and mean of each channel: `[batch, channel, height, width]` to f32 `[batch, 2 * channel]`, the maxima first.
pub(crate) fn concat_pool(input: &Tensor<4>, pass: &Pass) -> Option<Tensor<2>> {
    match input.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => concat_pool_of::<bf16>(input),
        DType::F32 => concat_pool_of::<f32>(input),
        _ => None,
    }
}

fn concat_pool_of<E: Number>(input: &Tensor<4>) -> Option<Tensor<2>> {
    let [batch, channels, height, width] = input.dims();
    let dims = [batch, height * width, channels];
    let pool = |input: FlexTensor| {
        let mut output = Buffer::stale(batch * 2 * channels);
        let places = sciurus_kernels::concat_pool(values::<E>(&pixels::<E>(input)), dims, &mut output);
        (floats(output, [batch, 2 * channels]), places)
    };
    if let Some(input) = plain(input) {
        return Some(Tensor::from_primitive::<Flex>(pool(input).0));
    }
    let input = tracked(input)?;
    let node = input.node();
    let sizes = sizes(input.primitive());
    let (output, places) = pool(input.into_primitive());
    let tracked = record(ConcatPool::<E>(PhantomData), [node], Arc::new((sizes, places)), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct ConcatPool<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 1> for ConcatPool<E> {
    /// The features' sizes, and the pixel of each maximum.
    type State = Arc<([usize; 4], Vec<u32>)>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (sizes, places) = &*ops.state;
        let [batch, channels, height, width] = *sizes;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = parameter(&receive.upstream());
        receive.give(0, || {
            let mut gradient = Buffer::<E>::stale(batch * channels * height * width);
            concat_pool_gradient(places, values(&upstream), [batch, height * width, channels], &mut gradient);
            features(gradient, *sizes)
        });
    }
}

/// The gradient of a bias, from the gradient of the sum it was added to.
pub(super) fn bias_gradient_of<E: Number>(gradient: &[E], channels: usize) -> FlexTensor {
    bias_gradient(&gradient_sums(Isa::current(), channels, gradient, None, None).gradient)
}

/// The gradient of a bias, from its channels' sums.
pub(super) fn bias_gradient(sums: &[f64]) -> FlexTensor {
    let mut gradient = Buffer::stale(sums.len());
    gradient.iter_mut().zip(sums).for_each(|(gradient, &sum)| *gradient = sum as f32);
    floats(gradient, [sums.len()])
}
