//! How fast photos are decoded, presized, augmented and normalised, on one core.
//!
//! `cargo bench -p sciurus-data` reads the photos in `SCIURUS_SHARED` (or `../shared` beside the workspace), folder
//! `data/hymenoptera`; `cargo bench -p sciurus-data -- FOLDER` any other folder with a folder per class.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark shows numbers and stops at any problem"
)]

use sciurus_data::{
    AugTransforms, Augmentation, DecodeLimits, ImageDataset, Normalize, Pipeline, Preprocessing, RandAugment,
    RandomErasing, Rng, Seed, Transform, TrivialAugment, decode,
};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let shared = std::env::var_os("SCIURUS_SHARED").map_or(beside, PathBuf::from);
    let named = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let folder = named.unwrap_or_else(|| shared.join("data/hymenoptera"));
    if !folder.is_dir() {
        println!("no photos at {}; set SCIURUS_SHARED or name a folder", folder.display());
        return;
    }
    let dataset = ImageDataset::from_folder(&folder).build().expect("the folder is a data set");
    let files: Vec<Vec<u8>> =
        dataset.items.iter().map(|item| std::fs::read(dataset.path(item)).expect("it was listed")).collect();

    let photos = time("decode (image crate, zune-jpeg)", &files, |bytes, _| {
        decode(bytes, &DecodeLimits::default()).expect("the photos are whole")
    });
    let pixels: f64 = photos.iter().map(|photo| f64::from(photo.width() * photo.height())).sum();
    println!("{:44} {:8.2} million pixels per photo", "", pixels / photos.len() as f64 / 1e6);

    let preprocessing = Preprocessing::default();
    let standard = AugTransforms::default();
    let train = Pipeline::train(&preprocessing, &Augmentation::Standard(standard));
    let flip = Pipeline::train(&preprocessing, &Augmentation::Flip);
    let presized = time("presize to 460", &photos, |photo, _| train.prepare(photo.clone()));
    time("resize to 224, as for validation", &photos, |photo, _| {
        preprocessing.pipeline().prepare(photo.clone())
    });
    let kept = time("resize shorter side to 224", &photos, |photo, _| flip.prepare(photo.clone()));
    time("augment 460 to 224 (aug_transforms)", &presized, |photo, rng| standard.apply(photo.clone(), rng));
    time("augment 224 to 224 (aug_transforms)", &kept, |photo, rng| standard.apply(photo.clone(), rng));
    let squares = time("random crop and flip", &kept, |photo, rng| flip.finish(photo.clone(), rng));
    time("trivial augment at 224", &squares, |photo, rng| TrivialAugment.apply(photo.clone(), rng));
    time("rand augment at 224 (2 operations)", &squares, |photo, rng| {
        RandAugment::default().apply(photo.clone(), rng)
    });
    time("random erasing at 224 (half of the photos)", &squares, |photo, rng| {
        RandomErasing::default().apply(photo.clone(), rng)
    });
    let mut values = vec![0.0; 3 * 224 * 224];
    time("normalise to planar f32", &squares, |square, _| {
        Normalize::imagenet().write(square, &mut values);
        black_box(values[0])
    });
}

/// Prints the time per photo, as the best of three rounds, and returns the results of the last.
fn time<S, T>(name: &str, sources: &[S], mut work: impl FnMut(&S, &mut Rng) -> T) -> Vec<T> {
    let (mut best, mut results) = (f64::INFINITY, Vec::new());
    for round in 0..3 {
        let rng = &mut Seed(round).rng(&[]);
        let start = Instant::now();
        results = sources.iter().map(|source| black_box(work(source, rng))).collect();
        best = best.min(start.elapsed().as_secs_f64() / sources.len() as f64);
    }
    println!("{name:44} {:8.3} ms {:10.1} images per second and core", best * 1e3, 1.0 / best);
    results
}
