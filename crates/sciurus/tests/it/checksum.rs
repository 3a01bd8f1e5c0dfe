//! Model files that were damaged on their way: a checksum tells, and files from before there was one are still read.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sciurus::ModelBundle;

use crate::models::{bundle, saved};

#[test]
fn a_flipped_bit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(saved(folder.path(), "m.sciurus", |_| ())).unwrap();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let path = folder.path().join("flipped.sciurus");
    // All over the header, and over the values.
    let places = (0..header)
        .step_by(41)
        .chain((header..whole.len()).step_by(whole.len() / 60))
        .chain([whole.len() - 1]);
    for place in places {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&path, flipped).unwrap();
        let error =
            ModelBundle::load(&path).map(drop).expect_err(&format!("bit {} of byte {place}", place % 8));
        assert!(error.to_string().contains("flipped.sciurus"), "{error}");
    }
    let mut flipped = whole.clone();
    flipped[header + 10] ^= 1;
    std::fs::write(&path, flipped).unwrap();
    assert!(ModelBundle::load(&path).unwrap_err().to_string().contains("does not match its checksum"));
}

#[test]
fn the_checksum_does_not_go_unseen_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(saved(folder.path(), "m.sciurus", |_| ())).unwrap();
    let at = whole.windows(8).position(|part| part == b"\"blake3\"").unwrap();
    let mut renamed = whole;
    renamed[at + 1] = b'c';
    let path = folder.path().join("renamed.sciurus");
    std::fs::write(&path, renamed).unwrap();
    assert!(ModelBundle::load(&path).unwrap_err().to_string().contains("exactly one record besides"));
}

#[test]
fn files_from_before_checksums_are_read_and_the_same_model_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| std::fs::read(saved(folder.path(), name, |_| ())).unwrap());
    assert!(first == second);
    let bundle = bundle();
    let bytes: Vec<Vec<u8>> = bundle
        .state
        .values()
        .map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = bundle.state.iter().zip(&bytes).map(|((name, tensor), bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap())
    });
    let metadata = HashMap::from([("sciurus".to_owned(), serde_json::to_string(&bundle.manifest).unwrap())]);
    let path = folder.path().join("old.sciurus");
    std::fs::write(&path, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
    assert!(ModelBundle::load(&path).unwrap() == bundle);
    // And any reader of safetensors reads ours.
    let file = safetensors::SafeTensors::deserialize(&first).unwrap();
    assert_eq!(file.len(), bundle.state.len());
    assert_eq!(file.tensor("head.linear_2.weight").unwrap().shape(), [2, 512]);
}
