//! ResNet's blocks as one operation: two (basic) or three (bottleneck) convolutions with norm layers and ReLU, and the shortcut
//! around them.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use sciurus_kernels::{Buffer, Existing, Isa, Nonlinearity, gradient_sums, norm_gradient, normalize};

use super::inference::evaluate_block;
use super::layer::{BlockLayers, Ready, Saved};
use super::record::{Receive, record};
use super::tensor::{Number, Tracked, features, pixels, plain, sizes, tracked, values};
use crate::nn::Pass;

/// `relu(main(x) + shortcut(x))`, with norm layers after all convolutions and ReLU between those of `main`:
/// `[batch, in, h, w]` to `[batch, out, h / stride, w / stride]`.
pub(crate) fn residual_block(
    layers: &BlockLayers<'_>,
    input: &Tensor<4>,
    pass: &mut Pass,
) -> Option<Tensor<4>> {
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
    let mut size = [height, width];
    let mut main: Vec<Ready> = Vec::with_capacity(layers.main.len());
    for layer in &layers.main {
        let ready = layer.ready(batch, size, pass)?;
        size = ready.shape.out_size();
        main.push(ready);
    }
    let shortcut = match &layers.shortcut {
        Some(shortcut) => Some(shortcut.ready(batch, [height, width], pass)?),
        None => None,
    };

    let nodes: Vec<NodeGuard> = std::iter::once(input.node())
        .chain(main.iter().chain(&shortcut).flat_map(|layer| layer.parameters.nodes()))
        .collect();
    let state = State::<E>::forward(pixels::<E>(input.into_primitive()), &main, shortcut.as_ref());
    for (layer, kept) in
        layers.main.iter().zip(&state.main).chain(layers.shortcut.as_ref().zip(state.shortcut.as_ref()))
    {
        layer.note(kept, pass);
    }
    recorded(nodes, state).map(Tensor::from_primitive::<Autodiff<Flex>>)
}

/// Records the block, with one parent per parameter of its layers.
fn recorded<E: Number>(nodes: Vec<NodeGuard>, state: State<E>) -> Option<Tracked> {
    match nodes.len() {
        7 => recorded_of::<E, 7>(nodes, state),
        10 => recorded_of::<E, 10>(nodes, state),
        13 => recorded_of::<E, 13>(nodes, state),
        // A new kind of block would train layer by layer, slowly, and nobody would notice.
        parameters => {
            debug_assert!(false, "add the {parameters} parameters of this block to the list");
            None
        }
    }
}

fn recorded_of<E: Number, const N: usize>(nodes: Vec<NodeGuard>, state: State<E>) -> Option<Tracked> {
    let output = state.output.clone();
    Some(record(ResidualBlock(PhantomData), <[_; N]>::try_from(nodes).ok()?, Arc::new(state), output))
}

/// What the forward pass keeps for the backward pass.
#[derive(Debug)]
struct State<E: Number> {
    /// Pixels `[batch, height, width, in]`.
    input: FlexTensor,
    main: Vec<Saved<E>>,
    /// Activations between the convolutions: one fewer than there are convolutions.
    inner: Vec<Buffer<E>>,
    shortcut: Option<Saved<E>>,
    /// Output features. Their sign shows what the last ReLU let pass.
    output: FlexTensor,
}

impl<E: Number> State<E> {
    /// Runs the forward pass on pixels.
    fn forward(input: FlexTensor, layers: &[Ready], shortcut: Option<&Ready>) -> Self {
        let isa = Isa::current();
        let mut main: Vec<Saved<E>> = Vec::with_capacity(layers.len());
        let mut inner: Vec<Buffer<E>> = Vec::with_capacity(layers.len());
        for layer in layers {
            if let Some(kept) = main.last() {
                let mut between = Buffer::stale(kept.convolved.len());
                normalize(isa, &kept.convolved, kept.affine(), (None, Nonlinearity::Relu), &mut between);
                inner.push(between);
            }
            let from = inner.last().map_or_else(|| values(&input), |between| &**between);
            main.push(Saved::forward((layer.shape, layer.grouping), from, &layer.parameters));
        }
        let shortcut = shortcut.map(|layer| {
            Saved::<E>::forward((layer.shape, layer.grouping), values(&input), &layer.parameters)
        });
        let beside = shortcut.as_ref().map(|kept| {
            let mut beside = Buffer::stale(kept.convolved.len());
            normalize(isa, &kept.convolved, kept.affine(), (None, Nonlinearity::None), &mut beside);
            beside
        });
        let residual: &[E] = beside.as_deref().unwrap_or_else(|| values(&input));
        let last = &main[main.len() - 1];
        let mut output = Buffer::stale(last.convolved.len());
        normalize(isa, &last.convolved, last.affine(), (Some(residual), Nonlinearity::Relu), &mut output);
        let [height, width] = last.shape.out_size();
        let output = features(output, [last.shape.batch, last.shape.channels[1], height, width]);
        Self { input, main, inner, shortcut, output }
    }
}

