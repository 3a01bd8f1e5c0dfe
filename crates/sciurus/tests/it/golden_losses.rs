//! Losses against fastai's own, with and without class weights, on the fused path and layer by layer.

use burn::tensor::{Device, Tensor, TensorData};
use sciurus::{LossFunction, Objective};
use serde_json::Value;

use crate::support::values;

/// The weighted and unweighted value of each loss, as the golden file names it.
const LOSSES: [(LossFunction, &str, &str); 3] = [
    (LossFunction::CrossEntropy, "cross_entropy", "cross_entropy_weighted"),
    (LossFunction::LabelSmoothing { amount: 0.1 }, "label_smoothing_eps_0.1", "label_smoothing_weighted"),
    (LossFunction::Focal { gamma: 2.0 }, "focal_gamma_2", "focal_weighted"),
];

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/golden/metrics.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The loss of these logits, and the gradient of each logit.
fn computed(
    objective: &Objective,
    logits: &[Vec<f32>],
    targets: &[usize],
    device: &Device,
) -> (f32, Vec<f32>) {
    let data = TensorData::new(logits.concat(), [logits.len(), logits[0].len()]);
    let logits = Tensor::<2>::from_data(data, device).require_grad();
    let loss = objective.forward(logits.clone(), targets);
    let gradient = logits.grad(&loss.backward()).unwrap();
    (values(loss)[0], values(gradient))
}

#[test]
fn golden_losses_are_fastai_s() {
    let device = Device::flex().autodiff();
    for case in ["main", "absent_class"] {
        let golden = &golden()[case];
        let logits: Vec<Vec<f32>> = serde_json::from_value(golden["logits"].clone()).unwrap();
        let targets: Vec<usize> = serde_json::from_value(golden["targets"].clone()).unwrap();
        let class_weights: Vec<f64> =
            serde_json::from_value(golden["fastai"]["class_weights"].clone()).unwrap();
        for (loss, plain, weighted) in LOSSES {
            for (name, class_weights) in [(plain, vec![]), (weighted, class_weights.clone())] {
                let objective = Objective { loss, class_weights };
                let (ours, _) = computed(&objective, &logits, &targets, &device);
                let theirs = golden["fastai"][name].as_f64().unwrap();
                assert!((f64::from(ours) - theirs).abs() < 1e-6, "{case} {name}: {ours} against {theirs}");
            }
        }
    }
}

#[test]
fn gradients_of_losses_are_their_slopes() {
    let device = Device::flex().autodiff();
    let logits = vec![vec![0.5, -1.0, 2.0], vec![1.5, 0.25, -0.5]];
    let targets = [2, 1];
    for (loss, name, _) in LOSSES {
        let objective = Objective { loss, class_weights: vec![0.5, 1.0, 2.0] };
        let (_, gradient) = computed(&objective, &logits, &targets, &device);
        for at in 0..6 {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[at / 3][at % 3] += by;
                computed(&objective, &logits, &targets, &device).0
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((gradient[at] - slope).abs() < 1e-3, "{name} {at}: {} against {slope}", gradient[at]);
        }
    }
}

#[test]
fn losses_that_make_no_sense_are_refused() {
    for text in ["hinge", "focal:-1", "label_smoothing:1", "label_smoothing:much", "cross_entropy:1"] {
        let error = text.parse::<LossFunction>().unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("choose cross_entropy"), "{error}");
    }
}
