//! Our pixel checks against CleanVision's, for every image of three sets of real photos, and our perceptual hash against
//! imagehash's.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

#[path = "../../data/tests/support/mod.rs"]
mod support;

use md5::{Digest, Md5};
use sciurus_data::{DecodeLimits, RgbImage, decode_file};
use sciurus_photos::{
    Channels, KnownReports, PerceptualHash, PixelMeasures, PixelReport, QualityIssue, Turn, blurry, dark,
    greyscale, inspect_pixels, light, low_information, odd_aspect, odd_size,
};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const SETS: [(&str, usize); 3] =
    [("squirrels_red_grey", 378), ("bears_google_huang", 481), ("bad_inputs_real", 37)];

type Row = HashMap<String, String>;

/// The rows of one set.
fn golden(data: &Path, set: &str) -> Vec<Row> {
    let mut table = csv::Reader::from_path(data.join("../golden/cleanvision.csv")).unwrap();
    let rows = table.deserialize::<Row>().map(Result::unwrap);
    rows.filter(|row| row["file"].starts_with(&format!("{set}/"))).collect()
}

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

/// Whether our decoder gives the pixels that Pillow's gave.
fn same_pixels(data: &Path, row: &Row) -> bool {
    let image = decode_file(data.join(&row["file"]), &DecodeLimits::default()).unwrap();
    let grey: Vec<u8> = image.as_raw().iter().copied().step_by(3).collect();
    let bytes = if row["mode"] == "L" { &grey } else { image.as_raw() };
    let hash: String = Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    hash == row["md5_pixels"]
}

/// One of our measures.
type Measure = fn(&PixelMeasures) -> f64;

/// CleanVision's raw values, and how far ours may be from them where our decoder's pixels differ from Pillow's (JPEG and
/// WebP leave rounding to the decoder; by up to 4 of 255 levels here). Each is the largest difference of the sets, rounded
/// up. Where the pixels are equal, all agree to the ten digits that are written down.
const RAW: [(&str, Measure, f64); 5] = [
    ("brightness_p99", |measures| measures.brightness_p99, 0.0013),
    ("brightness_p5", |measures| measures.brightness_p5, 0.0015),
    ("entropy_bits", |measures| measures.entropy_bits, 0.023),
    ("blurriness", |measures| measures.edges, 0.15),
    ("grey_hist_std", |measures| measures.grey_histogram_std, 0.79),
];

/// The golden raw values as ours.
fn golden_measures(row: &Row) -> PixelMeasures {
    PixelMeasures {
        brightness_p99: number(row, "brightness_p99"),
        brightness_p5: number(row, "brightness_p5"),
        entropy_bits: number(row, "entropy_bits"),
        edges: number(row, "blurriness"),
        grey_histogram_std: number(row, "grey_hist_std"),
        chroma_p99: 0,
        sharpness: 0.0,
    }
}

/// Scores and flags of all seven checks, from measures.
fn judged(measures: &PixelMeasures, row: &Row, size: QualityIssue) -> Vec<(QualityIssue, &'static str)> {
    let side = |column: &str| row[column].parse().unwrap();
    let channels = if row["mode"] == "L" { Channels::Grey } else { Channels::Colour };
    vec![
        (dark(measures), "dark"),
        (light(measures), "light"),
        (odd_aspect(side("width"), side("height")), "odd_aspect_ratio"),
        (low_information(measures), "low_information"),
        (blurry(measures), "blurry"),
        (greyscale(channels), "grayscale"),
        (size, "odd_size"),
    ]
}

fn odd_sizes(rows: &[Row]) -> Vec<QualityIssue> {
    let size = |row: &Row| (row["width"].parse().unwrap(), row["height"].parse().unwrap());
    odd_size(&rows.iter().map(size).collect::<Vec<_>>())
}

#[test]
fn golden_scores_and_flags_follow_from_cleanvisions_raw_values() {
    let Some(data) = support::shared_data() else { return };
    for (set, count) in SETS {
        let rows = golden(&data, set);
        assert_eq!(rows.len(), count);
        for (row, size) in rows.iter().zip(odd_sizes(&rows)) {
            for (issue, name) in judged(&golden_measures(row), row, size) {
                let off = (issue.score - number(row, &format!("{name}_score"))).abs();
                assert!(off < 1e-9, "{} {name}: {off}", row["file"]);
                let flag = u8::from(issue.is_issue()).to_string();
                assert_eq!(flag, row[&format!("is_{name}")], "{} {name}", row["file"]);
            }
        }
    }
}

