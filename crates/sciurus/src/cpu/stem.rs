//! The first layers of a network, which take images in their original layout.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{
    Buffer, ConvShape, Isa, PoolShape, View, gradient_sums, max_pool, max_pool_gradient, norm_gradient,
    prepare_images, relu_gradient,
};

use super::inference::Folded;
use super::layer::{ConvNorm, Saved, shape, weight_gradient};
use super::pool;
use super::pool::bias_gradient_of;
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;
use crate::nn::Precision;

/// Images padded with zeros for the first convolution, and its shape on them.
#[derive(Debug)]
pub(super) struct Prepared<E: Number> {
    pub(super) images: Buffer<E>,
    pub(super) shape: ConvShape,
}

impl<E: Number> Prepared<E> {
    /// Prepares images `[batch, channel, height, width]`.
    pub(super) fn new(conv: &Conv2d, images: &FlexTensor) -> Option<Self> {
        let [batch, channels, height, width] = sizes(images);
        let shape = shape(conv, batch, [height, width])?;
        // The width is even, so that windows of bf16 begin at whole 32-bit words.
        let padded = [height + 2 * shape.padding, (width + 2 * shape.padding).next_multiple_of(2)];
        let images = parameter(images);
        let mut prepared = Buffer::stale(batch * padded[0] * padded[1] * channels);
        prepare_images(values(&images), [channels, height, width], shape.padding, padded, &mut prepared);
        let prepared_shape = ConvShape { size: padded, padding: 0, ..shape };
        (prepared_shape.out_size() == shape.out_size())
            .then_some(Self { images: prepared, shape: prepared_shape })
    }
}

/// `max_pool(relu(norm(conv(images))))`, the stem of a ResNet: `[batch, 3, height, width]` to features.
pub(crate) fn norm_stem(
    layer: ConvNorm<'_>,
    pool: PoolShape,
    images: &Tensor<4>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
    match (pass.is_training(), pass.precision()) {
        _ if !pass.is_fused() => None,
        (true, Precision::Bf16) => train_norm_stem::<bf16>(layer, pool, images, pass),
        (true, _) => train_norm_stem::<f32>(layer, pool, images, pass),
        (false, Precision::Bf16) => evaluate_norm_stem::<bf16>(layer, pool, images, pass),
        (false, _) => evaluate_norm_stem::<f32>(layer, pool, images, pass),
    }
}

/// The shape of the pooling of a convolution's output.
fn pool_over(pool: PoolShape, shape: &ConvShape) -> PoolShape {
    PoolShape { batch: shape.batch, size: shape.out_size(), channels: shape.channels[1], ..pool }
}

fn evaluate_norm_stem<E: Number>(
    layer: ConvNorm<'_>,
    pool: PoolShape,
    images: &Tensor<4>,
    pass: &Pass,
) -> Option<Tensor<4>> {
    let prepared = Prepared::<E>::new(layer.conv, &plain(images)?)?;
    let folded = Folded::<E>::norm(&layer, &prepared.shape, pass)?;
    let convolved = folded.forward(&prepared.shape, &prepared.images, (None, true));
    let pool = pool_over(pool, &prepared.shape);
    Some(Tensor::from_primitive::<Flex>(pool::pooled(&pool, &convolved).0))
}

