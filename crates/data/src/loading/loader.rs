//! Batches for training and validation. In: a data set, a split and a pipeline. Out: batches in a fixed order, made
//! ahead of time by threads; the number of threads changes nothing.

use super::Batch;
use super::balance::{Draw, balanced};
use super::memory;
use super::mix::Mix;
use super::store::PhotoStore;
use crate::dataset::ImageDataset;
use crate::dataset::Target;
use crate::dataset::{ImageItem, ItemId, Split};
use crate::error::DataError;
use crate::option::BadOption;
use crate::seed::{Rng, Seed, purpose};
use crate::skip::{SkipReason, Skipped};
use crate::transform::Pipeline;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The order of the items in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A different order in every epoch, for training.
    Shuffled,
    /// As many items as there are, drawn so that every class is equally likely, for training on imbalanced classes.
    /// Items of a rare class are drawn several times in an epoch, each time with a different augmentation; some items
    /// of a frequent class aren't drawn at all. Within a class, items are drawn equally often, give or take one.
    Balanced,
    /// The order of the data set, for validation.
    Sequential,
}

/// What to do with the items at the end that don't fill a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBatch {
    /// Leave them out of this epoch, for training: batch statistics of a few images are noise. If the split has fewer
    /// items than one batch, they make a batch all the same.
    Drop,
    /// Make a smaller batch of them, for validation.
    Keep,
}

/// Most threads that can be asked for: more than any machine has cores, and few enough to start.
pub const MOST_THREADS: usize = 1024;

/// Options of a [`Loader`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `batch_size` | 64 | items per batch | ≥ 1 |
/// | `order` | shuffled | order of the items | |
/// | `mix` | none | how images of a batch are mixed | |
/// | `last_batch` | drop | what to do with items that don't fill a batch | |
/// | `threads` | 0 | threads that decode and transform; 0: one per core | 0 to 1024 |
/// | `queue` | 2 | batches to prepare ahead | ≥ 1 |
/// | `store` | a new store | where decoded photos are kept; share one among the loaders of a run | |
/// | `seed` | 42 | seed of order and augmentation | any |
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Items per batch.
    pub batch_size: usize,
    /// Order of the items.
    pub order: Order,
    /// How the images of a batch are mixed, for training.
    pub mix: Option<Mix>,
    /// What to do with items that don't fill a batch.
    pub last_batch: LastBatch,
    /// Threads that decode and transform; 0: one per core.
    pub threads: usize,
    /// Batches to prepare ahead.
    pub queue: usize,
    /// Where decoded photos are kept.
    pub store: Arc<PhotoStore>,
    /// Seed of order and augmentation.
    pub seed: Seed,
}

impl Default for LoaderOptions {
    /// Options for training.
    fn default() -> Self {
        Self {
            batch_size: 64,
            order: Order::Shuffled,
            mix: None,
            last_batch: LastBatch::Drop,
            threads: 0,
            queue: 2,
            store: Arc::default(),
            seed: Seed(42),
        }
    }
}

impl LoaderOptions {
    /// Options for validation: in order, and every item.
    #[must_use]
    pub fn measuring() -> Self {
        Self::default().order(Order::Sequential).last_batch(LastBatch::Keep)
    }

    /// Items per batch.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Order of the items.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// How the images of a batch are mixed.
    #[must_use]
    pub fn mix(mut self, mix: Mix) -> Self {
        self.mix = Some(mix);
        self
    }

    /// What to do with items that don't fill a batch.
    #[must_use]
    pub fn last_batch(mut self, last_batch: LastBatch) -> Self {
        self.last_batch = last_batch;
        self
    }

    /// Threads that decode and transform; 0: one per core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Batches to prepare ahead.
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// Where decoded photos are kept.
    #[must_use]
    pub fn store(mut self, store: Arc<PhotoStore>) -> Self {
        self.store = store;
        self
    }

    /// Seed of order and augmentation.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }
}

/// Makes the batches of a split, epoch by epoch.
///
/// ```no_run
/// use sciurus_data::{Augmentation, ImageDataset, Loader, LoaderOptions, Pipeline, Preprocessing, Split};
/// use std::sync::Arc;
///
/// let dataset = Arc::new(ImageDataset::from_folder("squirrels").build()?);
/// let pipeline = Pipeline::train(&Preprocessing::default(), &Augmentation::default());
/// let loader = Loader::new(dataset, Split::Train, pipeline, LoaderOptions::default().batch_size(32))?;
/// for epoch in 0..3 {
///     for batch in loader.epoch(epoch) {
///         assert_eq!(batch.pixels.len(), batch.len() * 3 * 224 * 224);
///     }
/// }
/// # Ok::<(), sciurus_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    maker: Arc<Maker>,
    items: Vec<ItemId>,
    options: LoaderOptions,
}

