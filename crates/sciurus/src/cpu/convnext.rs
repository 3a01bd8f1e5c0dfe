//! ConvNeXt's block as one operation: a depthwise convolution, layer norm, two linear layers with GELU between, layer
//! scale and shortcut.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::{Autodiff, Flex};
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{
    Buffer, ConvShape, Isa, depthwise_forward, depthwise_input_gradient, depthwise_weight_gradient,
    gradient_sums, scale_images,
};

use super::layer::{Grouping, any_shape};
use super::perceptron::{self, Perceptron, PerceptronLayers, added};
use super::pool::{bias_gradient, bias_gradient_of};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, floats, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;

/// The layers of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvNeXtLayers<'a> {
    pub(crate) depthwise: &'a Conv2d,
    /// Linear layers to four times the channels, and back.
    pub(crate) perceptron: PerceptronLayers<'a>,
    pub(crate) scale: &'a Param<Tensor<3>>,
    /// Probability that an image skips the block in training (0..1).
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

/// Where groups of the operation's parents begin. Parents are the input, weight and bias of the depthwise convolution, the six of
/// the perceptron, and the layer scale.
const DEPTHWISE: usize = 1;
const PERCEPTRON: usize = 3;
const LAST_BIAS: usize = 8;
const SCALE: usize = 9;

/// The parameters, read in this order.
fn read<T>(
    layers: &ConvNeXtLayers<'_>,
    one: impl Fn(&Tensor<1>) -> Option<T>,
    two: impl Fn(&Tensor<2>) -> Option<T>,
    (three, four): (impl Fn(&Tensor<3>) -> Option<T>, impl Fn(&Tensor<4>) -> Option<T>),
) -> Option<[T; 9]> {
    let ConvNeXtLayers { depthwise, perceptron, scale, .. } = layers;
    let convolution = [four(&depthwise.weight.val())?, one(&depthwise.bias.as_ref()?.val())?];
    let [a, b, c, d, e, f] = perceptron.read(one, two)?;
    let [weight, bias] = convolution;
    Some([weight, bias, a, b, c, d, e, f, three(&scale.val())?])
}

/// The depthwise convolution's shape.
fn shape(layers: &ConvNeXtLayers<'_>, [batch, _, height, width]: [usize; 4]) -> Option<ConvShape> {
    let (shape, grouping) = any_shape(layers.depthwise, batch, [height, width])?;
    (shape.out_size() == [height, width] && grouping == Grouping::Depthwise).then_some(shape)
}

fn evaluate<E: Number>(layers: &ConvNeXtLayers<'_>, input: FlexTensor) -> Option<Tensor<4>> {
    let shape = shape(layers, sizes(&input))?;
    let parameters = read(layers, plain, plain, (plain, plain))?;
    let (_, output) = State::<E>::forward(layers, (pixels::<E>(input), shape), parameters.each_ref(), None);
    Some(Tensor::from_primitive::<Flex>(output))
}

