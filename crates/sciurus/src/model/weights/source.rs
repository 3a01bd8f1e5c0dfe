//! Where weights are found. In: an architecture and a [`WeightSource`]. Out: the model with those weights, and a record of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::WeightsRecord;
use super::download::{self, Download, DownloadProgress};
use super::file::WeightFile;
use crate::Error;
use crate::model::{Arch, VisionModel, numbers};
use crate::nn::StateDict;
use crate::storage::tensor_file;

/// Where the body's weights come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightSource {
    /// The file for this architecture in `SCIURUS_MODELS`, else torchvision's file, which is downloaded once.
    #[default]
    Pretrained,
    /// This file: `.safetensors`, or a PyTorch checkpoint (`.pth`, `.pt`). A learner also goes on from a `.sciurus` model, with its
    /// head if it has the same labels.
    File(PathBuf),
    /// Seeded random weights.
    Random,
}

/// Where [`WeightSource::Pretrained`] looks for weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightPlaces {
    /// A folder of weight files that is searched first, for offline machines and a company's own weights.
    pub models: Option<PathBuf>,
    /// Where downloads are kept.
    pub cache: PathBuf,
    /// Addresses of folders that have the published files under their names; they are tried before the publisher's.
    pub mirrors: Vec<String>,
    /// Whether downloads are turned off. Weights that are not on this machine are then an error.
    pub offline: bool,
}

impl WeightPlaces {
    /// The places that the environment gives: `SCIURUS_MODELS`, the user's cache folder, and the addresses in `SCIURUS_MIRROR`
    /// (separated by spaces). Offline if `SCIURUS_OFFLINE` is set to anything but `0`.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let models = variable("SCIURUS_MODELS").map(PathBuf::from);
        let cache = dirs::cache_dir().unwrap_or_else(std::env::temp_dir).join("sciurus").join("weights");
        let mirrors = variable("SCIURUS_MIRROR").unwrap_or_default();
        let mirrors = mirrors.to_string_lossy().split_whitespace().map(str::to_owned).collect();
        let offline = variable("SCIURUS_OFFLINE").is_some_and(|value| value != "0");
        Self { models, cache, mirrors, offline }
    }
}

/// The SHA-256 of a weight file, lower-case hex.
pub(crate) fn sha256_of(path: &Path) -> Result<String, Error> {
    WeightFile::open(path)?.sha256()
}

/// Finds the weights of `source`, downloads them only if no folder has them, and loads them into the model's body.
///
/// # Errors
/// No weights are published for the architecture, the download fails or has the wrong hash, the file is damaged, a tensor does
/// not match (the error gives its name, its shape and the expected one), or the body's outputs are not finite.
pub fn load_body(
    model: VisionModel,
    arch: Arch,
    source: &WeightSource,
    places: &WeightPlaces,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<(VisionModel, WeightsRecord), Error> {
    let (path, mut file) = match source {
        WeightSource::Random => {
            return Ok((model, WeightsRecord { name: "random".into(), sha256: None, licence: None }));
        }
        WeightSource::File(path) => (path.clone(), WeightFile::open(path)?),
        WeightSource::Pretrained => match built_in(arch) {
            Some(bytes) => (PathBuf::from(BUILT_IN), WeightFile::of_bytes(Path::new(BUILT_IN), bytes)?),
            None => {
                let path = find_or_download(arch, places, Patience::Usual, progress)?;
                let file = WeightFile::open(&path)?;
                (path, file)
            }
        },
    };
    let model = with_body(model, &path, &mut file)?;
    if !numbers::body_is_sound(&model, &arch.normalize()) {
        return Err(Error::NotFinite { path });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sha256 = file.sha256()?;
    let published = arch.published_weights().filter(|published| published.sha256 == sha256);
    let licence = match published {
        Some(published) => Some(published.licence.to_owned()),
        None => file.licence().map(str::to_owned),
    };
    Ok((model, WeightsRecord { name, sha256: Some(sha256), licence }))
}

/// Writes the body's parameters under their published names, weights in half precision.
///
/// # Errors
/// A weight is too large for half precision (above 65504), or the file cannot be written.
pub(crate) fn write_body(model: &VisionModel, path: &Path) -> Result<(), Error> {
    let state = model.clone().without_projectors().rounded_to_half()?.state_dict();
    let body =
        state.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix("body.")?.to_owned(), tensor)));
    tensor_file::write(path, ("made_with", &env!("CARGO_PKG_VERSION")), &body.collect())
}

