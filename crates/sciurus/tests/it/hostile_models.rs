//! Model files that lie about what they hold, or hold too much: refused, and at no great cost.

use proptest::prelude::*;
use sciurus::data::RgbImage;
use sciurus::insight::{Embeddings, Interval};
use sciurus::model::{StoredTensor, VisionModel, fitting_batch};
use sciurus::{Arch, KnownPhotos, Predictor, Rejection, Vocab};

use crate::limited::{Kind, assert_refused, said};
use crate::models::{bundle_of, refusal, saved, with_header};

/// The header of a sound model as JSON.
fn header() -> serde_json::Map<String, serde_json::Value> {
    let folder = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(saved(folder.path(), "m.sciurus", |_| ())).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    serde_json::from_slice(&bytes[8..8 + length]).unwrap()
}

#[test]
fn headers_are_bounded_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str, words: &str| {
        for kind in [Kind::Model, Kind::Weights] {
            assert_refused(kind, &path(name), words);
        }
    };
    let empty = |count: usize| {
        let tensor = |i: usize| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        format!("{{{}}}", (0..count).map(tensor).collect::<Vec<_>>().join(","))
    };
    with_header(&path("tensors.sciurus"), &empty(1_700_000), 0);
    refused("tensors.sciurus", "at most 32 MB are read");
    with_header(&path("fewer.sciurus"), &empty(400_000), 0);
    refused("fewer.sciurus", "more than 16384 tensors");
    with_header(&path("space.sciurus"), &format!("{{{}}}", " ".repeat(100 << 20)), 0);
    refused("space.sciurus", "at most 32 MB are read");
    let texts: Vec<String> = (0..2_000_000).map(|i| format!("\"{i}\":\"\"")).collect();
    with_header(&path("texts.sciurus"), &format!("{{\"__metadata__\":{{{}}}}}", texts.join(",")), 0);
    refused("texts.sciurus", "more than 1000 metadata entries");
    let sizes = "1,".repeat(15 << 20);
    with_header(
        &path("sizes.sciurus"),
        &format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{sizes}1],\"data_offsets\":[0,4]}}}}"),
        4,
    );
    refused("sizes.sciurus", "too many dimensions");
    with_header(&path("deep.sciurus"), &format!("{{\"a\":{}", "[".repeat(30 << 20)), 0);
    refused("deep.sciurus", "header");
    let lie = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    std::fs::write(path("lie.sciurus"), lie).unwrap();
    refused("lie.sciurus", "longer than the file");
    // Sparse files: much to read, and nothing on the disk.
    with_header(
        &path("sparse.sciurus"),
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[5000000000],\"data_offsets\":[0,20000000000]}}",
        20_000_000_000,
    );
    refused("sparse.sciurus", "MB are read");
}

#[test]
fn tensors_fill_the_file_without_gap_or_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let tensor = |name: &str, shape: &str, start: u64, end: u64| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}")
    };
    for (name, tensors, bytes, words) in [
        ("twice", vec![tensor("a", "[1]", 0, 4), tensor("a", "[1]", 4, 8)], 8, "two tensors are called `a`"),
        ("overlap", vec![tensor("a", "[2]", 0, 8), tensor("b", "[2]", 4, 12)], 12, "does not begin where"),
        ("gap", vec![tensor("a", "[1]", 0, 4), tensor("b", "[1]", 8, 12)], 12, "does not begin where"),
        ("same", vec![tensor("a", "[1]", 0, 4), tensor("b", "[1]", 0, 4)], 4, "does not begin where"),
        ("short", vec![tensor("a", "[2]", 0, 4)], 4, "does not have the bytes that its shape"),
        ("turned", vec![tensor("a", "[1]", 4, 0)], 4, "does not have the bytes that its shape"),
        (
            "overflow",
            vec![tensor("a", "[4294967296,4294967296,4294967296]", 0, 4)],
            4,
            "does not have the bytes that its shape",
        ),
        (
            "far",
            vec![tensor("a", "[1]", 18446744073709551612, 18446744073709551615)],
            4,
            "does not have the bytes that its shape",
        ),
        ("behind", vec![tensor("a", "[1]", 0, 4)], 8, "it is damaged"),
        ("beyond", vec![tensor("a", "[9]", 0, 36)], 4, "it is damaged"),
    ] {
        let path = folder.path().join(format!("{name}.sciurus"));
        with_header(&path, &format!("{{{}}}", tensors.join(",")), bytes);
        assert!(refusal(&path).contains(words), "{name}: {}", refusal(&path));
        let said = sciurus::model::weights::read(&path).unwrap_err().to_string();
        assert!(said.contains(words), "{name}: {said}");
    }
}