/// The operation. Its parents are the input, then weight, norm weight and norm bias of each layer, the shortcut's last.
#[derive(Debug)]
struct ResidualBlock<E>(PhantomData<E>);

impl<E: Number, const N: usize> Backward<Flex, N> for ResidualBlock<E> {
    type State = Arc<State<E>>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let state = &*ops.state;
        let mut receive = Receive::new(&ops, gradients);
        let mut upstream = pixels::<E>(receive.upstream());
        let gradient: &mut [E] = upstream.storage_mut();
        let behind = state.main_gradients(gradient, &mut receive);
        let first = &state.main[0];
        let Some(shortcut) = &state.shortcut else {
            first.input_gradient(&behind, gradient, Existing::Add);
            receive.give(INPUT, || upstream.permute(&[0, 3, 1, 2]));
            return;
        };
        state.shortcut_gradients(shortcut, gradient, &mut receive);
        receive.give(INPUT, || {
            let [batch, height, width, channels] = sizes(&state.input);
            let mut both = Buffer::stale(first.shape.input_len());
            first.input_gradient(&behind, &mut both, Existing::Replace);
            shortcut.input_gradient(gradient, &mut both, Existing::Add);
            features(both, [batch, channels, height, width])
        });
    }
}

impl<E: Number> State<E> {
    /// Computes the gradients of the layers on the main path, and returns that of the first convolution's output. `gradient` is
    /// the output's on entry; on return it is what passed the last ReLU, which is the shortcut's gradient.
    fn main_gradients<const N: usize>(
        &self,
        gradient: &mut [E],
        receive: &mut Receive<'_, Arc<Self>, N>,
    ) -> Buffer<E> {
        let isa = Isa::current();
        let output = pixels::<E>(self.output.clone());
        let output: &[E] = values(&output);
        let last = self.main.len() - 1;
        let layer = &self.main[last];
        let sums = gradient_sums(isa, layer.shape.channels[1], gradient, Some(output), layer.centre());
        let (norm, factors) = layer.norm_gradients(&sums);
        receive.give_norm(weight_of(last), norm);
        let mut behind = Buffer::<E>::stale(gradient.len());
        norm_gradient(isa, &factors, (&layer.convolved, Some(output)), gradient, Some(&mut behind));

        // Back through the earlier layers. `behind` is the gradient of the convolution that reads `inner`.
        for (index, inner) in self.inner.iter().enumerate().rev() {
            let (layer, next) = (&self.main[index], &self.main[index + 1]);
            receive.give(weight_of(index + 1), || next.weight_gradient(inner, &behind));
            let mut between = Buffer::<E>::stale(inner.len());
            next.input_gradient(&behind, &mut between, Existing::Replace);
            drop(behind);
            let sums = gradient_sums(isa, layer.shape.channels[1], &between, Some(inner), layer.centre());
            let (norm, factors) = layer.norm_gradients(&sums);
            receive.give_norm(weight_of(index), norm);
            norm_gradient(isa, &factors, (&layer.convolved, Some(inner)), &mut between, None);
            behind = between;
        }
        receive.give(weight_of(0), || self.main[0].weight_gradient(values(&self.input), &behind));
        behind
    }

    /// Computes the gradients of the shortcut's layer; `gradient` becomes that of its convolution's output.
    fn shortcut_gradients<const N: usize>(
        &self,
        shortcut: &Saved<E>,
        gradient: &mut [E],
        receive: &mut Receive<'_, Arc<Self>, N>,
    ) {
        let isa = Isa::current();
        let parent = weight_of(self.main.len());
        let sums = gradient_sums(isa, shortcut.shape.channels[1], gradient, None, shortcut.centre());
        let (norm, factors) = shortcut.norm_gradients(&sums);
        receive.give_norm(parent, norm);
        norm_gradient(isa, &factors, (&shortcut.convolved, None), gradient, None);
        receive.give(parent, || shortcut.weight_gradient(values(&self.input), gradient));
    }
}

const INPUT: usize = 0;

/// The index of the parent that is a layer's weight. The shortcut comes after the layers of the main path.
fn weight_of(layer: usize) -> usize {
    1 + 3 * layer
}
