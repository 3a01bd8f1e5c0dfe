//! Embeddings of photos: the features of a pretrained body, without a head and without training.
//!
//! In: an architecture with its weights, and files. Out: rows `[feature]`, cached in a file by content, so that a second call
//! does not read the photos again. The cache may be deleted at any time. Several bodies can share one decode of each photo.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use sciurus_data::{
    ContentHash, DataError, DecodeLimits, Pipeline, Preprocessing, Seed, SkipReason, Skipped, Views,
    decode_file,
};

mod bodies;
mod cache;

pub(crate) use bodies::{Bodies, BodyPixels};

use crate::model::weights::{WeightPlaces, WeightSource, WeightsRecord, load_body};
use crate::model::{Arch, VisionModel};
use crate::nn::{FoldedLayers, Pass, floats};
use crate::predict::ModelBundle;
use crate::{Device, DownloadProgress, Error, Precision};
use cache::Cache;

/// A photo to embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedItem {
    /// The file.
    pub path: PathBuf,
    /// Fingerprint of its bytes.
    pub content: ContentHash,
}

/// A pretrained body that turns photos into embeddings.
///
/// ```no_run
/// use sciurus::{Arch, Device, Embedder, WeightPlaces, WeightSource};
/// use std::ops::ControlFlow;
/// # fn main() -> Result<(), sciurus::Error> {
/// let places = WeightPlaces::from_environment();
/// let embedder = Embedder::new(Arch::ResNet18, &WeightSource::Pretrained, &places, &mut |_| ())?;
/// # let items = Vec::new();
/// let embedded = embedder.embed(&items, &mut |done| {
///     println!("{done} done");
///     ControlFlow::Continue(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Embedder {
    model: VisionModel,
    arch: Arch,
    weights: WeightsRecord,
    preprocessing: Preprocessing,
    pipeline: Pipeline,
    views: Views,
    device: BurnDevice,
    precision: Precision,
    folded: FoldedLayers,
    cache: Option<PathBuf>,
}

/// The embeddings of some photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// Features of each item, in order; `None` if the photo cannot be read.
    pub rows: Vec<Option<Vec<f32>>>,
    /// The photos that cannot be read, and why.
    pub skipped: Vec<Skipped>,
    /// How many photos were read because they were not in the cache.
    pub read: usize,
    /// What was wrong with the cache, if anything: damaged records, which were ignored, or a folder that cannot be written.
    pub cache_fault: Option<String>,
}

/// Where embeddings, and what pixels show, are cached if nothing else is said.
pub(crate) fn usual_cache() -> Option<PathBuf> {
    dirs::cache_dir().map(|folder| folder.join("sciurus").join("embeddings"))
}

impl Embedder {
    /// A body with weights, on the CPU. It sees a square of 224 pixels from the middle of each photo, and its mirror image; that
    /// of a model which Sciurus saved sees photos as they were prepared for that model.
    ///
    /// # Errors
    /// The weights cannot be found, downloaded or read, or do not match the architecture.
    pub fn new(
        arch: Arch,
        source: &WeightSource,
        places: &WeightPlaces,
        on_download: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Self, Error> {
        let device = Device::Cpu.open()?;
        // The head is never used; it is only there because a model needs one.
        let model = VisionModel::new(arch, 2, Seed(0), &device)?;
        let ((model, weights), preprocessing) = match ModelBundle::file_of(source) {
            Some(path) => {
                let (mut bundle, weights) = ModelBundle::start_from(path, arch)?;
                bundle.state.retain(|name, _| name.starts_with("body."));
                ((model.with_state(&bundle.state)?, weights), bundle.manifest.preprocessing)
            }
            None => {
                let usual = Preprocessing { normalize: arch.normalize(), ..Preprocessing::default() };
                (load_body(model, arch, source, places, on_download)?, usual)
            }
        };
        Ok(Self {
            model: model.valid(),
            arch,
            weights,
            pipeline: preprocessing.pipeline(),
            preprocessing,
            views: Views::Mirrored,
            precision: Precision::Auto.on(Device::Cpu)?,
            device: device.inner(),
            folded: FoldedLayers::default(),
            cache: usual_cache(),
        })
    }

    /// The body of a model, which sees photos as they are prepared for that model, in its views and on its device.
    pub(crate) fn of(
        model: &VisionModel,
        arch: Arch,
        weights: &WeightsRecord,
        preprocessing: &Preprocessing,
    ) -> Result<Self, Error> {
        let model = model.valid();
        let device = match model.devices().into_iter().next() {
            Some(device) => device,
            None => Device::Cpu.open()?.inner(),
        };
        Ok(Self {
            model,
            arch,
            weights: weights.clone(),
            pipeline: preprocessing.pipeline(),
            preprocessing: *preprocessing,
            views: preprocessing.views,
            precision: Precision::Auto.on(Device::Cpu)?,
            device,
            folded: FoldedLayers::default(),
            cache: usual_cache(),
        })
    }

    /// Sets the number format of activations.
    #[must_use]
    pub(crate) fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Sets the views of a photo whose embeddings are averaged; by default the photo and its mirror image.
    #[must_use]
    pub fn views(mut self, views: Views) -> Self {
        self.views = views;
        self
    }

    /// Sets the side of the square that it sees, in pixels; by default 224.
    #[must_use]
    pub fn image_size(mut self, pixels: usize) -> Self {
        self.preprocessing.image_size = pixels;
        self.pipeline = self.preprocessing.pipeline();
        self
    }

    /// Sets the folder of the cache; `None` turns the cache off.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<Option<PathBuf>>) -> Self {
        self.cache = folder.into();
        self
    }