#[test]
fn tensors_are_those_of_the_architecture_or_nothing_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let extra = saved(folder.path(), "extra.sciurus", |bundle| {
        drop(bundle.state.insert("evil".into(), StoredTensor { shape: vec![0], values: vec![] }));
    });
    assert!(refusal(&extra).contains("a tensor `evil`, which resnet10_narrow does not have"));
    let lacking =
        saved(folder.path(), "lacking.sciurus", |bundle| drop(bundle.state.remove("head.norm_1.bias")));
    assert!(refusal(&lacking).contains("`head.norm_1.bias` is missing"));
    let turned = saved(folder.path(), "turned.sciurus", |bundle| {
        bundle.state.get_mut("head.linear_2.weight").unwrap().shape.reverse();
    });
    assert!(refusal(&turned).contains("shape [512, 2], expected [2, 512]"));
    // A gigabyte of a tensor that no model has, which is not read to find that out.
    let mut header = header();
    header.retain(|name, _| name == "__metadata__");
    header.insert(
        "a".into(),
        serde_json::json!({"dtype": "F32", "shape": [1 << 28], "data_offsets": [0, 1_u64 << 30]}),
    );
    let path = folder.path().join("sparse.sciurus");
    with_header(&path, &serde_json::to_string(&header).unwrap(), 1 << 30);
    assert_refused(Kind::Model, &path, "is missing");
}

#[test]
fn labels_are_words_and_few_enough() {
    let folder = tempfile::tempdir().unwrap();
    let with = |labels: Vec<String>| {
        saved(folder.path(), "m.sciurus", |bundle| bundle.manifest.vocab = Vocab::new(labels))
    };
    assert!(refusal(&with(vec![String::new(), "a".into()])).contains("labels is empty"));
    assert!(refusal(&with(vec!["a".into(), "b".repeat(5000)])).contains("is too long"));
    let many = with((0..100_001).map(|i| format!("label {i}")).collect());
    assert_refused(Kind::Model, &many, "100001 labels, and at most 100000");
    let one = with(vec!["a".into()]);
    assert!(refusal(&one).contains("at least 2 classes"));
    // Labels in no order would have other classes than they were learnt with.
    let mut header = header();
    header.retain(|name, _| name == "__metadata__");
    let manifest = header["__metadata__"]["sciurus"]
        .as_str()
        .unwrap()
        .replace("[\"acorn\",\"leaf\"]", "[\"leaf\",\"leaf\"]");
    header["__metadata__"]["sciurus"] = manifest.into();
    let path = folder.path().join("twice.sciurus");
    with_header(&path, &serde_json::to_string(&header).unwrap(), 0);
    assert!(refusal(&path).contains("the labels of a vocabulary must be sorted"));
}

#[test]
fn a_hundred_thousand_labels_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.sciurus");
    let labels =
        (0..VisionModel::MAX_CLASSES).map(|i| format!("a label with quite some words and the number {i}"));
    let mut bundle = bundle_of(Arch::ResNet10Narrow, labels);
    bundle.state.get_mut("head.linear_2.weight").unwrap().values.fill(0.0);
    bundle.save(&path).unwrap();
    let prediction = Predictor::load(&path).unwrap().predict(&RgbImage::new(64, 64)).unwrap();
    assert_eq!(prediction.ranking.len(), VisionModel::MAX_CLASSES);
}

