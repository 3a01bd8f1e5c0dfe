//! Compares schedules, smoothed loss and Adam with fastai's own numbers.

use burn::module::ParamId;
use burn::tensor::{DType, Device, Tensor, TensorData};
use sciurus_data::{Batch, Targets};
use serde_json::Value;

use super::adam::{Adam, ParamHyper};
use super::schedule::{CombinedCosine, HyperSchedule, LearningRates, Schedule, positions};
use super::teacher::Teachers;
use super::{
    DistillSettings, FineTune, FlatCosine, Lesson, LrFind, LrSuggestions, Objective, OneCycle, SmoothLoss,
    Teacher, TeacherRecord,
};
use crate::Error;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Compares the three groups' rates and the momentum in every batch of a fit, bit for bit.
fn assert_fit(what: &str, schedule: &HyperSchedule, epochs: usize, golden: &Value) {
    let pos = floats(&golden["pos"]);
    let steps = pos.len() / epochs;
    let ours: Vec<f64> = (0..epochs).flat_map(|epoch| positions(epoch, epochs, steps).take(steps)).collect();
    assert_eq!(ours, pos, "{what}: positions");
    for (step, progress) in ours.into_iter().enumerate() {
        let hyper = schedule.at(progress);
        for group in 0..3 {
            let expected = golden["lr"][group][step].as_f64().unwrap();
            assert_close(
                hyper.learning_rates[group],
                expected,
                &format!("{what}: step {step}, group {group}"),
            );
        }
        assert_close(
            hyper.momentum,
            golden["mom"][step].as_f64().unwrap(),
            &format!("{what}: step {step}, momentum"),
        );
    }
}

/// Asserts that two values are equal except for the last bits of a float64.
fn assert_close(ours: f64, golden: f64, what: &str) {
    assert!(
        (ours - golden).abs() <= 4.0 * f64::EPSILON * golden.abs(),
        "{what}: {ours:e} against {golden:e}"
    );
}

#[test]
fn golden_fine_tune_schedules() {
    let file = golden("schedules.json");
    let recipe = FineTune::new(4);
    for steps in [4, 5, 57] {
        let fit = &file["fine_tune_4_epochs_defaults"][format!("steps_per_epoch_{steps}")];
        assert_fit("frozen", &recipe.frozen().schedule(3).unwrap(), 1, &fit["frozen"]);
        assert_fit("unfrozen", &recipe.unfrozen().schedule(3).unwrap(), 4, &fit["unfrozen"]);
    }
    let recipe = FineTune::new(3).base_learning_rate(5e-3).freeze_epochs(2);
    let fit = &file["fine_tune_3_epochs_base_lr_5e-3_freeze_2_steps_6"];
    assert_fit("frozen", &recipe.frozen().schedule(3).unwrap(), 2, &fit["frozen"]);
    assert_fit("unfrozen", &recipe.unfrozen().schedule(3).unwrap(), 3, &fit["unfrozen"]);
}

#[test]
fn golden_one_cycle_schedules() {
    let file = golden("schedules.json");
    let defaults = OneCycle::new(3).schedule(3).unwrap();
    assert_fit("defaults", &defaults, 3, &file["fit_one_cycle_3_epochs_steps_7_defaults"]);
    let spread = OneCycle::new(2).learning_rates(LearningRates::Spread { first: 1e-4, head: 1e-2 });
    assert_fit(
        "spread",
        &spread.schedule(3).unwrap(),
        2,
        &file["fit_one_cycle_2_epochs_steps_7_slice_1e-4_1e-2"],
    );
    let head = OneCycle::new(2).learning_rates(LearningRates::Head(3e-3));
    assert_fit("head", &head.schedule(3).unwrap(), 2, &file["fit_one_cycle_2_epochs_steps_7_slice_3e-3"]);
}

#[test]
fn golden_flat_cosine_schedules() {
    let file = golden("schedules.json");
    let defaults = FlatCosine::new(3).schedule(3).unwrap();
    assert_fit("defaults", &defaults, 3, &file["fit_flat_cos_3_epochs_steps_7_defaults"]);
    let rates = LearningRates::Spread { first: 1e-4, head: 1e-3 };
    let spread = FlatCosine::new(4).learning_rates(rates).schedule(3).unwrap();
    assert_fit("spread", &spread, 4, &file["fit_flat_cos_4_epochs_steps_5_lr_slice_1e-4_1e-3"]);
}

