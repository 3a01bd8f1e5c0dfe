//! A convolution with its norm layer, or with its bias: the building blocks of the fused operations.

use burn::backend::autodiff::ops::NodeGuard;
use burn::module::Param;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use sciurus_kernels::{
    Buffer, ConvShape, Existing, GradientSums, Isa, Moments, NormGradient, PackedWeights, View, ViewMut,
    conv_forward_moments, conv_input_gradient, conv_weight_gradient, depthwise_forward,
    depthwise_input_gradient, depthwise_weight_gradient,
};

use super::tensor::{Number, Tracked, either, floats, parameter, tracked, values};
use crate::nn::{BatchNorm, Pass};

/// A convolution without bias and the norm layer after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvNorm<'a> {
    pub(crate) conv: &'a Conv2d,
    pub(crate) norm: &'a BatchNorm,
}

/// Parameters of a [`ConvNorm`] in a training pass: weight, norm weight, norm bias.
pub(super) struct Parameters {
    pub(super) weight: Tracked,
    pub(super) norm: [Tracked; 2],
    /// What the norm layer adds to the variance.
    pub(super) epsilon: f64,
    /// What the norm layer normalises by instead of the batch's moments.
    frozen: Option<Moments>,
}

impl Parameters {
    /// Their graph nodes, in the order of an operation's parents.
    pub(super) fn nodes(&self) -> [NodeGuard; 3] {
        [self.weight.node(), self.norm[0].node(), self.norm[1].node()]
    }
}

/// Which input channels an output channel of a convolution sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// All input channels.
    Dense,
    /// Only its own channel.
    Depthwise,
}

/// A [`ConvNorm`] that the kernels support, for pictures of a known size.
pub(super) struct Ready {
    pub(super) shape: ConvShape,
    pub(super) grouping: Grouping,
    pub(super) parameters: Parameters,
}

impl ConvNorm<'_> {
    /// Shape and parameters for `[batch, height, width]` pixels, if the kernels support the shape and the parameters are on the
    /// CPU.
    pub(super) fn ready(&self, batch: usize, size: [usize; 2], pass: &Pass) -> Option<Ready> {
        let (shape, grouping) = any_shape(self.conv, batch, size)?;
        Some(Ready { shape, grouping, parameters: self.parameters(pass)? })
    }

    /// The parameters as tracked primitives, if they are on the CPU.
    pub(super) fn parameters(&self, pass: &Pass) -> Option<Parameters> {
        let weight = tracked(&self.conv.weight.val())?;
        Some(Parameters {
            weight,
            norm: [tracked(&self.norm.weight.val())?, tracked(&self.norm.bias.val())?],
            epsilon: self.norm.epsilon(),
            frozen: match pass.uses_running_statistics() {
                true => Some(self.running_moments()?),
                false => None,
            },
        })
    }

    /// The norm layer's running statistics, if they are on the CPU.
    pub(super) fn running_moments(&self) -> Option<Moments> {
        let read =
            |param: &Param<Tensor<1>>| Some(values::<f32>(&parameter(&either(&param.val())?)).to_vec());
        Some(Moments { mean: read(&self.norm.running_mean)?, variance: read(&self.norm.running_var)? })
    }

    /// Records the new running statistics after a pass that kept this.
    pub(super) fn note<E: Number>(&self, kept: &Saved<E>, pass: &mut Pass) {
        if kept.statistics == Statistics::Frozen {
            return;
        }
        let (moments, count) = (&kept.moments, kept.pixels());
        let of_batch = |values: &[f32], param: &Param<Tensor<1>>| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            Tensor::<1>::from_data(data, &param.val().device().inner())
        };
        let mean = of_batch(&moments.mean, &self.norm.running_mean);
        let variance = of_batch(&moments.variance, &self.norm.running_var);
        self.norm.note_moments([mean, variance], count, pass);
    }
}

/// The shape of a dense convolution, if the kernels support it.
pub(super) fn shape(conv: &Conv2d, batch: usize, size: [usize; 2]) -> Option<ConvShape> {
    any_shape(conv, batch, size).filter(|(_, grouping)| *grouping == Grouping::Dense).map(|(shape, _)| shape)
}

/// The shape of a convolution on `[batch, height, width]` pixels, if the kernels support it.
pub(super) fn any_shape(conv: &Conv2d, batch: usize, size: [usize; 2]) -> Option<(ConvShape, Grouping)> {
    let padding = match conv.padding {
        PaddingConfig2d::Valid => 0,
        PaddingConfig2d::Explicit(top, left, bottom, right) if [left, bottom, right] == [top; 3] => top,
        _ => return None,
    };
    let [out, channels_in, height, width] = conv.weight.val().dims();
    let grouping = if conv.groups == 1 { Grouping::Dense } else { Grouping::Depthwise };
    let known = (conv.groups == 1 || (conv.groups == out && channels_in == 1 && width <= 16))
        && conv.dilation == [1, 1]
        && conv.stride[0] == conv.stride[1];
    let fits =
        size[0] + 2 * padding >= height && size[1] + 2 * padding >= width && padding < height.min(width);
    let shape = ConvShape {
        batch,
        size,
        channels: [channels_in * conv.groups, out],
        kernel: [height, width],
        stride: conv.stride[0],
        padding,
    };
    (known && fits).then_some((shape, grouping))
}

