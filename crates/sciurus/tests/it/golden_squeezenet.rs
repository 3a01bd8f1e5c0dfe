//! Five training steps of the real SqueezeNet 1.1, frozen and unfrozen, against fastai and PyTorch.

use burn::tensor::{Device, Tensor, TensorData};
use sciurus::data::Seed;
use sciurus::model::weights::read;
use sciurus::model::{Body, HeadConfig, ParamGroup, Pass, SqueezeNet, StateDict, StoredTensor, VisionModel};
use sciurus::{Hyper, Precision, Trainer, cross_entropy};

use crate::support::{difference, golden_json, gradients, our_name, shared, values};

const TARGETS: [usize; 8] = [0, 1, 2, 0, 1, 2, 1, 1];
const MOMENTA: [f64; 5] = [0.95, 0.925, 0.9, 0.875, 0.85];

/// The golden input, by its formula.
fn images(device: &Device) -> Tensor<4> {
    let mut pixels = Vec::with_capacity(8 * 3 * 128 * 128);
    for n in 0..8_i64 {
        for c in 0..3 {
            for y in 0..128 {
                for x in 0..128 {
                    let value = (c * 31 + y * 7 + x * 13 + n * 17 + (x * y * (n + 1)) / 64) % 64;
                    pixels.push((value - 32) as f32 / 16.0);
                }
            }
        }
    }
    Tensor::from_data(TensorData::new(pixels, [8, 3, 128, 128]), device)
}

/// The golden head weights, by their formula.
fn filled(shape: [usize; 2], scale: f64) -> StoredTensor {
    let value = |i: usize| ((((i as i64 * 7919) % 2003 - 1001) as f64) / 2003.0 * scale) as f32;
    StoredTensor { shape: shape.to_vec(), values: (0..shape[0] * shape[1]).map(value).collect() }
}

fn model() -> Option<VisionModel> {
    let device = Device::flex();
    let file = read(&shared("models/squeezenet1_1-imagenet.safetensors")?).unwrap();
    let mut state: StateDict =
        file.into_iter().map(|(name, tensor)| (format!("body.{name}"), tensor)).collect();
    state.insert("head.linear_1.weight".into(), filled([512, 1024], 0.08));
    state.insert("head.linear_2.weight".into(), filled([3, 512], 0.15));
    for (name, width) in [("norm_1", 1024), ("norm_2", 512)] {
        state.insert(
            format!("head.{name}.bias"),
            StoredTensor { shape: vec![width], values: vec![1e-3; width] },
        );
    }
    let head = HeadConfig::new(512, 3).dropout([0.0; 2]).init(&device);
    let model = VisionModel::from_parts(Body::SqueezeNet(SqueezeNet::new(&device)), head);
    Some(model.with_state(&state).unwrap())
}

/// Sum, norm and first four values, as the golden file keeps them.
fn assert_mark(name: &str, ours: &StoredTensor, golden: &serde_json::Value, relative: f64) {
    let norm = ours.values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let sum = ours.values.iter().map(|v| f64::from(*v)).sum::<f64>();
    let (golden_sum, golden_norm) = (golden[0].as_f64().unwrap(), golden[1].as_f64().unwrap());
    assert!(
        (norm - golden_norm).abs() <= relative * golden_norm,
        "{name}: norm {norm} against {golden_norm}"
    );
    // A sum of n values of this norm may cancel; sqrt(n) of them is what rounding can move it by.
    let room = relative * golden_norm * (ours.values.len() as f64).sqrt();
    assert!((sum - golden_sum).abs() <= room, "{name}: sum {sum} against {golden_sum}");
    for (value, golden) in ours.values.iter().zip(golden[2].as_array().unwrap()) {
        let golden = golden.as_f64().unwrap();
        assert!(
            (f64::from(*value) - golden).abs() <= relative * golden_norm,
            "{name}: {value} against {golden}"
        );
    }
}

/// fastai's name of a parameter in this file.
fn ours(state: &StateDict, golden: &str) -> StoredTensor {
    let name = if golden.starts_with("features.") { format!("body.{golden}") } else { our_name(golden) };
    state.get(&name).unwrap_or_else(|| panic!("no {name}")).clone()
}

