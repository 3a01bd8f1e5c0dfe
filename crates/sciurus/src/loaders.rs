//! The data of a learner: one loader per split, over one data set and one store of decoded photos.
//!
//! In: a folder and options. Out: [`DataLoaders`], whose batches are the same for any number of threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sciurus_data::BadOption;
use sciurus_data::{
    Augmentation, CsvLabels, ImageDataset, ImageDatasetBuilder, LastBatch, Loader, LoaderOptions, Mix,
    Normalize, Order, PhotoStore, PhotoStoreOptions, Pipeline, Preprocessing, Progress, ResizeMethod, Seed,
    Split, Splitter, Views,
};

use crate::Error;

/// Where [`DataLoaders`] come from; fastai's `ImageDataLoaders`.
#[derive(Debug, Clone, Copy)]
pub struct ImageDataLoaders;

impl ImageDataLoaders {
    /// Photos in a folder per class, or in `train` and `valid` folders with a folder per class each.
    pub fn from_folder(folder: impl AsRef<Path>) -> DataLoadersBuilder {
        DataLoadersBuilder::new(ImageDataset::from_folder(folder.as_ref()))
    }

    /// Photos and labels from a CSV file; see [`ImageDataset::from_csv`].
    pub fn from_csv(labels: impl Into<CsvLabels>) -> DataLoadersBuilder {
        DataLoadersBuilder::new(ImageDataset::from_csv(labels))
    }

    /// Photos whose names hold their labels; see [`ImageDataset::from_name_pattern`].
    pub fn from_name_pattern(folder: impl AsRef<Path>, pattern: impl Into<String>) -> DataLoadersBuilder {
        DataLoadersBuilder::new(ImageDataset::from_name_pattern(folder.as_ref(), pattern))
    }

    /// Photos of any data set that is still to be built.
    pub fn from_dataset(dataset: ImageDatasetBuilder) -> DataLoadersBuilder {
        DataLoadersBuilder::new(dataset)
    }
}

/// Options of [`DataLoaders`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `image_size` | 224 | side of the square the model sees (pixels) | 32 to 4096 |
/// | `first_image_size` | `image_size` | progressive resizing: side of the square in the first half of each fit's epochs (pixels) | 32 to below `image_size` |
/// | `resize_method` | `Crop` | how a photo becomes a square | |
/// | `normalize` | ImageNet's | statistics that pixels are normalised by; `vit_small_patch16_224` needs its own | |
/// | `augmentation` | `None` | how training photos vary from epoch to epoch | |
/// | `views` | `Mirrored` where `augmentation` mirrors, else `Plain` | what an answer is the mean of | |
/// | `batch_size` | 64 | images in a batch | at least 2 |
/// | `test_fraction` | none, unless the data have test photos | share kept for the last measurement | 0..1 |
/// | `group_by` | a CSV file's group column, else none | photos of a group stay on one side of a split | |
/// | `order` | `Shuffled` | order of training photos; `Balanced` makes all classes equally likely | |
/// | `mix` | none | MixUp or CutMix | |
/// | `split_by` | by folder where there are split folders, else stratified, 0.2 | which photos measure | |
/// | `seed` | 42 | split, order and augmentation | |
/// | `threads` | all cores | threads that decode | at least 1 |
/// | `memory_budget` | a quarter of RAM | bytes of decoded pixels kept in memory | |
/// | `cache_folder` | the user's cache folder | where pixels beyond the budget go | |
pub struct DataLoadersBuilder {
    dataset: ImageDatasetBuilder,
    order: Order,
    mix: Option<Mix>,
    seed: Seed,
    batch_size: usize,
    preprocessing: Preprocessing,
    views: Option<Views>,
    first_image_size: Option<usize>,
    augmentation: Augmentation,
    threads: Option<usize>,
    store: PhotoStoreOptions,
}

impl std::fmt::Debug for DataLoadersBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataLoadersBuilder").field("dataset", &self.dataset).finish_non_exhaustive()
    }
}

