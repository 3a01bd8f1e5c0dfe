//! Models as other programs see them: the structure of graphs, and what onnxruntime, tract and PyTorch say of photos beside us.
//!
//! They are asked where they are there: as packages of `python3`, or of the Python that `SCIURUS_PYTHON` names. `cargo xtask
//! export-check` demands onnxruntime and tract, and says in `SCIURUS_EXPORT_PHOTOS` how many photos are compared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sciurus::data::{DecodeLimits, ResizeMethod, RgbImage, Views, decode_file};
use sciurus::export::{OnnxInput, OnnxModel, Proof, Proved, WeightType, prove, prove_pytorch, torch};
use sciurus::insight::{Embeddings, Interval, Temperature};
use sciurus::{Arch, KnownPhotos, ModelBundle, Output, Precision, Predictor, Rejection};

use crate::models::bundle_of;
use crate::support::shared;

/// Every architecture whose graph is known.
fn archs() -> impl Iterator<Item = Arch> {
    Arch::ALL.into_iter()
}

/// A model whose answers differ from photo to photo: its head is drawn large.
fn bundle(arch: Arch, size: usize) -> ModelBundle {
    let mut bundle = bundle_of(arch, ["acorn", "leaf", "nut"].map(String::from));
    bundle.manifest.preprocessing.image_size = size;
    bundle.manifest.preprocessing.views = Views::Mirrored;
    bundle.manifest.temperature = Temperature(1.7);
    let last = bundle.state.get_mut("head.linear_2.weight").unwrap();
    last.values.iter_mut().for_each(|weight| *weight *= 4.0);
    bundle
}

/// The same with a few photos that it knows.
fn knowing(arch: Arch, size: usize, photos: &[RgbImage]) -> ModelBundle {
    let mut bundle = bundle(arch, size);
    let predictor = Predictor::from_bundle(bundle.clone()).unwrap().with_precision(Precision::F32).unwrap();
    let unit = |photo: &RgbImage| {
        let row = predictor.embed(photo).unwrap();
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.into_iter().map(move |value| half::f16::from_f32(value / length).to_f32()).collect::<Vec<f32>>()
    };
    let values = photos.iter().take(12).flat_map(unit).collect();
    let rejection = Rejection {
        neighbours: 5,
        threshold: 0.5,
        photos: 100,
        passes: 0.95,
        interval: Interval { low: 0.9, high: 0.98 },
    };
    bundle.manifest.format = 4;
    bundle.manifest.rejection = Some(rejection.clone());
    bundle.known = Some(KnownPhotos { rejection, features: Embeddings { width: arch.channels(), values } });
    bundle
}

/// Drawn pictures of sizes that go wrong elsewhere.
fn odd_photos() -> Vec<RgbImage> {
    let sizes = [
        (1, 1),
        (1, 400),
        (400, 1),
        (3, 5),
        (64, 64),
        (63, 64),
        (65, 1000),
        (127, 129),
        (640, 480),
        (481, 641),
        (1999, 1333),
        (2, 4000),
    ];
    sizes.into_iter().map(|(width, height)| drawn(width, height)).collect()
}

fn drawn(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let mix = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).rotate_left(x % 13);
        let smooth = (128.0 + 100.0 * (f64::from(x) / 17.0).sin() * (f64::from(y) / 11.0).cos()) as u8;
        [smooth, (mix >> 8) as u8, smooth.wrapping_add((mix >> 28) as u8)].into()
    })
}

/// Real photos, evenly from all sets that there are, and the files that go wrong.
fn real_photos(count: usize) -> impl Iterator<Item = RgbImage> {
    let (files, _) = sciurus::find_files(&shared("data").into_iter().collect::<Vec<_>>());
    let step = (files.len() / count.max(1)).max(1);
    let (bad, good): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|path| path.to_string_lossy().contains("bad_inputs"));
    let files = bad.into_iter().chain(good.into_iter().step_by(step)).take(count.max(20));
    files.filter_map(|path| decode_file(path, &DecodeLimits::default()).ok())
}

/// How many photos are compared.
fn wanted(fewest: usize) -> usize {
    std::env::var("SCIURUS_EXPORT_PHOTOS").ok().and_then(|count| count.parse().ok()).unwrap_or(fewest)
}

/// The comparison, or `None` where there is no runtime and none is demanded.
fn proof(proved: Proved) -> Option<Proof> {
    match proved {
        Proved::Compared(proof) => Some(proof),
        Proved::NoRuntime(why) => {
            assert!(
                std::env::var_os("SCIURUS_EXPORT_PHOTOS").is_none(),
                "the runtime is demanded, and {why}"
            );
            eprintln!("passed over: {why}");
            None
        }
    }
}

