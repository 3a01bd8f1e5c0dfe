//! Static quantization: convolutions that compute with bytes. In: a graph whose weights are bytes ([`store_int8`](crate::store_int8)),
//! and the range of each of its tensors over some photos. Out: the graph with pairs of `QuantizeLinear` and `DequantizeLinear` (QDQ),
//! from which runtimes see what they may compute with bytes.
//!
//! Activations are bytes without sign, with a scale and a zero for each tensor (Jacob et al. 2018, "Quantization and Training of Neural
//! Networks for Efficient Integer-Arithmetic-Only Inference").

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Constant, Data, Graph, Node, Value};
use crate::weights::dequantized;

/// The smallest and the largest value of each tensor over the photos that were looked at.
pub type Ranges = BTreeMap<Value, [f32; 2]>;

/// Operations that can take bytes. Linear layers of the head are not among them: they cost nothing, and decide.
const TAKE_BYTES: [&str; 5] = ["Conv", "Add", "MaxPool", "GlobalAveragePool", "Concat"];

/// What a byte of a tensor stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    step: f32,
    zero: u8,
}

impl Scale {
    /// Zero is always one of the values.
    fn of([low, high]: [f32; 2]) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = if high > low { (high - low) / 255.0 } else { 1.0 };
        Self { step, zero: (-low / step).round().clamp(0.0, 255.0) as u8 }
    }
}

/// Makes bytes of every tensor with a known range that a convolution, a sum or a pooling takes.
pub fn quantize(graph: &mut Graph, ranges: &Ranges) {
    let constants: BTreeMap<Value, Constant> =
        graph.constants.iter().map(|constant| (constant.value.clone(), constant.clone())).collect();
    let mut wanted: BTreeMap<Value, Scale> = BTreeMap::new();
    // A convolution whose weights are no bytes computes with floats.
    let is_float = |node: &Node| {
        let weight = node.inputs.get(1).map(|weight| Value::from(&*format!("{weight}.scale")));
        node.op == "Conv" && weight.is_none_or(|scale| !constants.contains_key(&scale))
    };
    let takes_bytes = |node: &Node| TAKE_BYTES.contains(&node.op) && !is_float(node);
    for node in graph.nodes.iter().filter(|node| takes_bytes(node)) {
        for input in node.inputs.iter().filter(|input| !constants.contains_key(*input)) {
            if let Some(range) = ranges.get(input) {
                wanted.insert(input.clone(), Scale::of(*range));
            }
        }
    }
    let mut nodes = Vec::with_capacity(graph.nodes.len() + 2 * wanted.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        if takes_bytes(&node) {
            if node.op == "Conv" {
                nodes.extend(whole_bias(graph, &mut node, &wanted, &constants));
            }
            for input in node.inputs.iter_mut().filter(|input| wanted.contains_key(*input)) {
                *input = restored(input);
            }
        }
        let made: Vec<Value> =
            node.outputs.iter().filter(|made| wanted.contains_key(*made)).cloned().collect();
        nodes.push(node);
        made.iter().for_each(|value| nodes.extend(pair(graph, value, wanted[value])));
    }
    graph.nodes = nodes;
    // Biases that are whole numbers now.
    let used: BTreeSet<&Value> = graph.nodes.iter().flat_map(|node| &node.inputs).collect();
    graph.constants.retain(|constant| used.contains(&constant.value));
}

fn restored(value: &Value) -> Value {
    Value::from(&*format!("{value}.restored"))
}

/// To bytes and back.
fn pair(graph: &mut Graph, value: &Value, Scale { step, zero }: Scale) -> [Node; 2] {
    let step = graph.constant(&format!("{value}.step"), &[], Data::F32(vec![step]));
    let zero = graph.constant(&format!("{value}.zero"), &[], Data::U8(vec![zero]));
    let bytes = Value::from(&*format!("{value}.bytes"));
    let quantized = Node {
        op: "QuantizeLinear",
        inputs: vec![value.clone(), step.clone(), zero.clone()],
        outputs: vec![bytes.clone()],
        attributes: Vec::new(),
    };
    let mut back = dequantized(bytes, step, Some(zero), 0);
    back.outputs.push(restored(value));
    // One step for the whole tensor has no axis.
    back.attributes.clear();
    [quantized, back]
}

