//! Pictures for the demo: acorns and leaves, drawn from a seed.
//!
//! Colours, positions, sizes and angles vary in the same way for both, so that only the shape tells them apart.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use rand::RngExt;
use sciurus_clean::plan::undo;
use sciurus_data::fs::{InsidePath, Root};
use sciurus_data::{RgbImage, Rng, Seed, resized};

use crate::{Arch, Error, TrainSettings};

/// Side of a drawn picture in pixels.
const SIZE: u32 = 64;
/// A file that marks a folder as ours to draw into.
const MARKER: &str = ".sciurus-demo";
/// Random stream for drawing: "DRAW" in ASCII.
const DRAWING_STREAM: u64 = 0x4452_4157;

type Colour = [f32; 3];
/// The shade (0..1) of a point in the shape's own coordinates (about -1..=1 in both directions); `None` if it is outside.
type Shape = fn(f32, f32) -> Option<f32>;

/// Draws `per_class` pictures each of acorns and leaves into `folder`, one folder per class; in a folder that it has drawn into
/// before, what was moved by cleaning goes back first. Returns the number of pictures.
///
/// # Errors
/// The folder exists and was not made by this function, or cannot be written.
pub fn draw_demo(folder: &Path, per_class: usize, seed: u64) -> Result<usize, Error> {
    let wrong = |source| Error::io(folder, source);
    let marker = inside(MARKER)?;
    let is_new = !folder.exists();
    let root = Root::create(folder)?;
    if !is_new && root.is_free(&marker).map_err(wrong)? {
        let reason = "already exists and was not made by the demo; choose another folder".to_owned();
        return Err(Error::Run { path: folder.to_owned(), reason });
    }
    if !is_new {
        // What an earlier demo moved goes back first.
        undo(folder)?;
    }
    root.write(&marker, |file| file.write_all(b"drawn by `sciurus demo`\n"))?;
    for class in 0..SHAPES.len() {
        for index in 0..per_class {
            let picture = picture(class, index as u64, seed);
            write_picture(&root, &drawn_path(class, index), &picture)?;
        }
    }
    Ok(SHAPES.len() * per_class)
}

/// What is wrong with a picture that [`plant_demo`] hid among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlantedKind {
    /// An acorn among the leaves, or a leaf among the acorns.
    WrongLabel,
    /// A smaller copy of another picture.
    Copy,
    /// A drawing in lines, where all others look like photos.
    Comic,
}

/// A picture that was hidden among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: PlantedKind,
    /// The picture that it is a copy of.
    pub original: Option<PathBuf>,
}

/// Hides `count` pictures of each [`PlantedKind`] among those that [`draw_demo`] drew.
///
/// # Errors
/// The folder cannot be written.
pub fn plant_demo(folder: &Path, count: usize, seed: u64) -> Result<Vec<Planted>, Error> {
    let root = Root::open(folder)?;
    let mut planted = Vec::new();
    for number in 0..count {
        let (class, strange) = (number % SHAPES.len(), (number + 1) % SHAPES.len());
        let (name, shape) = SHAPES[class];
        // Numbers that no other picture of the folder is drawn from.
        let index = (STRANGE + number) as u64;
        let copied = picture(class, number as u64, seed);
        let hidden = [
            (PlantedKind::WrongLabel, picture(strange, index, seed)),
            (PlantedKind::Copy, resized(copied, SIZE * 7 / 8, SIZE * 7 / 8)),
            (PlantedKind::Comic, comic(shape, &mut rng_of(class, index, seed))),
        ];
        for (place, (kind, picture)) in hidden.into_iter().enumerate() {
            let path = format!("{name}/download-{}.png", 3 * number + place + 1);
            write_picture(&root, &path, &picture)?;
            let original = (kind == PlantedKind::Copy).then(|| drawn_path(class, number).into());
            planted.push(Planted { path: path.into(), kind, original });
        }
    }
    Ok(planted)
}

/// Pictures that are in no folder of the demo, `per_class` of each label, each with its label.
pub fn new_demo_pictures(per_class: usize, seed: u64) -> Vec<(RgbImage, &'static str)> {
    let drawn = |class: usize| {
        (0..per_class).map(move |index| (picture(class, (NEW + index) as u64, seed), SHAPES[class].0))
    };
    (0..SHAPES.len()).flat_map(drawn).collect()
}

/// Where numbers of planted pictures begin, and those of new ones.
const STRANGE: usize = 1_000_000;
const NEW: usize = 2_000_000;

/// The classes and what is drawn for them.
const SHAPES: [(&str, Shape); 2] = [("acorn", acorn), ("leaf", leaf)];