impl DataLoadersBuilder {
    fn new(dataset: ImageDatasetBuilder) -> Self {
        Self {
            dataset,
            order: Order::Shuffled,
            mix: None,
            seed: Seed(42),
            batch_size: 64,
            preprocessing: Preprocessing::default(),
            views: None,
            first_image_size: None,
            augmentation: Augmentation::None,
            threads: None,
            store: PhotoStoreOptions::default(),
        }
    }

    /// Side of the square the model sees, in pixels.
    #[must_use]
    pub fn image_size(mut self, pixels: usize) -> Self {
        self.preprocessing.image_size = pixels;
        self
    }

    /// Progressive resizing: side of the square, in pixels, in the first half of each fit's epochs. Smaller pictures train
    /// faster; the photos are measured at full size throughout. Source: Howard 2018, fast.ai's DAWNBench entry.
    #[must_use]
    pub fn first_image_size(mut self, pixels: impl Into<Option<usize>>) -> Self {
        self.first_image_size = pixels.into();
        self
    }

    /// How a photo becomes a square.
    #[must_use]
    pub fn resize_method(mut self, method: ResizeMethod) -> Self {
        self.preprocessing.resize_method = method;
        self
    }

    /// How pixels become numbers: the statistics of the photos that the weights were trained on, `Arch::normalize`.
    #[must_use]
    pub fn normalize(mut self, normalize: Normalize) -> Self {
        self.preprocessing.normalize = normalize;
        self
    }

    /// How training photos vary from epoch to epoch.
    #[must_use]
    pub fn augmentation(mut self, augmentation: Augmentation) -> Self {
        self.augmentation = augmentation;
        self
    }

    /// The views of a photo that an answer is the mean of, where the model is measured and where it predicts.
    #[must_use]
    pub fn views(mut self, views: impl Into<Option<Views>>) -> Self {
        self.views = views.into();
        self
    }

    /// Images in a batch.
    #[must_use]
    pub fn batch_size(mut self, images: usize) -> Self {
        self.batch_size = images;
        self
    }

    /// Which photos measure the model.
    #[must_use]
    pub fn split_by(mut self, splitter: Splitter) -> Self {
        self.dataset = self.dataset.split_by(splitter);
        self
    }

    /// Share of all photos (0..1) that is kept for a measurement at the very end.
    #[must_use]
    pub fn test_fraction(mut self, share: f64) -> Self {
        self.dataset = self.dataset.test_fraction(share);
        self
    }

    /// A regular expression that finds the group of a photo in its path: photos of a group stay on one side of a split.
    #[must_use]
    pub fn group_by(mut self, pattern: impl Into<String>) -> Self {
        self.dataset = self.dataset.group_by(pattern);
        self
    }

    /// The order of training photos: shuffled, or balanced, so that all classes are equally likely.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// How the training photos of a batch are mixed with one another.
    #[must_use]
    pub fn mix(mut self, mix: impl Into<Option<Mix>>) -> Self {
        self.mix = mix.into();
        self
    }