impl Loader {
    /// A loader of one split.
    ///
    /// # Errors
    /// The split has no items, an option can't be used, the queue wouldn't fit into memory, or threads can't be
    /// started.
    pub fn new(
        dataset: Arc<ImageDataset>,
        split: Split,
        pipeline: Pipeline,
        options: LoaderOptions,
    ) -> Result<Self, DataError> {
        check(&options, &pipeline)?;
        if options.order == Order::Balanced && dataset.is_multi_label() {
            let advice = "photos with several labels cannot be drawn by class; weight the labels in the loss instead (set `balance` to loss)";
            return Err(DataError::Option(BadOption {
                option: "order",
                value: "balanced".to_owned(),
                advice,
            }));
        }
        let items: Vec<ItemId> = dataset.split(split).map(|item| item.id).collect();
        if items.is_empty() {
            return Err(DataError::EmptySplit { path: dataset.root.clone(), split });
        }
        let threads = options.threads;
        if threads > MOST_THREADS {
            let (value, advice) = (threads.to_string(), "choose at most 1024");
            return Err(DataError::Option(BadOption { option: "threads", value, advice }));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("sciurus-loader-{index}"))
            .build()
            .map_err(|source| DataError::Threads { threads, source: source.into() })?;
        let (store, seed) = (Arc::clone(&options.store), options.seed);
        let mix = options.mix;
        let maker = Maker { dataset, pipeline, store, seed, mix, pool, named: Mutex::default() };
        Ok(Self { maker: Arc::new(maker), items, options })
    }

    /// How many batches an epoch has.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        let (items, batch_size) = (self.items.len(), self.options.batch_size);
        match self.options.last_batch {
            LastBatch::Drop => (items / batch_size).max(1),
            LastBatch::Keep => items.div_ceil(batch_size),
        }
    }

    /// Reports items that can't be decoded again, as if this loader hadn't made a batch yet.
    pub fn forget_skipped(&self) {
        self.maker.named.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The items of the split, in the order of the data set.
    #[must_use]
    pub fn items(&self) -> &[ItemId] {
        &self.items
    }

    /// The data set.
    #[must_use]
    pub fn dataset(&self) -> &Arc<ImageDataset> {
        &self.maker.dataset
    }

    /// What is done to each photo.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.maker.pipeline
    }

    /// The batches of an epoch; the same epoch always has the same batches. They are made in the background, at most
    /// `queue` ahead, until the iterator is dropped.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Batches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch without the first ones, which aren't even read.
    #[must_use]
    pub fn epoch_from(&self, epoch: u64, first_step: usize) -> Batches {
        let order = self.order(epoch);
        let (batch_size, steps) = (self.options.batch_size, self.steps_per_epoch());
        let (sender, receiver) = sync_channel(self.options.queue);
        let (maker, stop) = (Arc::clone(&self.maker), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let work = move || {
            for (step, draws) in order.chunks(batch_size).take(steps).enumerate().skip(first_step) {
                let place = BatchIndex { epoch, step: step as u64 };
                if !send(&sender, maker.batch(draws, place, &stopped)) {
                    return;
                }
            }
        };
        Batches { receiver: Some(receiver), stop, worker: Some(std::thread::spawn(work)) }
    }

    fn order(&self, epoch: u64) -> Vec<Draw> {
        let once = |&item: &ItemId| Draw { item, repeat: 0 };
        let mut order: Vec<Draw> = self.items.iter().map(once).collect();
        let rng = &mut self.options.seed.rng(&[purpose::SHUFFLE, epoch]);
        match self.options.order {
            Order::Shuffled => order.shuffle(rng),
            Order::Balanced => {
                // `new` refuses multi-label data, so an item has exactly one class.
                let first = |item: &ImageItem| item.target.classes().first().copied().unwrap_or_default();
                let class = |item| self.maker.dataset.item(item).map_or(0, first);
                order = balanced(&self.items, class, rng);
            }
            Order::Sequential => {}
        }
        order
    }
}

/// Whether the batch was received, so the next one is wanted too.
fn send(sender: &SyncSender<Batch>, batch: Option<Batch>) -> bool {
    batch.is_some_and(|batch| sender.send(batch).is_ok())
}

