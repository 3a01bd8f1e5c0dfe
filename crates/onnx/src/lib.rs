//! ONNX files: what other programs run a trained network from.
//!
//! In: operations, weights, and what is done to a photo before a network sees it. Out: the bytes of an ONNX file.
//!
//! [`Graph`] is built node by node. [`photo_to_square`] writes the crop and the resize of `sciurus-data` as nodes, exactly; [`store_half`]
//! and [`store_int8`] make the file smaller, [`quantize`] makes it faster. Nothing here knows a network or a tensor framework.
//!
//! ```
//! use sciurus_onnx::{Element, Graph, Size};
//!
//! let mut graph = Graph::new("twice");
//! let x = graph.input("x", Element::F32, &[Size::Named("batch")]);
//! let sum = graph.op("Add", &[&x, &x]);
//! graph.output("y", &sum, Element::F32, &[Size::Named("batch")]);
//! let file = graph.to_bytes(&[("labels", "[]".to_owned())]);
//! assert!(file.len() > 50);
//! ```

mod graph;
mod messages;
mod quantize;
mod square;
mod weights;

pub use graph::{Attribute, Constant, Data, Element, Graph, Node, Port, Size, Value};
pub use quantize::{Ranges, quantize};
pub use square::{normalized, photo_to_square};
pub use weights::{TooLarge, store_half, store_int8};

/// The version of ONNX's operators that graphs are written in.
pub const OPSET: i64 = 17;
/// The version of the file format.
pub const IR_VERSION: i64 = 8;
