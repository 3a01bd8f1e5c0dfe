//! How well copies are found, how well blur is told from sharpness, and how fast.
//!
//! `cargo bench -p sciurus-photos --bench duplicates [-- SET ...]` reads three sets in `data` of `SCIURUS_SHARED` (or `../shared`
//! beside the workspace), or those that are named. Copies are planted from 5 seeds: of 40 photos for each kind of
//! change, into all photos of the set. A pair counts as false if it is neither planted nor found without the copies; those
//! that are found without them are listed, to be judged by eye.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark shows numbers and stops at any problem"
)]

use image::imageops::{self, FilterType};
use rand::RngExt;
use rand::seq::SliceRandom;
use sciurus_data::{DecodeLimits, RgbImage, Rng, Seed, decode_file};
use sciurus_photos::{
    DuplicateOptions, KnownReports, PerceptualHash, Photo, PixelReport, QualityIssue, Sameness, blurry,
    find_duplicates, inspect_pixels, jpeg, near_hashes, unsharp,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

const SEEDS: u64 = 5;
const COPIES: usize = 40;

fn main() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let data = std::env::var_os("SCIURUS_SHARED").map_or(beside, PathBuf::from).join("data");
    if !data.is_dir() {
        println!("no photos at {}; set SCIURUS_SHARED", data.display());
        return;
    }
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    for set in ["squirrels_red_grey", "hymenoptera", "imagenette160"] {
        if asked.is_empty() || asked.iter().any(|name| name == set) {
            planted(&data, set);
        }
    }
    if asked.is_empty() {
        blur(&data);
        million_hashes();
    }
}

/// A change of a photo, as a file.
type Change = fn(&RgbImage, &mut Rng) -> Vec<u8>;

const CHANGES: [(&str, Change); 9] = [
    ("same bytes", |image, _| file(image, 92)),
    ("JPEG quality 30-90", |image, rng| file(image, rng.random_range(30..=90))),
    ("resize 0.5-2", |image, rng| {
        let factor = 2.0_f64.powf(rng.random_range(-1.0..1.0));
        let length = |length: u32| (f64::from(length) * factor).round().max(1.0) as u32;
        let (width, height) = (length(image.width()), length(image.height()));
        file(&imageops::resize(image, width, height, FilterType::CatmullRom), 90)
    }),
    ("crop 5-15 % of each side length, anywhere", |image, rng| {
        let keep = |length: u32, rng: &mut Rng| {
            let kept = (f64::from(length) * (1.0 - rng.random_range(0.05..0.15))) as u32;
            (rng.random_range(0..=length - kept), kept)
        };
        let ((left, width), (top, height)) = (keep(image.width(), rng), keep(image.height(), rng));
        file(&imageops::crop_imm(image, left, top, width, height).to_image(), 90)
    }),
    ("crop 5-15 % at every edge", |image, rng| {
        let cut = |length: u32, rng: &mut Rng| (f64::from(length) * rng.random_range(0.05..0.15)) as u32;
        let (left, right) = (cut(image.width(), rng), cut(image.width(), rng));
        let (top, bottom) = (cut(image.height(), rng), cut(image.height(), rng));
        let (width, height) = (image.width() - left - right, image.height() - top - bottom);
        file(&imageops::crop_imm(image, left, top, width, height).to_image(), 90)
    }),
    ("mirror", |image, _| file(&imageops::flip_horizontal(image), 90)),
    ("brightness 0.6-1.5", |image, rng| {
        let factor = if rng.random() { rng.random_range(0.6..0.9) } else { rng.random_range(1.1..1.5) };
        let mut bright = image.clone();
        bright.iter_mut().for_each(|value| *value = (f64::from(*value) * factor).min(255.0) as u8);
        file(&bright, 90)
    }),
    ("caption strip below, 8-15 %", |image, rng| {
        let strip = (f64::from(image.height()) * rng.random_range(0.08..0.15)) as u32;
        let mut taller = RgbImage::new(image.width(), image.height() + strip);
        imageops::replace(&mut taller, image, 0, 0);
        caption(&mut taller, strip, rng);
        file(&taller, 90)
    }),
    ("caption strip over the photo, 8-15 %", |image, rng| {
        let strip = (f64::from(image.height()) * rng.random_range(0.08..0.15)) as u32;
        let mut written = image.clone();
        caption(&mut written, strip, rng);
        file(&written, 90)
    }),
];

