//! Every architecture beyond ResNet-18 and SqueezeNet against torchvision's (timm's) own, with weights that a formula
//! gives: names, shapes, features, logits and gradients. `tests/golden/make_archs.py` made the numbers.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use sciurus::Arch;
use sciurus::data::Seed;
use sciurus::model::{
    Body, ConvNeXtConfig, EfficientNetConfig, HeadConfig, Pass, StateDict, StoredTensor, VisionModel,
};
use serde_json::Value;

use crate::support::{difference, golden_json, gradients, largest, values};

const CLASSES: usize = 5;

/// Values in -1..1 that depend on the name of a tensor and the place in it; `noise` of `make_archs.py`.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let seed =
        name.bytes().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let value = |index: usize| {
        let mut x = (index as u32).wrapping_mul(0x9E37_79B9).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(value).collect()
}

/// The weights of a tensor; `fill` of `make_archs.py`.
fn fill(name: &str, shape: &[usize]) -> StoredTensor {
    let mut values = noise(name, shape.iter().product());
    let (offset, scale) = match name.rsplit('.').next().unwrap() {
        "running_var" | "layer_scale" => (1.0, 0.25),
        "bias" | "running_mean" => (0.0, 0.125),
        "cls_token" | "pos_embed" => (0.0, 0.5),
        _ if shape.len() == 1 => (1.0, 0.25),
        _ => (0.0, (3.0 / shape.iter().skip(1).product::<usize>() as f64).sqrt() as f32),
    };
    values.iter_mut().for_each(|value| *value = offset + scale * *value);
    StoredTensor { shape: shape.to_vec(), values }
}

fn images(batch: usize, size: usize, device: &Device) -> Tensor<4> {
    let image = 3 * size * size;
    let mut pixels = noise("images", 2 * image);
    let (dark, bright) = pixels.split_at_mut(image);
    dark.iter_mut().for_each(|value| *value -= 0.5);
    bright.iter_mut().for_each(|value| *value += 0.5);
    pixels.truncate(batch * image);
    Tensor::from_data(TensorData::new(pixels, [batch, 3, size, size]), device)
}

/// A model that drops nothing, with the formula's weights.
fn model(arch: Arch) -> VisionModel {
    let device = Device::flex();
    let body = match arch {
        Arch::EfficientNetB0 => Body::EfficientNet(EfficientNetConfig { drop_path: 0.0 }.init(&device)),
        Arch::ConvNeXtTiny => Body::ConvNeXt(ConvNeXtConfig { drop_path: 0.0 }.init(&device)),
        _ => arch.body(&device),
    };
    let head = HeadConfig::new(arch.channels(), CLASSES).dropout([0.0; 2]).pooling(arch.pooling());
    let model = VisionModel::from_parts(body, head.init(&device));
    let state: StateDict = model
        .parameters()
        .into_iter()
        .map(|info| (info.name.clone(), fill(&info.name, &info.shape)))
        .collect();
    model.with_state(&state).unwrap()
}

