//! Bytes as a table of labels beside two tiny photos: a data set, or an error; and never a file from elsewhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_data::{CsvLabels, ImageDataset};
use std::path::{Component, Path};
use std::sync::LazyLock;
use tempfile::TempDir;

/// A red and a grey pixel as BMP, in memory where there is such a folder.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = TempDir::new_in(parent).expect("a temporary folder can be made");
    for (name, pixel) in [("a.bmp", [0, 0, 255, 0]), ("b.bmp", [90, 90, 90, 0])] {
        let mut bmp = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
        bmp.extend([0; 24]);
        bmp.extend(pixel);
        std::fs::write(folder.path().join(name), bmp).expect("a photo can be written");
    }
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("labels.csv");
    std::fs::write(&path, bytes).expect("the table can be written");
    for labels in [CsvLabels::new(&path), CsvLabels::new(&path).label_separator(' ')] {
        match ImageDataset::from_csv(labels).build() {
            Ok(dataset) => {
                let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
                assert!(dataset.items.iter().all(|item| inside(&item.path)));
            }
            Err(error) => assert!(error.to_string().len() < 100_000),
        }
    }
});