fn train<E: Number>(layers: &ConvNeXtLayers<'_>, input: Tracked, pass: &mut Pass) -> Option<Tensor<4>> {
    let shape = shape(layers, sizes(input.primitive()))?;
    let all = read(layers, tracked, tracked, (tracked, tracked))?;
    let nodes: Vec<NodeGuard> = std::iter::once(input.node()).chain(all.iter().map(Tracked::node)).collect();
    let nodes = <[NodeGuard; 10]>::try_from(nodes).ok()?;
    let parameters = all.each_ref().map(Tracked::primitive);
    let kept = pass.dropout_factors(shape.batch, layers.drop_path);
    let input = pixels::<E>(input.into_primitive());
    let (state, output) = State::<E>::forward(layers, (input, shape), parameters, kept);
    let tracked = record(ConvNeXtBlock(PhantomData), nodes, Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

/// What the forward pass keeps for the backward pass, in the order it is made.
#[derive(Debug)]
struct State<E: Number> {
    shape: ConvShape,
    weight: FlexTensor,
    scale: FlexTensor,
    input: FlexTensor,
    convolved: Buffer<E>,
    perceptron: Perceptron<E>,
    /// Before bias, layer scale and shortcut.
    narrowed: Buffer<E>,
    /// Stochastic depth: the factor of each image's branch.
    kept: Option<Vec<f32>>,
}

impl<E: Number> State<E> {
    fn forward(
        layers: &ConvNeXtLayers<'_>,
        (input, shape): (FlexTensor, ConvShape),
        [weight, bias, a, b, c, d, e, f, scale]: [&FlexTensor; 9],
        kept: Option<Vec<f32>>,
    ) -> (Self, FlexTensor) {
        let [weight, bias, scale] = [weight, bias, scale].map(parameter);
        let mut convolved = Buffer::stale(shape.output_len());
        let from = values::<E>(&input);
        depthwise_forward(Isa::current(), &shape, from, [values(&weight), values(&bias)], &mut convolved);
        let parameters = perceptron::Parameters::new([a, b, c, d, e, f]);
        let pictures = (shape.batch, shape.size);
        let perceptron = Perceptron::forward(&layers.perceptron, parameters, pictures, &convolved);
        let narrowed = perceptron.narrowed(&vec![0.0; shape.channels[0]], None);
        let state = Self { shape, weight, scale, input, convolved, perceptron, narrowed, kept };
        let output = state.output();
        (state, output)
    }

    /// The factor of each image's branch; all 1 without stochastic depth.
    fn factors(&self) -> Vec<f32> {
        self.kept.clone().unwrap_or_else(|| vec![1.0; self.shape.batch])
    }

    /// `input + kept * scale * (narrowed + bias)`.
    fn output(&self) -> FlexTensor {
        let scale = values::<f32>(&self.scale);
        let bias = self.perceptron.parameters.last_bias();
        let factors = self.factors();
        let scales: Vec<f32> = factors.iter().flat_map(|kept| scale.iter().map(move |s| kept * s)).collect();
        let shifts: Vec<f32> = scales.iter().zip(bias.iter().cycle()).map(|(s, bias)| s * bias).collect();
        let mut output = Buffer::stale(self.narrowed.len());
        let residual = Some(values::<E>(&self.input));
        let factors = (scale.len(), [&scales[..], &shifts[..]]);
        scale_images(Isa::current(), &self.narrowed, factors, residual, &mut output);
        let ConvShape { batch, size: [height, width], .. } = self.shape;
        features(output, [batch, scale.len(), height, width])
    }
}

/// The operation. Its parents are the input, then the parameters in the order of [`read`].
#[derive(Debug)]
struct ConvNeXtBlock<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 10> for ConvNeXtBlock<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, 10>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let upstream = pixels::<E>(receive.upstream());
        let behind = state.branch_gradient(values(&upstream), &mut receive);
        let perceptron = (&mut receive, PERCEPTRON);
        let convolved = state.perceptron.gradients(&state.convolved, &behind, perceptron);
        drop(behind);
        state.depthwise_gradients(&convolved, values(&upstream), &mut receive);
    }
}

type Received<'a, E> = Receive<'a, Arc<State<E>>, 10>;

impl<E: Number> State<E> {
    /// Computes the gradients of the layer scale and the last bias; returns that of `narrowed`, from the gradient of the output.
    fn branch_gradient(&self, upstream: &[E], receive: &mut Received<'_, E>) -> Buffer<E> {
        let isa = Isa::current();
        let scale = values::<f32>(&self.scale);
        let bias = self.perceptron.parameters.last_bias();
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
        receive.give(SCALE, || {
            let gradient = bias_gradient(&sums.centred);
            gradient.reshape([channels, 1, 1].into())
        });
        receive.give(LAST_BIAS, || {
            let sums: Vec<f64> =
                sums.gradient.iter().zip(scale).map(|(sum, scale)| sum * f64::from(*scale)).collect();
            bias_gradient(&sums)
        });
        scaled(scale, upstream)
    }

    /// Computes the gradients of the depthwise convolution and of the input.
    fn depthwise_gradients(&self, behind: &[E], upstream: &[E], receive: &mut Received<'_, E>) {
        let isa = Isa::current();
        let shape = &self.shape;
        let channels = shape.channels[0];
        receive.give(DEPTHWISE + 1, || bias_gradient_of(behind, channels));
        receive.give(DEPTHWISE, || {
            let [height, width] = shape.kernel;
            let mut gradient = Buffer::stale(channels * height * width);
            depthwise_weight_gradient(isa, shape, values(&self.input), behind, &mut gradient);
            floats(gradient, [channels, 1, height, width])
        });
        receive.give(0, || {
            let mut branch = Buffer::<E>::stale(behind.len());
            depthwise_input_gradient(isa, shape, behind, values(&self.weight), &mut branch);
            let both = added(&branch, upstream, channels);
            features(both, [shape.batch, channels, shape.size[0], shape.size[1]])
        });
    }
}
