//! What networks are built on: devices, precision, norm layers, one pass through a model, and tensors as plain data. Below `cpu`
//! and `model`.

mod device;
mod folded;
mod graph;
mod layer_norm;
mod norm;
mod pass;
mod precision;
mod state;

pub use device::Device;
pub use folded::FoldedLayers;
pub(crate) use graph::{LayerGraph, Padding};
pub use layer_norm::LayerNorm;
pub use norm::{BatchNorm, NormStatistics};
pub use pass::Pass;
pub use precision::Precision;
pub use state::{StateDict, StoredTensor};
pub(crate) use state::{flat, floats};