fn check(options: &LoaderOptions, pipeline: &Pipeline) -> Result<(), DataError> {
    for (option, value) in [("batch_size", options.batch_size), ("queue", options.queue)] {
        if value == 0 {
            return Err(DataError::Option(BadOption {
                option,
                value: value.to_string(),
                advice: "choose at least 1",
            }));
        }
    }
    options.mix.map_or(Ok(()), |mix| mix.check())?;
    // Besides the batches in the queue, one is being made and one is being used; mixing needs one more.
    let batches = options.queue as u64 + 2 + u64::from(options.mix.is_some());
    let needed = batches * options.batch_size as u64 * pipeline.values() as u64 * size_of::<f32>() as u64;
    let available = memory::total_bytes();
    if needed > available { Err(DataError::BatchesTooLarge { needed, available }) } else { Ok(()) }
}

/// What the background thread of an epoch works with.
#[derive(Debug)]
struct Maker {
    dataset: Arc<ImageDataset>,
    pipeline: Pipeline,
    store: Arc<PhotoStore>,
    seed: Seed,
    mix: Option<Mix>,
    pool: ThreadPool,
    /// Items that some batch has already reported in its `skipped`.
    named: Mutex<HashSet<ItemId>>,
}

/// Which batch of a run this is.
#[derive(Debug, Clone, Copy)]
struct BatchIndex {
    epoch: u64,
    step: u64,
}

/// The random numbers of an item in an epoch, independent of its batch and thread. When an item is drawn again in an
/// epoch, it gets others.
pub(crate) fn augment_rng(seed: Seed, epoch: u64, item: ItemId, repeat: u64) -> Rng {
    let stream = [purpose::AUGMENT, epoch, u64::from(item.0), repeat];
    seed.rng(if repeat == 0 { &stream[..3] } else { &stream })
}

impl Maker {
    /// Makes one batch, or returns `None` if it's no longer wanted.
    fn batch(&self, draws: &[Draw], place: BatchIndex, stop: &AtomicBool) -> Option<Batch> {
        let (size, values) = (self.pipeline.image_size(), self.pipeline.values());
        let mut pixels = vec![0.0; draws.len() * values];
        let item = |draw: &Draw| Some((self.dataset.item(draw.item)?, draw.repeat));
        let items: Vec<(&ImageItem, u64)> = draws.iter().filter_map(item).collect();
        let make = |(&(item, repeat), pixels): (&(&ImageItem, u64), &mut [f32])| {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.write(item, &mut augment_rng(self.seed, place.epoch, item.id, repeat), pixels)
        };
        let jobs = || items.par_iter().zip(pixels.par_chunks_mut(values)).map(make).collect();
        let results: Vec<Result<(), SkipReason>> = self.pool.install(jobs);
        if stop.load(Ordering::Relaxed) {
            return None;
        }

        let mut batch = Batch { pixels, size, ..Batch::default() };
        let mut targets: Vec<Target> = Vec::new();
        for (place, ((item, _), result)) in items.into_iter().zip(results).enumerate() {
            match result {
                Ok(()) => {
                    // Missing items leave no gap.
                    let to = batch.len() * values;
                    batch.pixels.copy_within(place * values..(place + 1) * values, to);
                    targets.push(item.target.clone());
                    batch.items.push(item.id);
                }
                Err(reason) => batch.skipped.extend(self.name_once(item, reason)),
            }
        }
        batch.targets = targets.into_iter().collect();
        batch.pixels.truncate(batch.len() * values);
        if let Some(mix) = self.mix {
            // Can't fail: the settings were checked when the loader was made.
            let _ = mix.apply(&mut batch, &mut self.seed.rng(&[purpose::MIX, place.epoch, place.step]));
        }
        Some(batch)
    }

    fn write(&self, item: &ImageItem, rng: &mut Rng, pixels: &mut [f32]) -> Result<(), SkipReason> {
        let photo = self.store.photo(&self.dataset, item, &self.pipeline)?;
        let photo = Arc::try_unwrap(photo).unwrap_or_else(|shared| (*shared).clone());
        self.pipeline.normalize().write(&self.pipeline.finish(photo, rng), pixels);
        Ok(())
    }

    fn name_once(&self, item: &ImageItem, reason: SkipReason) -> Option<Skipped> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let new = reason.is_machine_fault() || named.insert(item.id);
        new.then(|| Skipped { path: item.path.clone(), reason })
    }
}

/// The batches of one epoch; see [`Loader::epoch`].
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Batch>>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = self.receiver.as_ref()?.recv().ok();
        if batch.is_none() {
            self.receiver = None;
            let worker = self.worker.take()?;
            if let Err(panic) = worker.join() {
                // A transform panicked. That's a bug in the program; an epoch that just ends early would hide it.
                std::panic::resume_unwind(panic);
            }
        }
        batch
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Dropping the receiver wakes up a worker that waits for room in the queue.
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
