//! fastai's `create_head`: pooling, logits in both modes, gradients, running statistics, shapes and initial values.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use sciurus::data::Seed;
use sciurus::model::{
    Body, HeadConfig, Pass, ResNetConfig, StateDict, StoredTensor, VisionModel, concat_pool,
};
use sciurus::{Arch, cross_entropy};

use crate::support::{classes, difference, golden, golden_json, largest, our_name, tensor, tensors, values};

/// The head's weights as the golden file packs them: int8 over 512.
fn weights(file: &StateDict, classes: usize) -> StateDict {
    let scaled = |name: &str, map: fn(f32) -> f32| {
        let stored = &file[&format!("q/{name}")];
        StoredTensor { shape: stored.shape.clone(), values: stored.values.iter().map(|q| map(*q)).collect() }
    };
    let mut state = StateDict::new();
    let mut set = |name: &str, value| state.insert(our_name(&format!("head.{name}")), value);
    set("4.weight", scaled("4.weight", |q| q / 512.0));
    set("8.weight", scaled(&format!("8.weight.{classes}"), |q| q / 512.0));
    for layer in ["2", "6"] {
        set(&format!("{layer}.weight"), scaled(&format!("{layer}.weight"), |q| 1.0 + q / 512.0));
        set(&format!("{layer}.bias"), scaled(&format!("{layer}.bias"), |q| q / 512.0));
        set(&format!("{layer}.running_mean"), scaled(&format!("{layer}.running_mean"), |q| q / 512.0));
        set(
            &format!("{layer}.running_var"),
            scaled(&format!("{layer}.running_var"), |q| 1.0 + q.abs() / 128.0),
        );
    }
    state
}

/// A model whose head is the golden one; its body plays no part.
fn model(file: &StateDict, classes: usize, device: &Device) -> VisionModel {
    let body = Body::ResNet(ResNetConfig::basic([1; 4], 2).init(device));
    let head = HeadConfig::new(512, classes).dropout([0.0; 2]).init(device);
    VisionModel::from_parts(body, head).with_state(&weights(file, classes)).unwrap().train()
}

#[test]
fn golden_pooling_puts_the_maximum_first() {
    let file = tensors(&golden("head.safetensors"));
    let pooled = concat_pool(tensor(&file["input"], &Device::flex()));
    assert!(difference(&values(pooled), &file["features"].values) < 1e-6);
}

#[test]
fn golden_head_agrees_with_fastai() {
    let file = tensors(&golden("head.safetensors"));
    for classes_count in [2, 37] {
        let device = Device::flex().autodiff();
        let model = model(&file, classes_count, &Device::flex());
        let input: Tensor<4> = tensor::<4>(&file["input"], &device).require_grad();
        let eval = values(model.head().forward(input.clone(), &mut Pass::evaluate()));
        assert!(difference(&eval, &file[&format!("eval_logits.{classes_count}")].values) < 1e-4);

        let mut pass = Pass::train(Seed(0).rng(&[]));
        let logits = model.head().forward(input.clone(), &mut pass);
        assert!(
            difference(&values(logits.clone()), &file[&format!("train_logits.{classes_count}")].values)
                < 1e-4
        );
        let loss = cross_entropy(logits, &classes(&file[&format!("target.{classes_count}")]));
        let info = &golden_json("head.json")["heads"][classes_count.to_string()];
        let golden_loss = info["train_loss"].as_f64().unwrap();
        assert!((f64::from(values(loss.clone())[0]) - golden_loss).abs() < 1e-4);

        let grads = loss.backward();
        let ours = crate::support::gradients(&model, &grads);
        let relative = |name: &str, golden: &StoredTensor| {
            difference(&ours[&our_name(name)].values, &golden.values) / largest(&golden.values)
        };
        for layer in ["2.weight", "2.bias", "6.weight", "6.bias", "8.weight"] {
            let golden = &file[&format!("grad_{layer}.{classes_count}")];
            assert!(relative(&format!("head.{layer}"), golden) < 1e-3, "{layer} of {classes_count}");
        }
        let norm =
            ours["head.linear_1.weight"].values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((norm / info["grad_4.weight_norm"].as_f64().unwrap() - 1.0).abs() < 1e-4);
        if classes_count == 2 {
            let golden = &file["grad_input.2"].values;
            let ours = values(input.grad(&grads).unwrap());
            assert!(difference(&ours, golden) < 1e-3 * largest(golden));
            let statistics = pass.into_statistics();
            for (index, name) in
                ["2.running_mean", "2.running_var", "6.running_mean", "6.running_var"].iter().enumerate()
            {
                let golden = &file[&format!("after_{name}")].values;
                let ours = values(statistics[index].1.clone());
                assert!(difference(&ours, golden) < 1e-5 * largest(golden), "{name}");
            }
        }
    }
}

