//! A chain of convolutions as one operation, each with its norm layer and a nonlinearity: the blocks of MobileNets and
//! EfficientNets, and their first and last layers.
//!
//! The convolutions may be depthwise, the last one's input may go through squeeze and excitation, and the block's input may be
//! added to its output.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::{Autodiff, Flex};
use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{
    Activated, Buffer, ConvShape, Existing, Isa, Nonlinearity, activation_gradient, gradient_sums,
    norm_gradient, normalize, scale_images,
};

use super::excitation::{Excitation, Excited};
use super::layer::{ConvNorm, Ready, Saved, any_shape};
use super::record::{Receive, record};
use super::stem::Prepared;
use super::tensor::{Number, Tracked, features, parameter, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;
use crate::nn::Precision;

/// The layers of a chain.
#[derive(Debug, Clone)]
pub(crate) struct ChainLayers<'a> {
    /// The layers in order, each with the nonlinearity after its norm layer.
    pub(crate) main: Vec<(ConvNorm<'a>, Nonlinearity)>,
    /// Squeeze and excitation of the last layer's input.
    pub(crate) excitation: Option<[&'a Conv2d; 2]>,
    /// With a shortcut: the probability that an image skips the block in training (0..1). The last norm layer then must not be
    /// followed by a nonlinearity.
    pub(crate) shortcut: Option<f64>,
}

impl<'a> ChainLayers<'a> {
    /// A chain of one layer.
    pub(crate) fn one(
        (conv, norm): &'a (Conv2d, crate::model::BatchNorm),
        nonlinearity: Nonlinearity,
    ) -> Self {
        Self { main: vec![(ConvNorm { conv, norm }, nonlinearity)], excitation: None, shortcut: None }
    }
}

/// Runs a chain on features `[batch, in, h, w]`.
pub(crate) fn chain(layers: &ChainLayers<'_>, input: &Tensor<4>, pass: &mut Pass) -> Option<Tensor<4>> {
    match (input.dtype(), pass.is_training()) {
        _ if !pass.is_fused() => None,
        (DType::BF16, false) => evaluate::<bf16>(layers, &Source::features(plain(input)?), pass),
        (_, false) => evaluate::<f32>(layers, &Source::features(plain(input)?), pass),
        (DType::BF16, true) => train::<bf16>(layers, &tracked(input)?, Source::features, pass),
        (_, true) => train::<f32>(layers, &tracked(input)?, Source::features, pass),
    }
}

/// Runs a chain on images `[batch, 3, h, w]`, which get no gradient.
pub(crate) fn image_chain(
    layers: &ChainLayers<'_>,
    images: &Tensor<4>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
    let conv = layers.main.first()?.0.conv;
    match (pass.precision(), pass.is_training()) {
        _ if !pass.is_fused() => None,
        (Precision::Bf16, false) => evaluate::<bf16>(layers, &Source::images(conv, &plain(images)?)?, pass),
        (_, false) => evaluate::<f32>(layers, &Source::images(conv, &plain(images)?)?, pass),
        (Precision::Bf16, true) => {
            let source = Source::images(conv, tracked(images)?.primitive())?;
            train::<bf16>(layers, &tracked(images)?, |_| source, pass)
        }
        (_, true) => {
            let source = Source::images(conv, tracked(images)?.primitive())?;
            train::<f32>(layers, &tracked(images)?, |_| source, pass)
        }
    }
}

/// What the first convolution reads.
#[derive(Debug)]
pub(super) enum Source<E: Number> {
    /// Pixels `[batch, height, width, channel]`.
    Pixels(FlexTensor),
    /// Images padded with zeros, and the convolution's shape on them.
    Images(Prepared<E>),
}

impl<E: Number> Source<E> {
    pub(super) fn features(features: FlexTensor) -> Self {
        Source::Pixels(pixels::<E>(features))
    }

    pub(super) fn images(conv: &Conv2d, images: &FlexTensor) -> Option<Self> {
        Prepared::new(conv, images).map(Source::Images)
    }

    pub(super) fn values(&self) -> &[E] {
        match self {
            Source::Pixels(pixels) => values(pixels),
            Source::Images(prepared) => &prepared.images,
        }
    }

    /// The number of images, and height and width of the first layer's input.
    pub(super) fn size(&self) -> (usize, [usize; 2]) {
        match self {
            Source::Pixels(pixels) => {
                let [batch, height, width, _] = sizes(pixels);
                (batch, [height, width])
            }
            Source::Images(prepared) => (prepared.shape.batch, prepared.shape.size),
        }
    }

    /// The first layer's shape, if it runs on prepared images.
    pub(super) fn first_shape(&self) -> Option<ConvShape> {
        match self {
            Source::Pixels(_) => None,
            Source::Images(prepared) => Some(prepared.shape),
        }
    }
}

impl ChainLayers<'_> {
    /// All layers with their shapes, if the kernels support them.
    fn ready<E: Number>(&self, source: &Source<E>, pass: &Pass) -> Option<Vec<Ready>> {
        let (batch, mut size) = source.size();
        let mut all: Vec<Ready> = Vec::with_capacity(self.main.len());
        for (layer, _) in &self.main {
            let mut ready = layer.ready(batch, size, pass)?;
            if let Some(shape) = source.first_shape().filter(|_| all.is_empty()) {
                ready.shape = shape;
            }
            size = ready.shape.out_size();
            all.push(ready);
        }
        let adds_up = |all: &[Ready]| {
            let (first, last) = (all.first()?, all.last()?);
            (first.shape.input_len() == last.shape.output_len()).then_some(())
        };
        let linear = self.main.last().is_some_and(|(_, last)| *last == Nonlinearity::None);
        (self.shortcut.is_none() || (linear && adds_up(&all).is_some())).then_some(all)
    }
}

fn train<E: Number>(
    layers: &ChainLayers<'_>,
    input: &Tracked,
    source: impl FnOnce(FlexTensor) -> Source<E>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
    let source = source(input.primitive().clone());
    let main = layers.ready(&source, pass)?;
    let mut nodes: Vec<NodeGuard> =
        std::iter::once(input.node()).chain(main.iter().flat_map(|layer| layer.parameters.nodes())).collect();
    let excitation = match layers.excitation {
        None => None,
        Some(convs) => {
            let mut read = |tensor: Option<Tracked>| {
                let tensor = tensor?;
                nodes.push(tensor.node());
                Some(parameter(tensor.primitive()))
            };
            let [first, second] = convs;
            let first = [read(tracked(&first.weight.val()))?, read(tracked(&first.bias.as_ref()?.val()))?];
            let second = [read(tracked(&second.weight.val()))?, read(tracked(&second.bias.as_ref()?.val()))?];
            let ([first, first_bias], [second, second_bias]) = (first, second);
            Some(Excitation { weights: [first, second], biases: [first_bias, second_bias] })
        }
    };
    let (batch, _) = source.size();
    let kept = layers.shortcut.map(|probability| pass.dropout_factors(batch, probability));
    let curves = layers.main.iter().map(|(_, nonlinearity)| *nonlinearity).collect();
    let (state, output) = State::forward(source, (&main, curves), excitation, kept);
    for ((layer, _), kept) in layers.main.iter().zip(&state.main) {
        layer.note(kept, pass);
    }
    recorded(nodes, state, output).map(Tensor::from_primitive::<Autodiff<Flex>>)
}

/// Records the chain, with one parent per parameter of its layers.
fn recorded<E: Number>(nodes: Vec<NodeGuard>, state: State<E>, output: FlexTensor) -> Option<Tracked> {
    match nodes.len() {
        4 => recorded_of::<E, 4>(nodes, state, output),
        7 => recorded_of::<E, 7>(nodes, state, output),
        10 => recorded_of::<E, 10>(nodes, state, output),
        11 => recorded_of::<E, 11>(nodes, state, output),
        14 => recorded_of::<E, 14>(nodes, state, output),
        // A new kind of block would train layer by layer, slowly, and nobody would notice.
        parameters => {
            debug_assert!(false, "add the {parameters} parameters of this block to the list");
            None
        }
    }
}

fn recorded_of<E: Number, const N: usize>(
    nodes: Vec<NodeGuard>,
    state: State<E>,
    output: FlexTensor,
) -> Option<Tracked> {
    Some(record(Chain(PhantomData), <[_; N]>::try_from(nodes).ok()?, Arc::new(state), output))
}

/// What the forward pass keeps for the backward pass.
#[derive(Debug)]
struct State<E: Number> {
    source: Source<E>,
    main: Vec<Saved<E>>,
    curves: Vec<Nonlinearity>,
    /// Activations between the layers: one fewer than there are layers.
    inner: Vec<Buffer<E>>,
    excited: Option<Excited<E>>,
    /// With a shortcut, and stochastic depth: the factor of each image's branch.
    shortcut: Option<Option<Vec<f32>>>,
}

impl<E: Number> State<E> {
    fn forward(
        source: Source<E>,
        (layers, curves): (&[Ready], Vec<Nonlinearity>),
        mut excitation: Option<Excitation>,
        shortcut: Option<Option<Vec<f32>>>,
    ) -> (Self, FlexTensor) {
        let mut state = Self { source, main: Vec::new(), curves, inner: Vec::new(), excited: None, shortcut };
        for (index, layer) in layers.iter().enumerate() {
            if let Some(kept) = state.main.last() {
                let mut between = Buffer::stale(kept.convolved.len());
                let curve = (None, state.curves[index - 1]);
                normalize(Isa::current(), &kept.convolved, kept.affine(), curve, &mut between);
                state.inner.push(between);
            }
            if index + 1 == layers.len()
                && let Some(excitation) = excitation.take()
            {
                let pixels = state.input_of(index);
                state.excited = Some(Excited::forward(excitation, layer.shape.batch, pixels));
            }
            let kept =
                Saved::forward((layer.shape, layer.grouping), state.input_of(index), &layer.parameters);
            state.main.push(kept);
        }
        let output = state.output();
        (state, output)
    }

    /// A layer's input.
    fn input_of(&self, layer: usize) -> &[E] {
        match &self.excited {
            Some(excited) if layer + 1 == self.curves.len() => &excited.weighed,
            _ => self.unweighed(layer),
        }
    }

    /// A layer's input before squeeze and excitation.
    fn unweighed(&self, layer: usize) -> &[E] {
        if layer == 0 { self.source.values() } else { &self.inner[layer - 1] }
    }

    fn output(&self) -> FlexTensor {
        let last = &self.main[self.main.len() - 1];
        let curve = self.curves[self.main.len() - 1];
        let channels = last.shape.channels[1];
        let mut output = Buffer::stale(last.convolved.len());
        let isa = Isa::current();
        match &self.shortcut {
            Some(Some(factors)) => {
                let [scale, shift] = &last.affine;
                let of_image =
                    |values: &[f32]| factors.iter().flat_map(|f| values.iter().map(move |v| f * v)).collect();
                let (scale, shift): (Vec<f32>, Vec<f32>) = (of_image(scale), of_image(shift));
                let residual = Some(self.source.values());
                scale_images(isa, &last.convolved, (channels, [&scale, &shift]), residual, &mut output);
            }
            shortcut => {
                let residual = shortcut.as_ref().map(|_| self.source.values());
                normalize(isa, &last.convolved, last.affine(), (residual, curve), &mut output);
            }
        }
        let [height, width] = last.shape.out_size();
        features(output, [last.shape.batch, channels, height, width])
    }
}

/// The operation. Its parents are the input, then weight, norm weight and norm bias of each layer, then weight and bias of both
/// layers of squeeze and excitation.
#[derive(Debug)]
struct Chain<E>(PhantomData<E>);

impl<E: Number, const N: usize> Backward<Flex, N> for Chain<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let mut upstream = pixels::<E>(receive.upstream());
        let mut behind = state.last_gradient(upstream.storage_mut(), &mut receive);
        for index in (0..state.main.len()).rev() {
            let layer = &state.main[index];
            receive.give(weight_of(index), || layer.weight_gradient(state.input_of(index), &behind));
            if index == 0 {
                break;
            }
            let mut between = Buffer::<E>::stale(layer.shape.input_len());
            layer.input_gradient(&behind, &mut between, Existing::Replace);
            if let Some(excited) = state.excited.as_ref().filter(|_| index + 1 == state.main.len()) {
                let (unweighed, given) = excited.backward(state.unweighed(index), &between);
                between = unweighed;
                for (parent, gradient) in (N - 4..).zip(given) {
                    receive.give(parent, || gradient);
                }
            }
            state.before_norm(index - 1, &mut between, None, &mut receive);
            behind = between;
        }
        let Source::Pixels(input) = &state.source else { return };
        receive.give(0, || {
            let [batch, height, width, channels] = sizes(input);
            let first = &state.main[0];
            if state.shortcut.is_some() {
                first.input_gradient(&behind, upstream.storage_mut(), Existing::Add);
                return upstream.permute(&[0, 3, 1, 2]);
            }
            let mut gradient = Buffer::stale(first.shape.input_len());
            first.input_gradient(&behind, &mut gradient, Existing::Replace);
            features(gradient, [batch, channels, height, width])
        });
    }
}