#[test]
fn images_are_no_larger_than_an_architecture_takes() {
    let folder = tempfile::tempdir().unwrap();
    for arch in Arch::ALL {
        let limit = arch.info().max_image_size;
        assert!(limit >= 2 * arch.info().image_size, "{arch}");
        assert!(fitting_batch(arch, arch.info().image_size) >= 12, "{arch}: a usual batch about fits");
    }
    let sized =
        |size| saved(folder.path(), "m.sciurus", |bundle| bundle.manifest.preprocessing.image_size = size);
    assert_refused(
        Kind::Model,
        &sized(4096),
        "image size 4096 is above the limit of resnet10_narrow, 1536 pixels",
    );
    for (size, words) in [(1537, "above the limit"), (0, "image_size"), (usize::MAX, "image_size")] {
        assert!(refusal(&sized(size)).contains(words));
    }
    let mut transformer = bundle_of(Arch::ViTSmall16, ["a", "b"].map(String::from));
    transformer.manifest.preprocessing.image_size = 2048;
    let path = folder.path().join("vit.sciurus");
    transformer.save(&path).unwrap();
    assert!(refusal(&path).contains("above the limit of vit_small_patch16_224, 1024 pixels"));
    Predictor::load(sized(1536)).unwrap();
}

proptest! {
    #[test]
    fn batches_shrink_as_images_grow(size in 1_usize..5000, index in 0..Arch::ALL.len()) {
        let arch = Arch::ALL[index];
        let [here, larger] = [size, 2 * size].map(|size| fitting_batch(arch, size));
        prop_assert!(here >= 1 && (larger == 1 || 4 * larger <= here), "{arch}: {here}, {larger}");
        prop_assert!(here == 1 || here * size * size * 3 * 4 < 1 << 30);
    }
}

#[test]
fn the_child_can_load_a_sound_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = saved(folder.path(), "m.sciurus", |_| ());
    if cfg!(target_os = "linux") {
        assert_eq!(said(Kind::Model, &path), "accepted");
    }
}

#[test]
fn a_rule_for_pictures_of_no_class_must_fit_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let width = Arch::ResNet10Narrow.channels();
    let known = |rows: usize, width: usize| KnownPhotos {
        rejection: Rejection {
            neighbours: 5,
            threshold: 0.5,
            photos: 40,
            passes: 0.95,
            interval: Interval { low: 0.84, high: 0.99 },
        },
        features: Embeddings { width, values: vec![0.0625; rows * width] },
    };
    let with = |name: &str, known: KnownPhotos, change: &dyn Fn(&mut Rejection)| {
        saved(folder.path(), name, |bundle| {
            let mut rejection = known.rejection.clone();
            change(&mut rejection);
            (bundle.manifest.rejection, bundle.known) = (Some(rejection), Some(known));
        })
    };
    let sound = with("sound.sciurus", known(3, width), &|_| ());
    let picture = RgbImage::from_fn(80, 80, |x, y| [x as u8, y as u8, 9].into());
    let predictor = Predictor::load(&sound).unwrap();
    let answer = predictor.predict(&picture).unwrap();
    let similarity = answer.similarity.unwrap();
    assert_eq!(answer.rejected, Some(similarity.cosine < 0.5));
    let plain = predictor.without_rejection().predict(&picture).unwrap();
    assert_eq!((plain.similarity, plain.rejected), (None, None));
    assert_eq!(plain.ranking, answer.ranking);

    for (place, change) in [
        (|rejection: &mut Rejection| rejection.threshold = 1.5) as fn(&mut Rejection),
        |rejection| rejection.neighbours = 0,
        |rejection| rejection.neighbours = 1 << 40,
    ]
    .into_iter()
    .enumerate()
    {
        let path = with(&format!("{place}.sciurus"), known(3, width), &change);
        assert!(refusal(&path).contains("pictures of no class"), "{place}");
    }
    for (rows, columns) in [(0, width), (2001, width), (3, width + 1)] {
        let path = with(&format!("{rows}-{columns}.sciurus"), known(rows, columns), &|_| ());
        assert!(refusal(&path).contains("known.features"), "{rows} {columns}");
    }
    let without = saved(folder.path(), "without.sciurus", |bundle| {
        bundle.manifest.rejection = Some(known(1, width).rejection);
    });
    assert!(refusal(&without).contains("known.features"));
    let unasked = saved(folder.path(), "unasked.sciurus", |bundle| bundle.known = Some(known(1, width)));
    assert!(refusal(&unasked).contains("known.features"));
}