#[test]
fn golden_features_and_evaluation_logits() {
    let Some(model) = model() else { return };
    let golden = golden_json("squeezenet_step.json");
    let logits = values(model.forward(images(&Device::flex()), &mut Pass::evaluate()));
    let expected: Vec<Vec<f32>> = serde_json::from_value(golden["eval_logits"].clone()).unwrap();
    assert!(difference(&logits, &expected.concat()) < 2e-3);
}

#[test]
fn golden_gradients_of_the_first_step() {
    let Some(model) = model() else { return };
    let golden = golden_json("squeezenet_step.json");
    for phase in ["frozen", "unfrozen"] {
        let mut trainer = Trainer::new(model.clone(), &Device::flex(), Seed(0));
        trainer.freeze_to(ParamGroup(if phase == "frozen" { 2 } else { 0 }));
        let mut pass = Pass::train(Seed(0).rng(&[]));
        let logits = trainer.model().forward(images(trainer.device()), &mut pass);
        let found = gradients(trainer.model(), &cross_entropy(logits, &TARGETS).backward());
        let expected = golden[phase]["gradients_step_1"].as_object().unwrap();
        assert_eq!(found.len(), expected.len(), "{phase}: other parameters have gradients");
        for (name, mark) in expected {
            assert_mark(name, &ours(&found, name), mark, 1e-3);
        }
    }
}

/// Relative tolerance of a loss. Unfrozen steps after the second amplify rounding: with two threads in place of one,
/// PyTorch's own program (`make_squeezenet_step.py`) gives 0.2 %, 1.7 % and 107 % other losses in steps 3 to 5, and in
/// float64 0.1 %, 5 % and 219 %. The fifth is therefore not held to a number, only to still falling.
fn tolerance(phase: &str, step: usize) -> f64 {
    match (phase, step) {
        ("frozen", _) | (_, 0 | 1) => 1e-4,
        (_, 2) => 0.005,
        _ => 0.02,
    }
}

#[test]
fn golden_five_steps() {
    let Some(model) = model() else { return };
    let golden = golden_json("squeezenet_step.json");
    for phase in ["frozen", "unfrozen"] {
        let mut trainer = Trainer::new(model.clone(), &Device::flex(), Seed(0));
        trainer.freeze_to(ParamGroup(if phase == "frozen" { 2 } else { 0 }));
        for (index, momentum) in MOMENTA.into_iter().enumerate() {
            let hyper = Hyper { learning_rates: vec![1e-5, 1e-4, 1e-3], momentum };
            let loss = trainer.step_on(images(trainer.device()), &TARGETS, &hyper).loss;
            let expected = golden[phase]["losses"][index].as_f64().unwrap();
            if (phase, index) == ("unfrozen", 4) {
                assert!(loss > 0.0 && loss < golden[phase]["losses"][3].as_f64().unwrap(), "{loss}");
                continue;
            }
            let allowed = tolerance(phase, index) * expected;
            assert!((loss - expected).abs() <= allowed, "{phase} step {index}: {loss} against {expected}");
            if index == 0 {
                let state = trainer.model().state_dict();
                for (name, mark) in golden[phase]["after_step_1"].as_object().unwrap() {
                    assert_mark(name, &ours(&state, name), mark, 1e-4);
                }
            }
        }
    }
}

/// The same steps in bf16, for which there is no golden number: they begin at the same loss, and it falls as far.
#[test]
fn steps_in_bf16_begin_at_the_golden_loss_and_fall() {
    let Some(model) = model() else { return };
    let golden = golden_json("squeezenet_step.json");
    for phase in ["frozen", "unfrozen"] {
        let mut trainer =
            Trainer::new(model.clone(), &Device::flex(), Seed(0)).with_precision(Precision::Bf16);
        trainer.freeze_to(ParamGroup(if phase == "frozen" { 2 } else { 0 }));
        let losses = MOMENTA.map(|momentum| {
            let hyper = Hyper { learning_rates: vec![1e-5, 1e-4, 1e-3], momentum };
            trainer.step_on(images(trainer.device()), &TARGETS, &hyper).loss
        });
        let expected: Vec<f64> = serde_json::from_value(golden[phase]["losses"].clone()).unwrap();
        assert!(
            (losses[0] - expected[0]).abs() <= 0.02 * expected[0],
            "{phase}: {losses:?} against {expected:?}"
        );
        assert!(
            losses[4] <= 2.0 * expected[4].max(0.1 * expected[0]),
            "{phase}: {losses:?} against {expected:?}"
        );
    }
}