impl<E: Number> State<E> {
    /// The gradient of the last convolution's output, from that of the chain's output, which stays as it is for the shortcut.
    fn last_gradient<const N: usize>(
        &self,
        upstream: &mut [E],
        receive: &mut Receive<'_, Arc<Self>, N>,
    ) -> Buffer<E> {
        let last = self.main.len() - 1;
        let mut behind = Buffer::<E>::stale(upstream.len());
        if let Some(Some(factors)) = &self.shortcut {
            let channels = self.main[last].shape.channels[1];
            let scale: Vec<f32> = factors.iter().flat_map(|f| std::iter::repeat_n(*f, channels)).collect();
            let shift = vec![0.0; scale.len()];
            scale_images(Isa::current(), upstream, (channels, [&scale, &shift]), None, &mut behind);
            self.before_norm(last, &mut behind, None, receive);
        } else {
            self.before_norm(last, upstream, Some(&mut behind), receive);
        }
        behind
    }

    /// Turns the gradient of a layer's result into that of its convolution's output, in place or into another buffer.
    fn before_norm<const N: usize>(
        &self,
        index: usize,
        gradient: &mut [E],
        into: Option<&mut [E]>,
        receive: &mut Receive<'_, Arc<Self>, N>,
    ) {
        let isa = Isa::current();
        let layer = &self.main[index];
        let sums = match self.curves[index] {
            Nonlinearity::None => gradient_sums(isa, layer.shape.channels[1], gradient, None, layer.centre()),
            nonlinearity => {
                let activated = Activated { input: &layer.convolved, affine: layer.affine(), nonlinearity };
                activation_gradient(isa, &activated, &layer.moments.mean, gradient)
            }
        };
        let (norm, factors) = layer.norm_gradients(&sums);
        receive.give_norm(weight_of(index), norm);
        norm_gradient(isa, &factors, (&layer.convolved, None), gradient, into);
    }
}

