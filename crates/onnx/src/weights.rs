//! Weights in fewer bits, which come back as floats when the graph runs. In: a graph. Out: the same graph in a smaller file.

use std::collections::BTreeMap;

use half::f16;

use crate::graph::{Attribute, Constant, Data, Element, Graph, Node, Value};

/// Tensors with fewer numbers stay as they are: they weigh nothing.
const FEWEST: usize = 256;
/// Channels of a picture.
const COLOURS: usize = 3;

/// A weight is too large for half precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the weight {name} is too large for half precision (above 65504); keep f32")]
pub struct TooLarge {
    /// The weight.
    pub name: String,
}

/// Keeps matrices and kernels in half precision. Each is rounded to 11 bits; what is computed stays in single precision.
///
/// # Errors
/// One of them is too large.
pub fn store_half(graph: &mut Graph) -> Result<(), TooLarge> {
    let mut casts = Vec::new();
    for constant in &mut graph.constants {
        let Data::F32(values) = &constant.data else { continue };
        if constant.shape.len() < 2 || values.len() < FEWEST {
            continue;
        }
        let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
        if !halves.iter().all(|value| value.is_finite()) {
            return Err(TooLarge { name: constant.value.to_string() });
        }
        constant.data = Data::F16(halves);
        casts.push(restored(constant, "f16", |stored| Node {
            op: "Cast",
            inputs: vec![stored],
            outputs: Vec::new(),
            attributes: vec![("to", Attribute::Int(Element::F32.code()))],
        }));
    }
    graph.nodes.splice(0..0, casts);
    Ok(())
}

/// Keeps the weights of convolutions and linear layers as whole numbers from -127 to 127, with a scale for each output channel.
pub fn store_int8(graph: &mut Graph) {
    let axes = channel_axes(graph);
    let mut restore = Vec::new();
    let mut scales = Vec::new();
    for constant in &mut graph.constants {
        let Some(&axis) = axes.get(&constant.value) else { continue };
        let Some((bytes, scale)) = in_bytes(constant, axis) else { continue };
        let scale_name = Value::from(&*format!("{}.scale", constant.value));
        scales.push(Constant { value: scale_name.clone(), shape: vec![scale.len()], data: Data::F32(scale) });
        constant.data = Data::I8(bytes);
        restore.push(restored(constant, "int8", |stored| dequantized(stored, scale_name, None, axis as i64)));
    }
    graph.constants.extend(scales);
    graph.nodes.splice(0..0, restore);
}

/// Renames a constant, and gives its old name to what brings it back.
fn restored(constant: &mut Constant, kind: &str, node: impl FnOnce(Value) -> Node) -> Node {
    let stored = Value::from(&*format!("{}.{kind}", constant.value));
    let value = std::mem::replace(&mut constant.value, stored.clone());
    Node { outputs: vec![value], ..node(stored) }
}

/// `(stored - zero) * scale`, without its output.
pub(crate) fn dequantized(stored: Value, scale: Value, zero: Option<Value>, axis: i64) -> Node {
    Node {
        op: "DequantizeLinear",
        inputs: [stored, scale].into_iter().chain(zero).collect(),
        outputs: Vec::new(),
        attributes: vec![("axis", Attribute::Int(axis))],
    }
}

/// The axis of the output channels of each weight of a convolution or a linear layer.
fn channel_axes(graph: &Graph) -> BTreeMap<Value, usize> {
    let is_turned = |node: &Node| node.attributes.contains(&("transB", Attribute::Int(1)));
    // The layer that sees the pixels stays as it is: it is small, and its errors reach everything.
    let sees_pixels = |weight: &Value| {
        graph
            .constants
            .iter()
            .any(|constant| constant.value == *weight && constant.shape.get(1) == Some(&COLOURS))
    };
    let axis = |node: &Node| match node.op {
        "Conv" if node.inputs.get(1).is_some_and(sees_pixels) => None,
        "Conv" => Some(0),
        "Gemm" if is_turned(node) => Some(0),
        "Gemm" | "MatMul" => Some(1),
        _ => None,
    };
    let mut axes: BTreeMap<Value, usize> = BTreeMap::new();
    for node in &graph.nodes {
        if let (Some(axis), Some(weight)) = (axis(node), node.inputs.get(1)) {
            axes.insert(weight.clone(), axis);
        }
    }
    axes
}

/// A weight's bytes, and the scale of each channel; `None` for what is small or is no float. Symmetric: zero stays zero.
fn in_bytes(constant: &Constant, axis: usize) -> Option<(Vec<i8>, Vec<f32>)> {
    let Data::F32(values) = &constant.data else { return None };
    let channels = *constant.shape.get(axis)?;
    if values.len() < FEWEST || channels == 0 {
        return None;
    }
    let inner: usize = constant.shape[axis + 1..].iter().product();
    let channel = |place: usize| place / inner.max(1) % channels;
    let mut rows = vec![Vec::with_capacity(values.len() / channels); channels];
    for (place, value) in values.iter().enumerate() {
        rows[channel(place)].push(*value);
    }
    let scales: Vec<f32> = rows.iter().map(|row| best_scale(row)).collect();
    let byte = |(place, value): (usize, &f32)| nearest(*value, scales[channel(place)]) as i8;
    Some((values.iter().enumerate().map(byte).collect(), scales))
}

