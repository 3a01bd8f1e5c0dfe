//! The errors of this crate. Each message names the file and says what to do.

use std::path::{Path, PathBuf};

#[cfg(feature = "train")]
use sciurus_clean::CleanError;
use sciurus_data::fs::FileError;
use sciurus_data::{BadOption, DataError, SkipReason};
use sciurus_insight::InsightError;

/// An error of the `sciurus` library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or splitting the photos failed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Predictions could not be computed, read or written.
    #[error(transparent)]
    Insight(#[from] InsightError),
    /// A cleaning plan, a journal or a move of files failed.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// A state file cannot be used, or another process holds it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or folder could not be read or written.
    #[error("cannot read or write {}: check the path, its permissions and the free disk space", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The path is a folder, pipe or device, not a file.
    #[error("{}: not a regular file; give a file, not a folder, pipe or device", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// A file is larger than any file of its kind can be.
    #[error(
        "{}: it has {} MB, and at most {} MB are read; it may be hostile, or not the kind of file you meant",
        path.display(), bytes >> 20, limit >> 20
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size (bytes).
        bytes: u64,
        /// The largest size that is read (bytes).
        limit: u64,
    },
    /// A model's outputs are not finite: NaN or infinite.
    #[error(
        "{}: the model's outputs are not finite (NaN or infinity); get the file again, or retrain with a \
         lower `learning_rate`",
        path.display()
    )]
    NotFinite {
        /// The file that the model or its weights came from.
        path: PathBuf,
    },
    /// A photo could not be read.
    #[error("{}: cannot read the photo", path.display())]
    Photo {
        /// The photo.
        path: PathBuf,
        /// Why.
        source: SkipReason,
    },
    /// No architecture has this name.
    #[error("unknown architecture `{name}`: choose one of {known}")]
    UnknownArch {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// No device has this name.
    #[error("unknown device `{name}`: choose one of cpu, vulkan, metal, cuda, rocm, wgpu")]
    UnknownDevice {
        /// What was asked for.
        name: String,
    },
    /// The device is not part of this build.
    #[error(
        "this build does not include the device `{name}`; rebuild with \
         `cargo install --path crates/cli --features {name}`"
    )]
    DeviceNotBuilt {
        /// The device. The cargo feature that adds it has the same name.
        name: &'static str,
    },
    /// `SCIURUS_CPU` names instructions that the processor does not have.
    #[error(
        "SCIURUS_CPU is `{name}`, which this processor does not support; set it to portable, avx2, avx512, \
         avx512bf16 or neon, or unset it"
    )]
    UnknownInstructions {
        /// The value of `SCIURUS_CPU`.
        name: String,
    },
    /// A classifier needs at least two classes.
    #[error("a classifier needs at least 2 classes, found {classes}")]
    TooFewClasses {
        /// How many there were.
        classes: usize,
    },
    /// A classifier has more classes than there is memory for.
    #[error("{classes} classes are too many; a classifier has at most {limit}")]
    TooManyClasses {
        /// How many there were.
        classes: usize,
        /// The largest number possible.
        limit: usize,
    },
    /// Images are larger than an architecture accepts.
    #[error("image size {size} is above the limit of {arch}, {limit} pixels; choose a smaller `image_size`")]
    ImageTooLarge {
        /// The architecture.
        arch: &'static str,
        /// Side of the images (pixels).
        size: usize,
        /// The largest possible side (pixels).
        limit: usize,
    },
    /// The photos are multi-label.
    #[error(
        "the photos are multi-label, and this needs exactly one label each; use `any_predictions`, or a \
         table without `label_separator`"
    )]
    MultiLabel,
    /// An option has a value that cannot be used.
    #[error(transparent)]
    BadOption(#[from] BadOption),
    /// No weights of this architecture can be downloaded.
    #[error(
        "no pretrained weights of {arch} can be downloaded; {}start from random weights (`no_pretrained`), or \
         give a weight file (`weights`)",
        elsewhere.map_or_else(String::new, |place| format!(
            "put those of {place} into the folder that SCIURUS_MODELS names, as {arch}.safetensors, "
        ))
    )]
    NoPublishedWeights {
        /// The architecture.
        arch: &'static str,
        /// Who publishes them, where we don't download them.
        elsewhere: Option<&'static str>,
    },
    /// Two files in `SCIURUS_MODELS` match the architecture.
    #[error(
        "both {} and {} could hold the weights of {arch}; choose one with `weights`",
        first.display(), second.display()
    )]
    AmbiguousWeights {
        /// The architecture.
        arch: &'static str,
        /// One candidate.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// Weights are not on this machine, and the network may not be used.
    #[error(
        "the weights of {arch} are not on this machine, and downloads are turned off (`offline` or \
         SCIURUS_OFFLINE); download {url} on another machine and put {file} into {}, or into the folder \
         that SCIURUS_MODELS names",
        cache.display()
    )]
    Offline {
        /// The architecture.
        arch: &'static str,
        /// Name of the file.
        file: &'static str,
        /// Where it is published.
        url: &'static str,
        /// Where downloads are kept.
        cache: PathBuf,
    },
    /// A download failed.
    #[error(
        "cannot download {url}: {reason}; the part that arrived is kept, so try again to continue; without \
         a network, put the file into a folder and set SCIURUS_MODELS to it, give the file as `weights`, or \
         start from random weights (`no_pretrained`)"
    )]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A downloaded file does not have the expected hash.
    #[error(
        "{url} has SHA-256 {found}, expected {expected}, so the download was removed; try again, or get the \
         file from a source you trust and give it as `weights`"
    )]
    WrongHash {
        /// The address.
        url: String,
        /// The pinned hash.
        expected: String,
        /// The hash of the download.
        found: String,
    },
    /// A weight does not fit into half precision.
    #[error("`{name}` has values too large for half precision (fp16); save the model without `half`")]
    TooLargeForHalf {
        /// The parameter.
        name: String,
    },
    /// The model is of a network whose operations are not known.
    #[error(
        "a network of your own ({arch}) can't be exported: Sciurus doesn't know its operations; export a model of one of the networks \
         that `sciurus archs` lists"
    )]
    NotExportable {
        /// The architecture.
        arch: &'static str,
    },
    /// PyTorch's libraries don't have the network.
    #[error(
        "neither torchvision nor timm has the network {arch}; export to onnx, or its tensors alone to safetensors"
    )]
    NotInTorchvision {
        /// The architecture.
        arch: &'static str,
    },
    /// An exported model doesn't run.
    #[error("the exported model doesn't run, so it was not kept: {reason}")]
    Export {
        /// What the runtime said.
        reason: String,
    },
    /// A weight file is damaged or refused.
    #[error("{}: cannot read weights: {reason}; use a .safetensors file or a PyTorch state dict", path.display())]
    WeightFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A weight file does not have all tensors of the architecture.
    #[error(
        "{}: {missing} of {expected} tensors are missing, first `{first}`; these weights belong to another \
         architecture: choose it with `arch`",
        path.display()
    )]
    MissingTensors {
        /// The file.
        path: PathBuf,
        /// The first missing tensor.
        first: String,
        /// How many are missing.
        missing: usize,
        /// How many the architecture has.
        expected: usize,
    },
    /// A tensor does not have the model's shape.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
    /// Something is wrong with this file; the source says what.
    #[error("{}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// The loss became NaN or infinite.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}: the learning rate is too high; set \
         `learning_rate` to a tenth of it"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// Epoch, counted from 0.
        epoch: usize,
        /// Step within the epoch, counted from 0.
        step: usize,
    },
    /// The folder that `SCIURUS_MODELS` names cannot be listed.
    #[error("cannot list {}: set SCIURUS_MODELS to a folder of weight files, or unset it", path.display())]
    ModelsFolder {
        /// The folder.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// No photo of a split could be read.
    #[error("none of the {split} photos could be read; run `sciurus inspect` on the folder to see why")]
    NothingReadable {
        /// The split.
        split: sciurus_data::Split,
    },
    /// A photo could be read for one of its views, but not for the next.
    #[error("some {split} photos changed or disappeared during prediction; run it again")]
    PhotosChanged {
        /// The split.
        split: sciurus_data::Split,
    },
    /// A model file is damaged, or is not a model.
    #[error("{}: not a usable model: {reason}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A run folder is incomplete, or its files cannot be used.
    #[error("{}: {reason}", path.display())]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An observer failed.
    #[error("{0}")]
    Observer(String),
}

impl Error {
    /// An I/O error on `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }

    /// A damaged weight file.
    pub(crate) fn weight_file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::WeightFile { path: path.to_owned(), reason: reason.to_string() }
    }

    /// The same error, with the file it came from.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Error::InFile { path: path.to_owned(), source: Box::new(self) }
    }
}
