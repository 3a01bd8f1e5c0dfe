//! A model as an ONNX graph. In: a bundle. Out: a graph that takes photos and gives what [`Predictor`](crate::Predictor) says of them.
//!
//! All that is done to the pixels of a photo belongs to the graph: crop and resize, normalisation, views, network, temperature, and the
//! comparison with the photos that the model knows. What comes before it, to decode a file and to turn it upright, can't.

use std::path::PathBuf;

use burn::module::Module;
use half::f16;
use sciurus_data::{RgbImage, Views};
use sciurus_onnx::{
    Attribute, Data, Element, Graph, Size, TooLarge, Value, normalized, photo_to_square, quantize,
    store_half, store_int8,
};
use serde::{Deserialize, Serialize};

use super::ranges::ranges;
use crate::nn::LayerGraph;
use crate::predict::{KnownPhotos, Manifest, ModelBundle, Output};
use crate::{Device, Error};

/// What a graph takes.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OnnxInput {
    /// Upright photos of any size, uint8 `[batch, height, width, 3]`: the graph crops and resizes them.
    #[default]
    Photo,
    /// Finished squares, uint8 `[batch, size, size, 3]`, for runtimes that want to know all sizes beforehand.
    Square,
}

/// How a graph keeps its weights.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum WeightType {
    /// As they are.
    #[default]
    F32,
    /// In half precision: half the file, the same arithmetic.
    F16,
    /// As whole numbers of 8 bits with a scale for each output channel: a quarter of the file, the same arithmetic.
    Int8,
    /// The same, and convolutions compute with bytes too: faster where the processor has instructions for it. For convolutional networks.
    StaticInt8,
}

impl WeightType {
    /// Whether it must say exactly what the model says, rather than nearly.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self == Self::F32
    }
}

/// A model as an ONNX graph.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxModel {
    graph: Graph,
    /// What the network takes: pixels `[image, 3, size, size]`.
    images: Value,
    manifest: Manifest,
    input: OnnxInput,
    weights: WeightType,
}

const BATCH: Size = Size::Named("batch");

impl OnnxModel {
    /// The graph of a model, in single precision.
    ///
    /// # Errors
    /// The weights don't belong to the architecture, or that is a network of your own, whose operations are not known.
    pub fn new(bundle: &ModelBundle, input: OnnxInput) -> Result<Self, Error> {
        let manifest = bundle.manifest.clone();
        let model = bundle.model(&Device::Cpu.open()?)?.valid();
        let names = model.parameters().into_iter().map(|parameter| (parameter.id, parameter.name)).collect();
        let mut net = LayerGraph::new("sciurus", names);
        let pixels = pixels(&mut net.graph, &manifest, input);
        let images = viewed(&mut net, &pixels, manifest.preprocessing.views);
        let size = manifest.preprocessing.image_size;
        let Some(outputs) = model.graph(&mut net, &images, size) else {
            return Err(Error::NotExportable { arch: manifest.arch.name() });
        };
        let [logits, embeddings] =
            outputs.map(|rows| over_views(&mut net, &rows, manifest.preprocessing.views));
        answers(&mut net.graph, &manifest, &logits);
        if let Some(known) = &bundle.known {
            similarity(&mut net.graph, known, &embeddings);
        }
        Ok(Self { graph: net.graph, images, manifest, input, weights: WeightType::F32 })
    }

    /// The same with its weights in fewer bits. `photos` are some that the model might see, at best a hundred or more of those that it
    /// was trained on: only [`StaticInt8`](WeightType::StaticInt8) needs them, to learn how large activations get.
    ///
    /// # Errors
    /// A weight is too large for half precision; there is no photo to learn from; or the network is not convolutional.
    pub fn with_weights(
        mut self,
        weights: WeightType,
        bundle: &ModelBundle,
        photos: &[RgbImage],
    ) -> Result<Self, Error> {
        match weights {
            WeightType::F32 => {}
            WeightType::F16 => {
                store_half(&mut self.graph).map_err(|TooLarge { name }| Error::TooLargeForHalf { name })?;
            }
            WeightType::Int8 => store_int8(&mut self.graph),
            WeightType::StaticInt8 => {
                let ranges = ranges(&self.graph, &self.images, bundle, photos)?;
                store_int8(&mut self.graph);
                quantize(&mut self.graph, &ranges);
            }
        }
        self.weights = weights;
        Ok(self)
    }

    /// The file. Its metadata has the labels as a JSON list (`labels`), the model's description (`sciurus`), and what the graph takes.
    ///
    /// # Errors
    /// The description can't be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let broken = |error: serde_json::Error| Error::Bundle {
            path: PathBuf::from("the model"),
            reason: format!("its description can't be written: {error}"),
        };
        let labels = serde_json::to_string(self.manifest.vocab.labels()).map_err(broken)?;
        let manifest = serde_json::to_string(&self.manifest).map_err(broken)?;
        Ok(self.graph.to_bytes(&[
            ("labels", labels),
            ("sciurus", manifest),
            ("input", self.input.to_string()),
            ("weights", self.weights.to_string()),
        ]))
    }

    /// What it takes.
    #[must_use]
    pub fn input(&self) -> OnnxInput {
        self.input
    }

    /// How it keeps its weights.
    #[must_use]
    pub fn weights(&self) -> WeightType {
        self.weights
    }

    /// The operations, as plain data.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// From the graph's input to what a network sees: `[batch, 3, size, size]`.
