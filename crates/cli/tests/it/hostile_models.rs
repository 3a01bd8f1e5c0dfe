//! Models from the internet, given to `sciurus predict`: refused at little cost, and never an answer that is no number.

use std::path::Path;
use std::process::Command;

use sciurus::data::RgbImage;
use sciurus::{Error, ModelBundle, Predictor};

use crate::support::{Ran, drawn, sciurus, train};

/// A folder with a model that was trained for a moment, and a white picture.
fn trained() -> (tempfile::TempDir, ModelBundle) {
    let folder = drawn(6);
    train(folder.path(), "run", "--epochs 1").expect(0);
    RgbImage::from_pixel(64, 64, [255; 3].into()).save(folder.path().join("white.png")).unwrap();
    let bundle = ModelBundle::load(&folder.path().join("run/model.sciurus")).unwrap();
    (folder, bundle)
}

/// Predicts with 3 s of processor time and an address space of 2 GB, of which the program and its threads take some.
fn limited(folder: &Path, model: &str) -> Ran {
    let script = "ulimit -t 3 && ulimit -v 2000000 && exec \"$0\" predict \"$1\" white.png --threads 1";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_sciurus"), model])
        .current_dir(folder)
        .env("NO_COLOR", "1");
    command.output().unwrap().into()
}

#[test]
fn a_model_with_numbers_that_are_none_is_refused() {
    let (folder, bundle) = trained();
    for value in [f32::NAN, f32::INFINITY, f32::MAX] {
        let mut spoilt = bundle.clone();
        spoilt.state.get_mut("body.conv1.weight").unwrap().values[5] = value;
        spoilt.save(&folder.path().join("m.sciurus")).unwrap();
        let ran = sciurus(folder.path(), &["predict", "m.sciurus", "white.png"]).expect(2);
        assert!(
            ran.out.is_empty() && ran.err.contains("m.sciurus") && ran.err.contains("not finite"),
            "{}",
            ran.err
        );
    }
}

/// Black and white squares of this side in no order: more contrast than any grey or noise has.
fn squares(side: u32) -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| {
        let place = (x / side * 64 + y / side + 1).wrapping_mul(2_654_435_761);
        [if place & 0x1_0000 > 0 { 255 } else { 0 }; 3].into()
    })
}

/// Saves the model with weights so large that it is sound for the pictures it is tried on, and not for another.
fn overflowing(folder: &Path, bundle: &ModelBundle) -> bool {
    let path = folder.join("m.sciurus");
    (0..200).any(|step| {
        let mut spoilt = bundle.clone();
        for (name, factor) in [("linear_1", 1e12), ("linear_2", 1e20 * 1.25_f32.powi(step))] {
            let weights = &mut spoilt.state.get_mut(&format!("head.{name}.weight")).unwrap().values;
            weights.iter_mut().for_each(|value| *value = (*value * factor).clamp(-3e38, 3e38));
        }
        spoilt.save(&path).unwrap();
        let Ok(model) = Predictor::load(&path) else { return false };
        [1, 2, 4, 8, 16, 32].map(squares).into_iter().any(|picture| {
            picture.save(folder.join("picture.png")).unwrap();
            matches!(model.predict(&picture), Err(Error::NotFinite { .. }))
        })
    })
}

#[test]
fn an_answer_that_is_no_number_is_a_failure() {
    let (folder, bundle) = trained();
    assert!(overflowing(folder.path(), &bundle), "with some weights, one picture alone overflows");
    for format in [&[][..], &["--json"], &["--format", "csv"]] {
        let ran =
            sciurus(folder.path(), &[&["predict", "m.sciurus", "picture.png"], format].concat()).expect(2);
        assert!(!ran.out.to_lowercase().contains("nan") && !ran.out.contains("acorn"), "{}", ran.out);
        assert!(ran.err.contains("m.sciurus: the model's outputs are not finite"), "{}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn models_that_would_cost_too_much_are_refused_at_once() {
    let (folder, bundle) = trained();
    let path = |name: &str| folder.path().join(name);
    bundle.save(&path("sound.sciurus")).unwrap();
    limited(folder.path(), "sound.sciurus").expect(0);
    let mut large = bundle;
    large.manifest.preprocessing.image_size = 4096;
    large.save(&path("large.sciurus")).unwrap();
    let tensor = |i: usize| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let header = format!("{{{}}}", (0..1_700_000).map(tensor).collect::<Vec<_>>().join(","));
    let flood = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat();
    std::fs::write(path("flood.sciurus"), flood).unwrap();
    std::fs::File::create(path("sparse.sciurus")).unwrap().set_len(1 << 40).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe.sciurus")).status().unwrap().success());
    for (name, words) in [
        ("large.sciurus", "image size 4096 is above the limit"),
        ("flood.sciurus", "at most 32 MB are read"),
        ("sparse.sciurus", "MB are read"),
        ("pipe.sciurus", "not a regular file"),
        ("photos", "is a folder, but not of a run"),
        ("/dev/zero", "not a regular file"),
    ] {
        let ran = limited(folder.path(), name).expect(2);
        assert!(ran.err.contains(words) && ran.err.contains(name), "{name}: {}", ran.err);
    }
}
