//! The student's training. In: photos, and teachers that have seen them. Out: `backbone.safetensors`, and a line for each epoch.

use std::collections::HashMap;
use std::f64::consts::PI;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sciurus::data::{Augmentation, CsvLabels, Splitter};
use sciurus::model::VisionModel;
use sciurus::{
    DistillSettings, HyperSchedule, ImageDataLoaders, Learner, LoaderSettings, WeightSource, vision_learner,
};

use crate::collect::Photo;
use crate::lessons::StoredTeacher;
use crate::{StudentArgs, TrainArgs, probe, say};

/// Bytes of decoded photos kept in memory.
const MEMORY: u64 = 10 << 30;
/// A folder with fewer photos than this is no class.
const FEW: usize = 10;
/// Share of the training in which the learning rate rises.
const WARMUP: f64 = 0.25;

/// Trains the student.
pub(crate) fn student(
    args: &TrainArgs,
    photos: &[Photo],
    teachers: Vec<StoredTeacher>,
) -> anyhow::Result<()> {
    let (work, student) = (&args.work, &args.student);
    let mut learner = learner(work, student, photos, teachers)?;
    learner.unfreeze();
    let checkpoints = work.join("checkpoints");
    fs::create_dir_all(&checkpoints)?;
    learner.resume_from(&checkpoints)?;
    learner.write_checkpoints(&checkpoints, Duration::from_secs(120));
    let started = Instant::now();
    for epoch in 0..student.epochs {
        let before = learner.history().epochs.len();
        learner.fit_scheduled(1, &part(student.learning_rate, epoch, student.epochs))?;
        let Some(row) = learner.history().epochs.get(before..).and_then(|new| new.last()) else { continue };
        let (loss, images) = (row.train_loss, row.images_per_second);
        let weights = save(work, &learner)?;
        let probed = probe::measure(student.arch, (&weights, probe::SIDE), &args.probe.probe)?;
        let probed: Vec<String> =
            probed.iter().map(|(name, accuracy)| format!("{name} {accuracy:.3}")).collect();
        let minutes = started.elapsed().as_secs_f64() / 60.0;
        say(&format!(
            "epoch {epoch}: loss {loss:.4}, {images:.0} images/s, {minutes:.1} min; {}",
            probed.join(", ")
        ));
    }
    Ok(())
}

/// One epoch's part of a one-cycle policy over all of them: fastai's `fit_one_cycle` with its usual divisors.
fn part(highest: f64, epoch: usize, epochs: usize) -> HyperSchedule {
    let at = move |progress: f64| (epoch as f64 + progress) / epochs as f64;
    let cosine = |from: f64, to: f64, share: f64| to + (from - to) * (1.0 + (PI * share).cos()) / 2.0;
    let cycle = move |[start, peak, end]: [f64; 3], progress: f64| match at(progress) {
        rising if rising < WARMUP => cosine(start, peak, rising / WARMUP),
        falling => cosine(peak, end, (falling - WARMUP) / (1.0 - WARMUP)),
    };
    let rate = move |progress: f64| cycle([highest / 25.0, highest, highest / 1e5], progress);
    HyperSchedule::new([rate; VisionModel::GROUPS], move |progress: f64| cycle([0.95, 0.85, 0.95], progress))
}

fn learner(
    work: &Path,
    student: &StudentArgs,
    photos: &[Photo],
    teachers: Vec<StoredTeacher>,
) -> anyhow::Result<Learner> {
    let table = work.join("photos.csv");
    let rows: String = photos
        .iter()
        .zip(labels(photos))
        .map(|(photo, label)| format!("photos/{}\t{label}\n", photo.copy()))
        .collect();
    fs::write(&table, format!("path\tlabel\n{rows}"))?;
    let labels = CsvLabels::new(&table).delimiter('\t');
    let settings = LoaderSettings {
        image_size: student.image_size,
        batch_size: student.batch_size,
        augment: Augmentation::RandomResizedCrop { min_scale: student.min_scale },
        memory_budget: Some(MEMORY),
        ..LoaderSettings::default()
    };
    let loaders = ImageDataLoaders::from_csv(labels)
        .settings(settings)
        .normalize(student.arch.normalize())
        .split_by(Splitter::Random { valid_fraction: 0.01 })
        .seed(student.seed);
    let weights = student.from.clone().map_or(WeightSource::Random, WeightSource::File);
    let distill = DistillSettings { teacher_labels: student.labels, ..DistillSettings::default() };
    let builder = vision_learner(loaders.build()?, student.arch).weights(weights).distill(distill);
    Ok(teachers.into_iter().fold(builder, sciurus::LearnerBuilder::teacher).build()?)
}

/// The label of each photo: that of its folder, or one for all whose folders hold few.
fn labels(photos: &[Photo]) -> Vec<&str> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    photos.iter().for_each(|photo| *counts.entry(&photo.label).or_default() += 1);
    photos.iter().map(|photo| if counts[&*photo.label] < FEW { "few" } else { &*photo.label }).collect()
}

/// Writes the student's body, in half precision.
fn save(work: &Path, learner: &Learner) -> anyhow::Result<PathBuf> {
    let path = work.join("backbone.safetensors");
    learner.save_body(&path)?;
    Ok(path)
}