/// Whose mean and variance a norm layer used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistics {
    /// The batch's, through which gradients flow.
    OfBatch,
    /// The running ones, which are constants.
    Frozen,
}

/// What a [`ConvNorm`] keeps from its forward pass.
#[derive(Debug)]
pub(super) struct Saved<E: Number> {
    pub(super) shape: ConvShape,
    grouping: Grouping,
    /// Weight `[out, in, height, width]` and norm weight `[out]`.
    weight: FlexTensor,
    norm_weight: FlexTensor,
    /// The convolution's output, before the norm layer.
    pub(super) convolved: Buffer<E>,
    /// What the norm layer normalised by.
    pub(super) moments: Moments,
    statistics: Statistics,
    epsilon: f64,
    /// The norm layer applied to the convolution's output: scale and shift `[out]`.
    pub(super) affine: [Vec<f32>; 2],
}

impl<E: Number> Saved<E> {
    /// Convolves over all channels, and measures mean and variance.
    pub(super) fn dense(shape: ConvShape, input: &[E], parameters: &Parameters) -> Self {
        Self::forward((shape, Grouping::Dense), input, parameters)
    }

    /// Convolves, and measures mean and variance where those are not given.
    pub(super) fn forward(
        (shape, grouping): (ConvShape, Grouping),
        input: &[E],
        parameters: &Parameters,
    ) -> Self {
        let isa = Isa::current();
        let weight = parameter(parameters.weight.primitive());
        let [norm_weight, norm_bias] = parameters.norm.each_ref().map(|norm| parameter(norm.primitive()));
        let [channels_in, channels_out] = shape.channels;
        let mut convolved = Buffer::stale(shape.output_len());
        let of_batch = match grouping {
            Grouping::Dense => {
                let packed = PackedWeights::forward(isa, &shape, values(&weight), None);
                let output = ViewMut::new(&mut convolved, channels_out);
                conv_forward_moments(&shape, View::new(input, channels_in), &packed, output)
            }
            Grouping::Depthwise => {
                let weights = [values(&weight), &vec![0.0; channels_out]];
                depthwise_forward(isa, &shape, input, weights, &mut convolved)
            }
        };
        let (statistics, moments) = match &parameters.frozen {
            Some(frozen) => (Statistics::Frozen, frozen.clone()),
            None => (Statistics::OfBatch, of_batch),
        };
        let epsilon = parameters.epsilon;
        let affine = affine(&moments, [values(&norm_weight), values(&norm_bias)], epsilon);
        Self { shape, grouping, weight, norm_weight, convolved, moments, statistics, epsilon, affine }
    }

    /// Scale and shift as slices.
    pub(super) fn affine(&self) -> [&[f32]; 2] {
        [&self.affine[0], &self.affine[1]]
    }

    /// The convolution's output, and the means of its channels.
    pub(super) fn centre(&self) -> Option<(&[E], &[f32])> {
        Some((&self.convolved, &self.moments.mean))
    }

    /// How many pixels each channel has, over the batch.
    fn pixels(&self) -> usize {
        self.convolved.len() / self.moments.mean.len()
    }

    /// Gradients of the norm layer's weight and bias, and the factors for its input's gradient.
    pub(super) fn norm_gradients(&self, sums: &GradientSums) -> ([FlexTensor; 2], NormGradient) {
        let channels = self.moments.mean.len();
        // Constants have no share in the gradient: it is as if they came from infinitely many pixels.
        let count = match self.statistics {
            Statistics::OfBatch => self.pixels() as f64,
            Statistics::Frozen => f64::INFINITY,
        };
        let mut weight = Buffer::stale(channels);
        let mut bias = Buffer::stale(channels);
        let mut factors = NormGradient { by_gradient: vec![], by_input: vec![], constant: vec![] };
        for (channel, norm_weight) in values::<f32>(&self.norm_weight).iter().enumerate() {
            let inverse = inverse_deviation(self.moments.variance[channel], self.epsilon);
            let (gradient, centred) = (sums.gradient[channel], sums.centred[channel]);
            weight[channel] = (centred * inverse) as f32;
            bias[channel] = gradient as f32;
            let norm_weight = f64::from(*norm_weight);
            let by_input = -norm_weight * inverse.powi(3) * centred / count;
            let constant = -norm_weight * inverse * gradient / count;
            factors.by_gradient.push((norm_weight * inverse) as f32);
            factors.by_input.push(by_input as f32);
            factors.constant.push((constant - by_input * f64::from(self.moments.mean[channel])) as f32);
        }
        ([floats(weight, [channels]), floats(bias, [channels])], factors)
    }

