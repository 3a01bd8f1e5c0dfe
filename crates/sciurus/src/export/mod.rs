//! A trained model for other programs: as an ONNX file, as weights for PyTorch, as a web page.
//!
//! In: a [`ModelBundle`](crate::ModelBundle). Out: files, and a [`Proof`] that they say what the model says.
//!
//! ```no_run
//! use sciurus::ModelBundle;
//! use sciurus::export::{OnnxInput, OnnxModel};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bundle = ModelBundle::load("squirrels.sciurus".as_ref())?;
//! let model = OnnxModel::new(&bundle, OnnxInput::Photo)?;
//! std::fs::write("squirrels.onnx", model.to_bytes()?)?;
//! # Ok(())
//! # }
//! ```

mod onnx;
mod proof;
mod ranges;
pub mod torch;
mod web;

pub use onnx::{OnnxInput, OnnxModel, WeightType};
pub use proof::{Proof, Proved, prove, prove_pytorch};
pub use web::{WebFile, WebRuntime, web};
