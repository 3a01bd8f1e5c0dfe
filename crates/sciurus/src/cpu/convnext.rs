//! ConvNeXt's block as one operation: a depthwise convolution, layer norm, two linear layers with GELU between, layer
//! scale and shortcut.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::{Autodiff, Flex};
use burn::module::Param;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{
    Activated, Buffer, ConvShape, Existing, Isa, Nonlinearity, PackedWeights, PixelMoments, View, ViewMut,
    activation_gradient, conv_forward, depthwise_forward, depthwise_input_gradient,
    depthwise_weight_gradient, gradient_sums, layer_norm, layer_norm_gradient, normalize, scale_images,
};

use super::layer::{Reach, any_shape, input_gradient_of, weight_gradient};
use super::linear::by_output;
use super::pool::bias_gradient;
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, floats, parameter, pixels, plain, sizes, tracked, values};
use crate::model::{LayerNorm, Pass};

/// The layers of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvNeXtLayers<'a> {
    pub(crate) depthwise: &'a Conv2d,
    pub(crate) norm: &'a LayerNorm,
    /// To four times the channels, and back.
    pub(crate) linear: [&'a Linear; 2],
    pub(crate) scale: &'a Param<Tensor<3>>,
    /// How often an image passes the block by in training (0..1).
    pub(crate) drop_path: f64,
}

/// `x + scale * linear(gelu(linear(norm(conv(x)))))`: `[batch, channel, h, w]`, same shape out.
pub(crate) fn convnext_block(
    layers: &ConvNeXtLayers<'_>,
    input: &Tensor<4>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
    match (input.dtype(), pass.is_training()) {
        _ if !pass.is_fused() => None,
        (DType::BF16, false) => evaluate::<bf16>(layers, plain(input)?),
        (_, false) => evaluate::<f32>(layers, plain(input)?),
        (DType::BF16, true) => train::<bf16>(layers, tracked(input)?, pass),
        (_, true) => train::<f32>(layers, tracked(input)?, pass),
    }
}

/// Parameters in the order of the operation's parents: weight and bias of each layer, then the layer scale. Weights of
/// linear layers are `[out, in]`.
#[derive(Debug)]
struct Parameters([FlexTensor; 9]);

const DEPTHWISE: usize = 0;
const NORM: usize = 2;
const WIDEN: usize = 4;
const NARROW: usize = 6;
const SCALE: usize = 8;

impl Parameters {
    fn new(tensors: [FlexTensor; 9]) -> Self {
        let mut index = 0;
        Self(tensors.map(|tensor| {
            index += 1;
            if index == WIDEN + 1 || index == NARROW + 1 { by_output(&tensor) } else { parameter(&tensor) }
        }))
    }

    fn get(&self, index: usize) -> &[f32] {
        values(&self.0[index])
    }

    /// Weight and bias of a layer.
    fn layer(&self, layer: usize) -> [&[f32]; 2] {
        [self.get(layer), self.get(layer + 1)]
    }
}

/// The parameters, read in this order with `read`.
fn read<T>(
    layers: &ConvNeXtLayers<'_>,
    one: impl Fn(&Tensor<1>) -> Option<T>,
    two: impl Fn(&Tensor<2>) -> Option<T>,
    (three, four): (impl Fn(&Tensor<3>) -> Option<T>, impl Fn(&Tensor<4>) -> Option<T>),
) -> Option<[T; 9]> {
    let ConvNeXtLayers { depthwise, norm, linear: [widen, narrow], scale, .. } = layers;
    Some([
        four(&depthwise.weight.val())?,
        one(&depthwise.bias.as_ref()?.val())?,
        one(&norm.weight.val())?,
        one(&norm.bias.val())?,
        two(&widen.weight.val())?,
        one(&widen.bias.as_ref()?.val())?,
        two(&narrow.weight.val())?,
        one(&narrow.bias.as_ref()?.val())?,
        three(&scale.val())?,
    ])
}