fn file(image: &RgbImage, quality: u8) -> Vec<u8> {
    jpeg(image, quality).expect("photos have pixels")
}

/// Black blocks like letters on white, or the other way round, at the lower edge.
fn caption(image: &mut RgbImage, strip: u32, rng: &mut Rng) {
    let (paper, ink) = if rng.random() { (255, 0) } else { (0, 255) };
    let top = image.height() - strip;
    for y in top..image.height() {
        for x in 0..image.width() {
            image.put_pixel(x, y, [paper; 3].into());
        }
    }
    let letter = (strip / 2).max(2);
    let mut x = letter;
    while x + letter < image.width() * 4 / 5 {
        for place in 0..letter * letter {
            if rng.random_range(0..3) > 0 {
                image.put_pixel(x + place % letter, top + strip / 4 + place / letter, [ink; 3].into());
            }
        }
        x += letter * if rng.random_range(0..6) == 0 { 2 } else { 1 } + 1;
    }
}

fn paths(root: &Path, set: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.join(set)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the set is a folder") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending != "csv") {
                found.push(path.strip_prefix(root).expect("it lies below").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn planted(data: &Path, set: &str) {
    let (paths, limits) = (paths(data, set), DecodeLimits::default());
    let start = Instant::now();
    let found =
        inspect_pixels(data, &paths, &KnownReports::default(), &limits, |_| ControlFlow::Continue(()))
            .expect("files can be opened");
    println!(
        "\n{set}: {} photos inspected in {:.2} s, {} skipped",
        found.files.len(),
        start.elapsed().as_secs_f64(),
        found.skipped.len()
    );
    let mut reports: Vec<PixelReport> = found.files.iter().map(|file| file.report.clone()).collect();
    let originals = reports.len();
    let start = Instant::now();
    let there = pairs(&reports);
    println!("{} pairs are there already, found in {:.2} s:", there.len(), start.elapsed().as_secs_f64());
    for (&(a, b), correlation) in &there {
        println!("    {correlation:.3} {} {}", found.files[a].path.display(), found.files[b].path.display());
    }
    println!(
        "{:42} {:>8} {:>7} {:>6}  {:>13} {:>8}",
        "kind of copy", "recall %", "lowest", "alike", "false pairs %", "alike"
    );
    for (kind, (name, change)) in CHANGES.into_iter().enumerate() {
        let mut tally = Tally::default();
        for seed in 0..SEEDS {
            let rng = &mut Seed(seed).rng(&[kind as u64]);
            let mut chosen: Vec<usize> = (0..originals).collect();
            chosen.shuffle(rng);
            chosen.truncate(COPIES);
            reports.truncate(originals);
            for &photo in &chosen {
                let path = data.join(&found.files[photo].path);
                let bytes = match kind {
                    0 => std::fs::read(path).expect("it was read before"),
                    _ => change(&decode_file(path, &limits).expect("it was decoded"), rng),
                };
                reports.push(PixelReport::of(&bytes, &limits).expect("it was just written"));
            }
            tally.add(&pairs(&reports), &there, originals, &chosen);
        }
        println!("{name:42} {tally}");
    }
}

/// What became of the copies of one kind.
#[derive(Debug)]
struct Tally {
    recalls: Vec<f64>,
    pairs: usize,
    wrong: usize,
    /// Correlation of the planted pair that is least alike.
    least: f32,
    /// Correlation of the false pair that is most alike.
    most: f32,
}

impl Default for Tally {
    fn default() -> Self {
        Self { recalls: Vec::new(), pairs: 0, wrong: 0, least: 1.0, most: 0.0 }
    }
}

impl Tally {
    /// Adds the pairs of one seed, whose copies of the `chosen` photos come after the originals.
    fn add(&mut self, got: &Pairs, there: &Pairs, originals: usize, chosen: &[usize]) {
        let origin = |place: usize| if place < originals { place } else { chosen[place - originals] };
        let mut hits = 0;
        for (&(first, second), &correlation) in got {
            let (a, b) = (origin(first), origin(second));
            if second >= originals && a == b {
                hits += 1;
                self.least = self.least.min(correlation);
            } else if a != b && !there.contains_key(&(a.min(b), a.max(b))) {
                self.wrong += 1;
                self.most = self.most.max(correlation);
            }
        }
        self.pairs += got.len();
        self.recalls.push(100.0 * f64::from(hits) / chosen.len() as f64);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { recalls, pairs, wrong, least, most } = self;
        let lowest = recalls.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = recalls.iter().sum::<f64>() / recalls.len() as f64;
        let share = 100.0 * *wrong as f64 / (*pairs).max(1) as f64;
        write!(f, "{mean:8.1} {lowest:7.1} {least:6.3}  {share:5.2} {wrong:3}/{pairs} {most:8.3}")
    }
}

/// Pairs of photos, and how alike they are.
type Pairs = BTreeMap<(usize, usize), f32>;

/// All pairs, with their correlation; those of equal files too, each with its first.
fn pairs(reports: &[PixelReport]) -> Pairs {
    let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    let found = find_duplicates(&photos, &DuplicateOptions::default(), &[]);
    let likeness =
        |sameness| if let Sameness::Near(alignment) = sameness { alignment.correlation } else { 1.0 };
    found.pairs.iter().map(|pair| ((pair.first, pair.second), likeness(pair.sameness))).collect()
}

/// Sharp photos and drawings against blurred copies: how often the sharp one has the better score, and what is flagged.
fn blur(data: &Path) {
    let limits = DecodeLimits::default();
    let load = |junk: bool| -> Vec<RgbImage> {
        let paths = paths(data, "squirrels_red_grey");
        let chosen = paths.iter().filter(|path| path.to_string_lossy().contains("_junk") == junk);
        chosen.map(|path| decode_file(data.join(path), &limits).expect("the photos are whole")).collect()
    };
    let (photos, junk) = (load(false), load(true));
    let measure = |image: &RgbImage| {
        let report = PixelReport::of(&file(image, 95), &limits).expect("it was just written");
        [blurry(&report.measures), unsharp(&report.measures)]
    };
    let sharp: Vec<[QualityIssue; 2]> = photos.iter().map(measure).collect();
    let drawn: Vec<[QualityIssue; 2]> = junk.iter().map(measure).collect();
    let blurred: Vec<Vec<[QualityIssue; 2]>> = [1.0, 2.0, 3.0, 4.0]
        .iter()
        .map(|&sigma| photos.iter().map(|photo| measure(&imageops::blur(photo, sigma))).collect())
        .collect();
    for (check, name) in ["blurry (CleanVision's)", "unsharp"].into_iter().enumerate() {
        let scores =
            |rows: &[[QualityIssue; 2]]| rows.iter().map(|row| row[check].score).collect::<Vec<f64>>();
        let flagged = |rows: &[[QualityIssue; 2]]| {
            100.0 * rows.iter().filter(|row| row[check].is_issue()).count() as f64 / rows.len() as f64
        };
        println!(
            "\n{name}: flags {:.1} % of sharp photos, {:.1} % of drawings",
            flagged(&sharp),
            flagged(&drawn)
        );
        for (sigma, rows) in (1..).zip(&blurred) {
            let against = |others: &[[QualityIssue; 2]]| auroc(&scores(rows), &scores(others));
            let (photos, drawings) = (against(&sharp), against(&drawn));
            println!(
                "blurred by {sigma} pixels: AUROC against photos {photos:.3}, against drawings {drawings:.3}; {:.1} % flagged",
                flagged(rows)
            );
        }
    }
}

fn auroc(low: &[f64], high: &[f64]) -> f64 {
    let won = |a: f64, b: f64| {
        if a < b {
            1.0
        } else if a == b {
            0.5
        } else {
            0.0
        }
    };
    let wins: f64 = low.iter().flat_map(|&a| high.iter().map(move |&b| won(a, b))).sum();
    wins / (low.len() * high.len()) as f64
}

/// A million random hashes with copies planted among them.
fn million_hashes() {
    let rng = &mut Seed(1).rng(&[]);
    let mut photos: Vec<[PerceptualHash; 8]> =
        (0..1_000_000).map(|_| std::array::from_fn(|_| PerceptualHash(rng.random()))).collect();
    for copy in 0..10_000 {
        let turn = copy % 8;
        let mut hash = photos[copy][turn].0;
        (0..copy % 9).for_each(|_| hash ^= 1 << rng.random_range(0..64));
        photos[500_000 + copy][0] = PerceptualHash(hash);
    }
    for radius in [6, 8] {
        let start = Instant::now();
        let pairs = near_hashes(&photos, radius);
        let planted = pairs.iter().filter(|pair| pair.second == pair.first + 500_000).count();
        println!(
            "1,000,000 photos in 8 orientations, radius {radius}: {} pairs, {planted} planted, {:.1} s",
            pairs.len(),
            start.elapsed().as_secs_f64()
        );
    }
}
