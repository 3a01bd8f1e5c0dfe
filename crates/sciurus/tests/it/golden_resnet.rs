//! One and three full training steps of a narrow ResNet-18, frozen and unfrozen, against fastai and PyTorch.

use burn::tensor::Device;
use sciurus::data::Seed;
use sciurus::model::{Body, HeadConfig, ParamGroup, Pass, ResNetConfig, StateDict, VisionModel};
use sciurus::{Hyper, Phase, Trainer, cross_entropy};

use crate::support::{
    below, classes, difference, golden_json, gradients, largest, our_name, shared, tensor, tensors, values,
};

/// Learning rates of the golden step.
const RATES: [f64; 3] = [1e-5, 1e-4, 1e-3];

/// The golden file, unless the shared folder is not here.
fn golden() -> Option<StateDict> {
    Some(tensors(&std::fs::read(shared("golden/resnet18_step.safetensors")?).unwrap()))
}

fn trainer(file: &StateDict, phase: Phase) -> Trainer {
    let device = Device::flex();
    let body = Body::ResNet(ResNetConfig::basic([2; 4], 16).init(&device));
    let head = HeadConfig::new(128, 3).dropout([0.0; 2]).init(&device);
    let model = VisionModel::from_parts(body, head).with_state(&below(file, "init/")).unwrap();
    let mut trainer = Trainer::new(model, &device, Seed(0));
    trainer.freeze_to(ParamGroup(if phase == Phase::Frozen { VisionModel::GROUPS - 1 } else { 0 }));
    trainer
}

fn step(trainer: &mut Trainer, file: &StateDict, momentum: f64) -> f64 {
    let images = tensor(&file["input"], trainer.device());
    let hyper = Hyper { learning_rates: RATES.to_vec(), momentum };
    trainer.step_on(images, &classes(&file["target"]), &hyper).loss
}

/// The learning rate of a parameter, by its golden name.
fn rate(name: &str) -> f64 {
    match name {
        _ if name.starts_with("head.") => RATES[2],
        _ if name.starts_with("body.layer3") || name.starts_with("body.layer4") => RATES[1],
        _ => RATES[0],
    }
}

/// Every stored tensor of a golden state: parameters within a tenth of their rate, statistics within 1e-5.
fn assert_state(file: &StateDict, prefix: &str, ours: &StateDict) {
    let mut compared = 0;
    for (key, golden) in file {
        let (name, every) = match (
            key.strip_prefix(&format!("{prefix}/after/")),
            key.strip_prefix(&format!("{prefix}/after_sample/")),
        ) {
            (Some(name), _) => (name, 1),
            (_, Some(name)) => (name, 37),
            _ => match key.strip_prefix("after3/") {
                Some(name) if prefix == "after3" => (name, 1),
                _ => continue,
            },
        };
        let found: Vec<f32> = ours[&our_name(name)].values.iter().copied().step_by(every).collect();
        let off = difference(&found, &golden.values);
        let allowed = if name.contains("running_") {
            1e-5 * f64::from(largest(&golden.values))
        } else {
            0.1 * rate(name)
        };
        assert!(f64::from(off) <= allowed, "{prefix} {name}: off by {off:e}, allowed {allowed:e}");
        compared += 1;
    }
    assert!(compared > 50, "{prefix}: only {compared} tensors compared");
}

#[test]
fn golden_evaluation_logits() {
    let Some(file) = golden() else { return };
    let trainer = trainer(&file, Phase::Unfrozen);
    let logits = trainer.model().forward(tensor(&file["input"], trainer.device()), &mut Pass::evaluate());
    assert!(difference(&values(logits), &file["eval_logits"].values) < 1e-4);
}

#[test]
fn golden_gradients_of_a_training_pass() {
    let Some(file) = golden() else { return };
    let layers = || Pass::train(Seed(0).rng(&[])).layer_by_layer();
    let fused = || Pass::train(Seed(0).rng(&[]));
    for (phase, prefix, mut pass) in [
        (Phase::Unfrozen, "unfrozen/grad/", fused()),
        (Phase::Frozen, "frozen/grad/", fused()),
        (Phase::Unfrozen, "unfrozen/grad/", layers()),
        (Phase::Frozen, "frozen/grad/", layers()),
    ] {
        let trainer = trainer(&file, phase);
        let logits = trainer.model().forward(tensor(&file["input"], trainer.device()), &mut pass);
        assert!(difference(&values(logits.clone()), &file["train_logits"].values) < 1e-4);
        let loss = cross_entropy(logits, &classes(&file["target"]));
        let ours = gradients(trainer.model(), &loss.backward());
        let golden = below(&file, prefix);
        for (name, golden) in &golden {
            let off = difference(&ours[name].values, &golden.values) / largest(&golden.values);
            assert!(off < 2e-4, "{prefix} {name}: {off:e} of the largest value");
        }
        let expected: Vec<String> = match phase {
            Phase::Unfrozen => golden.keys().cloned().collect(),
            _ => {
                let info = golden_json("resnet18_step.json");
                let mut names: Vec<String> = info["frozen"]["with_grad"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| our_name(n.as_str().unwrap()))
                    .collect();
                names.sort();
                names
            }
        };
        assert_eq!(ours.keys().cloned().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn golden_state_after_one_unfrozen_step() {
    let Some(file) = golden() else { return };
    let mut trainer = trainer(&file, Phase::Unfrozen);
    let loss = step(&mut trainer, &file, 0.95);
    let golden = golden_json("resnet18_step.json")["unfrozen"]["loss"].as_f64().unwrap();
    assert!((loss - golden).abs() < 1e-4);
    assert_state(&file, "unfrozen", &trainer.model().state_dict());
}

#[test]
fn golden_state_after_one_frozen_step() {
    let Some(file) = golden() else { return };
    let mut trainer = trainer(&file, Phase::Frozen);
    step(&mut trainer, &file, 0.95);
    let ours = trainer.model().state_dict();
    assert_state(&file, "frozen", &ours);
    let before = below(&file, "init/");
    for name in golden_json("resnet18_step.json")["frozen"]["unchanged"].as_array().unwrap() {
        let name = our_name(name.as_str().unwrap());
        assert_eq!(ours[&name], before[&name], "{name} must not change while frozen");
    }
}

#[test]
fn golden_state_after_three_steps() {
    let Some(file) = golden() else { return };
    let info = golden_json("resnet18_step.json");
    let mut trainer = trainer(&file, Phase::Unfrozen);
    for (index, momentum) in [0.95, 0.9, 0.85].into_iter().enumerate() {
        let loss = step(&mut trainer, &file, momentum);
        let golden = info["three_steps"]["losses"][index].as_f64().unwrap();
        assert!((loss - golden).abs() < 1e-3 * golden.max(0.1), "step {index}: {loss} against {golden}");
    }
    assert_state(&file, "after3", &trainer.model().state_dict());
}
