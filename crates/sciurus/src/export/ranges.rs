//! How large the activations of a convolutional network get. In: its graph, and photos. Out: the smallest and the largest value of each
//! tensor, which static quantization needs.
//!
//! The graph's own nodes are computed, so that the ranges are those of its tensors, whatever was folded into which.

use std::collections::BTreeMap;

use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use rayon::prelude::*;
use sciurus_data::{BadOption, RgbImage, Views};
use sciurus_onnx::{Attribute, Constant, Data, Graph, Node, Ranges, Value};

use crate::predict::ModelBundle;
use crate::{Device, Error};

/// Photos that are computed at once.
const TOGETHER: usize = 16;

/// The ranges over these photos, from what the network takes (`images`) to where its features are pooled.
///
/// # Errors
/// There is no photo, or the network has operations that convolutional ones don't have.
pub(super) fn ranges(
    graph: &Graph,
    images: &Value,
    bundle: &ModelBundle,
    photos: &[RgbImage],
) -> Result<Ranges, Error> {
    let advice = "give photos of the kind that the model will see";
    BadOption::check("photos", "none", !photos.is_empty(), advice)?;
    let device = Device::Cpu.open()?;
    let preprocessing = &bundle.manifest.preprocessing;
    let (pipeline, size) = (preprocessing.pipeline(), preprocessing.image_size);
    let constants = graph.constants.iter().map(|constant| (&constant.value, constant)).collect();
    let mut seen = Seen::new();
    for photos in photos.chunks(TOGETHER) {
        let pixels: Vec<Vec<f32>> = photos.par_iter().map(|photo| pipeline.tensor(photo.clone())).collect();
        let data = TensorData::new(pixels.concat(), [photos.len(), 3, size, size]);
        let pixels = Tensor::<4>::from_data(data, &device);
        let views = match preprocessing.views {
            Views::Plain => vec![pixels],
            Views::Mirrored => vec![pixels.clone(), pixels.flip([3])],
        };
        for view in views {
            let mut run = Run { constants: &constants, maps: BTreeMap::new(), device: &device };
            run.seen(images.clone(), view, &mut seen);
            run.follow(graph, &mut seen)?;
        }
    }
    let mean =
        |(value, (sums, count)): (Value, ([f32; 2], usize))| (value, sums.map(|sum| sum / count as f32));
    Ok(seen.into_iter().map(mean).collect())
}

/// Of each tensor the sum of the smallest and of the largest values of several batches, and how many those were. Their means are less
/// than the extremes of all photos, of which one odd photo would decide.
type Seen = BTreeMap<Value, ([f32; 2], usize)>;

/// One computation of a graph.
struct Run<'a> {
    constants: &'a BTreeMap<&'a Value, &'a Constant>,
    /// Feature maps by name, `[image, channel, height, width]`.
    maps: BTreeMap<Value, Tensor<4>>,
    device: &'a BurnDevice,
}

