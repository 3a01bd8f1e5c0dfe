//! SqueezeNet's fire module as one operation: a convolution to few channels, then two in parallel.

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
use sciurus_kernels::{Buffer, ConvShape, Existing, Isa, View, ViewMut, gradient_sums, relu_gradient};

use super::inference::Folded;
use super::layer::{input_gradient_of, shape, weight_gradient, whole_input_gradient};
use super::pool::{bias_gradient, bias_gradient_of};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;

/// The layers of a fire module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FireLayers<'a> {
    pub(crate) squeeze: &'a Conv2d,
    /// The 1x1 and the 3x3 convolution, which have the same number of channels.
    pub(crate) expand: [&'a Conv2d; 2],
}

/// `[batch, in, h, w]` to `[batch, 2 * expand, h, w]`: ReLU after each convolution, both expansions concatenated.
pub(crate) fn fire(layers: &FireLayers<'_>, input: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    match (input.dtype(), pass.is_training()) {
        _ if !pass.is_fused() => None,
        (DType::BF16, true) => train::<bf16>(layers, input),
        (DType::F32, true) => train::<f32>(layers, input),
        (DType::BF16, false) => evaluate::<bf16>(layers, input, pass),
        (DType::F32, false) => evaluate::<f32>(layers, input, pass),
        _ => None,
    }
}

/// Shapes of the three convolutions.
struct Shapes {
    squeeze: ConvShape,
    expand: [ConvShape; 2],
}

impl Shapes {
    fn new(layers: &FireLayers<'_>, [batch, _, height, width]: [usize; 4]) -> Option<Self> {
        let squeeze = shape(layers.squeeze, batch, [height, width])?;
        let [one, three] = layers.expand;
        let expand = [shape(one, batch, squeeze.out_size())?, shape(three, batch, squeeze.out_size())?];
        let alike = expand[0].output_len() == expand[1].output_len();
        // Even, so that in bf16 the second half of the channels begins at a whole 32-bit word.
        (alike && expand[0].channels[1].is_multiple_of(2)).then_some(Self { squeeze, expand })
    }

    /// Channels of the output.
    fn channels(&self) -> usize {
        2 * self.expand[0].channels[1]
    }

    fn output_sizes(&self) -> [usize; 4] {
        let [height, width] = self.expand[0].out_size();
        [self.squeeze.batch, self.channels(), height, width]
    }
}

/// Runs both convolutions of an expansion, each into its half of the channels.
fn expand<E: Number>(shapes: &Shapes, folded: &[Folded<E>; 2], squeezed: &[E]) -> FlexTensor {
    let channels = shapes.channels();
    let mut output = Buffer::stale(2 * shapes.expand[0].output_len());
    for (half, (shape, folded)) in shapes.expand.iter().zip(folded).enumerate() {
        let to = ViewMut::part(&mut output, half * channels / 2, channels);
        folded.forward_into(shape, squeezed, (None, true), to);
    }
    features(output, shapes.output_sizes())
}

fn evaluate<E: Number>(layers: &FireLayers<'_>, input: &Tensor<4>, pass: &Pass) -> Option<Tensor<4>> {
    let input = plain(input)?;
    let shapes = Shapes::new(layers, sizes(&input))?;
    let squeeze = Folded::<E>::bias(layers.squeeze, &shapes.squeeze, pass)?;
    let [one, three] = layers.expand;
    let folded = [Folded::bias(one, &shapes.expand[0], pass)?, Folded::bias(three, &shapes.expand[1], pass)?];
    let squeezed = squeeze.forward(&shapes.squeeze, values(&pixels::<E>(input)), (None, true));
    Some(Tensor::from_primitive::<Flex>(expand(&shapes, &folded, &squeezed)))
}