    /// Seed of split, order and augmentation.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// Threads that decode.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Bytes of decoded pixels kept in memory.
    #[must_use]
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.store.memory_budget = bytes;
        self
    }

    /// Where decoded pixels beyond the budget go. The folder may be deleted at any time.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store.cache_folder = Some(folder.into());
        self
    }

    /// Called as the folder is read.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.dataset = self.dataset.on_progress(callback);
        self
    }

    /// Reads the folder, splits it and prepares the loaders.
    ///
    /// # Errors
    /// The folder holds no usable photos of at least two classes, or an option is out of range.
    pub fn build(mut self) -> Result<DataLoaders, Error> {
        self.preprocessing.views = self.views.unwrap_or(self.augmentation.views());
        self.preprocessing.check()?;
        self.augmentation.check()?;
        if !(2..=65_536).contains(&self.batch_size) {
            let (value, expected) = (self.batch_size.to_string(), "choose 2 to 65536 images");
            return Err(Error::BadOption(BadOption { option: "batch_size", value, advice: expected }));
        }
        if let Some(mix) = &self.mix {
            mix.check()?;
        }
        let first = self.first_preprocessing()?;
        let dataset = Arc::new(self.dataset.seed(self.seed.0).build()?);
        let training = LoaderOptions::default()
            .batch_size(self.batch_size)
            .seed(self.seed)
            .threads(self.threads.unwrap_or_default())
            .store(Arc::new(PhotoStore::new(self.store)));
        let measuring = training.clone().order(Order::Sequential).last_batch(LastBatch::Keep);
        let training = LoaderOptions { mix: self.mix, ..training.order(self.order) };
        let train = |preprocessing: &Preprocessing| {
            let pipeline = Pipeline::train(preprocessing, &self.augmentation);
            Loader::new(dataset.clone(), Split::Train, pipeline, training.clone())
        };
        let first = first.as_ref().map(train).transpose()?;
        let valid =
            Loader::new(dataset.clone(), Split::Valid, self.preprocessing.pipeline(), measuring.clone())?;
        Ok(DataLoaders {
            train: train(&self.preprocessing)?,
            first,
            valid,
            dataset,
            measuring,
            preprocessing: self.preprocessing,
            augmentation: self.augmentation,
            seed: self.seed,
        })
    }

    /// Preprocessing for the first half of a fit's epochs.
    fn first_preprocessing(&self) -> Result<Option<Preprocessing>, Error> {
        let Some(image_size) = self.first_image_size else { return Ok(None) };
        let first = Preprocessing { image_size, ..self.preprocessing };
        first.check()?;
        if image_size >= self.preprocessing.image_size {
            let expected = "choose a side below the image size";
            return Err(Error::BadOption(BadOption {
                option: "first_image_size",
                value: image_size.to_string(),
                advice: expected,
            }));
        }
        Ok(Some(first))
    }
}

/// Up to this progress (0..1) of a fit its epochs see the first image size.
const FIRST_SHARE: f64 = 0.5;

/// A data set and the batches made of it.
#[derive(Debug)]
pub struct DataLoaders {
    dataset: Arc<ImageDataset>,
    train: Loader,
    first: Option<Loader>,
    valid: Loader,
    measuring: LoaderOptions,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    seed: Seed,
}

impl DataLoaders {
    /// The data set.
    pub fn dataset(&self) -> &ImageDataset {
        &self.dataset
    }

    /// Shuffled, augmented training batches; the last, smaller one is left out.
    pub fn train(&self) -> &Loader {
        &self.train
    }

    /// The training batches of an epoch that begins at this progress (0..1) of a fit: smaller pictures in its first half, if
    /// that was asked for. There are as many as of [`train`](Self::train).
    pub fn train_at(&self, progress: f64) -> &Loader {
        self.first.as_ref().filter(|_| progress < FIRST_SHARE).unwrap_or(&self.train)
    }

    /// All photos of a split in order, as the exported model will see them.
    ///
    /// # Errors
    /// The split is empty.
    pub fn measured(&self, split: Split) -> Result<Loader, Error> {
        match split {
            Split::Valid => Ok(self.valid.clone()),
            _ => Ok(Loader::new(
                self.dataset.clone(),
                split,
                self.preprocessing.pipeline(),
                self.measuring.clone(),
            )?),
        }
    }

    /// All photos of a split in order, each epoch with another augmentation: for test-time augmentation.
    ///
    /// # Errors
    /// The split is empty.
    pub fn augmented(&self, split: Split) -> Result<Loader, Error> {
        let pipeline = Pipeline::train(&self.preprocessing, &self.augmentation);
        Ok(Loader::new(self.dataset.clone(), split, pipeline, self.measuring.clone())?)
    }

    /// What is done to every photo before the model sees it.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// What is done to training photos besides.
    pub fn augmentation(&self) -> &Augmentation {
        &self.augmentation
    }

    /// The seed of split, order and augmentation.
    pub fn seed(&self) -> Seed {
        self.seed
    }
}