#[test]
fn golden_raw_values_of_our_pixels() {
    let Some(data) = support::shared_data() else { return };
    let (mut worst, mut equal, mut seen) = ([[0.0_f64; 2]; RAW.len()], 0, 0);
    for (set, _) in SETS {
        let rows = golden(&data, set);
        let paths: Vec<PathBuf> = rows.iter().map(|row| PathBuf::from(&row["file"])).collect();
        let found = inspect_pixels(&data, &paths, &KnownReports::default(), &DecodeLimits::default(), |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(found.skipped, []);
        for ((row, file), size) in rows.iter().zip(&found.files).zip(odd_sizes(&rows)) {
            // CleanVision judges palettes by their numbers, and alpha as a colour; we judge what is seen.
            if !matches!(row["mode"].as_str(), "RGB" | "L") {
                continue;
            }
            let differs = usize::from(!same_pixels(&data, row));
            (equal, seen) = (equal + 1 - differs, seen + 1);
            for (worst, (column, value, tolerance)) in worst.iter_mut().zip(RAW) {
                let off = (value(&file.report.measures) - number(row, column)).abs();
                worst[differs] = worst[differs].max(off);
                let tolerance = [1e-9, tolerance][differs];
                assert!(off <= tolerance, "{} {column}: {off} above {tolerance}", row["file"]);
            }
            assert_eq!(file.report.channels == Channels::Grey, row["mode"] == "L", "{}", row["file"]);
            for (issue, name) in judged(&file.report.measures, row, size) {
                let flag = u8::from(issue.is_issue()).to_string();
                assert_eq!(flag, row[&format!("is_{name}")], "{} {name}", row["file"]);
            }
        }
    }
    println!("{equal} of {seen} have Pillow's pixels");
    RAW.iter()
        .zip(worst)
        .for_each(|((column, ..), worst)| println!("{column:16} {:.1e} {:.1e}", worst[0], worst[1]));
    assert!(equal >= 40, "{equal}");
}

#[test]
fn golden_phash_of_photos() {
    let Some(data) = support::shared_data() else { return };
    let mut counts = [[0; 4]; 2];
    for (set, _) in SETS {
        for row in golden(&data, set) {
            let Ok(image) = decode_file(data.join(&row["file"]), &DecodeLimits::default()) else { continue };
            let shown =
                matches!(row["mode"].as_str(), "RGB" | "L") && (image.width().to_string() == row["width"]);
            if !shown {
                continue;
            }
            let same = same_pixels(&data, &row);
            let distance = PerceptualHash::of(&image).distance(row["phash"].parse().unwrap());
            counts[usize::from(!same)][distance.min(3) as usize] += 1;
        }
    }
    println!("distance 0, 1, 2, more: pixels equal {:?}, else {:?}", counts[0], counts[1]);
    assert!(counts[0][0] >= 40 && counts[0][1..] == [0; 3], "equal pixels: {:?}", counts[0]);
    assert!(counts[1][3] == 0 && counts[1][1] + counts[1][2] <= 11, "other pixels: {:?}", counts[1]);
}

fn phash_golden() -> Value {
    serde_json::from_str(include_str!("golden/phash.json")).unwrap()
}

fn hash_of(value: &Value) -> PerceptualHash {
    value.as_str().unwrap().parse().unwrap()
}

/// A report of an image that no decoder has touched: through a PNG file.
fn report(image: &RgbImage) -> PixelReport {
    PixelReport::of(&support::encoded(image, image::ImageFormat::Png), &DecodeLimits::default()).unwrap()
}

#[test]
fn golden_phash_of_a_formula() {
    let golden = &phash_golden()["formula"];
    let image = RgbImage::from_fn(40, 30, |x, y| {
        [((37 * x + 11 * y) % 256) as u8, ((5 * x + 83 * y) % 256) as u8, ((x * x + 3 * y) % 256) as u8]
            .into()
    });
    assert_eq!(PerceptualHash::of(&image), hash_of(&golden["phash"]));
    let small: Vec<Vec<u8>> = serde_json::from_value(golden["grey_32x32"].clone()).unwrap();
    let report = report(&image);
    assert_eq!(report.thumbnail.0.as_slice(), small.concat());
    assert_eq!(report.hashes[0], hash_of(&golden["phash"]));
}

#[test]
fn golden_phash_of_turned_photos() {
    let Some(data) = support::shared_data() else { return };
    let turns = [
        ("original", "upright"),
        ("mirror", "mirrored"),
        ("flip", "upside down, mirrored"),
        ("rotate90", "turned to the left"),
    ];
    for (name, golden) in phash_golden()["images"].as_object().unwrap() {
        let report = report(&decode_file(data.join(name), &DecodeLimits::default()).unwrap());
        for (copy, turn) in turns {
            let place = Turn::ALL.iter().position(|known| known.to_string() == turn).unwrap();
            let distance = report.hashes[place].distance(hash_of(&golden["hashes_and_distances"][copy][0]));
            assert!(distance <= 2, "{name} {copy}: {distance}");
        }
    }
}
