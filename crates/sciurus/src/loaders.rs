//! The data of a learner: one loader per split, over one data set and one store of decoded photos.
//!
//! In: a folder and options. Out: [`DataLoaders`], whose batches are the same for any number of threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sciurus_data::{
    Augmentation, BadOption, CsvLabels, ImageDataset, ImageDatasetBuilder, LastBatch, Loader, LoaderOptions,
    Mix, Normalize, Order, PhotoStore, PhotoStoreOptions, Pipeline, Preprocessing, Progress, ResizeMethod,
    Seed, Split, Splitter, Transform, Views, settings,
};

use crate::Error;

/// Where [`DataLoaders`] come from; fastai's `ImageDataLoaders`.
#[derive(Debug, Clone, Copy)]
pub struct ImageDataLoaders;

impl ImageDataLoaders {
    /// Photos in one folder per class, or in `train` and `valid` folders that each have one folder per class.
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

    /// Photos of a data set that is not built yet.
    pub fn from_dataset(dataset: ImageDatasetBuilder) -> DataLoadersBuilder {
        DataLoadersBuilder::new(dataset)
    }
}

settings! {
    /// How batches are made from photos.
    pub struct LoaderSettings {
        /// Images in a batch, at least 2.
        pub batch_size: usize = 64,
        /// Side of the square that the network sees, in pixels: from 32 to 4096, and no more than the network accepts.
        pub image_size: usize = 224,
        /// Progressive resizing: the image size in the first half of each fit's epochs, in pixels, below `image_size`. Smaller
        /// images train faster; the validation set always has the full size. Source: Howard 2018, fast.ai's DAWNBench entry.
        pub first_image_size: Option<usize> = None,
        /// How a photo is made square.
        pub resize: ResizeMethod = ResizeMethod::Crop,
        /// How training photos vary from epoch to epoch.
        pub augment: Augmentation = Augmentation::Flip,
        /// Test-time augmentation: the views of a photo whose predictions are averaged. Without it: `mirrored` if `augment` mirrors,
        /// else `plain`.
        pub views: Option<Views> = None,
        /// How the training photos of a batch are mixed with each other.
        pub mix: Option<Mix> = None,
        /// Threads that decode photos, at least 1. Without it: one per core. Training itself uses the caller's thread pool.
        pub threads: Option<usize> = None,
        /// Bytes of decoded photos kept in memory. Without it: a quarter of the machine's memory. The rest goes to a cache folder.
        pub memory_budget: Option<u64> = None,
    }
}

