//! Squeeze and excitation on pixels: a weight (0..1) for each channel of each image, computed from the means of all channels.
//!
//! Means, weights and the two layers are f32. That costs little, because they exist once per image, not per pixel.

use burn_flex::FlexTensor;
use sciurus_kernels::{
    Activation, Buffer, ConvShape, Existing, Isa, PackedWeights, View, ViewMut, conv_forward_activated,
    image_sums, scale_images,
};

use super::layer::{input_gradient_of, weight_gradient};
use super::tensor::{Number, floats, values};

/// The two layers' weights `[out, in, 1, 1]` and biases.
#[derive(Debug)]
pub(super) struct Excitation {
    pub(super) weights: [FlexTensor; 2],
    pub(super) biases: [FlexTensor; 2],
}

/// What a forward pass keeps. `weights = sigmoid(fc2(silu(squeezed)))` with `squeezed = fc1(means)`.
#[derive(Debug)]
pub(super) struct Excited<E: Number> {
    layers: Excitation,
    /// The number of images; then the channels of the pixels and of the hidden layer.
    batch: usize,
    channels: [usize; 2],
    /// `[batch, channel]`
    means: Vec<f32>,
    /// `[batch, within]`
    squeezed: Vec<f32>,
    /// `[batch, channel]`
    weights: Vec<f32>,
    /// Pixels times weights.
    pub(super) weighed: Buffer<E>,
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

impl<E: Number> Excited<E> {
    /// Multiplies pixels `[batch, height, width, channel]` by their channels' weights.
    pub(super) fn forward(layers: Excitation, batch: usize, pixels: &[E]) -> Self {
        let isa = Isa::current();
        let [within, channels] = layers.biases.each_ref().map(|bias| values::<f32>(bias).len());
        let channels = [channels, within];
        let [wide, _] = channels;
        let count = (pixels.len() / (batch * wide)) as f64;
        let sums = image_sums(isa, [batch, wide], pixels, None);
        let means: Vec<f32> =
            sums.iter().flat_map(|sums| &sums.gradient).map(|sum| (sum / count) as f32).collect();
        let squeezed = product(&dense(batch, channels), &means, &layers, 0);
        let activated = silu(&squeezed);
        let mut weights = product(&dense(batch, [within, wide]), &activated, &layers, 1);
        weights.iter_mut().for_each(|weight| *weight = sigmoid(*weight));
        let mut weighed = Buffer::stale(pixels.len());
        let zeros = vec![0.0; weights.len()];
        scale_images(isa, pixels, (wide, [&weights, &zeros]), None, &mut weighed);
        Self { layers, batch, channels, means, squeezed, weights, weighed }
    }

    /// The gradient of `pixels`, and those of weight and bias of both layers, from the gradient of the weighted pixels.
    pub(super) fn backward(&self, pixels: &[E], gradient: &[E]) -> (Buffer<E>, [FlexTensor; 4]) {
        let isa = Isa::current();
        let Self { layers, batch, channels: [wide, within], .. } = self;
        let (batch, wide, within) = (*batch, *wide, *within);
        let sums = image_sums(isa, [batch, wide], gradient, Some(pixels));
        let expanded: Vec<f32> = sums
            .iter()
            .flat_map(|sums| &sums.centred)
            .zip(&self.weights)
            .map(|(sum, weight)| *sum as f32 * weight * (1.0 - weight))
            .collect();
        let [first, second] = [dense(batch, [wide, within]), dense(batch, [within, wide])];
        let activated = silu(&self.squeezed);
        let (second_weight, mut squeezed) =
            layer_gradients(&second, &layers.weights[1], &activated, &expanded);
        for (gradient, &x) in squeezed.iter_mut().zip(&self.squeezed) {
            let sigmoid = sigmoid(x);
            *gradient *= sigmoid * (1.0 + x * (1.0 - sigmoid));
        }
        let (first_weight, mut means) = layer_gradients(&first, &layers.weights[0], &self.means, &squeezed);
        let count = (pixels.len() / (batch * wide)) as f32;
        means.iter_mut().for_each(|gradient| *gradient /= count);
        let mut result = Buffer::stale(pixels.len());
        scale_images(isa, gradient, (wide, [&self.weights, &means]), None, &mut result);
        let biases = [summed(&squeezed, within), summed(&expanded, wide)];
        let [first_bias, second_bias] = biases;
        (result, [first_weight, first_bias, second_weight, second_bias])
    }
}

fn silu(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&x| x * sigmoid(x)).collect()
}

/// The shape of a linear layer, as a 1x1 convolution on pictures of one pixel.
fn dense(batch: usize, channels: [usize; 2]) -> ConvShape {
    ConvShape { batch, size: [1, 1], channels, kernel: [1, 1], stride: 1, padding: 0 }
}

/// Runs one of the two layers on `[batch, in]`.
fn product(shape: &ConvShape, input: &[f32], layers: &Excitation, index: usize) -> Vec<f32> {
    let [channels_in, channels_out] = shape.channels;
    let packed = PackedWeights::<f32>::forward(Isa::current(), shape, values(&layers.weights[index]), None);
    let activation = Activation { bias: values(&layers.biases[index]), residual: None, relu: false };
    let mut output = vec![0.0; shape.output_len()];
    let to = ViewMut::new(&mut output, channels_out);
    conv_forward_activated(shape, View::new(input, channels_in), &packed, activation, to);
    output
}

/// Gradients of a layer's weight and of its input.
fn layer_gradients(
    shape: &ConvShape,
    weight: &FlexTensor,
    input: &[f32],
    gradient: &[f32],
) -> (FlexTensor, Vec<f32>) {
    let [channels_in, channels_out] = shape.channels;
    let mut input_gradient = vec![0.0; shape.input_len()];
    let to = ViewMut::new(&mut input_gradient, channels_in);
    input_gradient_of(shape, weight, View::new(gradient, channels_out), to, Existing::Replace);
    (weight_gradient(shape, View::new(input, channels_in), View::new(gradient, channels_out)), input_gradient)
}

/// `[batch, channel]` summed over the batch.
fn summed(rows: &[f32], channels: usize) -> FlexTensor {
    let mut sums = Buffer::<f32>::zeroed(channels);
    for row in rows.chunks_exact(channels) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    floats(sums, [channels])
}
