//! What can be typed after `sciurus export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sciurus::export::{OnnxInput, WeightType};

use super::Show;
use super::settings::one_of;

const EXPORT: &str = "\
Write a model in a form that other programs run: an ONNX file that takes photos and answers as `sciurus predict` does, weights for \
PyTorch, or a page for the browser. What was written is then asked about photos beside the model itself, and kept only \
if both say the same.

  sciurus export runs/squirrels-20261124-101500 --to onnx --output squirrels.onnx
  sciurus export model.sciurus --to onnx --weights int8 --photos holiday --output small.onnx
  sciurus export model.sciurus --to web --output page --runtime node_modules/onnxruntime-web/dist
  sciurus export model.sciurus --to torchvision --output squirrels.pth";

const EXPORT_AFTER: &str = "\
An export is compared in onnxruntime (PyTorch for torchvision), which is looked for as a package of python3, or of the \
Python that SCIURUS_PYTHON names. Without it the export is written, and a note says that nobody compared it. With f32 all labels must be \
the same and probabilities within 0.0001; with fewer bits at most one label in a hundred may differ.";

#[derive(Debug, Args)]
#[command(about = "Write a model as ONNX, for PyTorch or the browser, and prove it says the same", long_about = EXPORT, after_help = EXPORT_AFTER)]
pub(crate) struct ExportArgs {
    /// A run, or a model.sciurus file
    #[arg(value_name = "RUN|MODEL")]
    pub(crate) model: PathBuf,
    /// What to write: an ONNX file; tensors under torchvision's names (safetensors); the same as torch.save writes them, with a Python file
    /// that uses them; a folder with a page and all that it needs
    #[arg(long, value_enum)]
    pub(crate) to: Target,
    /// The file, or for a page the folder
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// How ONNX keeps weights: f32; f16 (half the file); int8 (a quarter); static-int8 (the same, and it computes with bytes)
    #[arg(long, default_value = "f32", value_name = "TYPE", value_parser = one_of::<WeightType>())]
    pub(crate) weights: WeightType,
    /// What the ONNX file takes: photo (any size; crop and resize are part of the graph), or square (finished squares of the model's
    /// size, for runtimes that want fixed sizes)
    #[arg(long, default_value = "photo", value_name = "INPUT", value_parser = one_of::<OnnxInput>())]
    pub(crate) input: OnnxInput,
    /// Photos, or folders of photos, that the export is compared on [default: the run's validation photos]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) photos: Vec<PathBuf>,
    /// Folder with the files of onnxruntime-web, to be copied beside the page: it then works without a network
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime: Option<PathBuf>,
    /// Leave out how alike a photo is to what the model knows
    #[arg(long)]
    pub(crate) no_reject: bool,
    /// Replace files that are there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Threads that decode and compute [default: all cores]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    Onnx,
    Safetensors,
    Torchvision,
    Web,
}
