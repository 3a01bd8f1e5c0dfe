//! Batches: the same for any number of threads, from photos that are decoded once.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::ImageFormat;
use sciurus_data::{
    AugTransforms, Augmentation, Batch, DecodeLimits, ImageDataset, ItemId, LastBatch, Loader, LoaderOptions,
    Mix, Mixed, Order, PhotoStore, PhotoStoreOptions, Pipeline, Preprocessing, RgbImage, Rng, Seed,
    SkipReason, Split, Splitter, Targets, Transform, decode_file,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{class_folders, encoded, picture, write};
use tempfile::TempDir;

const PER_CLASS: u32 = 13;

fn dataset() -> (TempDir, Arc<ImageDataset>) {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path(), &["red", "grey"], PER_CLASS);
    let splitter = Splitter::Stratified { valid_fraction: 0.25 };
    let dataset = ImageDataset::from_folder(root.path()).split_by(splitter).build().unwrap();
    (root, Arc::new(dataset))
}

fn store(memory_budget: u64, cache_folder: Option<&Path>) -> Arc<PhotoStore> {
    let cache_folder = cache_folder.map(Path::to_owned);
    Arc::new(PhotoStore::new(PhotoStoreOptions {
        memory_budget,
        cache_folder,
        ..PhotoStoreOptions::default()
    }))
}

fn train_pipeline() -> Pipeline {
    let preprocessing = Preprocessing { image_size: 32, ..Preprocessing::default() };
    Pipeline::train(&preprocessing, &Augmentation::Standard(AugTransforms::default()))
}

fn options(store: &Arc<PhotoStore>) -> LoaderOptions {
    LoaderOptions::default().batch_size(4).store(Arc::clone(store)).seed(Seed(7))
}

fn loader(dataset: &Arc<ImageDataset>, options: LoaderOptions) -> Loader {
    Loader::new(Arc::clone(dataset), Split::Train, train_pipeline(), options).unwrap()
}

fn epochs(loader: &Loader, epochs: u64) -> Vec<Batch> {
    (0..epochs).flat_map(|epoch| loader.epoch(epoch)).collect()
}

#[test]
fn batches_are_the_same_bit_for_bit_for_any_number_of_threads() {
    let (_root, dataset) = dataset();
    let batches = |threads| epochs(&loader(&dataset, options(&store(1 << 30, None)).threads(threads)), 2);
    let one = batches(1);
    assert_eq!(one.len(), 2 * (19 / 4));
    assert!(one == batches(2) && one == batches(5));
    assert_ne!(one[0].items, one[4].items, "each epoch has its own order");
    for batch in &one {
        assert_eq!((batch.len(), batch.size, batch.pixels.len()), (4, 32, 4 * 3 * 32 * 32));
        let targets: Vec<usize> =
            batch.items.iter().map(|&id| dataset.item(id).unwrap().target.classes()[0]).collect();
        assert_eq!(batch.targets, Targets::Single(targets));
    }
}

#[test]
fn each_photo_is_decoded_once_in_three_epochs() {
    let (_root, dataset) = dataset();
    let store = store(1 << 30, None);
    let loader = loader(&dataset, options(&store).last_batch(LastBatch::Keep));
    assert_eq!(epochs(&loader, 3).iter().map(Batch::len).sum::<usize>(), 3 * 19);
    assert_eq!(store.decodes(), 19);
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn photos_beyond_the_memory_budget_come_from_disk_with_the_same_bytes() {
    let (_root, dataset) = dataset();
    let cache = tempfile::tempdir().unwrap();
    let run =
        |store: &Arc<PhotoStore>| epochs(&loader(&dataset, options(store).last_batch(LastBatch::Keep)), 2);
    let expected = run(&store(1 << 30, None));

    let roomy = store(1 << 30, Some(cache.path()));
    assert!(
        expected == run(&roomy) && files_below(cache.path()).is_empty(),
        "within the budget nothing is written"
    );

    let small = store(100_000, Some(cache.path()));
    assert!(expected == run(&small));
    assert!(small.memory_used() > 50_000 && small.memory_used() <= 100_000);
    let files = files_below(cache.path());
    assert!(!files.is_empty() && files.len() < 19, "{}", files.len());
    assert_eq!(small.decodes(), 19);

    // What is broken or gone is simply done again.
    std::fs::write(&files[0], b"broken").unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    let again = store(0, Some(cache.path()));
    assert!(expected == run(&again));
    assert_eq!(again.decodes() as usize, 19 - files.len() + 2);

    let nowhere = store(0, None);
    assert!(expected == run(&nowhere));
    assert_eq!(nowhere.decodes(), 2 * 19);
}

#[test]
fn damaged_photos_are_missing_from_their_batch_and_named_once() {
    let (root, _) = dataset();
    let png = encoded(&picture(300, 200, 1), ImageFormat::Png);
    write(root.path().join("red/zz_broken.png"), &png[..png.len() / 2]);
    let dataset = ImageDataset::from_folder(root.path()).build().unwrap();
    let changed = dataset.items[0].path.clone();
    write(dataset.path(&dataset.items[0]), &encoded(&picture(9, 9, 9), ImageFormat::Jpeg));
    let mut dataset = dataset;
    dataset.items.iter_mut().for_each(|item| item.split = Split::Train);

    let dataset = Arc::new(dataset);
    let store = store(1 << 30, None);
    let loader = loader(&dataset, options(&store).last_batch(LastBatch::Keep).order(Order::Sequential));
    let batches = epochs(&loader, 3);
    let mut skipped: Vec<_> = batches.iter().flat_map(|batch| &batch.skipped).collect();
    skipped.sort_by_key(|skipped| &skipped.path);
    assert_eq!(skipped.len(), 2);
    assert_eq!((&skipped[0].path, &skipped[0].reason), (&changed, &SkipReason::Changed));
    assert_eq!(skipped[1].reason, SkipReason::Truncated);
    assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 3 * (27 - 2));
    assert_eq!((batches[0].items[0].0, batches[0].pixels.len()), (1, 3 * 3 * 32 * 32));
    assert_eq!(store.decodes(), 27, "a damaged photo is tried once");
    loader.forget_skipped();
    assert_eq!(epochs(&loader, 3).iter().map(|batch| batch.skipped.len()).sum::<usize>(), 2, "named again");
}