/// Where the picture of this number is drawn, relative to the folder.
fn drawn_path(class: usize, index: usize) -> String {
    let (name, _) = SHAPES[class];
    format!("{name}/{name}-{index:03}.png")
}

fn rng_of(class: usize, index: u64, seed: u64) -> Rng {
    Seed(seed).rng(&[DRAWING_STREAM, class as u64, index])
}

/// The picture of this number.
fn picture(class: usize, index: u64, seed: u64) -> RgbImage {
    draw(SHAPES[class].1, &mut rng_of(class, index, seed))
}

/// Writes a picture. Even in a folder that somebody else made, nothing outside it is overwritten.
fn write_picture(root: &Root, path: &str, picture: &RgbImage) -> Result<(), Error> {
    let mut png = std::io::Cursor::new(Vec::new());
    let drawn = picture.write_with_encoder(PngEncoder::new(&mut png));
    drawn.map_err(|error| Error::io(Path::new(path), std::io::Error::other(error)))?;
    root.write(&inside(path)?, |file| file.write_all(png.get_ref()))?;
    Ok(())
}

fn inside(path: &str) -> Result<InsidePath, Error> {
    InsidePath::new(path).map_err(|error| Error::io(Path::new(path), std::io::Error::other(error)))
}

/// One picture: a dark shape of random hue, position, size and angle, on a light background with noise.
fn draw(shape: Shape, rng: &mut Rng) -> RgbImage {
    let background = colour(rng, 165.0..240.0);
    let ink = colour(rng, 20.0..130.0);
    let scale = rng.random_range(16.0..24.0_f32);
    let centre = [0, 1].map(|_| SIZE as f32 / 2.0 + rng.random_range(-8.0..8.0_f32));
    let (sine, cosine) = rng.random_range(-0.6..0.6_f32).sin_cos();
    RgbImage::from_fn(SIZE, SIZE, |x, y| {
        let (dx, dy) = ((x as f32 - centre[0]) / scale, (y as f32 - centre[1]) / scale);
        let found = shape(dx * cosine + dy * sine, dy * cosine - dx * sine);
        let grain = rng.random_range(-18.0..18.0_f32);
        let value = |channel: usize| match found {
            Some(shade) => ink[channel] * shade,
            None => background[channel],
        };
        [0, 1, 2].map(|channel| (value(channel) + grain).clamp(0.0, 255.0) as u8).into()
    })
}

/// The shape as black lines on white.
fn comic(shape: Shape, rng: &mut Rng) -> RgbImage {
    let scale = rng.random_range(18.0..24.0_f32);
    let centre = [0, 1].map(|_| SIZE as f32 / 2.0 + rng.random_range(-6.0..6.0_f32));
    let at = |x: f32, y: f32| shape((x - centre[0]) / scale, (y - centre[1]) / scale);
    RgbImage::from_fn(SIZE, SIZE, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let changes =
            [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)].iter().any(|(dx, dy)| at(x, y) != at(x + dx, y + dy));
        if changes { [0, 0, 0].into() } else { [255, 255, 255].into() }
    })
}

/// A round nut under a wide, darker cap with a stalk.
fn acorn(x: f32, y: f32) -> Option<f32> {
    let stalk = x.abs() < 0.08 && (-1.0..-0.7).contains(&y);
    let cap = (x / 0.85).powi(2) + ((y + 0.25) / 0.5).powi(2) < 1.0 && y < -0.2;
    let nut = (x / 0.65).powi(2) + ((y + 0.2) / 1.1).powi(2) < 1.0 && y >= -0.2;
    if stalk || cap { Some(0.6) } else { nut.then_some(1.0) }
}

/// Pointed at both ends, with a midrib and a stalk.
fn leaf(x: f32, y: f32) -> Option<f32> {
    let blade = y.abs() < 0.9 && x.abs() < 0.6 * (1.0 - (y / 0.9).powi(2));
    let rib = x.abs() < 0.06 && (-0.8..1.1).contains(&y);
    if rib { Some(0.6) } else { blade.then_some(1.0) }
}

fn colour(rng: &mut Rng, range: Range<f32>) -> Colour {
    [0, 1, 2].map(|_| rng.random_range(range.clone()))
}

/// Settings that fine-tune the built-in network on the demo's pictures in seconds.
pub fn demo_settings(folder: impl Into<PathBuf>) -> TrainSettings {
    let mut settings = TrainSettings::new(folder);
    (settings.loader.image_size, settings.loader.batch_size) = (96, 16);
    (settings.fit.arch, settings.fit.epochs) = (Arch::Hazel.into(), 3);
    settings
}
