//! Models and weights with numbers that no model computes with: refused when they are loaded, and never an answer.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sciurus::data::{Normalize, RgbImage, Views};
use sciurus::insight::Temperature;
use sciurus::model::weights::load_body;
use sciurus::model::{StateDict, VisionModel};
use sciurus::{Arch, Error, ModelBundle, Output, Predictor, Seed, WeightPlaces, WeightSource};

use crate::models::{bundle, refusal, saved};
use crate::support::chain;

/// What each value of a tensor becomes.
fn filled(bundle: &mut ModelBundle, name: &str, value: f32) {
    bundle.state.get_mut(name).unwrap_or_else(|| panic!("{name}")).values.fill(value);
}

#[test]
fn numbers_that_are_none_are_refused_when_a_model_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, words) in [
        ("body.conv1.weight", f32::NAN, "not finite"),
        ("body.conv1.weight", f32::INFINITY, "not finite"),
        // Finite in f32, infinite in bf16.
        ("body.conv1.weight", f32::MAX, "not finite"),
        ("body.bn1.weight", f32::NEG_INFINITY, "not finite"),
        ("body.bn1.running_var", -1.0, "below 0"),
        ("head.norm_2.running_var", -1e-5, "below 0"),
        ("body.layer1.0.conv1.weight", 1e37, "outputs are not finite"),
        ("head.linear_2.weight", 3e38, "outputs are not finite"),
    ] {
        let path = saved(folder.path(), "m.sciurus", |bundle| filled(bundle, name, value));
        let said = refusal(&path);
        assert!(said.contains(words) && said.contains("`learning_rate`"), "{name} {value}: {said}");
    }
    let path = saved(folder.path(), "one.sciurus", |bundle| {
        bundle.state.get_mut("head.linear_1.weight").unwrap().values[77] = f32::NAN;
    });
    assert!(refusal(&path).contains("`head.linear_1.weight`"));
}

#[test]
fn temperature_and_normalisation_are_finite_as_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    for temperature in [0.0, -1.0, 1e-40, 1e-46, 1e39, 1e300, f64::MIN_POSITIVE] {
        let path = saved(folder.path(), "t.sciurus", |bundle| {
            bundle.manifest.temperature = Temperature(temperature);
        });
        assert!(refusal(&path).contains("temperature"), "{temperature}");
    }
    let imagenet = Normalize::imagenet();
    for normalize in [
        Normalize { std: [0.2, 1e-42, 0.2], ..imagenet },
        Normalize { std: [0.2, 0.2, 1e-39], ..imagenet },
        Normalize { mean: [3e38, 0.5, 0.5], ..imagenet },
        Normalize { mean: [0.5, -1e20, 0.5], std: [1.0, 1e-20, 1.0] },
        Normalize { std: [0.0; 3], ..imagenet },
    ] {
        let path =
            saved(folder.path(), "n.sciurus", |bundle| bundle.manifest.preprocessing.normalize = normalize);
        assert!(refusal(&path).contains("normali"), "{normalize:?}: {}", refusal(&path));
    }
    for threshold in [-0.1, 1.1] {
        let path = saved(folder.path(), "o.sciurus", |bundle| {
            bundle.manifest.output = Output::MultiLabel { thresholds: vec![0.5, threshold] };
        });
        assert!(refusal(&path).contains("thresholds"));
    }
}

/// Black and white squares of this side in no order: more contrast than any grey or noise has.
fn squares(side: u32) -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| {
        let place = (x / side * 64 + y / side + 1).wrapping_mul(2_654_435_761);
        [if place & 0x1_0000 > 0 { 255 } else { 0 }; 3].into()
    })
}

/// A model that is sound for the pictures it was tried on and not for another: weights grow until it is.
fn overflowing(folder: &Path, output: &Output) -> (Predictor, RgbImage) {
    let pictures = [1, 2, 4, 8, 16, 32].map(squares);
    let found = (0..200).find_map(|step| {
        let path = saved(folder, "m.sciurus", |bundle| {
            for (name, factor) in [("linear_1", 1e12), ("linear_2", 1e20 * 1.25_f32.powi(step))] {
                let weights = bundle.state.get_mut(&format!("head.{name}.weight")).unwrap();
                weights.values.iter_mut().for_each(|value| *value = (*value * factor).clamp(-3e38, 3e38));
            }
            bundle.manifest.output = output.clone();
            bundle.manifest.preprocessing.views = Views::Mirrored;
        });
        let model = Predictor::load(path).ok()?;
        let picture = pictures.iter().find(|picture| model.predict(picture).is_err())?;
        Some((model, picture.clone()))
    });
    found.expect("with some weights, one picture alone overflows")
}