#[test]
fn dropping_an_epoch_early_stops_its_work() {
    let (_root, dataset) = dataset();
    let store = store(1 << 30, None);
    let loader = loader(&dataset, options(&store).batch_size(1).queue(1));
    for _ in 0..20 {
        assert_eq!(loader.epoch(0).next().unwrap().len(), 1);
        drop(loader.epoch(1));
    }
    assert!(store.decodes() <= 19);
}

#[test]
fn steps_follow_fastai() {
    let (_root, dataset) = dataset();
    let store = store(1 << 30, None);
    let steps = |batch_size, last_batch| {
        let loader = loader(&dataset, options(&store).batch_size(batch_size).last_batch(last_batch));
        assert_eq!(loader.epoch(0).count(), loader.steps_per_epoch());
        loader.steps_per_epoch()
    };
    assert_eq!((steps(4, LastBatch::Drop), steps(4, LastBatch::Keep)), (4, 5));
    assert_eq!((steps(19, LastBatch::Drop), steps(19, LastBatch::Keep)), (1, 1));
    assert_eq!((steps(64, LastBatch::Drop), steps(64, LastBatch::Keep)), (1, 1));
}

#[test]
fn measuring_goes_through_the_split_in_order() {
    let (_root, dataset) = dataset();
    let pipeline = Preprocessing { image_size: 32, ..Preprocessing::default() }.pipeline();
    let options = LoaderOptions::measuring().batch_size(4).store(store(1 << 30, None));
    let loader = Loader::new(Arc::clone(&dataset), Split::Valid, pipeline, options).unwrap();
    let items: Vec<_> = epochs(&loader, 1).into_iter().flat_map(|batch| batch.items).collect();
    assert_eq!(items, loader.items());
    assert!(epochs(&loader, 1) == loader.epoch(9).collect::<Vec<_>>(), "every epoch is the same");
}

/// 13 red squirrels and 39 grey ones, all to learn from.
fn uneven() -> (TempDir, Arc<ImageDataset>) {
    let root = tempfile::tempdir().unwrap();
    class_folders(root.path(), &["red"], 13);
    class_folders(root.path(), &["grey"], 39);
    let mut dataset = ImageDataset::from_folder(root.path()).build().unwrap();
    dataset.items.iter_mut().for_each(|item| item.split = Split::Train);
    (root, Arc::new(dataset))
}

#[test]
fn balanced_epochs_have_as_many_of_each_class_for_any_number_of_threads() {
    let (_root, dataset) = uneven();
    let options = |threads| {
        options(&store(1 << 30, None)).order(Order::Balanced).last_batch(LastBatch::Keep).threads(threads)
    };
    let batches = epochs(&loader(&dataset, options(1)), 8);
    assert!(batches == epochs(&loader(&dataset, options(3)), 8));
    let targets: Vec<usize> = batches
        .iter()
        .flat_map(|batch| batch.targets.iter().flatten().copied().collect::<Vec<_>>())
        .collect();
    let red = targets.iter().filter(|&&target| dataset.vocab.label(target) == "red").count();
    assert_eq!(targets.len(), 8 * 52);
    assert!((168..=248).contains(&red), "{red} of 416; a quarter would be 104");

    // What comes twice in an epoch is augmented anew.
    let first: Vec<(u32, &[f32])> = batches[..13]
        .iter()
        .flat_map(|batch| batch.items.iter().map(|item| item.0).zip(batch.pixels.chunks(3 * 32 * 32)))
        .collect();
    let mut again = 0;
    for (place, (item, pixels)) in first.iter().enumerate() {
        for (_, before) in first[..place].iter().filter(|(before, _)| before == item) {
            assert!(before != pixels, "item {item}");
            again += 1;
        }
    }
    assert!(again > 5, "{again}");
}