/// Shapes of the depthwise convolution and of the linear layers over its pixels.
#[derive(Debug, Clone, Copy)]
struct Shapes {
    depthwise: ConvShape,
    widen: ConvShape,
    narrow: ConvShape,
}

impl Shapes {
    fn new(layers: &ConvNeXtLayers<'_>, [batch, channels, height, width]: [usize; 4]) -> Option<Self> {
        let (depthwise, reach) = any_shape(layers.depthwise, batch, [height, width])?;
        let [_, within] = layers.linear[0].weight.val().dims();
        let linear = |channels| ConvShape {
            batch,
            size: [height, width],
            channels,
            kernel: [1, 1],
            stride: 1,
            padding: 0,
        };
        let same = depthwise.out_size() == [height, width];
        let (widen, narrow) = (linear([channels, within]), linear([within, channels]));
        (same && reach == Reach::Depthwise).then_some(Self { depthwise, widen, narrow })
    }
}

fn evaluate<E: Number>(layers: &ConvNeXtLayers<'_>, input: FlexTensor) -> Option<Tensor<4>> {
    let shapes = Shapes::new(layers, sizes(&input))?;
    let parameters = Parameters::new(read(layers, plain, plain, (plain, plain))?);
    let (_, output) = State::<E>::forward(pixels::<E>(input), shapes, parameters, None);
    Some(Tensor::from_primitive::<Flex>(output))
}

fn train<E: Number>(layers: &ConvNeXtLayers<'_>, input: Tracked, pass: &mut Pass) -> Option<Tensor<4>> {
    let shapes = Shapes::new(layers, sizes(input.primitive()))?;
    let all = read(layers, tracked, tracked, (tracked, tracked))?;
    let nodes: Vec<NodeGuard> = std::iter::once(input.node()).chain(all.iter().map(Tracked::node)).collect();
    let nodes = <[NodeGuard; 10]>::try_from(nodes).ok()?;
    let parameters = Parameters::new(all.map(|tracked| tracked.primitive().clone()));
    let kept = pass.dropout_factors(shapes.depthwise.batch, layers.drop_path);
    let (state, output) = State::<E>::forward(pixels::<E>(input.into_primitive()), shapes, parameters, kept);
    let tracked = record(ConvNeXtBlock(PhantomData), nodes, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

/// What the forward pass leaves for the backward pass, in the order it was made.
#[derive(Debug)]
struct State<E: Number> {
    shapes: Shapes,
    parameters: Parameters,
    input: FlexTensor,
    convolved: Buffer<E>,
    moments: PixelMoments,
    normed: Buffer<E>,
    /// Before bias and GELU.
    widened: Buffer<E>,
    activated: Buffer<E>,
    /// Before bias, layer scale and shortcut.
    narrowed: Buffer<E>,
    /// What each image's branch is multiplied with.
    kept: Option<Vec<f32>>,
}

/// A linear layer without its bias.
fn linear<E: Number>(shape: &ConvShape, input: &[E], weight: &[f32]) -> Buffer<E> {
    let packed = PackedWeights::forward(Isa::current(), shape, weight, None);
    let mut output = Buffer::stale(shape.output_len());
    let to = ViewMut::new(&mut output, shape.channels[1]);
    conv_forward(shape, View::new(input, shape.channels[0]), &packed, to);
    output
}

impl<E: Number> State<E> {
    fn forward(
        input: FlexTensor,
        shapes: Shapes,
        parameters: Parameters,
        kept: Option<Vec<f32>>,
    ) -> (Self, FlexTensor) {
        let isa = Isa::current();
        let mut convolved = Buffer::stale(shapes.depthwise.output_len());
        let from = values::<E>(&input);
        depthwise_forward(isa, &shapes.depthwise, from, parameters.layer(DEPTHWISE), &mut convolved);
        let mut normed = Buffer::stale(convolved.len());
        let epsilon = LayerNorm::EPSILON as f32;
        let moments = layer_norm(isa, &convolved, parameters.layer(NORM), epsilon, &mut normed);
        let widened = linear(&shapes.widen, &normed, parameters.get(WIDEN));
        let mut activated = Buffer::stale(widened.len());
        let ones = vec![1.0; shapes.widen.channels[1]];
        let affine = [&ones, parameters.get(WIDEN + 1)];
        normalize(isa, &widened, affine, (None, Nonlinearity::Gelu), &mut activated);
        let narrowed = linear(&shapes.narrow, &activated, parameters.get(NARROW));
        let state = Self {
            shapes,
            parameters,
            input,
            convolved,
            moments,
            normed,
            widened,
            activated,
            narrowed,
            kept,
        };
        let output = state.output();
        (state, output)
    }

    /// What each image's branch is multiplied with.
    fn factors(&self) -> Vec<f32> {
        self.kept.clone().unwrap_or_else(|| vec![1.0; self.shapes.depthwise.batch])
    }

    /// `input + kept * scale * (narrowed + bias)`.
    fn output(&self) -> FlexTensor {
        let scale = self.parameters.get(SCALE);
        let bias = self.parameters.get(NARROW + 1);
        let factors = self.factors();
        let scales: Vec<f32> = factors.iter().flat_map(|kept| scale.iter().map(move |s| kept * s)).collect();
        let shifts: Vec<f32> = scales.iter().zip(bias.iter().cycle()).map(|(s, bias)| s * bias).collect();
        let mut output = Buffer::stale(self.narrowed.len());
        let residual = Some(values::<E>(&self.input));
        let factors = (scale.len(), [&scales[..], &shifts[..]]);
        scale_images(Isa::current(), &self.narrowed, factors, residual, &mut output);
        let ConvShape { batch, size: [height, width], .. } = self.shapes.depthwise;
        features(output, [batch, scale.len(), height, width])
    }
}

/// The operation; its parents are the input and then [`Parameters`].
#[derive(Debug)]
struct ConvNeXtBlock<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 10> for ConvNeXtBlock<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, 10>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = pixels::<E>(receive.upstream());
        let behind = state.branch_gradient(values(&upstream), &mut receive);
        let behind = state.linear_gradients(behind, &mut receive);
        state.depthwise_gradients(behind, values(&upstream), &mut receive);
    }
}

