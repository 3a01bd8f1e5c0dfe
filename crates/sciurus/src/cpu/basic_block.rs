//! ResNet's basic block as one operation: two convolutions with their norm layers, the shortcut, ReLU.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{Buffer, Existing, Isa, gradient_sums, norm_gradient, normalize};

use super::inference::evaluate_block;
use super::layer::{ConvNorm, Kept, Ready};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, pixels, plain, sizes, tracked, values};
use crate::model::Pass;

/// The layers of a basic block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockLayers<'a> {
    pub(crate) first: ConvNorm<'a>,
    pub(crate) second: ConvNorm<'a>,
    pub(crate) shortcut: Option<ConvNorm<'a>>,
}

/// `relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))`: `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]`.
pub(crate) fn basic_block(layers: &BlockLayers<'_>, input: &Tensor<4>, pass: &mut Pass) -> Option<Tensor<4>> {
    if !pass.is_fused() {
        return None;
    }
    if !pass.is_training() {
        let input = plain(input)?;
        return match input.dtype() {
            DType::BF16 => evaluate_block::<bf16>(layers, input, pass),
            _ => evaluate_block::<f32>(layers, input, pass),
        };
    }
    let input = tracked(input)?;
    match input.primitive().dtype() {
        DType::BF16 => train::<bf16>(layers, input, pass),
        _ => train::<f32>(layers, input, pass),
    }
}

fn train<E: Number>(layers: &BlockLayers<'_>, input: Tracked, pass: &mut Pass) -> Option<Tensor<4>> {
    let [batch, _, height, width] = sizes(input.primitive());
    let first = layers.first.ready(batch, [height, width])?;
    let second = layers.second.ready(batch, first.shape.out_size())?;
    let shortcut = match &layers.shortcut {
        Some(shortcut) => Some(shortcut.ready(batch, [height, width])?),
        None => None,
    };

    let node = input.node();
    let state =
        State::<E>::forward(pixels::<E>(input.into_primitive()), [&first, &second], shortcut.as_ref());
    for (layer, kept) in [(&layers.first, &state.first), (&layers.second, &state.second)]
        .into_iter()
        .chain(layers.shortcut.as_ref().zip(state.shortcut.as_ref()))
    {
        layer.note(&kept.moments, kept.convolved.len() / kept.moments.mean.len(), pass);
    }
    let output = state.output.clone();
    let state = Arc::new(state);
    let ([a, b, c], [d, e, f]) = (first.parameters.nodes(), second.parameters.nodes());
    let tracked = match shortcut.map(|shortcut| shortcut.parameters.nodes()) {
        None => record(BasicBlock(PhantomData), [node, a, b, c, d, e, f], state, output),
        Some([g, h, i]) => record(BasicBlock(PhantomData), [node, a, b, c, d, e, f, g, h, i], state, output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(tracked))
}

/// What the forward pass leaves for the backward pass.
#[derive(Debug)]
struct State<E: Number> {
    /// Pixels `[batch, height, width, in]`.
    input: FlexTensor,
    first: Kept<E>,
    /// What lies between the convolutions.
    inner: Buffer<E>,
    second: Kept<E>,
    shortcut: Option<Kept<E>>,
    /// Features, whose sign says what the last ReLU let pass.
    output: FlexTensor,
}

impl<E: Number> State<E> {
    /// The forward pass over pixels.
    fn forward(input: FlexTensor, [first, second]: [&Ready; 2], shortcut: Option<&Ready>) -> Self {
        let isa = Isa::current();
        let first = Kept::<E>::forward(first.shape, values(&input), &first.parameters);
        let mut inner = Buffer::stale(first.convolved.len());
        normalize(isa, &first.convolved, first.affine(), (None, true), &mut inner);
        let second = Kept::<E>::forward(second.shape, &inner, &second.parameters);
        let shortcut =
            shortcut.map(|layer| Kept::<E>::forward(layer.shape, values(&input), &layer.parameters));
        let beside = shortcut.as_ref().map(|kept| {
            let mut beside = Buffer::stale(kept.convolved.len());
            normalize(isa, &kept.convolved, kept.affine(), (None, false), &mut beside);
            beside
        });
        let residual: &[E] = beside.as_deref().unwrap_or_else(|| values(&input));
        let mut output = Buffer::stale(second.convolved.len());
        normalize(isa, &second.convolved, second.affine(), (Some(residual), true), &mut output);
        let [height, width] = second.shape.out_size();
        let output = features(output, [second.shape.batch, second.shape.channels[1], height, width]);
        Self { input, first, inner, second, shortcut, output }
    }
}

/// The operation; its parents are the input, then weight, norm weight and norm bias of each layer.
#[derive(Debug)]
struct BasicBlock<E>(PhantomData<E>);

impl<E: Number, const N: usize> Backward<Flex, N> for BasicBlock<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let isa = Isa::current();
        let State { input, first, inner, second, shortcut, output } = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let mut upstream = pixels::<E>(receive.upstream());
        let gradient: &mut [E] = upstream.storage_mut();
        let output = pixels::<E>(output.clone());

        // The second layer. What passed the last ReLU stays in `gradient`: the shortcut's gradient.
        let sums =
            gradient_sums(isa, second.shape.channels[1], gradient, Some(values(&output)), second.centre());
        let (norm, factors) = second.norm_gradients(&sums);
        receive.give_norm(SECOND, norm);
        let mut behind = Buffer::<E>::stale(gradient.len());
        norm_gradient(isa, &factors, (&second.convolved, Some(values(&output))), gradient, Some(&mut behind));
        receive.give(SECOND, || second.weight_gradient(inner, &behind));
        let mut between = Buffer::<E>::stale(inner.len());
        second.input_gradient(&behind, &mut between, Existing::Replace);
        drop(behind);

        // The first layer.
        let sums = gradient_sums(isa, first.shape.channels[1], &between, Some(inner), first.centre());
        let (norm, factors) = first.norm_gradients(&sums);
        receive.give_norm(FIRST, norm);
        norm_gradient(isa, &factors, (&first.convolved, Some(inner)), &mut between, None);
        receive.give(FIRST, || first.weight_gradient(values(input), &between));

        // The input, which both ways lead to.
        let Some(shortcut) = shortcut else {
            first.input_gradient(&between, gradient, Existing::Add);
            receive.give(INPUT, || upstream.permute(&[0, 3, 1, 2]));
            return;
        };
        let sums = gradient_sums(isa, shortcut.shape.channels[1], gradient, None, shortcut.centre());
        let (norm, factors) = shortcut.norm_gradients(&sums);
        receive.give_norm(SHORTCUT, norm);
        norm_gradient(isa, &factors, (&shortcut.convolved, None), gradient, None);
        receive.give(SHORTCUT, || shortcut.weight_gradient(values(input), gradient));
        receive.give(INPUT, || {
            let [batch, height, width, channels] = sizes(input);
            let mut both = Buffer::stale(first.shape.input_len());
            first.input_gradient(&between, &mut both, Existing::Replace);
            shortcut.input_gradient(gradient, &mut both, Existing::Add);
            features(both, [batch, channels, height, width])
        });
    }
}

const INPUT: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 4;
const SHORTCUT: usize = 7;