fn pixels(graph: &mut Graph, manifest: &Manifest, input: OnnxInput) -> Value {
    let preprocessing = &manifest.preprocessing;
    let size = preprocessing.image_size;
    let square = match input {
        OnnxInput::Photo => {
            let sides = [Size::Named("height"), Size::Named("width")];
            let photo = graph.input("photo", Element::U8, &[BATCH, sides[0], sides[1], Size::Fixed(3)]);
            photo_to_square(graph, &photo, size, preprocessing.resize_method)
        }
        OnnxInput::Square => {
            let side = Size::Fixed(size);
            let square = graph.input("square", Element::U8, &[BATCH, side, side, Size::Fixed(3)]);
            let values = graph.cast(&square, Element::F32);
            graph.op_with("Transpose", &[&values], vec![("perm", Attribute::Ints(vec![0, 3, 1, 2]))])
        }
    };
    normalized(graph, &square, &preprocessing.normalize)
}

/// All views of each image, one view after the other: `[view * batch, 3, size, size]`.
fn viewed(net: &mut LayerGraph, pixels: &Value, views: Views) -> Value {
    match views {
        Views::Plain => pixels.clone(),
        Views::Mirrored => {
            let mirrored = mirrored(net, pixels);
            net.concat(&[pixels, &mirrored], 0)
        }
    }
}

/// Left and right exchanged: columns are read from the last to the first.
fn mirrored(net: &mut LayerGraph, pixels: &Value) -> Value {
    let axis = net.graph.ints(&[3]);
    let (last, before) = (net.graph.ints(&[-1]), net.graph.ints(&[i64::MIN + 1]));
    let back = net.graph.ints(&[-1]);
    net.graph.op("Slice", &[pixels, &last, &before, &axis, &back])
}

/// Rows of all views `[view * batch, n]` to their means `[batch, n]`.
fn over_views(net: &mut LayerGraph, rows: &Value, views: Views) -> Value {
    match views {
        Views::Plain => rows.clone(),
        Views::Mirrored => {
            let [first, second]: [Value; 2] =
                net.graph.ops("Split", &[rows], vec![("axis", Attribute::Int(0))]);
            let sum = net.add(&first, &second);
            let half = net.graph.constant("half", &[], Data::F32(vec![0.5]));
            net.graph.op("Mul", &[&sum, &half])
        }
    }
}

/// Probabilities and labels from logits.
fn answers(graph: &mut Graph, manifest: &Manifest, logits: &Value) {
    let classes = [BATCH, Size::Fixed(manifest.vocab.len())];
    match &manifest.output {
        Output::SingleLabel => {
            let scale = graph.constant("scale", &[], Data::F32(vec![1.0 / manifest.temperature.0 as f32]));
            let scaled = graph.op("Mul", &[logits, &scale]);
            let probabilities = graph.op_with("Softmax", &[&scaled], vec![("axis", Attribute::Int(-1))]);
            let attributes = vec![("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(0))];
            let label = graph.op_with("ArgMax", &[&scaled], attributes);
            graph.output("probabilities", &probabilities, Element::F32, &classes);
            graph.output("label", &label, Element::I64, &[BATCH]);
        }
        Output::MultiLabel { thresholds } => {
            let probabilities = graph.op("Sigmoid", &[logits]);
            let thresholds = graph.constant("thresholds", &[thresholds.len()], Data::F32(thresholds.clone()));
            let on = graph.op("Greater", &[&probabilities, &thresholds]);
            graph.output("probabilities", &probabilities, Element::F32, &classes);
            graph.output("on", &on, Element::Bool, &classes);
        }
    }
}

/// How alike a photo is to those that the model knows: its mean cosine to the nearest of them.
fn similarity(graph: &mut Graph, known: &KnownPhotos, embeddings: &Value) {
    let width = known.features.width;
    let rows = known.features.values.len() / width.max(1);
    // Columns are photos, for the product. The values are those that half precision holds.
    let turned =
        (0..width * rows).map(|at| f16::from_f32(known.features.values[at % rows * width + at / rows]));
    let features = graph.constant("known.features", &[width, rows], Data::F16(turned.collect()));
    let features = graph.cast(&features, Element::F32);
    let axes = || ("axes", Attribute::Ints(vec![-1]));
    let length = graph.op_with("ReduceL2", &[embeddings], vec![axes(), ("keepdims", Attribute::Int(1))]);
    let shortest = graph.constant("shortest", &[], Data::F32(vec![KnownPhotos::SHORTEST]));
    let length = graph.op("Max", &[&length, &shortest]);
    let direction = graph.op("Div", &[embeddings, &length]);
    let cosines = graph.op("MatMul", &[&direction, &features]);
    let neighbours = known.rejection.neighbours.clamp(1, rows.max(1));
    let count = graph.ints(&[neighbours as i64]);
    let [best, places]: [Value; 2] =
        graph.ops("TopK", &[&cosines, &count], vec![("axis", Attribute::Int(-1))]);
    let mean = graph.op_with("ReduceMean", &[&best], vec![axes(), ("keepdims", Attribute::Int(0))]);
    let first = graph.constant("first", &[], Data::I64(vec![0]));
    let nearest = graph.op_with("Gather", &[&places, &first], vec![("axis", Attribute::Int(1))]);
    let threshold = graph.constant("threshold", &[], Data::F32(vec![known.rejection.threshold]));
    let rejected = graph.op("Less", &[&mean, &threshold]);
    graph.output("similarity", &mean, Element::F32, &[BATCH]);
    graph.output("nearest", &nearest, Element::I64, &[BATCH]);
    graph.output("rejected", &rejected, Element::Bool, &[BATCH]);
}