/// A convolution's bias as whole numbers of 32 bits, in steps of input times weight: runtimes add it to sums of such.
fn whole_bias(
    graph: &mut Graph,
    node: &mut Node,
    wanted: &BTreeMap<Value, Scale>,
    constants: &BTreeMap<Value, Constant>,
) -> Option<Node> {
    let [input, weight, bias] = &node.inputs[..] else { return None };
    let input = wanted.get(input)?;
    let Data::F32(steps) = &constants.get(&Value::from(&*format!("{weight}.scale")))?.data else {
        return None;
    };
    let Data::F32(values) = &constants.get(bias)?.data else { return None };
    let steps: Vec<f32> = steps.iter().map(|step| step * input.step).collect();
    let whole = |(value, step): (&f32, &f32)| (f64::from(*value) / f64::from(*step)).round() as i32;
    let values: Vec<i32> = values.iter().zip(&steps).map(whole).collect();
    let shape = [values.len()];
    let stored = graph.constant(&format!("{bias}.int32"), &shape, Data::I32(values));
    let step = graph.constant(&format!("{bias}.step"), &shape, Data::F32(steps));
    let mut back = dequantized(stored, step, None, 0);
    let value = restored(bias);
    back.outputs.push(value.clone());
    node.inputs[2] = value;
    Some(back)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Element, Size};
    use crate::weights::store_int8;

    #[test]
    fn zero_is_a_byte_and_every_value_is_within_half_a_step() {
        for range in [[-1.0, 3.0], [0.0, 6.0], [2.0, 4.0], [-5.0, -1.0], [0.0, 0.0]] {
            let scale = Scale::of(range);
            let byte = |value: f32| (value / scale.step + f32::from(scale.zero)).round().clamp(0.0, 255.0);
            let back = |value: f32| (byte(value) - f32::from(scale.zero)) * scale.step;
            assert_eq!(back(0.0), 0.0, "{range:?}");
            for part in 0..=10 {
                let value = range[0] + (range[1] - range[0]) * part as f32 / 10.0;
                assert!((back(value) - value).abs() <= 0.5001 * scale.step + 1e-6, "{range:?}: {value}");
            }
        }
    }

    #[test]
    fn a_convolution_takes_bytes_and_a_bias_in_their_steps() {
        let mut graph = Graph::new("test");
        let x = graph.input(
            "x",
            Element::F32,
            &[Size::Named("batch"), Size::Fixed(16), Size::Fixed(4), Size::Fixed(4)],
        );
        let x = graph.op("Relu", &[&x]);
        let weight = graph.constant("w", &[16, 16, 1, 1], Data::F32(vec![1.27; 256]));
        let bias = graph.constant("b", &[16], Data::F32(vec![1.0; 16]));
        let y = graph.op("Conv", &[&x, &weight, &bias]);
        let y = graph.op("Relu", &[&y]);
        graph.output("y", &y, Element::F32, &[Size::Named("batch")]);
        store_int8(&mut graph);
        quantize(&mut graph, &Ranges::from([(x.clone(), [0.0, 2.55]), (y.clone(), [0.0, 1.0])]));
        let ops: Vec<&str> = graph.nodes.iter().map(|node| node.op).collect();
        let expected = [
            "DequantizeLinear",
            "Relu",
            "QuantizeLinear",
            "DequantizeLinear",
            "DequantizeLinear",
            "Conv",
            "Relu",
            "Identity",
        ];
        assert_eq!(ops, expected);
        let conv = graph.nodes.iter().find(|node| node.op == "Conv").unwrap();
        let inputs: Vec<&str> = conv.inputs.iter().map(Value::name).collect();
        assert_eq!(inputs, ["Relu.restored", "w", "b.restored"]);
        let bias = graph.constants.iter().find(|constant| constant.value.name() == "b.int32").unwrap();
        assert!(graph.constants.iter().all(|constant| constant.value.name() != "b"));
        // 1 in steps of .01 x .01.
        assert_eq!(bias.data, Data::I32(vec![10_000; 16]));
    }
}