fn floats(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Names and shapes in torchvision's order.
fn assert_names(model: &VisionModel, golden: &Value) {
    let ours: Vec<(String, Vec<usize>)> = model
        .parameters()
        .into_iter()
        .filter_map(|info| Some((info.name.strip_prefix("body.")?.to_owned(), info.shape)))
        .collect();
    let theirs: Vec<(String, Vec<usize>)> = serde_json::from_value(golden.clone()).unwrap();
    let sorted = |mut names: Vec<(String, Vec<usize>)>| {
        names.sort();
        names
    };
    assert_eq!(sorted(ours), sorted(theirs));
}

/// Mean features and logits in evaluation, to 1e-4 of their size.
fn assert_evaluation(model: &VisionModel, golden: &Value, pass: impl Fn() -> Pass) {
    let [batch, size] = ["batch", "image_size"].map(|key| golden[key].as_u64().unwrap() as usize);
    let device = Device::flex();
    let embedded = values(model.embed(images(batch, size, &device), &mut pass()));
    let norm = embedded.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let golden_norm = golden["mean_features_norm"].as_f64().unwrap();
    assert!((norm / golden_norm - 1.0).abs() < 1e-4, "norm of the features: {norm} against {golden_norm}");
    for (row, ours) in embedded.chunks_exact(embedded.len() / batch).enumerate() {
        let theirs = floats(&golden["mean_features"][row]);
        let off = difference(&ours[..theirs.len()], &theirs) / largest(&theirs);
        assert!(off < 1e-4, "features of image {row} are off by {off:e}");
    }
    let logits = values(model.forward(images(batch, size, &device), &mut pass()));
    for (row, ours) in logits.chunks_exact(CLASSES).enumerate() {
        let theirs = floats(&golden["logits"][row]);
        let off = difference(ours, &theirs) / largest(&theirs);
        assert!(off < 1e-4, "logits of image {row} are off by {off:e}");
    }
}

/// Gradients of a weighted sum of the mean features, to `tolerance` of a tensor's norm.
fn assert_gradients(model: &VisionModel, golden: &Value, pass: Pass, tolerance: f64) {
    let [batch, size] = ["batch", "image_size"].map(|key| golden[key].as_u64().unwrap() as usize);
    let device = Device::flex().autodiff();
    let (model, mut pass) = (model.clone().train(), pass);
    let means = model.embed(images(batch, size, &device), &mut pass);
    let weights = TensorData::new(noise("loss", means.shape().num_elements()), means.shape());
    let loss = (means * Tensor::from_data(weights, &device)).sum();
    let ours = gradients(&model, &loss.clone().backward());
    let (loss, golden_loss) = (f64::from(values(loss)[0]), golden["loss"].as_f64().unwrap());
    let scale = golden_loss.abs().max(1.0);
    assert!((loss - golden_loss).abs() < 1e-4 * scale, "loss {loss} against {golden_loss}");
    let golden = golden["gradients"].as_object().unwrap();
    assert!(golden.len() > 15);
    for (name, golden) in golden {
        let norm = golden[0].as_f64().unwrap();
        let found = ours[name].values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        assert!((found / norm - 1.0).abs() < tolerance, "{name}: norm {found} against {norm}");
        let first = floats(&golden[1]);
        let mut values = ours[name].values.clone();
        if let (Body::EfficientNetLite(_), &[_, _, height, width]) = (model.body(), &ours[name].shape[..]) {
            // It runs upside down.
            values.chunks_exact_mut(height * width).for_each(<[f32]>::reverse);
        }
        let off = f64::from(difference(&values[..first.len()], &first)) / norm;
        assert!(off < tolerance, "{name}: off by {off:e} of the norm");
    }
}

/// All there is of an architecture in the golden file; in evaluation PyTorch's own rounding is 1e-6.
fn assert_arch(arch: Arch) {
    let file = golden_json("archs.json");
    let golden = &file["archs"][arch.name()];
    let model = model(arch);
    assert_names(&model, &golden["parameters"]);
    assert_evaluation(&model, golden, Pass::evaluate);
    match arch {
        Arch::EfficientNetB0 => assert_gradients(&model, golden, Pass::train(Seed(0).rng(&[])), 1e-3),
        _ => assert_gradients(&model, golden, Pass::evaluate(), 1e-4),
    }
}

#[test]
fn golden_resnet50_is_torchvisions() {
    assert_arch(Arch::ResNet50);
}

#[test]
fn golden_resnet50_layer_by_layer_is_torchvisions() {
    let golden = &golden_json("archs.json")["archs"]["resnet50"];
    assert_evaluation(&model(Arch::ResNet50), golden, || Pass::evaluate().layer_by_layer());
}

#[test]
fn golden_resnet101_is_torchvisions() {
    assert_arch(Arch::ResNet101);
}

#[test]
fn golden_mobilenet_v2_is_torchvisions() {
    assert_arch(Arch::MobileNetV2);
}

#[test]
fn golden_efficientnet_b0_is_torchvisions() {
    assert_arch(Arch::EfficientNetB0);
}

/// TensorFlow's padding differs from PyTorch's on even sizes only; 75 pixels give sizes that are odd and even by turns.
#[test]
fn golden_efficientnet_lite_is_timms_at_even_and_odd_sizes() {
    let file = golden_json("archs.json");
    assert_arch(Arch::EfficientNetLite0);
    assert_arch(Arch::EfficientNetLite2);
    let (golden, model) = (&file["archs"]["efficientnet_lite0 at 75"], model(Arch::EfficientNetLite0));
    assert_evaluation(&model, golden, Pass::evaluate);
    assert_evaluation(&model, golden, || Pass::evaluate().layer_by_layer());
    assert_gradients(&model, golden, Pass::evaluate(), 1e-4);
}

#[test]
fn golden_convnext_tiny_is_torchvisions() {
    assert_arch(Arch::ConvNeXtTiny);
}

#[test]
fn golden_vit_small_is_timms_at_every_image_size() {
    let file = golden_json("archs.json");
    let model = model(Arch::ViTSmall16);
    assert_names(&model, &file["archs"]["vit_small_patch16_224"]["parameters"]);
    for name in ["vit_small_patch16_224", "vit_small_patch16_224 at 80", "vit_small_patch16_224 at 272"] {
        assert_evaluation(&model, &file["archs"][name], Pass::evaluate);
    }
    assert_gradients(&model, &file["archs"]["vit_small_patch16_224 at 80"], Pass::evaluate(), 1e-4);
}
