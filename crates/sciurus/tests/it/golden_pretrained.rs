//! What the pretrained SqueezeNet and EfficientNet-Lite answer, against PyTorch.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use sciurus::Arch;
use sciurus::data::{DecodeLimits, Normalize, Preprocessing, decode_file, resized};
use sciurus::model::weights::read;
use sciurus::model::{Body, HeadConfig, Pass, SqueezeNet, StateDict, VisionModel};

use crate::support::{difference, golden_json, shared, tensor, values};

/// SqueezeNet's 1000 ImageNet logits: its features, and the classifier of its file.
fn imagenet_logits(state: &StateDict, images: Tensor<4>) -> Vec<f32> {
    let device = Device::flex();
    let head = HeadConfig::new(512, 2).init(&device);
    let named = state.iter().map(|(name, tensor)| (format!("body.{name}"), tensor.clone())).collect();
    let model =
        VisionModel::from_parts(Body::SqueezeNet(SqueezeNet::new(&device)), head).with_state(&named).unwrap();
    let features = model.body().forward(images, &mut Pass::evaluate());
    let weight: Tensor<4> = tensor(&state["classifier.1.weight"], &device);
    let bias: Tensor<1> = tensor(&state["classifier.1.bias"], &device);
    let maps = relu(conv2d(features, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1)));
    values(maps.mean_dims(&[2, 3]))
}

fn top(logits: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order.truncate(count);
    order
}

fn floats(value: &serde_json::Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn golden_logits_of_a_formula_image() {
    let Some(path) = shared("models/squeezenet1_1-imagenet.safetensors") else { return };
    let mut pixels = Vec::new();
    for c in 0..3 {
        for y in 0..224 {
            for x in 0..224 {
                pixels.push(((c * 31 + y * 7 + x * 13) % 64 - 32) as f32 / 16.0);
            }
        }
    }
    let images = Tensor::from_data(TensorData::new(pixels, [1, 3, 224, 224]), &Device::flex());
    let logits = imagenet_logits(&read(&path).unwrap(), images);
    let golden = &golden_json("pretrained_logits.json")["formula_input"];
    assert!(difference(&logits[..16], &floats(&golden["squeezenet_logits_first16"])) < 2e-3);
    let best: Vec<usize> = serde_json::from_value(golden["squeezenet_top5"].clone()).unwrap();
    assert_eq!(top(&logits, 5), best);
}

#[test]
fn golden_top_class_of_real_photos() {
    let Some(path) = shared("models/squeezenet1_1-imagenet.safetensors") else { return };
    let state = read(&path).unwrap();
    for (name, golden) in golden_json("pretrained_logits.json")["images"].as_object().unwrap() {
        let Some(photo) = shared(&format!("data/{name}")) else { return };
        let image = decode_file(&photo, &DecodeLimits::default()).unwrap();
        let size = |side: usize| golden["resized"][side].as_u64().unwrap() as u32;
        let corner = |side: usize| golden["crop_left_top"][side].as_u64().unwrap() as u32;
        let small = resized(image, size(0), size(1));
        let cropped = image::imageops::crop_imm(&small, corner(0), corner(1), 224, 224).to_image();
        let mut pixels = vec![0.0; 3 * 224 * 224];
        Normalize::imagenet().write(&cropped, &mut pixels);
        // Decoder and resize together stay within one grey level (0.018 after normalisation) of Pillow's.
        let first = floats(&golden["preprocessed_first16"]);
        assert!(difference(&pixels[..16], &first) < 0.019, "{name}: preprocessing");
        let sum: f64 = pixels.iter().map(|v| f64::from(*v)).sum();
        let mean_off = (sum - golden["preprocessed_sum"].as_f64().unwrap()).abs() / pixels.len() as f64;
        // Measured with this decoder and resize against Pillow's: at most 2.4e-3 in the mean and 0.33 in a logit.
        assert!(mean_off < 2.5e-3, "{name}: preprocessed mean off by {mean_off:e}");
        let logits = imagenet_logits(
            &state,
            Tensor::from_data(TensorData::new(pixels, [1, 3, 224, 224]), &Device::flex()),
        );
        assert_eq!(top(&logits, 1)[0] as u64, golden["squeezenet_top5"][0].as_u64().unwrap(), "{name}");
        let off = difference(&logits[..16], &floats(&golden["squeezenet_logits_first16"]));
        assert!(off < 0.35, "{name}: logits off by {off}");
    }
}

/// Mean features `[1280]` and ImageNet logits `[1000]` of one image by an EfficientNet-Lite with its published weights.
fn lite_answers(arch: Arch, state: &StateDict, images: Tensor<4>) -> [Vec<f32>; 2] {
    let device = Device::flex();
    let head = HeadConfig::new(arch.channels(), 2).init(&device);
    let named = state.iter().map(|(name, tensor)| (format!("body.{name}"), tensor.clone())).collect();
    let model = VisionModel::from_parts(arch.body(&device), head).with_state(&named).unwrap();
    let features = values(model.embed(images, &mut Pass::evaluate()));
    let (weight, bias) = (&state["classifier.weight"].values, &state["classifier.bias"].values);
    let logit =
        |(row, bias): (&[f32], &f32)| bias + row.iter().zip(&features).map(|(a, b)| a * b).sum::<f32>();
    let logits = weight.chunks_exact(features.len()).zip(bias).map(logit).collect();
    [features, logits]
}

#[test]
fn golden_efficientnet_lite_with_its_imagenet_weights() {
    let Some(golden) = shared("golden/efficientnet_lite.json") else { return };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    for arch in [Arch::EfficientNetLite0, Arch::EfficientNetLite2] {
        let Some(path) = shared(&format!("models/{arch}-imagenet.safetensors")) else { return };
        let (state, golden) = (read(&path).unwrap(), &golden["networks"][arch.name()]);
        let side = golden["size"].as_u64().unwrap() as usize;
        let pixel = |at: usize| {
            let (c, y, x) = (at / (side * side), at / side % side, at % side);
            ((c * 31 + y * 7 + x * 13) % 64) as f32 / 32.0 - 1.0
        };
        let tensor = |pixels: Vec<f32>| {
            Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, side, side]), &Device::flex())
        };
        let pixels = (0..3 * side * side).map(pixel).collect();
        let [features, logits] = lite_answers(arch, &state, tensor(pixels));
        let formula = &golden["formula_input"];
        assert!(difference(&features[..16], &floats(&formula["pooled_first16"])) < 2e-4, "{arch}");
        assert!(difference(&logits[..16], &floats(&formula["logits_first16"])) < 2e-3, "{arch}");
        let best: Vec<usize> = serde_json::from_value(formula["top5"].clone()).unwrap();
        assert_eq!(top(&logits, 5), best, "{arch}");
        let pipeline =
            Preprocessing { image_size: side, normalize: arch.normalize(), ..Preprocessing::default() }
                .pipeline();
        for (name, golden) in golden["images"].as_object().unwrap() {
            let Some(photo) = shared(&format!("data/{name}")) else { return };
            let image = decode_file(&photo, &DecodeLimits::default()).unwrap();
            let [_, logits] = lite_answers(arch, &state, tensor(pipeline.tensor(image)));
            assert_eq!(top(&logits, 1)[0] as u64, golden["top5"][0].as_u64().unwrap(), "{arch}, {name}");
        }
    }
}
