//! A graph of operations as plain data. In: nodes, one after the other. Out: the bytes of an ONNX file.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use half::f16;
use prost::Message;

use crate::messages::{
    AttributeMessage, Dimension, Entry, GraphMessage, Model, NodeMessage, OperatorSet, Shape, TensorMessage,
    TensorType, TypeMessage, ValueInfo,
};
use crate::{IR_VERSION, OPSET};

/// A tensor of a graph, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Arc<str>);

impl Value {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Value {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tensor's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 16 bits, half precision.
    F16,
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
    /// 8 bits without sign.
    U8,
    /// 8 bits.
    I8,
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// Yes or no.
    Bool,
}

impl Element {
    /// Its number in `onnx.proto`, which the operator `Cast` wants too.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
        }
    }
}

/// The values of a constant.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "named like the elements")]
pub enum Data {
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Data {
    fn element(&self) -> Element {
        match self {
            Self::F16(_) => Element::F16,
            Self::F32(_) => Element::F32,
            Self::F64(_) => Element::F64,
            Self::U8(_) => Element::U8,
            Self::I8(_) => Element::I8,
            Self::I32(_) => Element::I32,
            Self::I64(_) => Element::I64,
        }
    }

    /// Little-endian.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::U8(values) => values.clone(),
            Self::I8(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// A tensor whose values are part of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// What nodes call it.
    pub value: Value,
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its values, row by row.
    pub data: Data,
}

/// A setting of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A word.
    Text(&'static str),
    /// What is computed if a condition holds, for the operator `If`.
    Graph(Box<Graph>),
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The operator's name in ONNX.
    pub op: &'static str,
    /// What it takes.
    pub inputs: Vec<Value>,
    /// What it makes.
    pub outputs: Vec<Value>,
    /// Its settings by name.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// A length of a tensor's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Always the same.
    Fixed(usize),
    /// Another one in each run; those of one name are alike.
    Named(&'static str),
}

/// Where tensors enter or leave a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// The tensor.
    pub value: Value,
    /// What its elements are.
    pub element: Element,
    /// Its shape.
    pub shape: Vec<Size>,
}

/// Operations in the order in which they can be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    name: String,
    /// What goes before the names of its values, so that no graph within another shadows the other's.
    prefix: String,
    taken: BTreeSet<Value>,
    /// What it takes.
    pub inputs: Vec<Port>,
    /// What it makes.
    pub outputs: Vec<Port>,
    /// Its weights and other numbers.
    pub constants: Vec<Constant>,
    /// Its operations.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            prefix: String::new(),
            taken: BTreeSet::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            constants: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// An empty graph for a branch of an `If` in this one, whose values it may use.
    #[must_use]
    pub fn branch(&self, name: &str) -> Self {
        Self { prefix: format!("{}{name}/", self.prefix), ..Self::new(name) }
    }

    /// A name like this one that nothing has yet.
    fn fresh(&mut self, name: &str) -> Value {
        let plain = format!("{}{name}", self.prefix);
        let numbered = (1..).map(|number| format!("{plain}_{number}"));
        let free = std::iter::once(plain.clone())
            .chain(numbered)
            .map(|name| Value::from(&*name))
            .find(|name| !self.taken.contains(name));
        let value = free.unwrap_or_else(|| Value::from(&*plain));
        self.taken.insert(value.clone());
        value
    }

    /// A tensor that comes from outside.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Size]) -> Value {
        let value = self.fresh(name);
        self.inputs.push(Port { value: value.clone(), element, shape: shape.to_vec() });
        value
    }

    /// Gives a tensor out, under this name.
    pub fn output(&mut self, name: &str, value: &Value, element: Element, shape: &[Size]) {
        let named = self.fresh(name);
        self.nodes.push(Node {
            op: "Identity",
            inputs: vec![value.clone()],
            outputs: vec![named.clone()],
            attributes: Vec::new(),
        });
        self.outputs.push(Port { value: named, element, shape: shape.to_vec() });
    }

    /// A constant; if its name is taken, under a name like it.
    pub fn constant(&mut self, name: &str, shape: &[usize], data: Data) -> Value {
        let value = self.fresh(name);
        self.constants.push(Constant { value: value.clone(), shape: shape.to_vec(), data });
        value
    }

