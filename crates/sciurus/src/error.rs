//! What can go wrong in this crate; each text names the file and says what to do.

use std::path::{Path, PathBuf};

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
    /// Predictions could not be made, read or written.
    #[error(transparent)]
    Insight(#[from] InsightError),
    /// Plans, journals, moves.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// A file of state cannot be used, or another process holds it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or folder could not be read or written.
    #[error("cannot read or write {}: check the path, its permissions and the free space", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, pipe or device stands where a file should.
    #[error("{}: not a regular file: give a file, not a folder, a pipe or a device", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
    },
    /// A file is larger than any of its kind.
    #[error(
        "{}: it has {} MB, and at most {} MB are read: it may be hostile, or is of another kind",
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
    /// A model answers with numbers that are not finite: NaN or infinite.
    #[error(
        "{}: the model answers with numbers that are not finite: get the file again, or train it again with a lower learning rate (--lr)",
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
        /// Those that there are.
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
        "device `{name}` is not in this build: build it in with `cargo install --path crates/cli --features {name}`"
    )]
    DeviceNotBuilt {
        /// The device, which is also the name of the cargo feature that builds it in.
        name: &'static str,
    },
    /// `SCIURUS_CPU` names instructions that the processor does not have.
    #[error(
        "SCIURUS_CPU is `{name}`, which this processor does not have: choose portable, avx2, avx512, avx512bf16 or neon, or unset it"
    )]
    UnknownInstructions {
        /// What it names.
        name: String,
    },
    /// A classifier needs at least two classes.
    #[error("a classifier needs at least 2 classes, found {classes}")]
    TooFewClasses {
        /// How many there were.
        classes: usize,
    },
    /// A classifier of more classes than there is memory for.
    #[error("{classes} classes: at most {limit} are possible")]
    TooManyClasses {
        /// How many there were.
        classes: usize,
        /// The most that are possible.
        limit: usize,
    },
    /// Images are larger than an architecture takes.
    #[error(
        "image size {size} is above the limit of {arch}, {limit} pixels: choose a smaller one with --image-size"
    )]
    ImageTooLarge {
        /// The architecture.
        arch: &'static str,
        /// Side of the images (pixels).
        size: usize,
        /// The largest possible side (pixels).
        limit: usize,
    },
    /// The photos have any number of labels each.
    #[error(
        "the photos have any number of labels each, and this needs exactly one: use `any_predictions`, or a table without a label separator"
    )]
    MultiLabel,
    /// An option has a value that cannot be used.
    #[error(transparent)]
    BadOption(#[from] BadOption),
    /// No weights are published for this architecture.
    #[error(
        "no pretrained weights are published for {arch}: train it from scratch with --no-pretrained, or give a file with --weights FILE"
    )]
    NoPublishedWeights {
        /// The architecture.
        arch: &'static str,
    },
    /// Two files in `SCIURUS_MODELS` could be meant.
    #[error(
        "both {} and {} could hold the weights of {arch}: name one with --weights FILE",
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
        "the weights of {arch} are not on this machine and the network is forbidden (--offline or SCIURUS_OFFLINE); fetch {url} elsewhere and put {file} into {}, or into a folder that SCIURUS_MODELS names", cache.display()
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
        "cannot download {url}: {reason}; what arrived is kept, and the same command goes on from there; without a network, put the file into a folder and set SCIURUS_MODELS to it, or use --weights FILE or --no-pretrained"
    )]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A download is not the file it should be.
    #[error(
        "{url} has SHA-256 {found}, expected {expected}: the file was removed; try again, or get it from a source you trust and use --weights FILE"
    )]
    WrongHash {
        /// The address.
        url: String,
        /// The pinned hash.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// A weight does not fit into half precision.
    #[error("`{name}` has values that half precision (fp16) cannot hold; save the model without --half")]
    TooLargeForHalf {
        /// The parameter.
        name: String,
    },
    /// A weight file is damaged or refused.
    #[error("{}: cannot read weights: {reason}; use a .safetensors file or a PyTorch state dict", path.display())]
    WeightFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A weight file lacks tensors of the architecture.
    #[error(
        "{}: {missing} of {expected} tensors are missing, first `{first}`: these are weights of another architecture; choose it with --arch",
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
    /// A tensor does not fit the model.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The model's shape.
        expected: Vec<usize>,
    },
    /// Something in this file is wrong.
    #[error("{}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}: the learning rate is too high; try a tenth of it with --lr"
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
        /// What the system said.
        source: std::io::Error,
    },
    /// No photo of a split could be read.
    #[error("none of the {split} photos could be read: run `sciurus inspect` on the folder to see why")]
    NothingReadable {
        /// The split.
        split: sciurus_data::Split,
    },
    /// A photo could be read for one view of it and not for the next.
    #[error("some {split} photos changed or went away while they were predicted: run it again")]
    PhotosChanged {
        /// The split.
        split: sciurus_data::Split,
    },
    /// A model file is damaged or of another kind.
    #[error("{}: not a usable model: {reason}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A run folder lacks something.
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
    /// An input or output error on `path`.
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }

    /// A damaged weight file.
    pub(crate) fn weight_file(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::WeightFile { path: path.to_owned(), reason: reason.to_string() }
    }

    /// The same error, told with the file it came from.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Error::InFile { path: path.to_owned(), source: Box::new(self) }
    }
}