#[test]
fn golden_learning_rate_finder() {
    let file = golden("schedules.json");
    let rates = floats(&file["lr_find_defaults"]["lr"]);
    let finder = LrFind::default();
    assert_eq!(rates.len(), finder.steps);
    for (step, expected) in rates.into_iter().enumerate() {
        let ours = finder.rate(step);
        assert!((ours / expected - 1.0).abs() < 1e-14, "step {step}: {ours:e} against {expected:e}");
    }
}

#[test]
fn golden_learning_rate_suggestions() {
    let file = &golden("schedules.json")["suggestions"];
    let rates = floats(&file["lrs"]);
    for name in ["usual", "monotone", "bumpy"] {
        let curve = &file[name];
        let ours = LrSuggestions::of(&rates, &floats(&curve["losses"])).unwrap();
        let pairs = [
            ("valley", ours.valley),
            ("slide", ours.slide),
            ("minimum", ours.minimum),
            ("steep", ours.steep),
        ];
        for (kind, ours) in pairs {
            let expected = curve[kind].as_f64().unwrap();
            // fastai's rates went through f32. A wrong index would be off by 20 %, so this tolerance cannot hide one.
            assert!((ours / expected - 1.0).abs() < 1e-6, "{name} {kind}: {ours:e} against {expected:e}");
        }
    }
}

#[test]
fn golden_combined_cosine_at_its_joint() {
    let curve = &golden("schedules.json")["combined_cos_0.3_1_2_0"];
    let ours = CombinedCosine { pct_start: 0.3, start: 1.0, middle: 2.0, end: 0.0 };
    for (position, expected) in floats(&curve["pos"]).into_iter().zip(floats(&curve["value"])) {
        assert!((ours.at(position) - expected).abs() <= 4.0 * f64::EPSILON, "at {position}");
    }
}

#[test]
fn golden_geometric_learning_rates() {
    for (name, expected) in golden("schedules.json")["even_mults"].as_object().unwrap() {
        let parts: Vec<f64> = name.split('_').map(|part| part.parse().unwrap()).collect();
        let rates = LearningRates::Spread { first: parts[0], head: parts[1] }.by_group(parts[2] as usize);
        for (ours, golden) in rates.into_iter().zip(floats(expected)) {
            assert_close(ours, golden, name);
        }
    }
}

#[test]
fn golden_smoothed_training_loss() {
    let file = &golden("schedules.json")["smooth_loss_beta_.98"];
    let mut smooth = SmoothLoss::default();
    for (loss, expected) in floats(&file["batch_losses"]).into_iter().zip(floats(&file["smoothed"])) {
        // fastai averages in float32.
        assert!((smooth.add(loss) / expected - 1.0).abs() < 1e-5);
    }
}

/// One of the two tensors of a golden Adam case.
struct Subject {
    name: &'static str,
    id: ParamId,
    value: Tensor<1>,
}

fn tensor(values: &Value, dtype: DType) -> Tensor<1> {
    let values = floats(values);
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (&Device::flex(), dtype))
}

fn assert_tensor(ours: &Tensor<1>, golden: &Value, tolerance: f64, what: &str) {
    for (ours, golden) in ours.to_data().iter::<f64>().zip(floats(golden)) {
        assert!((ours - golden).abs() <= tolerance, "{what}: {ours} against {golden}");
    }
}

fn assert_adam(case: &str, precision: &str, dtype: DType, tolerance: f64) {
    let file = &golden("adam.json")["cases"][case][precision];
    let mut adam = Adam::new();
    let mut subjects = ["a", "b"].map(|name| Subject {
        name,
        id: ParamId::new(),
        value: tensor(&file[format!("{name}0")], dtype),
    });
    for (index, step) in file["steps"].as_array().unwrap().iter().enumerate() {
        if case == "cleared" && index == 3 {
            adam.clear_state();
        }
        let rates = floats(&step["lr"]);
        for subject in &mut subjects {
            let second = subject.name == "b";
            if case == "late" && second && index < 2 {
                continue;
            }
            let hyper = ParamHyper {
                learning_rate: if second { rates[rates.len() - 1] } else { rates[0] },
                momentum: step["mom"].as_f64().unwrap(),
                decays: !(case == "groups" && second),
            };
            let gradient = tensor(&file["grads"][index][subject.name], dtype);
            subject.value = adam.update(subject.id, subject.value.clone(), gradient, hyper);
            let what = format!("{case} {precision}, step {index}, {}", subject.name);
            assert_tensor(&subject.value, &step[subject.name], tolerance, &what);
        }
    }
}