#[test]
fn golden_fresh_head_has_fastais_shapes_and_initial_values() {
    for classes in [2, 37] {
        let info = &golden_json("head.json")["heads"][classes.to_string()];
        let model = VisionModel::new(Arch::ResNet18, classes, Seed(7), &Device::flex()).unwrap();
        let state = model.state_dict();
        for (name, shape) in info["parameters"].as_object().unwrap() {
            let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
            assert_eq!(state[&our_name(&format!("head.{name}"))].shape, shape, "{name}");
        }
        for (name, deviation) in info["after_apply_init_std"].as_object().unwrap() {
            let values = &state[&our_name(&format!("head.{name}"))].values;
            let fan_in = state[&our_name(&format!("head.{name}"))].shape[1] as f64;
            let expected = (2.0 / fan_in).sqrt();
            let found =
                (values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            // The golden deviation is one draw of the same distribution: 4 standard errors of a sample deviation.
            let error = 4.0 / (2.0 * values.len() as f64).sqrt();
            assert!((found / expected - 1.0).abs() < error, "{name}: {found} against {expected}");
            assert!((deviation.as_f64().unwrap() / expected - 1.0).abs() < error, "{name}: golden");
        }
        assert!(state["head.norm_1.bias"].values.iter().all(|bias| *bias == 1e-3));
        assert!(state["head.norm_2.weight"].values.iter().all(|weight| *weight == 1.0));
        let head: usize = model
            .parameters()
            .iter()
            .filter(|p| p.name.starts_with("head.") && !p.name.contains("running"))
            .map(|p| p.shape.iter().product::<usize>())
            .sum();
        assert_eq!(head as u64, info["total"].as_u64().unwrap());
    }
}

/// The running statistics of a new head are the plain mean over its first batches; PyTorch's keep a share of their start.
#[test]
fn a_new_head_measures_from_its_first_batch_on() {
    let device = Device::flex().autodiff();
    let head = HeadConfig::new(4, 2).init(&device);
    let batch = |shift: f32| {
        let values: Vec<f32> = (0..8 * 4).map(|i| shift + (i % 7) as f32).collect();
        Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [8, 4, 1, 1]), &device)
    };
    let statistics = |shift: f32, pass: Pass| {
        let mut pass = pass;
        head.forward(batch(shift), &mut pass);
        pass.into_statistics().into_iter().map(|(_, value)| values(value)).collect::<Vec<_>>()
    };
    let pass = || Pass::train(Seed(0).rng(&[]));
    let (plain, first) = (statistics(5.0, pass()), statistics(5.0, pass().with_new_head(0)));
    for (plain, first) in plain[0].iter().zip(&first[0]) {
        assert!((plain - first * 0.1).abs() < 1e-5, "a mean that starts at 0: {plain} of {first}");
    }
    let second = statistics(5.0, pass().with_new_head(1));
    let late = statistics(5.0, pass().with_new_head(1000));
    for ((first, second), (plain, late)) in first[0].iter().zip(&second[0]).zip(plain[0].iter().zip(&late[0]))
    {
        assert!((second - first / 2.0).abs() < 1e-5, "half of the second batch: {second} of {first}");
        assert_eq!(plain, late, "from the tenth batch on as PyTorch");
    }
}