    /// Whole numbers `[count]`.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        self.constant("ints", &[values.len()], Data::I64(values.to_vec()))
    }

    /// Adds an operation that makes one tensor.
    pub fn op(&mut self, op: &'static str, inputs: &[&Value]) -> Value {
        self.op_with(op, inputs, Vec::new())
    }

    /// The same with settings.
    pub fn op_with(
        &mut self,
        op: &'static str,
        inputs: &[&Value],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> Value {
        let [output] = self.ops(op, inputs, attributes);
        output
    }

    /// Adds an operation that makes several tensors.
    pub fn ops<const N: usize>(
        &mut self,
        op: &'static str,
        inputs: &[&Value],
        attributes: Vec<(&'static str, Attribute)>,
    ) -> [Value; N] {
        let outputs = std::array::from_fn(|_| self.fresh(op));
        let inputs = inputs.iter().copied().cloned().collect();
        self.nodes.push(Node { op, inputs, outputs: outputs.to_vec(), attributes });
        outputs
    }

    /// The same numbers as other elements.
    pub fn cast(&mut self, value: &Value, to: Element) -> Value {
        self.op_with("Cast", &[value], vec![("to", Attribute::Int(to.code()))])
    }

    /// The file, with notes about it by key.
    #[must_use]
    pub fn to_bytes(&self, metadata: &[(&str, String)]) -> Vec<u8> {
        let entry = |(key, value): &(&str, String)| Entry {
            key: Some((*key).to_owned()),
            value: Some(value.clone()),
        };
        Model {
            ir_version: Some(IR_VERSION),
            producer_name: Some("sciurus".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(self.message()),
            opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
            metadata_props: metadata.iter().map(entry).collect(),
        }
        .encode_to_vec()
    }

    fn message(&self) -> GraphMessage {
        GraphMessage {
            node: self.nodes.iter().map(Node::message).collect(),
            name: Some(self.name.clone()),
            initializer: self.constants.iter().map(Constant::message).collect(),
            input: self.inputs.iter().map(Port::message).collect(),
            output: self.outputs.iter().map(Port::message).collect(),
        }
    }
}

impl Node {
    fn message(&self) -> NodeMessage {
        let names = |values: &[Value]| values.iter().map(Value::to_string).collect();
        NodeMessage {
            input: names(&self.inputs),
            output: names(&self.outputs),
            name: self.outputs.first().map(Value::to_string),
            op_type: Some(self.op.to_owned()),
            attribute: self.attributes.iter().map(|(name, value)| value.message(name)).collect(),
        }
    }
}

impl Attribute {
    fn message(&self, name: &str) -> AttributeMessage {
        let message = AttributeMessage { name: Some(name.to_owned()), ..AttributeMessage::default() };
        match self {
            Self::Float(value) => AttributeMessage { f: Some(*value), kind: Some(1), ..message },
            Self::Int(value) => AttributeMessage { i: Some(*value), kind: Some(2), ..message },
            Self::Text(text) => {
                AttributeMessage { s: Some(text.as_bytes().to_vec()), kind: Some(3), ..message }
            }
            Self::Graph(graph) => {
                AttributeMessage { g: Some(Box::new(graph.message())), kind: Some(5), ..message }
            }
            Self::Ints(values) => AttributeMessage { ints: values.clone(), kind: Some(7), ..message },
        }
    }
}

impl Constant {
    fn message(&self) -> TensorMessage {
        TensorMessage {
            dims: self.shape.iter().map(|&side| side as i64).collect(),
            data_type: Some(self.data.element().code() as i32),
            name: Some(self.value.to_string()),
            raw_data: Some(self.data.bytes()),
        }
    }
}

impl Port {
    fn message(&self) -> ValueInfo {
        let dimension = |size: &Size| match size {
            Size::Fixed(size) => Dimension { dim_value: Some(*size as i64), dim_param: None },
            Size::Named(name) => Dimension { dim_value: None, dim_param: Some((*name).to_owned()) },
        };
        let shape = Shape { dim: self.shape.iter().map(dimension).collect() };
        let tensor = TensorType { elem_type: Some(self.element.code() as i32), shape: Some(shape) };
        ValueInfo {
            name: Some(self.value.to_string()),
            kind: Some(TypeMessage { tensor_type: Some(tensor) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_as_it_was_built() {
        let mut graph = Graph::new("test");
        let x = graph.input("x", Element::U8, &[Size::Named("batch"), Size::Fixed(2)]);
        let weight = graph.constant("w", &[2, 1], Data::F32(vec![1.0, -2.0]));
        let again = graph.constant("w", &[], Data::I64(vec![0]));
        assert_eq!((weight.name(), again.name()), ("w", "w_1"));
        let x = graph.cast(&x, Element::F32);
        let sum = graph.op_with("Gemm", &[&x, &weight], vec![("transB", Attribute::Int(0))]);
        graph.output("y", &sum, Element::F32, &[Size::Named("batch"), Size::Fixed(1)]);

        let model = Model::decode(&*graph.to_bytes(&[("labels", "a, b".to_owned())])).unwrap();
        assert_eq!((model.ir_version, model.opset_import[0].version), (Some(8), Some(17)));
        assert_eq!(model.metadata_props[0].value.as_deref(), Some("a, b"));
        let read = model.graph.unwrap();
        let ops: Vec<&str> = read.node.iter().filter_map(|node| node.op_type.as_deref()).collect();
        assert_eq!(ops, ["Cast", "Gemm", "Identity"]);
        assert_eq!(read.node[1].input, ["Cast", "w"]);
        // A zero that was written is there.
        assert_eq!((read.node[1].attribute[0].i, read.node[1].attribute[0].kind), (Some(0), Some(2)));
        assert_eq!(read.initializer[0].raw_data.as_deref(), Some(&[0, 0, 128, 63, 0, 0, 0, 192][..]));
        assert_eq!(read.output[0].name.as_deref(), Some("y"));
        assert_eq!(read, graph.message());
    }

    #[test]
    fn a_branch_has_names_of_its_own() {
        let mut graph = Graph::new("test");
        let x = graph.input("x", Element::F32, &[]);
        let mut then = graph.branch("then");
        let y = then.op("Relu", &[&x]);
        assert_eq!(y.name(), "then/Relu");
        assert_ne!(graph.op("Relu", &[&x]), y);
    }
}
