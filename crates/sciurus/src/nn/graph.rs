//! Layers as nodes of an ONNX graph. In: a layer, and the tensor it takes. Out: the tensor it makes.
//!
//! Each network says beside its `forward` how it is put together from these. Norm layers are folded into the convolutions and linear
//! layers before or after them: in prediction they only scale and shift.

use std::collections::HashMap;

use burn::module::{Param, ParamId};
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use sciurus_onnx::{Attribute, Data, Graph, Value};

use super::{BatchNorm, LayerNorm, floats};

/// How a convolution pads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Both sides alike, as the layer says.
    Both,
    /// As TensorFlow does: with one pixel more at the end where it can't be both sides. The layer's kernels are turned by 180°, and
    /// the graph's are not.
    Same,
}

/// A graph that grows layer by layer.
#[derive(Debug)]
pub(crate) struct LayerGraph {
    /// The graph so far.
    pub(crate) graph: Graph,
    /// The names of a network's parameters.
    names: HashMap<ParamId, String>,
}

/// `x * scale + shift`, per channel: what a norm layer does in prediction.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    fn of(norm: &BatchNorm) -> Self {
        let [weight, bias, mean, variance] =
            [&norm.weight, &norm.bias, &norm.running_mean, &norm.running_var].map(doubles);
        let deviation = |(weight, variance): (&f64, &f64)| weight / (variance + norm.epsilon()).sqrt();
        let scale: Vec<f64> = weight.iter().zip(&variance).map(deviation).collect();
        let shift = bias.iter().zip(&mean).zip(&scale).map(|((bias, mean), scale)| bias - mean * scale);
        Self { shift: shift.collect(), scale }
    }
}

fn doubles<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f64> {
    floats(param.val().into_data()).into_iter().map(f64::from).collect()
}

fn singles(values: &[f64]) -> Data {
    Data::F32(values.iter().map(|value| *value as f32).collect())
}

impl LayerGraph {
    /// An empty graph for a network whose parameters have these names.
    pub(crate) fn new(name: &str, names: HashMap<ParamId, String>) -> Self {
        Self { graph: Graph::new(name), names }
    }

    fn name(&self, id: ParamId) -> &str {
        self.names.get(&id).map_or("weight", String::as_str)
    }

    /// The values of a parameter as they are.
    pub(crate) fn parameter<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Value {
        let name = self.name(param.id).to_owned();
        let values = floats(param.val().into_data());
        self.graph.constant(&name, &param.lazy_shape().dims::<D>(), Data::F32(values))
    }

    /// A convolution, and the norm layer after it.
    pub(crate) fn conv(&mut self, conv: &Conv2d, norm: Option<&BatchNorm>, input: &Value) -> Value {
        self.padded_conv(conv, norm, Padding::Both, input)
    }

    /// The same with another padding.
    pub(crate) fn padded_conv(
        &mut self,
        conv: &Conv2d,
        norm: Option<&BatchNorm>,
        padding: Padding,
        input: &Value,
    ) -> Value {
        let shape: [usize; 4] = conv.weight.lazy_shape().dims();
        let mut weight = doubles(&conv.weight);
        let per_channel = weight.len() / shape[0].max(1);
        if padding == Padding::Same {
            weight.chunks_exact_mut(shape[2] * shape[3]).for_each(<[f64]>::reverse);
        }
        let mut bias = conv.bias.as_ref().map(doubles);
        if let Some(norm) = norm {
            let Affine { scale, mut shift } = Affine::of(norm);
            for (kernel, scale) in weight.chunks_exact_mut(per_channel).zip(&scale) {
                kernel.iter_mut().for_each(|weight| *weight *= scale);
            }
            for ((shift, bias), scale) in shift.iter_mut().zip(bias.iter().flatten()).zip(&scale) {
                *shift += bias * scale;
            }
            bias = Some(shift);
        }
        let name = self.name(conv.weight.id).to_owned();
        let mut inputs = vec![input.clone(), self.graph.constant(&name, &shape, singles(&weight))];
        if let Some(bias) = bias {
            let name = format!("{}.bias", name.strip_suffix(".weight").unwrap_or(&name));
            inputs.push(self.graph.constant(&name, &[bias.len()], singles(&bias)));
        }
        let pair = |values: [usize; 2]| Attribute::Ints(values.map(|value| value as i64).to_vec());
        let pads = match padding {
            Padding::Same => ("auto_pad", Attribute::Text("SAME_UPPER")),
            Padding::Both => ("pads", pads(&conv.padding)),
        };
        let attributes = vec![
            ("kernel_shape", pair(conv.kernel_size)),
            ("strides", pair(conv.stride)),
            ("dilations", pair(conv.dilation)),
            ("group", Attribute::Int(conv.groups as i64)),
            pads,
        ];
        self.graph.op_with("Conv", &inputs.iter().collect::<Vec<_>>(), attributes)
    }

    /// The maximum of windows.
    pub(crate) fn max_pool(&mut self, pool: &MaxPool2d, input: &Value) -> Value {
        let pair = |values: [usize; 2]| Attribute::Ints(values.map(|value| value as i64).to_vec());
        let attributes = vec![
            ("kernel_shape", pair(pool.kernel_size)),
            ("strides", pair(pool.stride)),
            ("pads", pads(&pool.padding)),
            ("ceil_mode", Attribute::Int(i64::from(pool.ceil_mode))),
        ];
        self.graph.op_with("MaxPool", &[input], attributes)
    }

