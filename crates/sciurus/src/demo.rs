//! Pictures for the demo: acorns and leaves, drawn from a seed.
//!
//! Colours, positions, sizes and angles vary in the same way for both, so that only the shape tells them apart.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use rand::RngExt;
use sciurus_data::fs::{InsidePath, Root};
use sciurus_data::{RgbImage, Rng, Seed};

use crate::{Arch, Error, TrainSettings, WeightSource};

/// Side of a drawn picture in pixels.
const SIZE: u32 = 64;
/// A file that marks a folder as ours to draw into.
const MARKER: &str = ".sciurus-demo";
/// Random stream for drawing: "DRAW" in ASCII.
const DRAWING_STREAM: u64 = 0x4452_4157;

type Colour = [f32; 3];
/// The shade (0..1) of a point in the shape's own coordinates (about -1..=1 in both directions); `None` if it is outside.
type Shape = fn(f32, f32) -> Option<f32>;

/// Draws `per_class` pictures each of acorns and leaves into `folder`, one folder per class. Returns the number of pictures.
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
    root.write(&marker, |file| file.write_all(b"drawn by `sciurus demo`\n"))?;
    let shapes: [(&str, Shape); 2] = [("acorn", acorn), ("leaf", leaf)];
    for (class, (name, shape)) in shapes.into_iter().enumerate() {
        for index in 0..per_class {
            let mut rng = Seed(seed).rng(&[DRAWING_STREAM, class as u64, index as u64]);
            let mut png = std::io::Cursor::new(Vec::new());
            let drawn = draw(shape, &mut rng).write_with_encoder(PngEncoder::new(&mut png));
            drawn.map_err(|error| wrong(std::io::Error::other(error)))?;
            // Even in a folder that somebody else made, nothing outside it is overwritten.
            root.write(&inside(&format!("{name}/{name}-{index:03}.png"))?, |file| {
                file.write_all(png.get_ref())
            })?;
        }
    }
    Ok(shapes.len() * per_class)
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

/// Settings that train a small network on the demo's pictures in a second or two, from random weights.
pub fn demo_settings(folder: impl Into<PathBuf>) -> TrainSettings {
    let mut settings = TrainSettings::new(folder);
    (settings.loader.image_size, settings.loader.batch_size) = (64, 16);
    (settings.fit.arch, settings.fit.weights) = (Arch::ResNet10Narrow, WeightSource::Random);
    (settings.fit.epochs, settings.fit.learning_rate) = (12, Some(5e-3));
    settings
}