impl Run<'_> {
    fn seen(&mut self, value: Value, map: Tensor<4>, seen: &mut Seen) {
        let low: f32 = map.clone().min().into_scalar();
        let high: f32 = map.clone().max().into_scalar();
        let (sums, count) = seen.entry(value.clone()).or_default();
        *sums = [sums[0] + low, sums[1] + high];
        *count += 1;
        self.maps.insert(value, map);
    }

    /// Computes every node whose inputs are feature maps. A node for which something is missing comes before the network or after it.
    fn follow(&mut self, graph: &Graph, seen: &mut Seen) -> Result<(), Error> {
        for node in &graph.nodes {
            let Some(first) = node.inputs.first().and_then(|input| self.maps.get(input)).cloned() else {
                continue;
            };
            let [output] = &node.outputs[..] else { continue };
            let made = match node.op {
                "Conv" => self.convolution(node, first)?,
                "Relu" => relu(first),
                "Clip" => first.clamp(0.0, 6.0),
                "Sigmoid" => sigmoid(first),
                "Mul" => first * self.second(node)?,
                "Add" => first + self.second(node)?,
                "Concat" => Tensor::cat(vec![first, self.second(node)?], 1),
                "MaxPool" => pooled(node, first),
                "GlobalAveragePool" => first.mean_dims(&[2, 3]),
                // Views are gathered before the network, and rows come after it.
                "GlobalMaxPool" | "Flatten" | "Slice" => continue,
                other => return Err(not_convolutional(other)),
            };
            self.seen(output.clone(), made, seen);
        }
        Ok(())
    }

    fn second(&self, node: &Node) -> Result<Tensor<4>, Error> {
        let second = node.inputs.get(1).and_then(|input| self.maps.get(input));
        second.cloned().ok_or_else(|| not_convolutional(node.op))
    }

    fn convolution(&self, node: &Node, input: Tensor<4>) -> Result<Tensor<4>, Error> {
        let constant = |place: usize| node.inputs.get(place).and_then(|value| self.constants.get(value));
        let tensor = |constant: &Constant| match &constant.data {
            Data::F32(values) => Some(TensorData::new(values.clone(), constant.shape.clone())),
            _ => None,
        };
        let Some(weight) = constant(1).and_then(|weight| tensor(weight)) else {
            return Err(not_convolutional("Conv"));
        };
        let weight = Tensor::<4>::from_data(weight, self.device);
        let bias =
            constant(2).and_then(|bias| tensor(bias)).map(|bias| Tensor::<1>::from_data(bias, self.device));
        let [strides, dilations] = ["strides", "dilations"].map(|name| pair(node, name).unwrap_or([1, 1]));
        let groups = match attribute(node, "group") {
            Some(Attribute::Int(groups)) => *groups as usize,
            _ => 1,
        };
        let [.., height, width] = input.dims();
        let [.., rows, columns] = weight.dims();
        let padding = match pads(node) {
            Some(pads) => pads,
            None => [(height, rows, strides[0]), (width, columns, strides[1])].map(same),
        };
        Ok(conv2d(input, weight, bias, ConvOptions::new_with_padding(strides, padding, dilations, groups)))
    }
}

fn pooled(node: &Node, input: Tensor<4>) -> Tensor<4> {
    let kernel = pair(node, "kernel_shape").unwrap_or([1, 1]);
    let mut options = MaxPoolOptions::new(kernel).with_stride(pair(node, "strides").unwrap_or([1, 1]));
    options.ceil_mode = attribute(node, "ceil_mode") == Some(&Attribute::Int(1));
    max_pool2d(input, options.with_padding_pairs(pads(node).unwrap_or_default()))
}

/// TensorFlow's padding of a side: what is missing, half of it at either end, and an odd pixel at the last.
fn same((length, kernel, stride): (usize, usize, usize)) -> (usize, usize) {
    let missing = ((length.div_ceil(stride) - 1) * stride + kernel).saturating_sub(length);
    (missing / 2, missing - missing / 2)
}

fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Attribute> {
    node.attributes.iter().find(|(known, _)| *known == name).map(|(_, attribute)| attribute)
}

fn ints<'a>(node: &'a Node, name: &str) -> Option<&'a [i64]> {
    match attribute(node, name) {
        Some(Attribute::Ints(values)) => Some(values),
        _ => None,
    }
}

fn pair(node: &Node, name: &str) -> Option<[usize; 2]> {
    let [first, second] = ints(node, name)? else { return None };
    Some([*first as usize, *second as usize])
}

/// Of rows and of columns, at either end.
fn pads(node: &Node) -> Option<[(usize, usize); 2]> {
    let [top, left, bottom, right] = ints(node, "pads")? else { return None };
    Some([(*top as usize, *bottom as usize), (*left as usize, *right as usize)])
}

fn not_convolutional(op: &str) -> Error {
    BadOption::new(
        "weights",
        format!("static_int8, and the network has {op}"),
        "choose int8: only convolutional networks gain from bytes",
    )
    .into()
}