    /// A linear layer of rows `[row, feature]`, and the norm layer before it.
    pub(crate) fn head_linear(&mut self, layer: &Linear, norm: &BatchNorm, input: &Value) -> Value {
        // Ours is `[in, out]`; the graph has PyTorch's `[out, in]`.
        let [features, out]: [usize; 2] = layer.weight.lazy_shape().dims();
        let ours = doubles(&layer.weight);
        let Affine { scale, shift } = Affine::of(norm);
        let mut weight = vec![0.0; ours.len()];
        let mut bias = layer.bias.as_ref().map_or_else(|| vec![0.0; out], doubles);
        for feature in 0..features {
            for place in 0..out {
                let value = ours[feature * out + place];
                weight[place * features + feature] = value * scale[feature];
                bias[place] += value * shift[feature];
            }
        }
        let name = self.name(layer.weight.id).to_owned();
        let weight = self.graph.constant(&name, &[out, features], singles(&weight));
        let name = format!("{}.bias", name.strip_suffix(".weight").unwrap_or(&name));
        let bias = self.graph.constant(&name, &[out], singles(&bias));
        self.graph.op_with("Gemm", &[input, &weight, &bias], vec![("transB", Attribute::Int(1))])
    }

    /// A linear layer over the last dimension.
    pub(crate) fn linear(&mut self, layer: &Linear, input: &Value) -> Value {
        let weight = self.parameter(&layer.weight);
        let product = self.graph.op("MatMul", &[input, &weight]);
        match &layer.bias {
            Some(bias) => {
                let bias = self.parameter(bias);
                self.graph.op("Add", &[&product, &bias])
            }
            None => product,
        }
    }

    /// Layer normalisation over the last dimension.
    pub(crate) fn layer_norm(&mut self, norm: &LayerNorm, input: &Value) -> Value {
        let (weight, bias) = (self.parameter(&norm.weight), self.parameter(&norm.bias));
        let epsilon = Attribute::Float(LayerNorm::EPSILON as f32);
        let attributes = vec![("axis", Attribute::Int(-1)), ("epsilon", epsilon)];
        self.graph.op_with("LayerNormalization", &[input, &weight, &bias], attributes)
    }

    pub(crate) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.graph.op("Add", &[a, b])
    }

    pub(crate) fn relu(&mut self, input: &Value) -> Value {
        self.graph.op("Relu", &[input])
    }

    pub(crate) fn relu6(&mut self, input: &Value) -> Value {
        let low = self.graph.constant("low", &[], Data::F32(vec![0.0]));
        let high = self.graph.constant("high", &[], Data::F32(vec![6.0]));
        self.graph.op("Clip", &[input, &low, &high])
    }

    pub(crate) fn silu(&mut self, input: &Value) -> Value {
        let share = self.graph.op("Sigmoid", &[input]);
        self.graph.op("Mul", &[input, &share])
    }

    /// `x / 2 * (1 + erf(x / sqrt(2)))`, the exact form.
    pub(crate) fn gelu(&mut self, input: &Value) -> Value {
        let mut number = |value: f32| self.graph.constant("number", &[], Data::F32(vec![value]));
        let (root, one, half) = (number(std::f32::consts::SQRT_2), number(1.0), number(0.5));
        let scaled = self.graph.op("Div", &[input, &root]);
        let erf = self.graph.op("Erf", &[&scaled]);
        let share = self.graph.op("Add", &[&erf, &one]);
        let product = self.graph.op("Mul", &[input, &share]);
        self.graph.op("Mul", &[&product, &half])
    }

    pub(crate) fn transpose(&mut self, input: &Value, order: &[i64]) -> Value {
        self.graph.op_with("Transpose", &[input], vec![("perm", Attribute::Ints(order.to_vec()))])
    }

    /// Another shape; 0 keeps a side as it is, -1 takes what is left.
    pub(crate) fn reshape(&mut self, input: &Value, shape: &[i64]) -> Value {
        let shape = self.graph.ints(shape);
        self.graph.op("Reshape", &[input, &shape])
    }

    pub(crate) fn concat(&mut self, inputs: &[&Value], axis: i64) -> Value {
        self.graph.op_with("Concat", inputs, vec![("axis", Attribute::Int(axis))])
    }

    /// Features `[batch, channel, h, w]` to the maximum of each channel `[batch, channel]`.
    pub(crate) fn maxima(&mut self, features: &Value) -> Value {
        let pooled = self.graph.op("GlobalMaxPool", &[features]);
        self.flat(&pooled)
    }

    /// Features `[batch, channel, h, w]` to the mean of each channel `[batch, channel]`.
    pub(crate) fn means(&mut self, features: &Value) -> Value {
        let pooled = self.graph.op("GlobalAveragePool", &[features]);
        self.flat(&pooled)
    }

    fn flat(&mut self, pixel: &Value) -> Value {
        self.graph.op_with("Flatten", &[pixel], vec![("axis", Attribute::Int(1))])
    }
}

/// Top, left, bottom, right.
fn pads(padding: &PaddingConfig2d) -> Attribute {
    let [top, left, bottom, right] = match padding {
        PaddingConfig2d::Explicit(top, left, bottom, right) => [*top, *left, *bottom, *right],
        _ => [0; 4],
    };
    Attribute::Ints([top, left, bottom, right].map(|side| side as i64).to_vec())
}
