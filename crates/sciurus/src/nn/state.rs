//! Tensors as plain data, by name: the content of files, and the input and output of models.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

/// The values of one tensor as in a file: PyTorch's shape, row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// Shape in PyTorch's order.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

impl StoredTensor {
    /// The values as a flat tensor, `[count]`.
    pub(crate) fn tensor(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::new(self.values.clone(), [self.values.len()]), device)
    }
}

/// Converts a flat tensor `[count]` for storage.
pub(crate) fn flat(tensor: &Tensor<1>) -> StoredTensor {
    StoredTensor { shape: tensor.dims().to_vec(), values: floats(tensor.to_data()) }
}

/// Tensors by name.
pub type StateDict = BTreeMap<String, StoredTensor>;

/// The values of a tensor as f32, whatever type the device computes in.
#[allow(clippy::needless_pass_by_value, reason = "the data is read out and done with")]
pub(crate) fn floats(data: TensorData) -> Vec<f32> {
    data.iter::<f32>().collect()
}