/// Options of [`DataLoaders`]: [`LoaderSettings`] set one by one, or all at once with [`settings`](Self::settings), options of the
/// data set, and
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `normalize` | ImageNet's | mean and deviation to normalise pixels with; `vit_small_patch16_224` needs its own |
/// | `order` | `Shuffled` | order of training photos; `Balanced` makes all classes equally likely |
/// | `seed` | 42 | seed of split, order and augmentation |
/// | `cache_folder` | the user's cache folder | where decoded photos beyond the memory budget go |
pub struct DataLoadersBuilder {
    dataset: ImageDatasetBuilder,
    settings: LoaderSettings,
    normalize: Normalize,
    order: Order,
    seed: Seed,
    cache_folder: Option<PathBuf>,
    transforms: Vec<Arc<dyn Transform>>,
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
            settings: LoaderSettings::default(),
            normalize: Preprocessing::default().normalize,
            order: Order::Shuffled,
            seed: Seed(42),
            cache_folder: PhotoStoreOptions::default().cache_folder,
            transforms: Vec::new(),
        }
    }

    /// Sets all loader settings at once.
    #[must_use]
    pub fn settings(mut self, settings: LoaderSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Side of the square that the network sees, in pixels.
    #[must_use]
    pub fn image_size(mut self, pixels: usize) -> Self {
        self.settings.image_size = pixels;
        self
    }

    /// How a photo is made square.
    #[must_use]
    pub fn resize(mut self, method: ResizeMethod) -> Self {
        self.settings.resize = method;
        self
    }

    /// How pixels are normalised: with the statistics of the photos that the weights were trained on, see `Arch::normalize`.
    #[must_use]
    pub fn normalize(mut self, normalize: Normalize) -> Self {
        self.normalize = normalize;
        self
    }

    /// How training photos vary from epoch to epoch: mirrored at random, if nothing else is chosen.
    #[must_use]
    pub fn augment(mut self, augmentation: Augmentation) -> Self {
        self.settings.augment = augmentation;
        self
    }

    /// A transform of your own for training photos, after `augment`, anew in each epoch; call it again for more.
    #[must_use]
    pub fn transform(mut self, transform: impl Transform + 'static) -> Self {
        self.transforms.push(Arc::new(transform));
        self
    }

    /// Images in a batch.
    #[must_use]
    pub fn batch_size(mut self, images: usize) -> Self {
        self.settings.batch_size = images;
        self
    }

    /// How the validation set is chosen.
    #[must_use]
    pub fn split_by(mut self, splitter: Splitter) -> Self {
        self.dataset = self.dataset.split_by(splitter);
        self
    }

    /// Share of all photos (0..1) in the test set, which is measured once, at the very end.
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

    /// Seed of split, order and augmentation.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Seed(seed);
        self
    }

    /// Where decoded photos beyond the memory budget go. The folder may be deleted at any time.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_folder = Some(folder.into());
        self
    }

    /// Sets a callback for progress while the folder is read.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.dataset = self.dataset.on_progress(callback);
        self
    }

    /// Reads the folder, splits it and prepares the loaders.
    ///
    /// # Errors
    /// The folder does not have usable photos of at least two classes, or an option is out of range.
    pub fn build(self) -> Result<DataLoaders, Error> {
        let settings = self.settings;
        let preprocessing = Preprocessing {
            image_size: settings.image_size,
            resize_method: settings.resize,
            normalize: self.normalize,
            views: settings.views.unwrap_or(settings.augment.views()),
        };
        preprocessing.check()?;
        settings.augment.check()?;
        let sizes = 2..=65_536;
        let is_sensible = sizes.contains(&settings.batch_size);
        BadOption::check("batch_size", settings.batch_size, is_sensible, "choose 2 to 65536 images")?;
        settings.mix.map_or(Ok(()), |mix| mix.check())?;
        let first = first_preprocessing(&settings, &preprocessing)?;
        let dataset = Arc::new(self.dataset.seed(self.seed.0).build()?);
        let store = PhotoStoreOptions { cache_folder: self.cache_folder, ..PhotoStoreOptions::default() };
        let memory_budget = settings.memory_budget.unwrap_or(store.memory_budget);
        let training = LoaderOptions::default()
            .batch_size(settings.batch_size)
            .seed(self.seed)
            .threads(settings.threads.unwrap_or_default())
            .store(Arc::new(PhotoStore::new(PhotoStoreOptions { memory_budget, ..store })));
        let measuring = training.clone().order(Order::Sequential).last_batch(LastBatch::Keep);
        let training = LoaderOptions { mix: settings.mix, ..training.order(self.order) };
        let train = |preprocessing: &Preprocessing| {
            let pipeline = training_pipeline(preprocessing, &settings.augment, &self.transforms);
            Loader::new(dataset.clone(), Split::Train, pipeline, training.clone())
        };
        let first = first.as_ref().map(train).transpose()?;
        let valid = Loader::new(dataset.clone(), Split::Valid, preprocessing.pipeline(), measuring.clone())?;
        Ok(DataLoaders {
            train: train(&preprocessing)?,
            first,
            valid,
            dataset,
            measuring,
            preprocessing,
            augmentation: settings.augment,
            seed: self.seed,
            transforms: self.transforms,
        })
    }
}

/// What training photos go through.
fn training_pipeline(
    preprocessing: &Preprocessing,
    augmentation: &Augmentation,
    transforms: &[Arc<dyn Transform>],
) -> Pipeline {
    let pipeline = Pipeline::train(preprocessing, augmentation);
    transforms.iter().fold(pipeline, |pipeline, transform| pipeline.each_epoch(Arc::clone(transform)))
}

/// Preprocessing for the first half of a fit's epochs.
fn first_preprocessing(
    settings: &LoaderSettings,
    preprocessing: &Preprocessing,
) -> Result<Option<Preprocessing>, Error> {
    let Some(image_size) = settings.first_image_size else { return Ok(None) };
    let first = Preprocessing { image_size, ..*preprocessing };
    first.check()?;
    let advice = "choose a size below `image_size`";
    BadOption::check("first_image_size", image_size, image_size < preprocessing.image_size, advice)?;
    Ok(Some(first))
}

/// Epochs that begin before this progress (0..1) of a fit use the first image size.
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
    transforms: Vec<Arc<dyn Transform>>,
}

impl DataLoaders {
    /// The data set.
    pub fn dataset(&self) -> &ImageDataset {
        &self.dataset
    }

    /// Shuffled, augmented training batches. A smaller last batch is left out.
    pub fn train(&self) -> &Loader {
        &self.train
    }

    /// The training batches of an epoch that begins at this progress (0..1) of a fit. With progressive resizing, the first half
    /// has smaller images. There are as many batches as in [`train`](Self::train).
    pub fn train_at(&self, progress: f64) -> &Loader {
        self.first.as_ref().filter(|_| progress < FIRST_SHARE).unwrap_or(&self.train)
    }

    /// All photos of a split in order, preprocessed as the exported model will see them.
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

    /// All photos of a split in order, augmented differently in each epoch, for test-time augmentation.
    ///
    /// # Errors
    /// The split is empty.
    pub fn augmented(&self, split: Split) -> Result<Loader, Error> {
        let pipeline = training_pipeline(&self.preprocessing, &self.augmentation, &self.transforms);
        Ok(Loader::new(self.dataset.clone(), split, pipeline, self.measuring.clone())?)
    }

    /// The preprocessing of every photo.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The augmentation of training photos.
    pub fn augmentation(&self) -> &Augmentation {
        &self.augmentation
    }

    /// The seed of split, order and augmentation.
    pub fn seed(&self) -> Seed {
        self.seed
    }
}