fn train_norm_stem<E: Number>(
    layer: ConvNorm<'_>,
    pool: PoolShape,
    images: &Tensor<4>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
    let images = tracked(images)?;
    let parameters = layer.parameters(pass)?;
    let Prepared { images: prepared, shape } = Prepared::<E>::new(layer.conv, images.primitive())?;
    let kept = Saved::<E>::dense(shape, &prepared, &parameters);
    layer.note(&kept, pass);
    let pool = pool_over(pool, &shape);
    let mut output = Buffer::stale(pool.output_len());
    let mut places = Buffer::stale(output.len());
    max_pool(Isa::current(), &pool, (&kept.convolved, Some(kept.affine())), &mut output, &mut places);
    let [height, width] = pool.out_size();
    let output = features(output, [pool.batch, pool.channels, height, width]);
    let state = NormStemState { images: prepared, kept, pool, places, output: output.clone() };
    let [weight, bias] = &parameters.norm;
    let parents = [images.node(), parameters.weight.node(), weight.node(), bias.node()];
    let tracked = record(NormStem::<E>(PhantomData), parents, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct NormStemState<E: Number> {
    images: Buffer<E>,
    kept: Saved<E>,
    pool: PoolShape,
    /// Where in its window each maximum was.
    places: Buffer<u8>,
    output: FlexTensor,
}

/// The operation. Its parents are the images (which get no gradient), weight, norm weight and norm bias.
#[derive(Debug)]
struct NormStem<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 4> for NormStem<E> {
    type State = Arc<NormStemState<E>>;

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let isa = Isa::current();
        let mut receive = Receive::new(&ops, gradients);
        let NormStemState { images, kept, pool, places, output } = &*ops.state;
        let upstream = pixels::<E>(receive.upstream());
        let output = pixels::<E>(output.clone());
        let mut gradient = Buffer::<E>::stale(kept.convolved.len());
        max_pool_gradient(isa, pool, (places, Some(values(&output))), values(&upstream), &mut gradient);
        let sums = gradient_sums(isa, pool.channels, &gradient, None, kept.centre());
        let (norm, factors) = kept.norm_gradients(&sums);
        receive.give_norm(1, norm);
        receive.give(1, || {
            norm_gradient(isa, &factors, (&kept.convolved, None), &mut gradient, None);
            kept.weight_gradient(images, &gradient)
        });
    }
}

/// `relu(conv(images))`, the stem of a SqueezeNet: `[batch, 3, height, width]` to features.
pub(crate) fn relu_stem(conv: &Conv2d, images: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match (pass.is_training(), pass.precision()) {
        _ if !pass.is_fused() => None,
        (true, Precision::Bf16) => train_relu_stem::<bf16>(conv, images),
        (true, _) => train_relu_stem::<f32>(conv, images),
        (false, Precision::Bf16) => evaluate_relu_stem::<bf16>(conv, images, pass),
        (false, _) => evaluate_relu_stem::<f32>(conv, images, pass),
    }
}

fn evaluate_relu_stem<E: Number>(conv: &Conv2d, images: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    let prepared = Prepared::<E>::new(conv, &plain(images)?)?;
    let folded = Folded::<E>::bias(conv, &prepared.shape, pass)?;
    let output = folded.forward(&prepared.shape, &prepared.images, (None, true));
    Some(Tensor::from_primitive::<Flex>(features(output, output_sizes(&prepared.shape))))
}

fn output_sizes(shape: &ConvShape) -> [usize; 4] {
    let [height, width] = shape.out_size();
    [shape.batch, shape.channels[1], height, width]
}

fn train_relu_stem<E: Number>(conv: &Conv2d, images: &Tensor<4>) -> Option<Tensor<4>> {
    let images = tracked(images)?;
    let [weight, bias]: [Tracked; 2] = [tracked(&conv.weight.val())?, tracked(&conv.bias.as_ref()?.val())?];
    let Prepared { images: prepared, shape } = Prepared::<E>::new(conv, images.primitive())?;
    let [weight_values, bias_values] = [&weight, &bias].map(|tracked| parameter(tracked.primitive()));
    let folded = Folded::<E>::new(&shape, &weight_values, values(&bias_values));
    let output = folded.forward(&shape, &prepared, (None, true));
    let output = features(output, output_sizes(&shape));
    let state = ReluStemState { images: prepared, shape, output: output.clone() };
    let parents = [images.node(), weight.node(), bias.node()];
    let tracked = record(ReluStem::<E>(PhantomData), parents, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct ReluStemState<E: Number> {
    images: Buffer<E>,
    shape: ConvShape,
    output: FlexTensor,
}

/// The operation. Its parents are the images (which get no gradient), weight and bias.
#[derive(Debug)]
struct ReluStem<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 3> for ReluStem<E> {
    type State = Arc<ReluStemState<E>>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut receive = Receive::new(&ops, gradients);
        let ReluStemState { images, shape, output } = &*ops.state;
        let mut upstream = pixels::<E>(receive.upstream());
        let gradient: &mut [E] = upstream.storage_mut();
        let output = pixels::<E>(output.clone());
        relu_gradient(Isa::current(), values(&output), gradient);
        let [channels_in, channels_out] = shape.channels;
        receive.give(2, || bias_gradient_of::<E>(gradient, channels_out));
        receive.give(1, || {
            weight_gradient(shape, View::new(images, channels_in), View::new(gradient, channels_out))
        });
    }
}
