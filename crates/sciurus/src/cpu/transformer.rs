//! The two halves of a transformer's block, each as one operation: attention and perceptron, with layer norms and shortcuts.
//!
//! Tokens are the pixels of a picture that is one pixel wide: `[batch, feature, token, 1]`.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{
    AttentionShape, Buffer, ConvShape, Isa, PixelMoments, attention, attention_gradient, layer_norm,
    layer_norm_gradient,
};

use super::linear::by_input;
use super::perceptron::{self, NORM, Parameters, Perceptron, PerceptronLayers, added, linear_shape};
use super::pool::{bias_gradient, bias_gradient_of};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, pixels, plain, sizes, tracked, values};
use crate::nn::{LayerNorm, Pass};

/// The layers of self-attention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionLayers<'a> {
    pub(crate) norm: &'a LayerNorm,
    /// The layer to queries, keys and values, one after another.
    pub(crate) qkv: &'a Linear,
    pub(crate) proj: &'a Linear,
    pub(crate) heads: usize,
}

/// `x + proj(attention(qkv(norm(x))))`: tokens `[batch, feature, token, 1]`, same shape out.
pub(crate) fn attention_block(
    layers: &AttentionLayers<'_>,
    tokens: &Tensor<4>,
    pass: &Pass,
) -> Option<Tensor<4>> {
    match tokens.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => run::<Attention<bf16>>(layers, tokens),
        _ => run::<Attention<f32>>(layers, tokens),
    }
}

/// `x + linear(gelu(linear(norm(x))))`: tokens `[batch, feature, token, 1]`, same shape out.
pub(crate) fn perceptron_block(
    layers: &PerceptronLayers<'_>,
    tokens: &Tensor<4>,
    pass: &Pass,
) -> Option<Tensor<4>> {
    match tokens.dtype() {
        _ if !pass.is_fused() => None,
        DType::BF16 => run::<Residual<bf16>>(layers, tokens),
        _ => run::<Residual<f32>>(layers, tokens),
    }
}

/// Half a block: an operation whose parents are its input and six parameters.
trait Half: Sized + std::fmt::Debug + Send + Sync + 'static {
    type Element: Number;
    type Layers<'a>: Copy;

    /// The parameters, read in their order.
    fn read<T>(
        layers: Self::Layers<'_>,
        one: impl Fn(&Tensor<1>) -> Option<T>,
        two: impl Fn(&Tensor<2>) -> Option<T>,
    ) -> Option<[T; 6]>;

    /// Runs the layers on pixels `[batch, token, 1, feature]`.
    fn forward(
        layers: Self::Layers<'_>,
        input: FlexTensor,
        parameters: [&FlexTensor; 6],
    ) -> (Self, Buffer<Self::Element>);

    /// Computes all gradients from that of the output, and hands them out.
    fn backward(&self, upstream: &[Self::Element], receive: &mut Receive<'_, Arc<Self>, 7>);
}

