//! A convolution with a bias, and layer norm over the channels of each pixel, each as one operation: the layers between the
//! stages of a ConvNeXt.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{Buffer, ConvShape, Isa, PixelMoments, View, layer_norm, layer_norm_gradient};

use super::chain::Source;
use super::inference::Folded;
use super::layer::{shape, weight_gradient, whole_input_gradient};
use super::pool::{bias_gradient, bias_gradient_of};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Precision;
use crate::nn::{LayerNorm, Pass};

/// A convolution with a bias over features.
pub(crate) fn biased_conv(conv: &Conv2d, input: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match input.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => biased::<bf16>(conv, input, |features| Some(Source::features(features)), pass),
        _ => biased::<f32>(conv, input, |features| Some(Source::features(features)), pass),
    }
}

/// A convolution with a bias over images `[batch, 3, height, width]`, which get no gradient.
pub(crate) fn biased_image_conv(conv: &Conv2d, images: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match pass.precision() {
        _ if !pass.is_fused() => None,
        Precision::Bf16 => biased::<bf16>(conv, images, |images| Source::images(conv, &images), pass),
        _ => biased::<f32>(conv, images, |images| Source::images(conv, &images), pass),
    }
}

fn biased<E: Number>(
    conv: &Conv2d,
    input: &Tensor<4>,
    source: impl Fn(FlexTensor) -> Option<Source<E>>,
    pass: &Pass,
) -> Option<Tensor<4>> {
    let shape = |source: &Source<E>| {
        let (batch, size) = source.size();
        source.first_shape().or_else(|| shape(conv, batch, size))
    };
    let sizes = |shape: &ConvShape| {
        let [height, width] = shape.out_size();
        [shape.batch, shape.channels[1], height, width]
    };
    if let Some(input) = plain(input) {
        let source = source(input)?;
        let shape = shape(&source)?;
        let output = Folded::bias(conv, &shape, pass)?.forward(&shape, source.values(), (None, false));
        return Some(Tensor::from_primitive::<Flex>(features(output, sizes(&shape))));
    }
    let input = tracked(input)?;
    let [weight, bias]: [Tracked; 2] = [tracked(&conv.weight.val())?, tracked(&conv.bias.as_ref()?.val())?];
    let nodes = [input.node(), weight.node(), bias.node()];
    let source = source(input.into_primitive())?;
    let shape = shape(&source)?;
    let [weight, bias] = [&weight, &bias].map(|tracked| parameter(tracked.primitive()));
    let output = Folded::new(&shape, &weight, values(&bias)).forward(&shape, source.values(), (None, false));
    let output = features(output, sizes(&shape));
    let tracked = record(Biased(PhantomData), nodes, Arc::new(BiasedState { source, shape, weight }), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct BiasedState<E: Number> {
    source: Source<E>,
    shape: ConvShape,
    weight: FlexTensor,
}

/// The operation. Its parents are the input, weight and bias.
#[derive(Debug)]
struct Biased<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 3> for Biased<E> {
    type State = Arc<BiasedState<E>>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let BiasedState { source, shape, weight } = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = pixels::<E>(receive.upstream());
        let upstream: &[E] = values(&upstream);
        let [channels_in, channels_out] = shape.channels;
        receive.give(2, || bias_gradient_of(upstream, channels_out));
        receive.give(1, || {
            let (from, to) = (View::new(source.values(), channels_in), View::new(upstream, channels_out));
            weight_gradient(shape, from, to)
        });
        let Source::Pixels(input) = source else { return };
        receive.give(0, || {
            let [batch, height, width, channels] = sizes(input);
            let gradient = whole_input_gradient(shape, weight, upstream);
            features(gradient, [batch, channels, height, width])
        });
    }
}

/// Layer norm of each pixel of features over its channels.
pub(crate) fn layer_norm_pixels(norm: &LayerNorm, input: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match input.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => normed::<bf16>(norm, input),
        _ => normed::<f32>(norm, input),
    }
}

fn normed<E: Number>(norm: &LayerNorm, input: &Tensor<4>) -> Option<Tensor<4>> {
    let [batch, channels, height, width] = input.dims();
    let run = |input: &FlexTensor, [weight, bias]: [&FlexTensor; 2]| {
        let mut output = Buffer::<E>::stale(values::<E>(input).len());
        let affine = [values(weight), values(bias)];
        let epsilon = LayerNorm::EPSILON as f32;
        let moments = layer_norm(Isa::current(), values(input), affine, epsilon, &mut output);
        (features(output, [batch, channels, height, width]), moments)
    };
    if let Some(input) = plain(input) {
        let [weight, bias] = [plain(&norm.weight.val())?, plain(&norm.bias.val())?].map(|t| parameter(&t));
        let (output, _) = run(&pixels::<E>(input), [&weight, &bias]);
        return Some(Tensor::from_primitive::<Flex>(output));
    }
    let input = tracked(input)?;
    let affine = [tracked(&norm.weight.val())?, tracked(&norm.bias.val())?];
    let nodes = [input.node(), affine[0].node(), affine[1].node()];
    let [weight, bias] = affine.map(|tracked| parameter(tracked.primitive()));
    let input = pixels::<E>(input.into_primitive());
    let (output, moments) = run(&input, [&weight, &bias]);
    let state = NormedState { input, weight, moments };
    let tracked = record(Normed::<E>(PhantomData), nodes, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct NormedState {
    input: FlexTensor,
    weight: FlexTensor,
    moments: PixelMoments,
}

/// The operation. Its parents are the input, weight and bias.
#[derive(Debug)]
struct Normed<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 3> for Normed<E> {
    type State = Arc<NormedState>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let NormedState { input, weight, moments } = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let mut upstream = pixels::<E>(receive.upstream());
        let gradient: &mut [E] = upstream.storage_mut();
        let sums = layer_norm_gradient(Isa::current(), values(input), moments, values(weight), gradient);
        receive.give(1, || bias_gradient(&sums.centred));
        receive.give(2, || bias_gradient(&sums.gradient));
        receive.give(0, || upstream.permute(&[0, 3, 1, 2]));
    }
}
