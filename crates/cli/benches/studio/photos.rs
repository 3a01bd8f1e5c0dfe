//! Many photos from a few: each is a piece of one photo under which a piece of another one can be seen, in changed colours, so that
//! no two are alike and all cost what photos cost.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use rayon::prelude::*;

use crate::dice::Dice;

/// What search engines show of a photo, and what data sets hold.
pub(crate) const USUAL: Sizes = Sizes { piece: (500, 375), whole: (640, 480) };
/// As small as a thumbnail, where the number of photos is what counts.
pub(crate) const SMALL: Sizes = Sizes { piece: (128, 96), whole: (160, 120) };
const QUALITY: u8 = 88;
/// One photo in so many lies in a wrong folder.
const WRONG: u64 = 25;

/// Pixels of what is made, and of what pieces are taken from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    piece: (u32, u32),
    whole: (u32, u32),
}

/// A photo, and the folder that it comes from.
struct Source {
    class: String,
    picture: RgbImage,
}

/// Makes as many in folders of their classes, unless they are there.
pub(crate) fn make(from: &Path, to: &Path, count: usize, sizes: Sizes) {
    // Beside them, so that it is none of them.
    let mark = to.with_file_name(format!("{count} photos"));
    if mark.is_file() {
        return;
    }
    assert!(!to.exists(), "{} has other photos; name another folder", to.display());
    eprintln!("making {count} photos from those in {}", from.display());
    let sources = sources(from, sizes);
    let mut classes: Vec<&String> = sources.iter().map(|source| &source.class).collect();
    classes.sort();
    classes.dedup();
    assert!(classes.len() > 1, "{} has no folders of classes", from.display());
    classes.iter().for_each(|class| fs::create_dir_all(to.join(class)).unwrap());
    (0..count).into_par_iter().for_each(|number| {
        let mut dice = Dice(number as u64);
        let [over, under] = [0; 2].map(|_| &sources[dice.below(sources.len() as u64) as usize]);
        let class = match dice.below(WRONG) {
            0 => classes[dice.below(classes.len() as u64) as usize],
            _ => &over.class,
        };
        let file = File::create(to.join(class).join(format!("{number:06}.jpg"))).unwrap();
        let encoder = JpegEncoder::new_with_quality(BufWriter::new(file), QUALITY);
        mixed([&over.picture, &under.picture], sizes, &mut dice).write_with_encoder(encoder).unwrap();
    });
    fs::write(mark, "").unwrap();
}

/// All JPEGs below a folder.
fn sources(folder: &Path, Sizes { whole: (width, height), .. }: Sizes) -> Vec<Source> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let source = |path: &PathBuf| {
        let picture = image::open(path).ok()?.to_rgb8();
        let class = path.parent()?.file_name()?.to_str()?.to_owned();
        Some(Source { class, picture: imageops::resize(&picture, width, height, FilterType::Triangle) })
    };
    files.par_iter().filter_map(source).collect()
}

/// A piece of one photo over a piece of another.
fn mixed(
    [over, under]: [&RgbImage; 2],
    Sizes { piece: (width, height), whole }: Sizes,
    dice: &mut Dice,
) -> RgbImage {
    let mut piece = || {
        let [x, y] = [whole.0 - width, whole.1 - height].map(|room| dice.below(u64::from(room) + 1) as u32);
        (x, y, dice.below(2) == 1)
    };
    let (first, second) = (piece(), piece());
    let strength = 160 + dice.below(60) as u32;
    let gains = [0; 3].map(|_| 210 + dice.below(80) as u32);
    let at = |(left, top, mirrored): (u32, u32, bool), x: u32, y: u32| {
        (left + if mirrored { width - 1 - x } else { x }, top + y)
    };
    RgbImage::from_fn(width, height, |x, y| {
        let ((ax, ay), (bx, by)) = (at(first, x, y), at(second, x, y));
        let (a, b) = (over.get_pixel(ax, ay), under.get_pixel(bx, by));
        Rgb([0, 1, 2].map(|channel| {
            let mix = u32::from(a[channel]) * strength + u32::from(b[channel]) * (256 - strength);
            (mix * gains[channel] / (256 * 256)).min(255) as u8
        }))
    })
}
