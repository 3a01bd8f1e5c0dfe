//! Our `Resize` against fastai's, as Pillow computes it: formula image, real photos and odd ones.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use sciurus_data::{
    DecodeLimits, RandomResizedCrop, Resize, ResizeMethod, RgbImage, Rng, Seed, Transform, decode_file,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/resize.json")).unwrap()
}

fn rng() -> Rng {
    Seed(0).rng(&[])
}

fn resize(image: &RgbImage, size: usize, method: ResizeMethod) -> RgbImage {
    Resize { size, method }.apply(image.clone(), &mut rng())
}

/// The largest difference in the 16 golden pixels, and in the means.
fn difference(image: &RgbImage, golden: &Value) -> (f64, f64) {
    assert_eq!(u64::from(image.width()), golden["width"]);
    assert_eq!(u64::from(image.height()), golden["height"]);
    let pixels: Vec<[u32; 5]> = serde_json::from_value(golden["pixels"].clone()).unwrap();
    assert_eq!(pixels.len(), 16);
    let mut worst = 0.0_f64;
    for [x, y, want @ ..] in pixels {
        for (got, want) in image.get_pixel(x, y).0.into_iter().zip(want) {
            worst = worst.max((f64::from(got) - f64::from(want)).abs());
        }
    }
    let means: [f64; 3] = serde_json::from_value(golden["mean"].clone()).unwrap();
    let count = f64::from(image.width()) * f64::from(image.height());
    let mean = |c: usize| image.pixels().map(|pixel| f64::from(pixel.0[c])).sum::<f64>() / count;
    let off = (0..3).map(|c| (mean(c) - means[c]).abs()).fold(0.0, f64::max);
    (worst, off)
}

fn assert_close(what: &str, image: &RgbImage, golden: &Value, (pixel, mean): (f64, f64)) {
    let (worst, off) = difference(image, golden);
    assert!(worst <= pixel && off <= mean, "{what}: pixels differ by {worst}, means by {off}");
}

const RESIZE_ONLY: (f64, f64) = (1.0, 0.05);

fn formula() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| {
        [((37 * x + 11 * y) % 256) as u8, ((5 * x + 83 * y) % 256) as u8, ((x * x + 3 * y) % 256) as u8]
            .into()
    })
}

#[test]
fn golden_formula_image() {
    let golden = golden();
    let (formula, golden) = (formula(), &golden["formula"]);
    assert_close("source", &formula, &golden["source"], (0.0, 1e-9));
    for (name, method) in [
        ("crop_24", ResizeMethod::Crop),
        ("squish_24", ResizeMethod::Squish),
        ("pad_reflection_24", ResizeMethod::Pad),
    ] {
        assert_close(name, &resize(&formula, 24, method), &golden[name], RESIZE_ONLY);
    }
}

/// Each result of the golden file for one source.
fn assert_all(name: &str, source: &RgbImage, golden: &Value, tolerance: (f64, f64)) {
    let check = |key: &str, image: &RgbImage| {
        if let Some(golden) = golden.get(key) {
            assert_close(&format!("{name} {key}"), image, golden, tolerance);
        }
    };
    check("resize_460_crop", &resize(source, 460, ResizeMethod::Crop));
    check("resize_224_crop", &resize(source, 224, ResizeMethod::Crop));
    check("resize_224_squish", &resize(source, 224, ResizeMethod::Squish));
    check("resize_224_pad_reflection", &resize(source, 224, ResizeMethod::Pad));
    let (squish, centre) = RandomResizedCrop::new(224).valid();
    let image = centre.apply(squish.apply(source.clone(), &mut rng()), &mut rng());
    check("random_resized_crop_224_valid", &image);
}

/// Compares the decoded source first: where the decoder gives the same pixels the resize must too; where it differs by
/// a little (JPEG and WebP leave rounding to the decoder), the results may differ by as much.
fn assert_image(name: &str, source: &RgbImage, golden: &Value) {
    let (pixel, mean) = difference(source, &golden["source"]);
    println!("{name}: the decoder differs by {pixel} in pixels, {mean:.4} in means");
    assert!(pixel <= 4.0 && mean <= 0.4, "{name}: the decoder differs by {pixel} in pixels, {mean} in means");
    assert_all(name, source, golden, (RESIZE_ONLY.0 + pixel, RESIZE_ONLY.1 + mean));
}

#[test]
fn golden_photos() {
    let Some(data) = support::shared_data() else { return };
    let golden = golden();
    let images = golden["images"].as_object().unwrap();
    assert_eq!(images.len(), 4);
    for (name, golden) in images {
        assert_image(name, &decode_file(data.join(name), &DecodeLimits::default()).unwrap(), golden);
    }
}

#[test]
fn golden_odd_photos() {
    let Some(data) = support::shared_data() else { return };
    let golden = golden();
    for (name, golden) in golden["odd"].as_object().unwrap() {
        let source = decode_file(data.join(name), &DecodeLimits::default()).unwrap();
        match (golden.get("exif_transposed"), golden["mode"].as_str()) {
            // fastai leaves the photo on its side; we turn it upright, as every viewer does.
            (Some(upright), _) => assert_image(name, &source, upright),
            // fastai drops the alpha channel, so that hidden colours appear; we blend over white.
            (None, Some("RGBA")) => assert_eq!(source.dimensions(), (691, 245)),
            (None, _) => assert_image(name, &source, golden),
        }
    }
}