/// The index of the parent that is a layer's weight.
fn weight_of(layer: usize) -> usize {
    1 + 3 * layer
}

/// Runs a chain in evaluation mode, with its norm layers folded into the weights.
fn evaluate<E: Number>(layers: &ChainLayers<'_>, source: &Source<E>, pass: &Pass) -> Option<Tensor<4>> {
    let (batch, mut size) = source.size();
    let mut current: Option<Buffer<E>> = None;
    let mut channels = 0;
    for (index, (layer, nonlinearity)) in layers.main.iter().enumerate() {
        let (mut shape, grouping) = any_shape(layer.conv, batch, size)?;
        if let Some(first) = source.first_shape().filter(|_| index == 0) {
            shape = first;
        }
        let is_last = index + 1 == layers.main.len();
        if let Some([first, second]) = layers.excitation.filter(|_| is_last) {
            let read = |tensor: Option<FlexTensor>| tensor.map(|tensor| parameter(&tensor));
            let weights = [read(plain(&first.weight.val()))?, read(plain(&second.weight.val()))?];
            let biases =
                [read(plain(&first.bias.as_ref()?.val()))?, read(plain(&second.bias.as_ref()?.val()))?];
            let pixels = current.as_deref().unwrap_or_else(|| source.values());
            current = Some(Excited::forward(Excitation { weights, biases }, batch, pixels).weighed);
        }
        let input = current.as_deref().unwrap_or_else(|| source.values());
        let residual = layers.shortcut.filter(|_| is_last).map(|_| source.values());
        current = Some(layer.evaluate((shape, grouping), input, (residual, *nonlinearity), pass)?);
        (size, channels) = (shape.out_size(), shape.channels[1]);
    }
    let output = features(current?, [batch, channels, size[0], size[1]]);
    Some(Tensor::from_primitive::<Flex>(output))
}