/// The parent that is a parameter.
const fn parent(parameter: usize) -> usize {
    1 + parameter
}

type Received<'a, E> = Receive<'a, Arc<State<E>>, 10>;

impl<E: Number> State<E> {
    /// Gradients of layer scale and last bias; from the gradient of the output, that of `narrowed`.
    fn branch_gradient(&self, upstream: &[E], receive: &mut Received<'_, E>) -> Buffer<E> {
        let isa = Isa::current();
        let scale = self.parameters.get(SCALE);
        let bias = self.parameters.get(NARROW + 1);
        let channels = scale.len();
        let scaled = |row: &[f32], from: &[E]| {
            let mut result = Buffer::<E>::stale(from.len());
            let factors = self.factors();
            let scales: Vec<f32> =
                factors.iter().flat_map(|kept| row.iter().map(move |s| kept * s)).collect();
            let zeros = vec![0.0; scales.len()];
            scale_images(isa, from, (channels, [&scales, &zeros]), None, &mut result);
            result
        };
        let passed = self.kept.as_ref().map(|_| scaled(&vec![1.0; channels], upstream));
        let passed: &[E] = passed.as_deref().unwrap_or(upstream);
        let negative: Vec<f32> = bias.iter().map(|bias| -bias).collect();
        let sums = gradient_sums(isa, channels, passed, None, Some((&self.narrowed, &negative)));
        receive.give(parent(SCALE), || {
            let gradient = bias_gradient(&sums.centred);
            gradient.reshape([channels, 1, 1].into())
        });
        receive.give(parent(NARROW + 1), || {
            let sums: Vec<f64> =
                sums.gradient.iter().zip(scale).map(|(sum, scale)| sum * f64::from(*scale)).collect();
            bias_gradient(&sums)
        });
        scaled(scale, upstream)
    }