    /// The weights of the body.
    pub fn weights(&self) -> &WeightsRecord {
        &self.weights
    }

    /// The architecture of the body.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Embeds photos: the body's features, averaged over each picture, `[channel]`. `progress` receives the number of finished
    /// photos, and may break off: what is computed by then is in the cache. A cache that cannot be used costs time and is reported,
    /// but is not an error.
    ///
    /// # Errors
    /// `progress` broke off ([`DataError::Stopped`]), or the machine has run out of something, such as file handles.
    pub fn embed(
        &self,
        items: &[EmbedItem],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Embedded, Error> {
        let bodies = Bodies::open(std::slice::from_ref(self));
        let known: Vec<Option<Vec<f32>>> = items.iter().map(|item| bodies.row(0, &item.content)).collect();
        let lacking = items.iter().zip(&known).filter(|(_, row)| row.is_none()).map(|(item, _)| item);
        let mut wanted: Vec<&EmbedItem> = lacking.collect();
        wanted.sort_by_key(|item| item.content);
        wanted.dedup_by_key(|item| item.content);
        let (mut skipped, mut done) = (HashMap::new(), items.len() - wanted.len());
        if progress(done).is_break() {
            return Err(DataError::Stopped.into());
        }
        let look = |item: &&EmbedItem| match decode_file(&item.path, &DecodeLimits::default()) {
            Ok(image) => (None, bodies.pixels(&item.content, &image)),
            Err(reason) => (Some((item.content, reason)), Vec::new()),
        };
        let looked = bodies.pass(&wanted, &look, &mut |batch: Vec<Option<(ContentHash, SkipReason)>>| {
            done += batch.len();
            skipped.extend(batch.into_iter().flatten());
            progress(done)
        });
        if looked.is_break() {
            return Err(DataError::Stopped.into());
        }
        let row =
            |(item, known): (&EmbedItem, Option<Vec<f32>>)| known.or_else(|| bodies.row(0, &item.content));
        let rows = items.iter().zip(known).map(row).collect();
        let skip = |item: &EmbedItem| {
            Some(Skipped { path: item.path.clone(), reason: skipped.get(&item.content)?.clone() })
        };
        let skipped: Vec<Skipped> = items.iter().filter_map(skip).collect();
        DataError::check_machine(&skipped)?;
        Ok(Embedded { rows, skipped, read: wanted.len(), cache_fault: bodies.faults().pop() })
    }

    /// Pixels `[image, 3, size, size]` to features `[image, channel]`, row-major.
    fn features(&self, pixels: Vec<f32>, images: usize) -> Vec<f32> {
        if images == 0 {
            return Vec::new();
        }
        let mut pass = Pass::evaluate().with_precision(self.precision).with_folded(&self.folded);
        let side = self.preprocessing.image_size;
        let shape = [images, 3, side, side];
        let tensor = Tensor::<4>::from_data(TensorData::new(pixels, shape), &self.device);
        let features = match self.views {
            Views::Plain => self.model.embed(tensor, &mut pass),
            Views::Mirrored => {
                let mirrored = tensor.clone().flip([3]);
                (self.model.embed(tensor, &mut pass) + self.model.embed(mirrored, &mut pass)) * 0.5
            }
        };
        floats(features.into_data())
    }

    fn open_cache(&self) -> Cache {
        Cache::open(self.cache_file(), self.arch.channels())
    }

    /// The cache file. There is one for each combination of weights, size, views and precision.
    fn cache_file(&self) -> Option<PathBuf> {
        let weights = self.weights.sha256.as_deref().map_or("random", |hash| &hash[..16.min(hash.len())]);
        let views = match self.views {
            Views::Plain => "plain",
            Views::Mirrored => "mirrored",
        };
        let (arch, size) = (self.arch.name(), self.preprocessing.image_size);
        let name = format!("{arch}-{weights}-{size}-{views}-{}.v2.embeddings", self.precision);
        Some(self.cache.as_ref()?.join(name))
    }
}