/// However the model is asked, an answer that is not finite is an error, and not the picture's fault.
#[test]
fn an_answer_that_is_not_finite_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let files = [folder.path().join("picture.png"), folder.path().join("missing.png")];
    for output in [Output::SingleLabel, Output::MultiLabel { thresholds: vec![0.5; 2] }] {
        let (model, picture) = overflowing(folder.path(), &output);
        picture.save(&files[0]).unwrap();
        let told = |error: Error| {
            assert!(matches!(error, Error::NotFinite { .. }), "{error}");
            let said = error.to_string();
            assert!(said.contains("m.sciurus: the model's outputs are not finite"), "{said}");
        };
        let grey = RgbImage::from_pixel(64, 64, [128; 3].into());
        assert!(model.predict(&grey).unwrap().ranking.iter().all(|(_, p)| p.is_finite()));
        told(model.predict(&picture).unwrap_err());
        told(model.predict_batch(&[grey, picture]).unwrap_err());
        told(model.predict_file(&files[0]).unwrap_err());
        let answers: Vec<_> = model.predict_files(&files, 2).collect();
        assert_eq!(answers.len(), 1);
        answers.into_iter().for_each(|answer| told(answer.unwrap_err()));
        let error = model.predict_file(&files[1]).unwrap_err();
        assert!(
            matches!(error, Error::Photo { .. }) && chain(&error).contains("not found"),
            "{}",
            chain(&error)
        );
    }
}

/// The body of a model as a file of weights, as f32 or in another type.
fn weights(folder: &Path, dtype: Dtype, change: impl FnOnce(&mut StateDict)) -> PathBuf {
    let mut state: StateDict = bundle().state;
    change(&mut state);
    let bytes = |values: &[f32]| -> Vec<u8> {
        match dtype {
            Dtype::F16 => values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect(),
            Dtype::F64 => values.iter().flat_map(|value| (f64::from(*value) * 10.0).to_le_bytes()).collect(),
            _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    };
    let body: Vec<(&str, Vec<usize>, Vec<u8>)> = state
        .iter()
        .filter_map(|(name, tensor)| {
            Some((name.strip_prefix("body.")?, tensor.shape.clone(), bytes(&tensor.values)))
        })
        .collect();
    let views = body
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(dtype, shape.clone(), bytes).unwrap()));
    let path = folder.join("weights.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

#[test]
fn pretrained_weights_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: PathBuf| {
        let model = VisionModel::new(Arch::ResNet10Narrow, 2, Seed(9), &Device::flex()).unwrap();
        let places =
            WeightPlaces { models: None, cache: crate::weights::absent(), mirrors: vec![], offline: true };
        load_body(model, Arch::ResNet10Narrow, &WeightSource::File(path), &places, &mut |_| ()).map(drop)
    };
    let fill = |name: &'static str, value: f32| {
        move |state: &mut StateDict| state.get_mut(name).unwrap().values.fill(value)
    };
    load(weights(folder.path(), Dtype::F32, |_| ())).unwrap();
    load(weights(folder.path(), Dtype::F16, |_| ())).unwrap();
    for (dtype, name, value, words) in [
        (Dtype::F32, "body.conv1.weight", f32::NAN, "not finite"),
        (Dtype::F32, "body.layer4.0.bn2.bias", f32::INFINITY, "not finite"),
        (Dtype::F32, "body.layer4.0.conv1.weight", f32::MAX, "not finite"),
        // Infinite in half precision; finite in double precision and not in single.
        (Dtype::F16, "body.conv1.weight", 1e6, "not finite"),
        (Dtype::F64, "body.conv1.weight", 3e38, "not finite"),
        (Dtype::F32, "body.bn1.running_var", -0.5, "variances below 0"),
        (Dtype::F32, "body.layer1.0.conv1.weight", 1e38, "outputs are not finite"),
    ] {
        let said = chain(&load(weights(folder.path(), dtype, fill(name, value))).unwrap_err());
        assert!(said.contains("weights.safetensors") && said.contains(words), "{name} {value}: {said}");
    }
    // The part that is not used may be anything: a classifier of another task.
    load(weights(folder.path(), Dtype::F32, fill("head.linear_1.weight", f32::NAN))).unwrap();
}