fn run<H: Half>(layers: H::Layers<'_>, tokens: &Tensor<4>) -> Option<Tensor<4>> {
    let sizes = tokens.dims();
    if let Some(input) = plain(tokens) {
        let parameters = H::read(layers, plain, plain)?;
        let (_, output) = H::forward(layers, pixels::<H::Element>(input), parameters.each_ref());
        return Some(Tensor::from_primitive::<Flex>(features(output, sizes)));
    }
    let input = tracked(tokens)?;
    let all = H::read(layers, tracked, tracked)?;
    let nodes: Vec<NodeGuard> = std::iter::once(input.node()).chain(all.iter().map(Tracked::node)).collect();
    let nodes = <[NodeGuard; 7]>::try_from(nodes).ok()?;
    let parameters = all.each_ref().map(Tracked::primitive);
    let (state, output) = H::forward(layers, pixels::<H::Element>(input.into_primitive()), parameters);
    let output = features(output, sizes);
    let tracked = record(Operation::<H>(PhantomData), nodes, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

#[derive(Debug)]
struct Operation<H>(PhantomData<H>);

impl<H: Half> Backward<Flex, 7> for Operation<H> {
    type State = Arc<H>;

    fn backward(self, ops: Ops<Self::State, 7>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let mut receive = Receive::new(&ops, gradients);
        let upstream = pixels::<H::Element>(receive.upstream());
        ops.state.backward(values(&upstream), &mut receive);
    }
}

/// The gradient of tokens that went through the layers and through the shortcut.
fn input_gradient<E: Number>(input: &FlexTensor, branch: &[E], upstream: &[E]) -> FlexTensor {
    let [batch, height, width, channels] = sizes(input);
    features(added(branch, upstream, channels), [batch, channels, height, width])
}

/// What attention keeps for its backward pass.
#[derive(Debug)]
struct Attention<E: Number> {
    /// Parameters of the norm layer, of `qkv` and of `proj`.
    parameters: Parameters,
    shape: AttentionShape,
    qkv_shape: ConvShape,
    proj_shape: ConvShape,
    input: FlexTensor,
    moments: PixelMoments,
    normed: Buffer<E>,
    qkv: Buffer<E>,
    attended: Buffer<E>,
    log_sums: Vec<f32>,
}

const QKV: usize = perceptron::FIRST;
const PROJ: usize = perceptron::SECOND;

impl<E: Number> Half for Attention<E> {
    type Element = E;
    type Layers<'a> = &'a AttentionLayers<'a>;

    fn read<T>(
        layers: Self::Layers<'_>,
        one: impl Fn(&Tensor<1>) -> Option<T>,
        two: impl Fn(&Tensor<2>) -> Option<T>,
    ) -> Option<[T; 6]> {
        let AttentionLayers { norm, qkv, proj, .. } = layers;
        PerceptronLayers { norm, linear: [qkv, proj] }.read(one, two)
    }

    fn forward(
        layers: Self::Layers<'_>,
        input: FlexTensor,
        parameters: [&FlexTensor; 6],
    ) -> (Self, Buffer<E>) {
        let isa = Isa::current();
        let [batch, height, width, channels] = sizes(&input);
        let [qkv_shape, proj_shape] =
            [layers.qkv, layers.proj].map(|layer| linear_shape(layer, batch, [height, width]));
        let parameters = Parameters::new(parameters);
        let mut normed = Buffer::<E>::stale(qkv_shape.input_len());
        let affine = [parameters.get(NORM), parameters.get(NORM + 1)];
        let moments = layer_norm(isa, values(&input), affine, LayerNorm::EPSILON as f32, &mut normed);
        let qkv = parameters.folded(QKV, &qkv_shape).forward(&qkv_shape, &normed, (None, false));
        let heads = layers.heads;
        let shape = AttentionShape { batch, tokens: height * width, heads, features: channels / heads };
        let mut attended = Buffer::stale(shape.output_len());
        let log_sums = attention(isa, &shape, &qkv, &mut attended);
        let shortcut = Some(values(&input));
        let output = parameters.folded(PROJ, &proj_shape).forward(&proj_shape, &attended, (shortcut, false));
        let state = Self {
            parameters,
            shape,
            qkv_shape,
            proj_shape,
            input,
            moments,
            normed,
            qkv,
            attended,
            log_sums,
        };
        (state, output)
    }

    fn backward(&self, upstream: &[E], receive: &mut Receive<'_, Arc<Self>, 7>) {
        let isa = Isa::current();
        let [channels, _] = self.qkv_shape.channels;
        receive.give(1 + PROJ + 1, || bias_gradient_of(upstream, channels));
        receive.give(1 + PROJ, || by_input(&self.proj_shape, &self.attended, upstream));
        let attended = self.parameters.input_gradient(PROJ, &self.proj_shape, upstream);
        let mut qkv = Buffer::<E>::stale(self.qkv.len());
        let forward: (&[E], &[E], &[f32]) = (&self.qkv, &self.attended, &self.log_sums);
        attention_gradient(isa, &self.shape, forward, &attended, &mut qkv);
        drop(attended);
        receive.give(1 + QKV + 1, || bias_gradient_of::<E>(&qkv, 3 * channels));
        receive.give(1 + QKV, || by_input(&self.qkv_shape, &self.normed, &qkv));
        let mut normed = self.parameters.input_gradient::<E>(QKV, &self.qkv_shape, &qkv);
        let weight = self.parameters.get(NORM);
        let sums = layer_norm_gradient(isa, values(&self.input), &self.moments, weight, &mut normed);
        receive.give(1 + NORM, || bias_gradient(&sums.centred));
        receive.give(1 + NORM + 1, || bias_gradient(&sums.gradient));
        receive.give(0, || input_gradient(&self.input, &normed, upstream));
    }
}

/// What a perceptron with its shortcut keeps for its backward pass.
#[derive(Debug)]
struct Residual<E: Number> {
    input: FlexTensor,
    perceptron: Perceptron<E>,
}

impl<E: Number> Half for Residual<E> {
    type Element = E;
    type Layers<'a> = &'a PerceptronLayers<'a>;

    fn read<T>(
        layers: Self::Layers<'_>,
        one: impl Fn(&Tensor<1>) -> Option<T>,
        two: impl Fn(&Tensor<2>) -> Option<T>,
    ) -> Option<[T; 6]> {
        layers.read(one, two)
    }

    fn forward(
        layers: Self::Layers<'_>,
        input: FlexTensor,
        parameters: [&FlexTensor; 6],
    ) -> (Self, Buffer<E>) {
        let [batch, height, width, _] = sizes(&input);
        let parameters = Parameters::new(parameters);
        let perceptron = Perceptron::forward(layers, parameters, (batch, [height, width]), values(&input));
        let output = perceptron.narrowed(perceptron.parameters.last_bias(), Some(values(&input)));
        (Self { input, perceptron }, output)
    }

    fn backward(&self, upstream: &[E], receive: &mut Receive<'_, Arc<Self>, 7>) {
        let [.., channels] = sizes(&self.input);
        receive.give(6, || bias_gradient_of(upstream, channels));
        let branch = self.perceptron.gradients(values(&self.input), upstream, (&mut *receive, 1));
        receive.give(0, || input_gradient(&self.input, &branch, upstream));
    }
}