    /// Gradients of both linear layers and of the norm layer; returns that of `convolved`.
    fn linear_gradients(&self, behind: Buffer<E>, receive: &mut Received<'_, E>) -> Buffer<E> {
        let isa = Isa::current();
        let Shapes { widen, narrow, .. } = &self.shapes;
        let [channels, within] = widen.channels;
        receive.give(parent(NARROW), || by_input(narrow, &self.activated, &behind));
        let mut wide = Buffer::<E>::stale(self.widened.len());
        let to = ViewMut::new(&mut wide, within);
        let weight = &self.parameters.0[NARROW];
        input_gradient_of(narrow, weight, View::new(&behind, channels), to, Existing::Replace);
        drop(behind);
        let ones = vec![1.0; within];
        let affine = [&ones[..], self.parameters.get(WIDEN + 1)];
        let activated = Activated { input: &self.widened, affine, nonlinearity: Nonlinearity::Gelu };
        let sums = activation_gradient(isa, &activated, &vec![0.0; within], &mut wide);
        receive.give(parent(WIDEN + 1), || bias_gradient(&sums.gradient));
        receive.give(parent(WIDEN), || by_input(widen, &self.normed, &wide));
        let mut normed = Buffer::<E>::stale(self.normed.len());
        let to = ViewMut::new(&mut normed, channels);
        let weight = &self.parameters.0[WIDEN];
        input_gradient_of(widen, weight, View::new(&wide, within), to, Existing::Replace);
        drop(wide);
        let weight = self.parameters.get(NORM);
        let sums = layer_norm_gradient(isa, &self.convolved, &self.moments, weight, &mut normed);
        receive.give(parent(NORM), || bias_gradient(&sums.centred));
        receive.give(parent(NORM + 1), || bias_gradient(&sums.gradient));
        normed
    }

    /// Gradients of the depthwise convolution and of the input.
    fn depthwise_gradients(&self, behind: Buffer<E>, upstream: &[E], receive: &mut Received<'_, E>) {
        let isa = Isa::current();
        let shape = &self.shapes.depthwise;
        let channels = shape.channels[0];
        receive.give(parent(DEPTHWISE + 1), || {
            bias_gradient(&gradient_sums(isa, channels, &behind, None, None).gradient)
        });
        receive.give(parent(DEPTHWISE), || {
            let [height, width] = shape.kernel;
            let mut gradient = Buffer::stale(channels * height * width);
            depthwise_weight_gradient(isa, shape, values(&self.input), &behind, &mut gradient);
            floats(gradient, [channels, 1, height, width])
        });
        receive.give(0, || {
            let mut branch = Buffer::<E>::stale(behind.len());
            depthwise_input_gradient(isa, shape, &behind, self.parameters.get(DEPTHWISE), &mut branch);
            let mut both = behind;
            let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
            normalize(isa, &branch, [&ones, &zeros], (Some(upstream), Nonlinearity::None), &mut both);
            features(both, [shape.batch, channels, shape.size[0], shape.size[1]])
        });
    }
}

/// The gradient of a linear layer's weight as Burn keeps it: `[in, out]`.
fn by_input<E: Number>(shape: &ConvShape, input: &[E], output_gradient: &[E]) -> FlexTensor {
    let [channels_in, channels_out] = shape.channels;
    let (from, to) = (View::new(input, channels_in), View::new(output_gradient, channels_out));
    let gradient = weight_gradient(shape, from, to);
    parameter(&gradient.reshape([channels_out, channels_in].into()).permute(&[1, 0]))
}