fn train<E: Number>(layers: &FireLayers<'_>, input: &Tensor<4>) -> Option<Tensor<4>> {
    let input = tracked(input)?;
    let shapes = Shapes::new(layers, sizes(input.primitive()))?;
    let [one, three] = layers.expand;
    let mut parameters: Vec<[Tracked; 2]> = Vec::with_capacity(3);
    for conv in [layers.squeeze, one, three] {
        parameters.push([tracked(&conv.weight.val())?, tracked(&conv.bias.as_ref()?.val())?]);
    }
    let plain = |index: usize| parameters[index].each_ref().map(|tracked| parameter(tracked.primitive()));
    let ([squeeze, squeeze_bias], [one, one_bias], [three, three_bias]) = (plain(0), plain(1), plain(2));
    let node = input.node();
    let input = pixels::<E>(input.into_primitive());
    let squeezed = Folded::<E>::new(&shapes.squeeze, &squeeze, values(&squeeze_bias)).forward(
        &shapes.squeeze,
        values(&input),
        (None, true),
    );
    let folded = [
        Folded::new(&shapes.expand[0], &one, values(&one_bias)),
        Folded::new(&shapes.expand[1], &three, values(&three_bias)),
    ];
    let output = expand(&shapes, &folded, &squeezed);
    let state = State { input, squeezed, shapes, squeeze, expand: [one, three], output: output.clone() };
    let nodes = |index: usize| parameters[index].each_ref().map(Tracked::node);
    let ([a, b], [c, d], [e, f]) = (nodes(0), nodes(1), nodes(2));
    let tracked = record(Fire::<E>(PhantomData), [node, a, b, c, d, e, f], Arc::new(state), output);
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

/// What the forward pass keeps for the backward pass.
struct State<E: Number> {
    input: FlexTensor,
    squeezed: Buffer<E>,
    shapes: Shapes,
    squeeze: FlexTensor,
    expand: [FlexTensor; 2],
    output: FlexTensor,
}

impl<E: Number> std::fmt::Debug for State<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("output", &self.output).finish_non_exhaustive()
    }
}

/// The operation. Its parents are the input, then weight and bias of squeeze, 1x1 and 3x3.
#[derive(Debug)]
struct Fire<E>(PhantomData<E>);

impl<E: Number> Backward<Flex, 7> for Fire<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, 7>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let isa = Isa::current();
        let mut receive = Receive::new(&ops, gradients);
        let State { input, squeezed, shapes, squeeze, expand, output } = &*ops.state;
        let mut upstream = pixels::<E>(receive.upstream());
        let gradient: &mut [E] = upstream.storage_mut();
        relu_gradient(isa, values(&pixels::<E>(output.clone())), gradient);

        let channels = shapes.channels();
        if receive.needs(4) || receive.needs(6) {
            let sums = gradient_sums(isa, channels, gradient, None, None).gradient;
            let (one, three) = sums.split_at(channels / 2);
            receive.give(4, || bias_gradient(one));
            receive.give(6, || bias_gradient(three));
        }
        let mut between = Buffer::<E>::stale(squeezed.len());
        let narrow = shapes.squeeze.channels[1];
        for (half, existing) in [Existing::Replace, Existing::Add].into_iter().enumerate() {
            let shape = &shapes.expand[half];
            let part = View::part(gradient, half * channels / 2, channels);
            receive.give(3 + 2 * half, || weight_gradient(shape, View::new(squeezed, narrow), part));
            input_gradient_of(shape, &expand[half], part, ViewMut::new(&mut between, narrow), existing);
        }
        relu_gradient(isa, squeezed, &mut between);
        let [wide, _] = shapes.squeeze.channels;
        receive.give(2, || bias_gradient_of::<E>(&between, narrow));
        receive.give(1, || {
            weight_gradient(&shapes.squeeze, View::new(values::<E>(input), wide), View::new(&between, narrow))
        });
        receive.give(0, || {
            let [batch, height, width, _] = sizes(input);
            let gradient = whole_input_gradient::<E>(&shapes.squeeze, squeeze, &between);
            features(gradient, [batch, wide, height, width])
        });
    }
}
