//! Layers for prediction: norm layers are folded into the weights, and ReLU and shortcut are applied in the same pass.

use std::sync::Arc;

use burn::backend::Flex;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use sciurus_kernels::{
    Activation, Buffer, ConvShape, Isa, Nonlinearity, PackedWeights, View, ViewMut, conv_forward_activated,
    depthwise_forward, normalize,
};

use super::layer::{BlockLayers, ConvNorm, Grouping, affine, shape};
use super::tensor::{Number, features, parameter, pixels, plain, sizes, values};
use crate::nn::Pass;

/// A convolution with everything that follows it folded in.
struct Layer<E> {
    packed: PackedWeights<E>,
    bias: Vec<f32>,
}

impl<E: Number> Layer<E> {
    fn new(shape: &ConvShape, weight: &FlexTensor, scale: Option<&[f32]>, bias: Vec<f32>) -> Self {
        Self { packed: PackedWeights::forward(Isa::current(), shape, values(weight), scale), bias }
    }
}

/// A layer that is ready to use.
pub(super) struct Folded<E>(Arc<Layer<E>>);

impl<E: Number> Folded<E> {
    /// A convolution with a bias.
    pub(super) fn new(shape: &ConvShape, weight: &FlexTensor, bias: &[f32]) -> Self {
        Self(Arc::new(Layer::new(shape, weight, None, bias.to_vec())))
    }

    /// A convolution with a bias; kept in `pass` for reuse.
    pub(super) fn bias(conv: &Conv2d, shape: &ConvShape, pass: &Pass) -> Option<Self> {
        let make = || {
            let weight = parameter(&plain(&conv.weight.val())?);
            let bias = parameter(&plain(&conv.bias.as_ref()?.val())?);
            Some(Layer::new(shape, &weight, None, values(&bias).to_vec()))
        };
        pass.folded_layers().get((conv.weight.id, E::PER_WORD), make).map(Self)
    }

    /// A convolution with its norm layer in evaluation mode; kept in `pass` for reuse.
    pub(super) fn norm(layer: &ConvNorm<'_>, shape: &ConvShape, pass: &Pass) -> Option<Self> {
        let conv = layer.conv;
        let make = || {
            let [scale, bias] = layer.running_affine()?;
            let weight = parameter(&plain(&conv.weight.val())?);
            Some(Layer::new(shape, &weight, Some(&scale), bias))
        };
        pass.folded_layers().get((conv.weight.id, E::PER_WORD), make).map(Self)
    }

    /// Convolves pixels, then adds a shortcut and applies ReLU, if requested.
    pub(super) fn forward(
        &self,
        shape: &ConvShape,
        input: &[E],
        activated: (Option<&[E]>, bool),
    ) -> Buffer<E> {
        let mut output = Buffer::stale(shape.output_len());
        self.forward_into(shape, input, activated, ViewMut::new(&mut output, shape.channels[1]));
        output
    }

    /// Convolves pixels into some channels of other pixels.
    pub(super) fn forward_into(
        &self,
        shape: &ConvShape,
        input: &[E],
        (residual, relu): (Option<&[E]>, bool),
        output: ViewMut<'_, E>,
    ) {
        let activation = Activation { bias: &self.0.bias, residual, relu };
        conv_forward_activated(
            shape,
            View::new(input, shape.channels[0]),
            &self.0.packed,
            activation,
            output,
        );
    }
}

/// Runs a residual block in evaluation mode.
pub(super) fn evaluate_block<E: Number>(
    layers: &BlockLayers<'_>,
    input: FlexTensor,
    pass: &Pass,
) -> Option<Tensor<4>> {
    let [batch, _, height, width] = sizes(&input);
    let mut size = [height, width];
    let mut main: Vec<(ConvShape, Folded<E>)> = Vec::with_capacity(layers.main.len());
    for layer in &layers.main {
        let shape = shape(layer.conv, batch, size)?;
        size = shape.out_size();
        main.push((shape, Folded::norm(layer, &shape, pass)?));
    }
    let input = pixels::<E>(input);
    let beside = match &layers.shortcut {
        None => None,
        Some(layer) => {
            let shape = shape(layer.conv, batch, [height, width])?;
            Some(Folded::<E>::norm(layer, &shape, pass)?.forward(&shape, values(&input), (None, false)))
        }
    };
    let residual: &[E] = beside.as_deref().unwrap_or_else(|| values(&input));
    let ((last_shape, last), before) = main.split_last()?;
    let mut inner: Option<Buffer<E>> = None;
    for (shape, folded) in before {
        let from = inner.as_deref().unwrap_or_else(|| values(&input));
        inner = Some(folded.forward(shape, from, (None, true)));
    }
    let from = inner.as_deref().unwrap_or_else(|| values(&input));
    let output = last.forward(last_shape, from, (Some(residual), true));
    Some(Tensor::from_primitive::<Flex>(features(output, [batch, last_shape.channels[1], size[0], size[1]])))
}

impl ConvNorm<'_> {
    /// Runs the layer on pixels in evaluation mode, with its norm layer folded into the weights; then adds a shortcut and applies
    /// a nonlinearity.
    pub(super) fn evaluate<E: Number>(
        &self,
        (shape, grouping): (ConvShape, Grouping),
        input: &[E],
        (residual, nonlinearity): (Option<&[E]>, Nonlinearity),
        pass: &Pass,
    ) -> Option<Buffer<E>> {
        let isa = Isa::current();
        let relu = nonlinearity == Nonlinearity::Relu;
        let convolved = match grouping {
            Grouping::Dense => {
                let folded = Folded::norm(self, &shape, pass)?;
                if relu || nonlinearity == Nonlinearity::None {
                    return Some(folded.forward(&shape, input, (residual, relu)));
                }
                folded.forward(&shape, input, (None, false))
            }
            Grouping::Depthwise => {
                let [scale, bias] = self.running_affine()?;
                let mut weight = values::<f32>(&parameter(&plain(&self.conv.weight.val())?)).to_vec();
                let area = shape.kernel[0] * shape.kernel[1];
                for (kernel, scale) in weight.chunks_exact_mut(area).zip(&scale) {
                    kernel.iter_mut().for_each(|weight| *weight *= scale);
                }
                let mut convolved = Buffer::stale(shape.output_len());
                depthwise_forward(isa, &shape, input, [&weight, &bias], &mut convolved);
                convolved
            }
        };
        let channels = shape.channels[1];
        let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
        let mut output = Buffer::stale(convolved.len());
        normalize(isa, &convolved, [&ones, &zeros], (residual, nonlinearity), &mut output);
        Some(output)
    }

    /// The norm layer in evaluation mode as scale and shift.
    fn running_affine(&self) -> Option<[Vec<f32>; 2]> {
        let norm = self.norm;
        let read = |tensor: Tensor<1>| Some(values::<f32>(&parameter(&plain(&tensor)?)).to_vec());
        Some(affine(
            &self.running_moments()?,
            [&read(norm.weight.val())?, &read(norm.bias.val())?],
            norm.epsilon(),
        ))
    }
}
