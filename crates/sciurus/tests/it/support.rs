//! Golden files, shared photos and weights, and tensors by name.

use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use sciurus::model::{StateDict, StoredTensor, VisionModel};

/// A file of `tests/golden`.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn golden_json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&golden(name)).unwrap()
}

/// A path below `SCIURUS_SHARED` (default: `shared` beside the checkout). Without it the test is passed over, but
/// fails where `CI=true`.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("SCIURUS_SHARED").map_or(beside, PathBuf::from).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{} is missing on CI", path.display());
    eprintln!("passed over: {} is missing", path.display());
    None
}

/// All tensors of a safetensors file, whole numbers turned to f32.
pub(crate) fn tensors(bytes: &[u8]) -> StateDict {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let read = |tensor: &safetensors::tensor::TensorView<'_>| StoredTensor {
        shape: tensor.shape().to_vec(),
        values: match tensor.dtype() {
            Dtype::F32 => tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::I64 => tensor.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
            Dtype::I8 => tensor.data().iter().map(|b| f32::from(*b as i8)).collect(),
            other => panic!("unexpected {other:?}"),
        },
    };
    file.iter().map(|(name, tensor)| (name.to_owned(), read(&tensor))).collect()
}

/// Our name of a parameter that fastai calls `head.4.weight`.
pub(crate) fn our_name(fastai: &str) -> String {
    [
        ("head.2.", "head.norm_1."),
        ("head.4.", "head.linear_1."),
        ("head.6.", "head.norm_2."),
        ("head.8.", "head.linear_2."),
    ]
    .into_iter()
    .find_map(|(theirs, ours)| Some(format!("{ours}{}", fastai.strip_prefix(theirs)?)))
    .unwrap_or_else(|| fastai.to_owned())
}

/// The tensors below `prefix`, under our names.
pub(crate) fn below(state: &StateDict, prefix: &str) -> StateDict {
    let named = |(name, tensor): (&String, &StoredTensor)| {
        Some((our_name(name.strip_prefix(prefix)?), tensor.clone()))
    };
    state.iter().filter_map(named).collect()
}

/// An error with its causes, as the command line shows it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    causes.join(": ")
}

pub(crate) fn tensor<const D: usize>(stored: &StoredTensor, device: &burn::tensor::Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(stored.values.clone(), stored.shape.clone()), device)
}

pub(crate) fn classes(stored: &StoredTensor) -> Vec<usize> {
    stored.values.iter().map(|class| *class as usize).collect()
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Largest absolute difference.
pub(crate) fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The gradient of every parameter that has one, by name and in PyTorch's shape.
pub(crate) fn gradients(model: &VisionModel, gradients: &Gradients) -> StateDict {
    struct Collect<'a> {
        gradients: &'a Gradients,
        found: Vec<(ParamId, Vec<f32>)>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                self.found.push((param.id, values(gradient)));
            }
        }
    }
    let mut collect = Collect { gradients, found: Vec::new() };
    model.visit(&mut collect);
    let infos = model.parameters();
    let stored = |(id, values): (ParamId, Vec<f32>)| {
        let info = infos.iter().find(|info| info.id == id).unwrap();
        let values = match info.shape[..] {
            // Burn keeps linear weights as [in, out].
            [d_out, d_in] => (0..d_out * d_in).map(|i| values[i % d_in * d_out + i / d_in]).collect(),
            _ => values,
        };
        (info.name.clone(), StoredTensor { shape: info.shape.clone(), values })
    };
    collect.found.into_iter().map(stored).collect()
}