#[test]
fn mixed_batches_tell_their_partners_for_any_number_of_threads() {
    let (_root, dataset) = dataset();
    let plain = epochs(&loader(&dataset, options(&store(1 << 30, None))), 2);
    for mix in [Mix::mix_up(), Mix::cut_mix()] {
        let options = |threads| options(&store(1 << 30, None)).mix(mix).threads(threads);
        let mixed = epochs(&loader(&dataset, options(1)), 2);
        assert!(mixed == epochs(&loader(&dataset, options(4)), 2));
        for (mixed, plain) in mixed.iter().zip(&plain) {
            assert_eq!((&mixed.items, &mixed.targets, &plain.mixed), (&plain.items, &plain.targets, &None));
            let Mixed { partner, share } = mixed.mixed.as_ref().unwrap();
            let mean = |batch: &Batch, image: usize| {
                let pixels = &batch.pixels[image * 3 * 32 * 32..(image + 1) * 3 * 32 * 32];
                pixels.iter().sum::<f32>() / pixels.len() as f32
            };
            for (image, (&partner, &share)) in partner.iter().zip(share).enumerate() {
                let want = share * mean(plain, image) + (1.0 - share) * mean(plain, partner);
                let got = mean(mixed, image);
                // The mean of a rectangle is not that of its image, so only MixUp can be told from the means.
                assert!(mix == Mix::cut_mix() || (got - want).abs() < 1e-4, "{got}, not {want}");
            }
        }
        assert!(mixed.iter().zip(&plain).all(|(mixed, plain)| mixed.pixels != plain.pixels));
    }
    let wrong = options(&store(1 << 30, None)).mix(Mix::MixUp { alpha: 0.0 });
    let error = Loader::new(dataset, Split::Train, train_pipeline(), wrong).unwrap_err().to_string();
    assert!(error.starts_with("alpha is 0; choose a number above 0"), "{error}");
}

#[test]
fn a_sheet_shows_what_the_loader_makes() {
    let (_root, dataset) = dataset();
    let pipeline = Pipeline::train(
        &Preprocessing { image_size: 32, ..Preprocessing::default() },
        &Augmentation::named("trivial_augment").unwrap(),
    );
    let options = options(&store(1 << 30, None)).order(Order::Sequential).last_batch(LastBatch::Keep);
    let loader = Loader::new(Arc::clone(&dataset), Split::Train, pipeline.clone(), options).unwrap();
    let photo = |&id: &ItemId| {
        let path = dataset.path(dataset.item(id).unwrap());
        (id, decode_file(path, &DecodeLimits::default()).unwrap())
    };
    let photos: Vec<_> = loader.items().iter().take(4).map(photo).collect();
    let sheet = sciurus_data::sheet(&photos, &pipeline, 3, Seed(7)).unwrap();
    assert_eq!(sheet.dimensions(), (3 * 36 + 4, 4 * 36 + 4));
    assert_eq!(sheet.get_pixel(2, 2).0, [255; 3]);
    for epoch in 0..3 {
        let batch = loader.epoch(epoch).next().unwrap();
        for image in 0..4 {
            let (left, top) = (4 + 36 * epoch as u32, 4 + 36 * image as u32);
            let cell = image::imageops::crop_imm(&sheet, left, top, 32, 32).to_image();
            let mut pixels = vec![0.0; 3 * 32 * 32];
            pipeline.normalize().write(&cell, &mut pixels);
            assert!(pixels == batch.pixels[image * pixels.len()..(image + 1) * pixels.len()]);
        }
    }
    for (photos, draws) in [(&photos[..0], 3), (&photos[..], 0), (&photos[..], 1000)] {
        let error = sciurus_data::sheet(photos, &pipeline, draws, Seed(7)).unwrap_err().to_string();
        assert!(error.starts_with("sheet is ") && error.contains("choose"), "{error}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let (_root, dataset) = dataset();
    let store = store(1 << 30, None);
    let message = |split, options| {
        Loader::new(Arc::clone(&dataset), split, train_pipeline(), options).unwrap_err().to_string()
    };
    assert_eq!(message(Split::Train, options(&store).batch_size(0)), "batch_size is 0; choose at least 1");
    assert_eq!(message(Split::Train, options(&store).queue(0)), "queue is 0; choose at least 1");
    assert!(
        message(Split::Train, options(&store).batch_size(1 << 40)).contains("choose a smaller `batch_size`")
    );
    assert!(message(Split::Test, options(&store)).starts_with("no test images in"));
}

#[derive(Debug)]
struct Mistake;

impl Transform for Mistake {
    fn apply(&self, _: RgbImage, _: &mut Rng) -> RgbImage {
        panic!("a mistake in a transform")
    }
}

#[test]
#[should_panic(expected = "a mistake in a transform")]
fn a_panicking_transform_does_not_end_an_epoch_silently() {
    let (_root, dataset) = dataset();
    let pipeline = train_pipeline().each_epoch(Mistake);
    let options = options(&store(1 << 30, None));
    let _ = Loader::new(dataset, Split::Train, pipeline, options).unwrap().epoch(0).count();
}
