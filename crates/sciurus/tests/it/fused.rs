//! Blocks as single operations against their layers one by one: outputs, gradients, statistics, in f32 and bf16.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use sciurus::data::Seed;
use sciurus::model::{
    Body, ConvNeXt, ConvNeXtConfig, EfficientNet, EfficientNetConfig, FoldedLayers, HeadConfig, MobileNetV2,
    ParamGroup, Pass, ResNetConfig, SqueezeNet, StateDict, StoredTensor, VisionModel,
};
use sciurus::{Arch, Hyper, Precision, Trainer, cross_entropy};

use crate::support::{difference, gradients, largest, values};

const TARGETS: [usize; 8] = [0, 2, 1, 1, 0, 2, 1, 0];

/// Eight pictures that differ much, so that norms over the batch do not magnify rounding.
fn images([height, width]: [usize; 2], device: &Device) -> Tensor<4> {
    let mut rng = Seed(3).rng(&[]);
    let mut pixels = Vec::with_capacity(8 * 3 * height * width);
    for n in 0..8 {
        for c in 0..3 {
            for y in 0..height {
                for x in 0..width {
                    let wave =
                        ((x * (n + 1)) as f32 / 19.0).sin() + ((y * (8 - n) + c * 5) as f32 / 13.0).cos();
                    let grain = rng.random_range(-0.5..0.5_f32);
                    pixels.push(wave * (0.4 + 0.1 * n as f32) + grain + 0.1 * n as f32 - 0.3);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(pixels, [8, 3, height, width]), device)
}

/// Small models with random weights and norm layers that are no identity: three ResNets and a SqueezeNet.
fn models() -> Vec<(&'static str, VisionModel)> {
    let device = Device::flex();
    let resnet = |config: ResNetConfig| Body::ResNet(config.init(&device));
    let squeezenet = Body::SqueezeNet(SqueezeNet::new(&device));
    vec![
        ("resnet 12", with_random(resnet(ResNetConfig::basic([1, 2, 1, 1], 12)), 96)),
        ("resnet 16", with_random(resnet(ResNetConfig::basic([2, 1, 1, 1], 16)), 128)),
        ("resnet of bottlenecks", with_random(resnet(ResNetConfig::bottleneck([2, 1, 1, 1], 4)), 128)),
        ("squeezenet", with_random(squeezenet, SqueezeNet::OUT_CHANNELS)),
    ]
}

/// Models of some fifty layers, of random weights too.
fn deep_models() -> Vec<(&'static str, VisionModel)> {
    let device = Device::flex();
    let mobilenet = Body::MobileNetV2(MobileNetV2::new(&device));
    let efficientnet = Body::EfficientNet(EfficientNetConfig { drop_path: 0.3 }.init(&device));
    let convnext = Body::ConvNeXt(ConvNeXtConfig { drop_path: 0.3 }.init(&device));
    vec![
        ("mobilenet", between_corners(&with_random(mobilenet, MobileNetV2::OUT_CHANNELS))),
        ("efficientnet", with_random(efficientnet, EfficientNet::OUT_CHANNELS)),
        ("convnext", with_random(convnext, ConvNeXt::OUT_CHANNELS)),
    ]
}

/// A MobileNetV2 whose norm layers before a ReLU6 give values well between its corners, 3 ± 2.8.
///
/// Of the millions of values in a pass some lie within rounding of a corner, pass their gradient or do not, and change
/// all gradients before them by per cents: that is f32's doing, not a kernel's. What happens at the corners is tested on
/// single blocks, beside the network.
fn between_corners(model: &VisionModel) -> VisionModel {
    let mut state = model.state_dict();
    for (name, tensor) in &mut state {
        if name.starts_with("body.") && tensor.shape.len() == 1 {
            for value in &mut tensor.values {
                match name {
                    _ if name.ends_with(".1.weight") => *value *= 0.2,
                    _ if name.ends_with(".1.bias") => *value += 3.0,
                    _ => {}
                }
            }
        }
    }
    model.clone().with_state(&state).unwrap()
}

/// Puts a head without dropout on a body, and fills both.
fn with_random(body: Body, channels: usize) -> VisionModel {
    let head = HeadConfig::new(channels, 3).dropout([0.0; 2]).init(&Device::flex());
    let model = VisionModel::from_parts(body, head);
    let mut state = model.state_dict();
    let mut rng = Seed(8).rng(&[]);
    for (name, tensor) in &mut state {
        let fan: usize = tensor.shape.iter().skip(1).product();
        let scale = (2.0 / fan as f32).sqrt();
        for value in &mut tensor.values {
            let noise = rng.random_range(-1.0..1.0_f32);
            *value = match name.rsplit('.').next().unwrap() {
                "running_var" => 1.0 + 0.3 * noise,
                "running_mean" => 0.2 * noise,
                "bias" => 0.1 * noise,
                _ if tensor.shape.len() == 1 => 1.0 + 0.5 * noise,
                _ => 1.7 * scale * noise,
            };
        }
    }
    model.with_state(&state).unwrap()
}

/// Logits, gradients and running statistics of one training pass.
fn train(
    model: &VisionModel,
    size: [usize; 2],
    first: ParamGroup,
    pass: Pass,
) -> (Vec<f32>, StateDict, Vec<Vec<f32>>) {
    pass_through(model, size, (first, pass), |model, images, pass| {
        let logits = model.forward(images, pass);
        let loss = cross_entropy(logits.clone(), &TARGETS);
        (values(logits), loss)
    })
}

/// The same of the body alone: its features, and gradients of their sum with random factors.
fn train_body(
    model: &VisionModel,
    size: [usize; 2],
    first: ParamGroup,
    pass: Pass,
) -> (Vec<f32>, StateDict, Vec<Vec<f32>>) {
    pass_through(model, size, (first, pass), |model, images, pass| {
        let device = images.device();
        let features = model.body().forward(images, pass);
        let mut rng = Seed(5).rng(&[]);
        let factors: Vec<f32> =
            (0..features.shape().num_elements()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let factors = Tensor::from_data(TensorData::new(factors, features.dims()), &device);
        (values(features.clone()), (features * factors).sum())
    })
}

fn pass_through(
    model: &VisionModel,
    size: [usize; 2],
    (first, mut pass): (ParamGroup, Pass),
    forward: impl Fn(&VisionModel, Tensor<4>, &mut Pass) -> (Vec<f32>, Tensor<1>),
) -> (Vec<f32>, StateDict, Vec<Vec<f32>>) {
    let mut trainer = Trainer::new(model.clone(), &Device::flex(), Seed(0));
    trainer.freeze_to(first);
    let (output, loss) = forward(trainer.model(), images(size, trainer.device()), &mut pass);
    let gradients = gradients(trainer.model(), &loss.backward());
    let statistics = pass.into_statistics().into_iter().map(|(_, value)| values(value)).collect();
    (output, gradients, statistics)
}

fn training() -> Pass {
    Pass::train(Seed(0).rng(&[]))
}

/// A kind of training pass, and its name.
type Kind = (&'static str, fn() -> Pass);

/// Every model in every kind of training pass.
fn all_passes<M: Clone>(models: impl IntoIterator<Item = M>) -> impl Iterator<Item = (M, Kind)> {
    let passes: [Kind; 2] =
        [("by the batch's statistics", training), ("frozen", || training().with_frozen_norm())];
    models.into_iter().flat_map(move |model| passes.map(|pass| (model.clone(), pass)))
}

#[test]
fn a_training_pass_is_that_of_the_layers() {
    for ((name, model), (how, pass)) in all_passes(models()) {
        for (size, group) in [([64, 64], 0), ([75, 58], 0), ([64, 64], VisionModel::GROUPS - 1)] {
            let what = format!("{name} {size:?} from group {group} {how}");
            let (logits, gradients, statistics) = train(&model, size, ParamGroup(group), pass());
            let (expected, layers, layer_statistics) =
                train(&model, size, ParamGroup(group), pass().layer_by_layer());
            assert!(difference(&logits, &expected) < 2e-4 * largest(&expected).max(1.0), "{what}: logits");
            assert_eq!(gradients.keys().collect::<Vec<_>>(), layers.keys().collect::<Vec<_>>(), "{what}");
            for (parameter, expected) in &layers {
                let off =
                    difference(&gradients[parameter].values, &expected.values) / largest(&expected.values);
                assert!(off < 2e-3, "{what}: gradient of {parameter} is off by {off:e} of its largest value");
            }
            assert_eq!(statistics.len(), layer_statistics.len(), "{what}");
            for (ours, expected) in statistics.iter().zip(&layer_statistics) {
                assert!(difference(ours, expected) < 1e-4 * largest(expected).max(0.1), "{what}: statistics");
            }
        }
    }
}

/// How far a gradient through fifty layers may be off, of its largest value. A block's is off by 5e-6 at most (where each
/// is tested by itself, in the network's own file); the root of twenty blocks makes it 2e-5, and what later norm layers
/// divide by small deviations some ten times that. Less than half of it is measured, and no more than 2e-3, which the
/// models above may be off.
const DEEP_GRADIENT: f32 = 5e-4;

/// The whole way through a body and back. The head's ReLU and maximum, whose gradients jump, are left out.
#[test]
fn a_training_pass_through_a_deep_body_is_that_of_the_layers() {
    for ((name, model), (how, pass)) in all_passes(deep_models()) {
        for (size, group) in [([64, 64], 0), ([75, 58], 0), ([64, 64], VisionModel::GROUPS - 1)] {
            let what = format!("{name} {size:?} from group {group} {how}");
            let (features, gradients, statistics) = train_body(&model, size, ParamGroup(group), pass());
            let (expected, layers, layer_statistics) =
                train_body(&model, size, ParamGroup(group), pass().layer_by_layer());
            assert!(
                difference(&features, &expected) < 2e-4 * largest(&expected).max(1.0),
                "{what}: features"
            );
            assert_eq!(gradients.keys().collect::<Vec<_>>(), layers.keys().collect::<Vec<_>>(), "{what}");
            for (parameter, expected) in &layers {
                let off =
                    difference(&gradients[parameter].values, &expected.values) / scale_of(parameter, &layers);
                assert!(
                    off < DEEP_GRADIENT,
                    "{what}: gradient of {parameter} is off by {off:e} of its largest value"
                );
            }
            assert_eq!(statistics.len(), layer_statistics.len(), "{what}");
            for (ours, expected) in statistics.iter().zip(&layer_statistics) {
                assert!(difference(ours, expected) < 1e-4 * largest(expected).max(0.1), "{what}: statistics");
            }
        }
    }
}

/// What a gradient's error is measured by: its largest value, or that of its layer's weight. What is added to all pixels
/// before a norm layer has no gradient but rounding, of the weight's size.
fn scale_of(parameter: &str, gradients: &StateDict) -> f32 {
    let weight = parameter.strip_suffix(".bias").and_then(|layer| gradients.get(&format!("{layer}.weight")));
    let own = largest(&gradients[parameter].values);
    weight.map_or(own, |weight| own.max(largest(&weight.values)))
}

#[test]
fn evaluation_and_embeddings_are_those_of_the_layers() {
    for (name, model) in models().into_iter().chain(deep_models()) {
        for size in [[64, 64], [75, 58]] {
            let device = Device::flex();
            let logits = |mut pass: Pass| values(model.forward(images(size, &device), &mut pass));
            let expected = logits(Pass::evaluate().layer_by_layer());
            let scale = largest(&expected).max(1.0);
            assert!(difference(&logits(Pass::evaluate()), &expected) < 2e-4 * scale, "{name} {size:?}");
            let folded = FoldedLayers::default();
            let first = logits(Pass::evaluate().with_folded(&folded));
            assert_eq!(first, logits(Pass::evaluate().with_folded(&folded)), "{name} {size:?}: kept weights");
            let embed = |mut pass: Pass| values(model.embed(images(size, &device), &mut pass));
            let expected = embed(Pass::evaluate().layer_by_layer());
            assert!(
                difference(&embed(Pass::evaluate()), &expected) < 2e-4 * largest(&expected),
                "{name} {size:?}"
            );
            let coarse = embed(Pass::evaluate().with_precision(Precision::Bf16));
            let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
            let off = norm(&mut coarse.iter().zip(&expected).map(|(a, b)| a - b))
                / norm(&mut expected.iter().copied());
            assert!(off > 0.0 && off < 0.05, "{name} {size:?}: bf16 is off by {off}");
        }
    }
}

/// bf16 has 8 bits of significand: single small gradients drown in that, their sum over the model does not. A SqueezeNet of
/// random weights has no norm layer to keep its features apart; its steps with real weights are tested elsewhere.
#[test]
fn gradients_in_bf16_point_where_those_in_f32_do() {
    let bottlenecks = Body::ResNet(ResNetConfig::bottleneck([1; 4], 16).init(&Device::flex()));
    let basic = models().into_iter().take(2).map(|(name, model)| (name, model, 0.9));
    // A bottleneck rounds three times where a basic block does twice.
    for (name, model, least) in basic.chain([("bottlenecks", with_random(bottlenecks, 512), 0.85)]) {
        let (_, exact, _) = train(&model, [150, 117], ParamGroup(0), training());
        let (_, coarse, _) =
            train(&model, [150, 117], ParamGroup(0), training().with_precision(Precision::Bf16));
        let dot = |a: &StateDict, b: &StateDict| -> f64 {
            let product = |(name, a): (&String, &StoredTensor)| -> f64 {
                a.values.iter().zip(&b[name].values).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            a.iter().map(product).sum()
        };
        let cosine = dot(&coarse, &exact) / (dot(&coarse, &coarse) * dot(&exact, &exact)).sqrt();
        assert!(cosine > least, "{name}: the gradient in bf16 has cosine {cosine} to that in f32");
    }
}

#[test]
fn a_step_is_the_same_for_one_two_and_four_threads() {
    let step = |precision: Precision, arch: Arch, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex();
            let model = VisionModel::new(arch, 3, Seed(5), &device).unwrap();
            let mut trainer = Trainer::new(model, &device, Seed(5)).with_precision(precision);
            let hyper = Hyper { learning_rates: vec![1e-3; 3], momentum: 0.9 };
            for _ in 0..2 {
                trainer.step_on(images([130, 117], trainer.device()), &TARGETS, &hyper);
            }
            trainer.model().state_dict()
        })
    };
    for precision in [Precision::F32, Precision::Bf16] {
        for arch in
            [Arch::ResNet18, Arch::SqueezeNet1_1, Arch::MobileNetV2, Arch::EfficientNetB0, Arch::ConvNeXtTiny]
        {
            let one = step(precision, arch, 1);
            for threads in [2, 4] {
                assert!(
                    one == step(precision, arch, threads),
                    "{arch} {precision}: {threads} threads differ from one"
                );
            }
        }
    }
}