#[test]
fn golden_adam_in_float64() {
    for case in ["plain", "groups", "cleared", "late"] {
        assert_adam(case, "float64", DType::F64, 1e-14);
    }
}

#[test]
fn golden_adam_in_float32() {
    for case in ["plain", "groups", "cleared", "late"] {
        assert_adam(case, "float32", DType::F32, 1e-6);
    }
}

/// A teacher that says what the golden file says.
#[derive(Debug)]
struct Written(Lesson);

impl Teacher for Written {
    fn width(&self) -> Option<usize> {
        self.0.features.as_ref().map(Vec::len)
    }

    fn teach(&mut self, _batch: &Batch) -> Result<Lesson, Error> {
        Ok(self.0.clone())
    }

    fn record(&self) -> TeacherRecord {
        TeacherRecord { name: "written".to_owned(), sha256: None }
    }
}

fn narrow(value: &Value) -> Vec<f32> {
    floats(value).into_iter().map(|value| value as f32).collect()
}

#[test]
fn golden_distillation_is_pytorchs() {
    let file = golden("distill.json");
    let settings: DistillSettings = serde_json::from_value(file["settings"].clone()).unwrap();
    let device = Device::flex().autodiff();
    let [batch, classes] = ["batch", "classes"].map(|key| file[key].as_u64().unwrap() as usize);
    let single: Vec<usize> = serde_json::from_value(file["single"].clone()).unwrap();
    let multi: Vec<Vec<usize>> = serde_json::from_value(file["multi"].clone()).unwrap();
    let set = |row: &Vec<usize>| (0..classes).filter(|class| row[*class] == 1).collect();
    let kinds = [
        ("single_label", Targets::Single(single)),
        ("multi_label", Targets::Multi(multi.iter().map(set).collect())),
    ];
    for (kind, targets) in kinds {
        let golden = &file[kind];
        let tensor = |values: &Value, width: usize| {
            Tensor::<2>::from_data(TensorData::new(narrow(values), [batch, width]), &device).require_grad()
        };
        let logits = tensor(&file["student"], classes);
        let widths: Vec<usize> = serde_json::from_value(file["widths"].clone()).unwrap();
        let said: Vec<_> =
            widths.iter().enumerate().map(|(at, width)| tensor(&file["said"][at], *width)).collect();
        let mut teachers = Teachers::of(settings.clone());
        for at in 0..widths.len() {
            let (logits, features) = (narrow(&file["teachers"][at]), narrow(&file["taught"][at]));
            teachers.add(Box::new(Written(Lesson { logits: Some(logits), features: Some(features) })));
        }
        let labels = Objective::default().forward_mixed(logits.clone(), &targets, None);
        let batch = Batch { targets, ..Batch::default() };
        let loss = teachers.loss(&batch, labels, &logits, said.clone()).unwrap();
        let gradients = loss.backward();
        let loss = f64::from(loss.into_scalar::<f32>());
        let expected = golden["loss"].as_f64().unwrap();
        assert!((loss / expected - 1.0).abs() < 1e-6, "{kind}: loss {loss} against {expected}");
        let compare = |what: &str, ours: &Tensor<2>, golden: &Value| {
            let ours = ours.grad(&gradients).unwrap().into_data();
            for (ours, golden) in ours.iter::<f64>().zip(floats(golden)) {
                assert!((ours - golden).abs() < 1e-6, "{kind}, {what}: {ours} against {golden}");
            }
        };
        compare("logits", &logits, &golden["logits_gradient"]);
        for (at, said) in said.iter().enumerate() {
            compare("features", said, &golden["said_gradients"][at]);
        }
    }
}