/// Sets the body's parameters from a torchvision state dict. Names and shapes are checked before values are read; errors name
/// `path`.
///
/// # Errors
/// A body parameter is missing in the file, a shape differs, or a value is not finite.
fn with_body(model: VisionModel, path: &Path, file: &mut WeightFile) -> Result<VisionModel, Error> {
    let parameters = model.parameters();
    let body: Vec<_> = parameters.iter().filter_map(|p| Some((p, p.name.strip_prefix("body.")?))).collect();
    let missing: Vec<&str> =
        body.iter().map(|(_, name)| *name).filter(|name| file.shape(name).is_none()).collect();
    if let Some(first) = missing.first() {
        let (path, first) = (path.to_owned(), (*first).to_owned());
        return Err(Error::MissingTensors { path, first, missing: missing.len(), expected: body.len() });
    }
    for (parameter, name) in &body {
        if let Some(found) = file.shape(name).filter(|shape| *shape != parameter.shape) {
            let (name, found, expected) = ((*name).to_owned(), found.to_vec(), parameter.shape.clone());
            return Err(Error::TensorShape { name, found, expected }.in_file(path));
        }
    }
    let mut state = file.tensors(&body.iter().map(|(_, name)| *name).collect::<Vec<_>>())?;
    numbers::check(&state).map_err(|reason| Error::weight_file(path, reason))?;
    let named: StateDict = body
        .into_iter()
        .filter_map(|(parameter, name)| Some((parameter.name.clone(), state.remove(name)?)))
        .collect();
    model.with_state(&named)
}

/// What stands for a file name in records of weights that are part of the program.
const BUILT_IN: &str = "built in";

/// The weights of an architecture that are part of the program: see docs/backbone.md.
fn built_in(arch: Arch) -> Option<&'static [u8]> {
    (arch == Arch::Hazel).then_some(include_bytes!("hazel.safetensors"))
}

/// The file of an architecture's published weights on this machine, downloaded only if that works at once.
///
/// # Errors
/// They are not here and can't be had quickly, or a file that is here cannot be read.
pub(crate) fn arrive(
    arch: Arch,
    places: &WeightPlaces,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<PathBuf, Error> {
    find_or_download(arch, places, Patience::Quick, progress)
}

/// Whether an architecture's weights are on this machine.
pub(crate) fn is_at_hand(arch: Arch, places: &WeightPlaces) -> bool {
    let places = WeightPlaces { offline: true, ..places.clone() };
    find_or_download(arch, &places, Patience::Quick, &mut |_| ()).is_ok()
}

/// How long to wait for a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Several tries.
    Usual,
    /// One try, because there is something to go on with.
    Quick,
}

/// A file of `places.models`, a file of the cache, or a fresh download.
fn find_or_download(
    arch: Arch,
    places: &WeightPlaces,
    patience: Patience,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<PathBuf, Error> {
    if let Some(found) = places.models.as_deref().map(|folder| find(arch, folder)).transpose()?.flatten() {
        return Ok(found);
    }
    let published = arch
        .published_weights()
        .ok_or(Error::NoPublishedWeights { arch: arch.name(), elsewhere: arch.weights_elsewhere() })?;
    let cached = places.cache.join(published.file);
    // The hash is checked every time, so that a file damaged after its download is downloaded again.
    if cached.is_file() && download::sha256(&cached)? == published.sha256 {
        return Ok(cached);
    }
    if places.offline {
        let (file, url) = (published.file, published.url);
        return Err(Error::Offline { arch: arch.name(), file, url, cache: places.cache.clone() });
    }
    let mirrors =
        places.mirrors.iter().map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), published.file));
    let download = Download::new(published.url, published.sha256, &cached).mirrors(mirrors.collect());
    let download = if patience == Patience::Quick { download.quick() } else { download };
    download.run(progress)?;
    Ok(cached)
}

/// The weight file of an architecture in a folder: a file with torchvision's own name, else the only file named `<arch>-…` or
/// `<arch>.…`, safetensors before PyTorch checkpoints.
///
/// # Errors
/// The folder cannot be read, or holds several candidates.
fn find(arch: Arch, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let listing = std::fs::read_dir(folder)
        .map_err(|source| Error::ModelsFolder { path: folder.to_owned(), source })?;
    let mut files: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    if let Some(published) = arch.published_weights() {
        let official = folder.join(published.file);
        if official.is_file() {
            return Ok(Some(official));
        }
    }
    for extensions in [&["safetensors"][..], &["pth", "pt"]] {
        let fits: Vec<&PathBuf> = files.iter().filter(|path| is_named(path, arch, extensions)).collect();
        match fits[..] {
            [] => {}
            [only] => return Ok(Some(only.clone())),
            [first, second, ..] => {
                return Err(Error::AmbiguousWeights {
                    arch: arch.name(),
                    first: first.clone(),
                    second: second.clone(),
                });
            }
        }
    }
    Ok(None)
}

fn is_named(path: &Path, arch: Arch, extensions: &[&str]) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let rest = stem.strip_prefix(arch.name());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) && extensions.contains(&&*extension)
}
