//! Model files that may be spoilt before they are saved, and what is said of them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sciurus::data::Preprocessing;
use sciurus::insight::Temperature;
use sciurus::model::VisionModel;
use sciurus::{
    Arch, DataRecord, Manifest, ModelBundle, Output, Precision, Predictor, Seed, Vocab, WeightsRecord,
};

use crate::support::chain;

/// A model with random weights for two labels, as it may come from anywhere.
pub(crate) fn bundle() -> ModelBundle {
    bundle_of(Arch::ResNet10Narrow, ["acorn", "leaf"].map(String::from))
}

pub(crate) fn bundle_of(arch: Arch, labels: impl IntoIterator<Item = String>) -> ModelBundle {
    let vocab = Vocab::new(labels);
    let state = VisionModel::new(arch, vocab.len(), Seed(3), &Device::flex()).unwrap().state_dict();
    let manifest = Manifest {
        format: 1,
        version: "0.1.0".into(),
        arch,
        vocab,
        preprocessing: Preprocessing {
            image_size: 64,
            normalize: arch.normalize(),
            ..Preprocessing::default()
        },
        metrics: Vec::new(),
        data: DataRecord { fingerprint: String::new(), train: 1, valid: 1, licences: Default::default() },
        weights: WeightsRecord { name: "random".into(), sha256: None, licence: None },
        seed: Seed(1),
        precision: Precision::F32,
        temperature: Temperature(1.0),
        output: Output::SingleLabel,
        rejection: None,
    };
    ModelBundle { manifest, state, known: None }
}

pub(crate) fn saved(folder: &Path, name: &str, change: impl FnOnce(&mut ModelBundle)) -> PathBuf {
    let path = folder.join(name);
    let mut bundle = bundle();
    change(&mut bundle);
    bundle.save(&path).unwrap();
    path
}

pub(crate) fn refusal(path: &Path) -> String {
    let error = Predictor::load(path).map(drop).unwrap_err();
    let said = chain(&error);
    assert!(said.contains(&*path.file_name().unwrap().to_string_lossy()), "{said}");
    said
}

/// A file with this header and that many bytes behind it.
pub(crate) fn with_header(path: &Path, header: &str, bytes: u64) {
    let head = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat();
    let length = head.len() as u64 + bytes;
    std::fs::write(path, head).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}