/// The whole number from -127 to 127 that a value is nearest to, in steps of a scale.
fn nearest(value: f32, scale: f32) -> f32 {
    (value / scale).round().clamp(-127.0, 127.0)
}

/// The scale with the smallest mean squared error, from the one that reaches the largest weight down to 0.8 of that: to cut one large
/// weight short often costs less than coarse steps for all others.
fn best_scale(row: &[f32]) -> f32 {
    let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    if most == 0.0 {
        return 1.0;
    }
    let error = |scale: f32| -> f64 {
        row.iter().map(|value| f64::from(value - scale * nearest(*value, scale)).powi(2)).sum()
    };
    let scales = (0..=20).map(|step| most / 127.0 * (1.0 - 0.01 * step as f32));
    let best = scales.map(|scale| (error(scale), scale)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(1.0, |(_, scale)| scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Size;

    fn graph(weight: Vec<f32>, shape: &[usize], op: &'static str) -> Graph {
        let mut graph = Graph::new("test");
        let x = graph.input("x", Element::F32, &[Size::Named("batch"), Size::Fixed(16)]);
        let weight = graph.constant("w", shape, Data::F32(weight));
        let y = graph.op(op, &[&x, &weight]);
        graph.output("y", &y, Element::F32, &[Size::Named("batch"), Size::Fixed(16)]);
        graph
    }

    #[test]
    fn bytes_are_within_half_a_step_of_what_they_stand_for() {
        let values: Vec<f32> =
            (0..512).map(|at| ((at * 37 % 101) as f32 - 50.0) * (at % 16) as f32).collect();
        for (shape, op, axis) in [([32, 16], "MatMul", 1), ([32, 16], "Conv", 0)] {
            let mut graph = graph(values.clone(), &shape, op);
            store_int8(&mut graph);
            let named = |name: &str| graph.constants.iter().find(|c| c.value.name() == name).unwrap();
            let Data::I8(bytes) = &named("w.int8").data else { panic!() };
            let Data::F32(scales) = &named("w.scale").data else { panic!() };
            assert_eq!(scales.len(), shape[axis]);
            for (place, (byte, value)) in bytes.iter().zip(&values).enumerate() {
                let scale = scales[if axis == 1 { place % 16 } else { place / 16 }];
                // What is cut short is at most a quarter above the largest.
                let error = (f32::from(*byte) * scale - value).abs();
                assert!(
                    error <= 0.5001 * scale || byte.abs() == 127 && error <= 0.25 * value.abs(),
                    "{value}"
                );
            }
            // The layer still takes what it took, now from the node that brings it back.
            assert_eq!(graph.nodes[0].outputs[0].name(), "w");
            assert_eq!(graph.nodes[1].inputs[1].name(), "w");
        }
    }

    #[test]
    fn the_layer_that_sees_pixels_stays() {
        let mut sees = graph(vec![0.5; 3 * 16 * 25], &[16, 3, 5, 5], "Conv");
        let before = sees.clone();
        store_int8(&mut sees);
        assert_eq!(sees, before);
    }

    #[test]
    fn one_large_weight_does_not_make_all_steps_coarse() {
        let mut row: Vec<f32> = (0..512).map(|at| ((at * 37 % 101) as f32 - 50.0) / 50.0).collect();
        row[7] = 1.3;
        let error = |scale: f32| {
            row.iter().map(|value| (value - scale * nearest(*value, scale)).powi(2)).sum::<f32>()
        };
        let scale = best_scale(&row);
        assert!(error(scale) <= error(1.3 / 127.0) && scale <= 1.3 / 127.0);
        assert_eq!(best_scale(&[0.0; 9]), 1.0);
    }

    #[test]
    fn what_is_too_large_for_half_precision_is_named() {
        let mut fits = graph(vec![0.1; 512], &[32, 16], "MatMul");
        store_half(&mut fits).unwrap();
        assert_eq!(fits.nodes[0].op, "Cast");
        let error = store_half(&mut graph(vec![1e5; 512], &[32, 16], "MatMul")).unwrap_err();
        assert!(error.to_string().contains("the weight w is too large"), "{error}");
    }

    #[test]
    fn small_tensors_stay() {
        let mut small = graph(vec![0.1; 128], &[8, 16], "MatMul");
        let before = small.clone();
        store_int8(&mut small);
        store_half(&mut small).unwrap();
        assert_eq!(small, before);
    }
}
