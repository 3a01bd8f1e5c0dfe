//! What several tests need: real photos, and folders with small made-up ones.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub(crate) mod hostile;

use image::{ImageFormat, RgbImage};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// The folder of real photos, from `SCIURUS_SHARED` or beside the workspace. Without it, a test that needs photos fails
/// in CI and passes with a note elsewhere.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let data = std::env::var_os("SCIURUS_SHARED").map_or(beside, PathBuf::from).join("data");
    if data.is_dir() {
        return Some(data);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no photos at {}", data.display());
    println!("not run: no photos at {}; set SCIURUS_SHARED", data.display());
    None
}

/// A picture with some detail, different for each seed.
pub(crate) fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let value = |a: u32, b: u32| ((x * a + y * b + seed * 40) / 2 % 256) as u8;
        image::Rgb([value(3, 1), value(1, 4), value(seed + 1, 2)])
    })
}

pub(crate) fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn write(path: PathBuf, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder with `per_class` JPEG pictures in each class.
pub(crate) fn class_folders(root: &Path, classes: &[&str], per_class: u32) {
    for (class, label) in classes.iter().enumerate() {
        for i in 0..per_class {
            let image = picture(60 + 5 * i, 70, class as u32 * 100 + i);
            write(root.join(label).join(format!("{i:02}.jpg")), &encoded(&image, ImageFormat::Jpeg));
        }
    }
}