    /// The gradient of the convolution's weight.
    pub(super) fn weight_gradient(&self, input: &[E], output_gradient: &[E]) -> FlexTensor {
        let [channels_in, channels_out] = self.shape.channels;
        match self.grouping {
            Grouping::Dense => {
                let (from, to) = (View::new(input, channels_in), View::new(output_gradient, channels_out));
                weight_gradient(&self.shape, from, to)
            }
            Grouping::Depthwise => {
                let [height, width] = self.shape.kernel;
                let mut gradient = Buffer::stale(channels_out * height * width);
                let isa = Isa::current();
                depthwise_weight_gradient(isa, &self.shape, input, output_gradient, &mut gradient);
                floats(gradient, [channels_out, 1, height, width])
            }
        }
    }

    /// Writes or adds the gradient of the convolution's input.
    pub(super) fn input_gradient(&self, output_gradient: &[E], input_gradient: &mut [E], existing: Existing) {
        let [channels_in, channels_out] = self.shape.channels;
        match (self.grouping, existing) {
            (Grouping::Dense, existing) => {
                let (from, to) =
                    (View::new(output_gradient, channels_out), ViewMut::new(input_gradient, channels_in));
                input_gradient_of(&self.shape, &self.weight, from, to, existing);
            }
            (Grouping::Depthwise, Existing::Replace) => {
                let weight = values(&self.weight);
                let isa = Isa::current();
                depthwise_input_gradient(isa, &self.shape, output_gradient, weight, input_gradient);
            }
            (Grouping::Depthwise, Existing::Add) => {
                let mut more = Buffer::<E>::stale(input_gradient.len());
                self.input_gradient(output_gradient, &mut more, Existing::Replace);
                for (to, more) in input_gradient.iter_mut().zip(&*more) {
                    *to = E::narrow(to.widen() + more.widen());
                }
            }
        }
    }
}

/// The gradient of a weight `[out, in, height, width]`.
pub(super) fn weight_gradient<E: Number>(
    shape: &ConvShape,
    input: View<'_, E>,
    output_gradient: View<'_, E>,
) -> FlexTensor {
    let mut gradient = Buffer::stale(shape.weights_len());
    conv_weight_gradient(Isa::current(), shape, input, output_gradient, &mut gradient);
    let [channels_in, channels_out] = shape.channels;
    floats(gradient, [channels_out, channels_in, shape.kernel[0], shape.kernel[1]])
}

/// The gradient of a convolution's input.
pub(super) fn whole_input_gradient<E: Number>(
    shape: &ConvShape,
    weight: &FlexTensor,
    output_gradient: &[E],
) -> Buffer<E> {
    let [channels_in, channels_out] = shape.channels;
    let mut gradient = Buffer::stale(shape.input_len());
    let (from, to) = (View::new(output_gradient, channels_out), ViewMut::new(&mut gradient, channels_in));
    input_gradient_of(shape, weight, from, to, Existing::Replace);
    gradient
}

/// Writes or adds the gradient of a convolution's input.
pub(super) fn input_gradient_of<E: Number>(
    shape: &ConvShape,
    weight: &FlexTensor,
    output_gradient: View<'_, E>,
    input_gradient: ViewMut<'_, E>,
    existing: Existing,
) {
    let packed = PackedWeights::input_gradient(Isa::current(), shape, values(weight));
    conv_input_gradient(shape, output_gradient, &packed, input_gradient, existing);
}

/// `1 / sqrt(variance + epsilon)`.
fn inverse_deviation(variance: f32, epsilon: f64) -> f64 {
    (f64::from(variance) + epsilon).sqrt().recip()
}

/// A norm layer as a scale and a shift of its input.
pub(super) fn affine(moments: &Moments, [weight, bias]: [&[f32]; 2], epsilon: f64) -> [Vec<f32>; 2] {
    let mut affine = [Vec::with_capacity(weight.len()), Vec::with_capacity(weight.len())];
    for channel in 0..weight.len() {
        let scale = f64::from(weight[channel]) * inverse_deviation(moments.variance[channel], epsilon);
        affine[0].push(scale as f32);
        affine[1].push((f64::from(bias[channel]) - scale * f64::from(moments.mean[channel])) as f32);
    }
    affine
}

/// The layers of a residual block.
#[derive(Debug, Clone)]
pub(crate) struct BlockLayers<'a> {
    /// Two or three layers in order.
    pub(crate) main: Vec<ConvNorm<'a>>,
    pub(crate) shortcut: Option<ConvNorm<'a>>,
}