#[test]
fn every_graph_is_whole() {
    for arch in archs() {
        for input in [OnnxInput::Photo, OnnxInput::Square] {
            let bundle = bundle(arch, 64);
            let model = OnnxModel::new(&bundle, input).unwrap();
            let graph = model.graph();
            let mut known: BTreeSet<_> = graph.inputs.iter().map(|port| port.value.clone()).collect();
            known.extend(graph.constants.iter().map(|constant| constant.value.clone()));
            assert_eq!(known.len(), graph.inputs.len() + graph.constants.len(), "{arch}: a name twice");
            for node in &graph.nodes {
                for input in &node.inputs {
                    assert!(known.contains(input), "{arch}: {} takes {input} before it is there", node.op);
                }
                for output in &node.outputs {
                    assert!(known.insert(output.clone()), "{arch}: {output} is made twice");
                }
            }
            assert!(graph.outputs.iter().all(|port| known.contains(&port.value)));
            let names: Vec<&str> = graph.outputs.iter().map(|port| port.value.name()).collect();
            assert_eq!(names, ["probabilities", "label"]);
            // Every weight of the model is in the file.
            let stored: usize =
                graph.constants.iter().map(|constant| constant.shape.iter().product::<usize>()).sum();
            let is_weight = |name: &str| {
                !name.contains("running") && !name.contains("norm") && !name.contains("bn")
                // Resampled for the size of the photos.
                && !name.contains("pos_embed")
            };
            let weights =
                bundle.state.iter().filter(|(name, tensor)| tensor.shape.len() > 1 && is_weight(name));
            let weights: usize = weights.map(|(_, tensor)| tensor.values.len()).sum();
            assert!(stored >= weights, "{arch}: {stored} of {weights}");
        }
    }
}

#[test]
fn fewer_bits_make_smaller_files() {
    let photos: Vec<RgbImage> = odd_photos();
    for arch in [Arch::ResNet18, Arch::Hazel, Arch::MobileNetV2] {
        let bundle = bundle(arch, 64);
        let size = |weights| {
            let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
            model.with_weights(weights, &bundle, &photos).unwrap().to_bytes().unwrap().len() as f64
        };
        let whole = size(WeightType::F32);
        let ratios =
            [WeightType::F16, WeightType::Int8, WeightType::StaticInt8].map(|weights| size(weights) / whole);
        println!("{arch}: {ratios:?}");
        assert!(ratios[0] < 0.51 && ratios[1] < 0.27 && ratios[2] < 0.27, "{arch}: {ratios:?}");
    }
}

#[test]
fn a_transformer_does_not_compute_with_bytes() {
    let bundle = bundle(Arch::ViTSmall16, 64);
    let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
    let error = model.clone().with_weights(WeightType::StaticInt8, &bundle, &odd_photos()).unwrap_err();
    assert!(error.to_string().contains("choose int8"), "{error}");
    let error = model.with_weights(WeightType::StaticInt8, &bundle, &[]).unwrap_err();
    assert!(error.to_string().contains("give photos"), "{error}");
}

#[test]
fn exported_onnxruntime_says_the_same_of_every_network() {
    for arch in archs() {
        let odd = odd_photos();
        let bundle = knowing(arch, 64, &odd);
        let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
        let Some(proof) = proof(prove(&model, &bundle, odd).unwrap()) else { return };
        println!("{arch}: {proof:?}");
        assert!(proof.holds(WeightType::F32), "{arch}: {proof:?}");
        assert_eq!((proof.photos, proof.rejection_flipped), (12, 0), "{arch}");
    }
}

#[test]
fn exported_onnxruntime_says_the_same_of_every_way_to_a_square() {
    for method in [ResizeMethod::Crop, ResizeMethod::Squish, ResizeMethod::Pad] {
        for (input, size) in [(OnnxInput::Photo, 64), (OnnxInput::Photo, 160), (OnnxInput::Square, 96)] {
            let mut bundle = bundle(Arch::ResNet10Narrow, size);
            bundle.manifest.preprocessing.resize_method = method;
            let model = OnnxModel::new(&bundle, input).unwrap();
            let mut photos = odd_photos();
            photos.push(drawn(9000, 9));
            photos.push(drawn(4000, 4000));
            let Some(proof) = proof(prove(&model, &bundle, photos).unwrap()) else { return };
            println!("{method:?} {input} {size}: {proof:?}");
            // The squares are the same to the last bit: what is left is the order of sums in the network.
            assert!(
                proof.holds(WeightType::F32) && proof.difference < 2e-5,
                "{method:?} {input} {size}: {proof:?}"
            );
        }
    }
}

#[test]
fn exported_onnxruntime_says_the_same_of_real_photos() {
    let first: Vec<RgbImage> = real_photos(20).collect();
    let bundle = knowing(Arch::ResNet18, 224, &first);
    let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
    let Some(proof) = proof(prove(&model, &bundle, real_photos(wanted(60))).unwrap()) else { return };
    println!("{proof:?}");
    assert!(proof.holds(WeightType::F32) && proof.rejection_flipped == 0, "{proof:?}");
}

