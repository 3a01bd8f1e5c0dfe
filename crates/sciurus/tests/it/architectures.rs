//! What must hold of every architecture: it counts its parameters right, trains from random weights, drops paths only in
//! training, and is exported with the preprocessing and precision that it has.

use burn::tensor::{Device, Tensor, TensorData};
use sciurus::data::{Normalize, Seed};
use sciurus::model::{Body, EfficientNetConfig, HeadConfig, ParamGroup, Pass, Role, VisionModel};
use sciurus::{
    Arch, Hyper, Listeners, ModelBundle, Precision, TrainSettings, Trainer, WeightSource, draw_demo,
};

use crate::support::values;

const TARGETS: [usize; 8] = [0, 1, 0, 1, 0, 1, 0, 1];

/// Eight pictures: stripes across of the one class, stripes down of the other, each in a colour of its own.
fn images(size: usize, device: &Device) -> Tensor<4> {
    let mut pixels = Vec::with_capacity(8 * 3 * size * size);
    for (n, class) in TARGETS.into_iter().enumerate() {
        for c in 0..3 {
            for y in 0..size {
                for x in 0..size {
                    let along = if class == 0 { x } else { y };
                    let stripe = if along / 4 % 2 == 0 { 1.0 } else { -1.0 };
                    pixels.push(stripe * (0.5 + ((n * 3 + c * 5) % 7) as f32 / 7.0));
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(pixels, [8, 3, size, size]), device)
}

/// Trains all of an architecture from random weights on the same eight pictures, with a head that drops nothing and at first
/// knows nothing: the loss starts at ln 2 and falls to less than two thirds of it. Paths are dropped as ever.
fn assert_learns(arch: Arch, steps: usize) {
    let device = Device::flex();
    let head = HeadConfig::new(arch.channels(), 2).dropout([0.0; 2]).pooling(arch.pooling()).init(&device);
    let mut random = VisionModel::new(arch, 2, Seed(4), &device).unwrap().state_dict();
    random.get_mut("head.linear_2.weight").unwrap().values.fill(0.0);
    let model = VisionModel::from_parts(arch.body(&device), head).with_state(&random).unwrap();
    let mut trainer = Trainer::new(model, &device, Seed(4));
    let hyper = Hyper { learning_rates: vec![3e-5, 3e-5, 3e-3], momentum: 0.9 };
    let batch = images(64, trainer.device());
    let losses: Vec<f64> =
        (0..steps).map(|_| trainer.step_on(batch.clone(), &TARGETS, &hyper).loss).collect();
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-6, "{arch}: {losses:?}");
    let least = losses[steps / 2..].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < losses[0] * 2.0 / 3.0, "{arch}: {losses:?}");
}

#[test]
fn resnet50_learns_from_random_weights() {
    assert_learns(Arch::ResNet50, 4);
}

#[test]
fn resnet101_learns_from_random_weights() {
    assert_learns(Arch::ResNet101, 4);
}

#[test]
fn mobilenet_v2_learns_from_random_weights() {
    assert_learns(Arch::MobileNetV2, 6);
}

#[test]
fn efficientnet_b0_learns_from_random_weights() {
    assert_learns(Arch::EfficientNetB0, 6);
}

#[test]
fn convnext_tiny_learns_from_random_weights() {
    assert_learns(Arch::ConvNeXtTiny, 4);
}

#[test]
fn vit_small_learns_from_random_weights() {
    assert_learns(Arch::ViTSmall16, 6);
}

/// A model whose weights are not set.
fn empty(arch: Arch, device: &Device) -> VisionModel {
    let head = HeadConfig::new(arch.channels(), 2).pooling(arch.pooling()).init(device);
    VisionModel::from_parts(arch.body(device), head)
}

#[test]
fn every_architecture_is_as_large_as_it_says_and_has_a_name_of_its_own() {
    let device = Device::flex();
    for arch in Arch::ALL {
        let model = empty(arch, &device);
        let trained = |info: &&sciurus::model::ParameterInfo| {
            info.name.starts_with("body.") && info.role != Role::RunningStatistic
        };
        let counted: usize =
            model.parameters().iter().filter(trained).map(|info| info.shape.iter().product::<usize>()).sum();
        assert_eq!(arch.info().parameters, counted, "{arch}");
        assert_eq!(arch.name().parse::<Arch>().unwrap(), arch);
        assert_eq!(serde_json::to_value(arch).unwrap(), arch.name());
        let side = 32;
        let embedded = model.embed(images(side, &device), &mut Pass::evaluate());
        assert_eq!(embedded.dims(), [8, arch.channels()], "{arch}");
        assert_eq!(model.forward(images(side, &device), &mut Pass::evaluate()).dims(), [8, 2], "{arch}");
    }
}

/// fastai: `_resnet_split` for ResNets, `default_split` (body, head) where it knows no better, and norm layers of all
/// kinds train while frozen (`norm_types`).
#[test]
fn parameter_groups_and_roles_are_fastais() {
    let device = Device::flex();
    let infos = |arch| empty(arch, &device).parameters();
    let count = |arch, group| {
        let of_group = |info: &&sciurus::model::ParameterInfo| {
            info.group == ParamGroup(group) && info.role != Role::RunningStatistic
        };
        infos(arch).iter().filter(of_group).map(|info| info.shape.iter().product::<usize>()).sum::<usize>()
    };
    // Counted by fastai's splitters, `vision_learner(dls, arch)` with two classes.
    assert_eq!([0, 1, 2].map(|group| count(Arch::ResNet50, group)), [1_444_928, 22_063_104, 2_107_392]);
    assert_eq!([0, 1, 2].map(|group| count(Arch::MobileNetV2, group)), [2_223_872, 0, 1_317_888]);
    assert_eq!([0, 1, 2].map(|group| count(Arch::ConvNeXtTiny, group)), [27_818_592, 0, 791_552]);
    assert_eq!([0, 1, 2].map(|group| count(Arch::ViTSmall16, group)), [21_665_664, 0, 199_424]);
    for (arch, name, role) in [
        (Arch::ConvNeXtTiny, "body.features.1.0.layer_scale", Role::Weight),
        (Arch::ConvNeXtTiny, "body.features.1.0.block.2.bias", Role::Norm),
        (Arch::ConvNeXtTiny, "body.features.2.0.weight", Role::Norm),
        (Arch::ViTSmall16, "body.cls_token", Role::Weight),
        (Arch::ViTSmall16, "body.blocks.3.norm2.weight", Role::Norm),
        (Arch::ViTSmall16, "body.blocks.3.attn.qkv.bias", Role::Bias),
    ] {
        let found = infos(arch).into_iter().find(|info| info.name == name).unwrap();
        assert_eq!(found.role, role, "{name}");
    }
}

#[test]
fn paths_are_dropped_in_training_only_and_by_the_seed_of_the_pass() {
    let device = Device::flex();
    let model = |drop_path| {
        let body = Body::EfficientNet(EfficientNetConfig { drop_path }.init(&device));
        let head = HeadConfig::new(1280, 2).dropout([0.0; 2]).init(&device);
        let random = VisionModel::new(Arch::EfficientNetB0, 2, Seed(1), &device).unwrap();
        VisionModel::from_parts(body, head).with_state(&random.state_dict()).unwrap()
    };
    let (whole, dropping) = (model(0.0), model(0.5));
    let logits = |model: &VisionModel, mut pass: Pass| values(model.forward(images(64, &device), &mut pass));
    let train = |seed| Pass::train(Seed(seed).rng(&[]));
    assert_eq!(logits(&whole, Pass::evaluate()), logits(&dropping, Pass::evaluate()));
    assert_eq!(logits(&dropping, train(1)), logits(&dropping, train(1)));
    assert_ne!(logits(&dropping, train(1)), logits(&dropping, train(2)));
    assert_eq!(logits(&whole, train(1)), logits(&whole, train(2)));
}

#[test]
fn a_run_normalises_and_computes_as_the_architecture_needs_and_its_bundle_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    draw_demo(&photos, 5, 1).unwrap();
    let best = Precision::Auto.on(sciurus::Device::Cpu).unwrap();
    for (arch, normalize) in [
        (Arch::ViTSmall16, Normalize { mean: [0.5; 3], std: [0.5; 3] }),
        (Arch::MobileNetV2, Normalize::imagenet()),
    ] {
        let mut settings = TrainSettings::new(&photos);
        (settings.fit.arch, settings.fit.weights) = (arch.into(), WeightSource::Random);
        (settings.loader.image_size, settings.loader.batch_size) = (32, 2);
        let mut learner = settings.learner(Listeners::default()).unwrap();
        assert_eq!(learner.precision(), best, "{arch}");
        let path = folder.path().join("model.sciurus");
        learner.export(&path).unwrap();
        let bundle = ModelBundle::load(&path).unwrap();
        assert_eq!(bundle.manifest.arch, arch);
        assert_eq!(bundle.manifest.preprocessing.normalize, normalize, "{arch}");
        let model = bundle.model(&Device::flex()).unwrap();
        assert!(model.state_dict() == learner.model().state_dict(), "{arch}");
        settings.fit.precision = Precision::Bf16;
        let learner = settings.learner(Listeners::default()).unwrap();
        assert_eq!(learner.precision(), Precision::Bf16, "{arch}");
    }
}
