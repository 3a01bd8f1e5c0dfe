//! Layer norm, then two linear layers with GELU between them, on each pixel: the second half of the blocks of ConvNeXts and
//! transformers.

use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use sciurus_kernels::{
    Activated, Buffer, ConvShape, Isa, Nonlinearity, PixelMoments, activation_gradient, layer_norm,
    layer_norm_gradient, normalize,
};

use super::inference::Folded;
use super::layer::whole_input_gradient;
use super::linear::{by_input, by_output};
use super::pool::bias_gradient;
use super::record::Receive;
use super::tensor::{Number, parameter, values};
use crate::nn::LayerNorm;

/// The layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PerceptronLayers<'a> {
    pub(crate) norm: &'a LayerNorm,
    /// The layer to more features, and the layer back.
    pub(crate) linear: [&'a Linear; 2],
}

/// Parameters in the order of an operation's parents: weight and bias of the norm layer, the first and the second linear layer.
/// Weights of linear layers are `[out, in]`.
#[derive(Debug)]
pub(super) struct Parameters([FlexTensor; 6]);

/// The index of each layer's weight; its bias follows.
pub(super) const NORM: usize = 0;
pub(super) const FIRST: usize = 2;
pub(super) const SECOND: usize = 4;

impl PerceptronLayers<'_> {
    /// The parameters in their order, read with `one` (vectors) and `two` (matrices).
    pub(super) fn read<T>(
        &self,
        one: impl Fn(&Tensor<1>) -> Option<T>,
        two: impl Fn(&Tensor<2>) -> Option<T>,
    ) -> Option<[T; 6]> {
        let Self { norm, linear: [widen, narrow] } = self;
        Some([
            one(&norm.weight.val())?,
            one(&norm.bias.val())?,
            two(&widen.weight.val())?,
            one(&widen.bias.as_ref()?.val())?,
            two(&narrow.weight.val())?,
            one(&narrow.bias.as_ref()?.val())?,
        ])
    }
}

impl Parameters {
    pub(super) fn new(tensors: [&FlexTensor; 6]) -> Self {
        let [norm, norm_bias, widen, widen_bias, narrow, narrow_bias] = tensors;
        Self([
            parameter(norm),
            parameter(norm_bias),
            by_output(widen),
            parameter(widen_bias),
            by_output(narrow),
            parameter(narrow_bias),
        ])
    }

    pub(super) fn get(&self, index: usize) -> &[f32] {
        values(&self.0[index])
    }

    /// A linear layer with its bias, packed for use.
    pub(super) fn folded<E: Number>(&self, weight: usize, shape: &ConvShape) -> Folded<E> {
        Folded::new(shape, &self.0[weight], self.get(weight + 1))
    }

    /// The gradient of a linear layer's input.
    pub(super) fn input_gradient<E: Number>(
        &self,
        weight: usize,
        shape: &ConvShape,
        output_gradient: &[E],
    ) -> Buffer<E> {
        whole_input_gradient(shape, &self.0[weight], output_gradient)
    }

    /// The second linear layer's bias.
    pub(super) fn last_bias(&self) -> &[f32] {
        self.get(SECOND + 1)
    }
}

/// The shape of a linear layer on each pixel of pictures: a 1x1 convolution.
pub(super) fn linear_shape(layer: &Linear, batch: usize, size: [usize; 2]) -> ConvShape {
    ConvShape { batch, size, channels: layer.weight.val().dims(), kernel: [1, 1], stride: 1, padding: 0 }
}

/// What the forward pass keeps for the backward pass.
#[derive(Debug)]
pub(super) struct Perceptron<E: Number> {
    pub(super) parameters: Parameters,
    widen: ConvShape,
    narrow: ConvShape,
    moments: PixelMoments,
    normed: Buffer<E>,
    /// Before bias and GELU.
    widened: Buffer<E>,
    activated: Buffer<E>,
}

impl<E: Number> Perceptron<E> {
    /// Runs the layers up to GELU on pictures of this `size`.
    pub(super) fn forward(
        layers: &PerceptronLayers<'_>,
        parameters: Parameters,
        (batch, size): (usize, [usize; 2]),
        input: &[E],
    ) -> Self {
        let isa = Isa::current();
        let [widen, narrow] = layers.linear.map(|layer| linear_shape(layer, batch, size));
        let mut normed = Buffer::stale(input.len());
        let affine = [parameters.get(NORM), parameters.get(NORM + 1)];
        let moments = layer_norm(isa, input, affine, LayerNorm::EPSILON as f32, &mut normed);
        let zeros = vec![0.0; widen.channels[1]];
        let widened =
            Folded::<E>::new(&widen, &parameters.0[FIRST], &zeros).forward(&widen, &normed, (None, false));
        let mut activated = Buffer::stale(widened.len());
        let ones = vec![1.0; widen.channels[1]];
        let affine = [&ones, parameters.get(FIRST + 1)];
        normalize(isa, &widened, affine, (None, Nonlinearity::Gelu), &mut activated);
        Self { parameters, widen, narrow, moments, normed, widened, activated }
    }

    /// The second linear layer's result plus `bias` and a shortcut.
    pub(super) fn narrowed(&self, bias: &[f32], shortcut: Option<&[E]>) -> Buffer<E> {
        let weight = &self.parameters.0[SECOND];
        Folded::new(&self.narrow, weight, bias).forward(&self.narrow, &self.activated, (shortcut, false))
    }

    /// Computes the gradients of all parameters except the last bias, from the gradient of the second linear layer's sums. The
    /// parameters' parents begin at index `first`. Returns the gradient of the input.
    pub(super) fn gradients<S, const N: usize>(
        &self,
        input: &[E],
        behind: &[E],
        (receive, first): (&mut Receive<'_, S, N>, usize),
    ) -> Buffer<E> {
        let isa = Isa::current();
        let Self { widen, narrow, .. } = self;
        let [_, within] = widen.channels;
        receive.give(first + SECOND, || by_input(narrow, &self.activated, behind));
        let mut wide = self.parameters.input_gradient(SECOND, narrow, behind);
        let ones = vec![1.0; within];
        let affine = [&ones[..], self.parameters.get(FIRST + 1)];
        let activated = Activated { input: &self.widened, affine, nonlinearity: Nonlinearity::Gelu };
        let sums = activation_gradient(isa, &activated, &vec![0.0; within], &mut wide);
        receive.give(first + FIRST + 1, || bias_gradient(&sums.gradient));
        receive.give(first + FIRST, || by_input(widen, &self.normed, &wide));
        let mut normed = self.parameters.input_gradient::<E>(FIRST, widen, &wide);
        drop(wide);
        let weight = self.parameters.get(NORM);
        let sums = layer_norm_gradient(isa, input, &self.moments, weight, &mut normed);
        receive.give(first + NORM, || bias_gradient(&sums.centred));
        receive.give(first + NORM + 1, || bias_gradient(&sums.gradient));
        normed
    }
}

/// The sum of two activations.
pub(super) fn added<E: Number>(a: &[E], b: &[E], channels: usize) -> Buffer<E> {
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let mut sum = Buffer::stale(a.len());
    normalize(Isa::current(), a, [&ones, &zeros], (Some(b), Nonlinearity::None), &mut sum);
    sum
}