#[test]
fn exported_labels_are_on_where_ours_are() {
    let mut bundle = bundle(Arch::ResNet10Narrow, 64);
    bundle.manifest.format = 3;
    bundle.manifest.output = Output::MultiLabel { thresholds: vec![0.3, 0.5, 0.6] };
    let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
    let Some(proof) = proof(prove(&model, &bundle, odd_photos()).unwrap()) else { return };
    assert!(proof.holds(WeightType::F32), "{proof:?}");
}

#[test]
fn exported_with_fewer_bits_it_nearly_says_the_same() {
    let seen: Vec<RgbImage> = real_photos(40).collect();
    for arch in [Arch::ResNet18, Arch::Hazel, Arch::MobileNetV2] {
        for weights in [WeightType::F16, WeightType::Int8, WeightType::StaticInt8] {
            let bundle = bundle(arch, 96);
            let model = OnnxModel::new(&bundle, OnnxInput::Photo).unwrap();
            let model = model.with_weights(weights, &bundle, &seen).unwrap();
            let Some(proof) = proof(prove(&model, &bundle, real_photos(40)).unwrap()) else { return };
            println!("{arch} {weights}: {proof:?}");
            // Random weights are no trained ones: that they nearly agree shows that no scale is mistaken.
            let most = match weights {
                WeightType::F16 => 0.01,
                _ => 0.25,
            };
            assert!(proof.difference < most, "{arch} {weights}: {proof:?}");
        }
    }
}

#[test]
fn exported_pytorch_says_the_same() {
    for arch in archs() {
        let bundle = bundle(arch, 64);
        let Ok(python) = torch::python(&bundle, Path::new("odd \"name.pth")) else {
            assert!(matches!(arch, Arch::Hazel | Arch::ResNet10Narrow), "{arch}");
            continue;
        };
        let weights = torch::checkpoint(&bundle).unwrap();
        let proved = prove_pytorch([python.as_bytes(), &weights], &bundle, odd_photos());
        match proved.unwrap() {
            Proved::Compared(proof) => {
                println!("{arch}: {proof:?}");
                assert!(proof.holds(WeightType::F32), "{arch}: {proof:?}");
            }
            // It is large, so that CI has it only where it is there anyway.
            Proved::NoRuntime(why) => eprintln!("{arch}: passed over: {why}"),
        }
    }
}

#[test]
fn tensors_read_back_as_they_were() {
    let bundle = bundle(Arch::ResNet10Narrow, 64);
    let bytes = torch::safetensors(&bundle).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let state = torch::state_dict(&bundle);
    assert_eq!(read.len(), state.len());
    for (name, tensor) in &state {
        let view = read.tensor(name).unwrap();
        assert_eq!(view.shape(), tensor.shape, "{name}");
        let values: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(view.data(), values, "{name}");
    }
    assert!(state.contains_key("layer1.0.conv1.weight") && state.contains_key("head.linear_1.weight"));
}

#[test]
fn exported_tract_says_the_same_of_squares() {
    let python = std::env::var_os("SCIURUS_PYTHON").unwrap_or_else(|| "python3".into());
    let has_tract = std::process::Command::new(&python).args(["-c", "import tract"]).output();
    if !has_tract.is_ok_and(|tried| tried.status.success()) {
        assert!(
            std::env::var_os("SCIURUS_EXPORT_PHOTOS").is_none(),
            "tract is demanded, and {python:?} lacks it"
        );
        eprintln!("passed over: {python:?} has no tract");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for arch in archs() {
        let size = 64;
        let odd = odd_photos();
        let bundle = knowing(arch, size, &odd);
        let (model, squares) = (folder.path().join("model.onnx"), folder.path().join("squares"));
        std::fs::write(&model, OnnxModel::new(&bundle, OnnxInput::Square).unwrap().to_bytes().unwrap())
            .unwrap();
        let pipeline = bundle.manifest.preprocessing.pipeline();
        let pixels: Vec<u8> =
            odd.iter().flat_map(|photo| pipeline.square(photo.clone()).into_raw()).collect();
        std::fs::write(&squares, pixels).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/run_tract.py");
        let output = std::process::Command::new(&python)
            .arg(script)
            .arg(&model)
            .arg(size.to_string())
            .arg(&squares)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arch}: {}", String::from_utf8_lossy(&output.stderr));
        let predictor = Predictor::from_bundle(bundle).unwrap().with_precision(Precision::F32).unwrap();
        let answers = String::from_utf8(output.stdout).unwrap();
        assert_eq!(answers.lines().count(), odd.len());
        for (photo, answer) in odd.iter().zip(answers.lines()) {
            let theirs: Vec<f32> = serde_json::from_str(answer).unwrap();
            for (label, ours) in predictor.predict(photo).unwrap().ranking {
                let place = ["acorn", "leaf", "nut"].iter().position(|known| *known == label).unwrap();
                assert!((theirs[place] - ours).abs() <= 1e-4, "{arch}: {theirs:?}, and {label} {ours}");
            }
        }
    }
}
