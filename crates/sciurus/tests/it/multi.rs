//! Photos with any number of labels: losses against PyTorch's, and the whole road on pictures of one, both or none of two
//! shapes, from random weights.

use std::fmt::Write as _;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use sciurus::data::{CsvLabels, DecodeLimits, Labeler, Mix, Mixed, RgbImage, Seed, Targets, decode_file};
use sciurus::insight::{MultiInterpretation, multi_metric_named};
use sciurus::prelude::*;
use sciurus::{
    AnyPredictions, Balance, Listeners, LossFunction, ModelBundle, Objective, Output, Run, TrainSettings,
    WeightSource,
};
use serde_json::Value;

use crate::support::values;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../insight/tests/golden/multi.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn golden_losses_are_pytorchs() {
    let golden = golden();
    let (logits, targets): (Vec<Vec<f32>>, _) = (read(&golden["logits"]), read(&golden["targets"]));
    let targets = Targets::Multi(targets);
    let mixed = Mixed { partner: read(&golden["partner"]), share: read(&golden["share"]) };
    let cases = golden["losses"].as_object().unwrap();
    assert_eq!(cases.len(), 7);
    for (name, theirs) in cases {
        let loss = name.trim_end_matches("_weighted");
        let weights = if name.ends_with("_weighted") { read(&golden["pos_weight"]) } else { vec![] };
        let (loss, mixed) = match loss {
            "mixed" => (LossFunction::CrossEntropy, Some(&mixed)),
            loss => (loss.parse().unwrap(), None),
        };
        let objective = Objective { loss, class_weights: weights };
        objective.check_multi(5).unwrap();
        let data = TensorData::new(logits.concat(), [logits.len(), 5]);
        let tensor = Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad();
        let loss = objective.forward_mixed(tensor.clone(), &targets, mixed);
        let gradient = values(tensor.grad(&loss.clone().backward()).unwrap());
        let (ours, value) = (f64::from(values(loss)[0]), theirs["value"].as_f64().unwrap());
        assert!((ours - value).abs() < 1e-6, "{name}: {ours} against {value}");
        for (ours, theirs) in gradient.iter().zip(read::<Vec<f64>>(&theirs["gradient_first8"])) {
            assert!((f64::from(*ours) - theirs).abs() < 1e-7, "{name}: slope {ours} against {theirs}");
        }
    }
}

#[test]
fn extreme_logits_have_finite_losses_and_focal_with_weights_is_refused() {
    for loss in [LossFunction::CrossEntropy, LossFunction::Focal { gamma: 0.5 }] {
        let objective = Objective { loss, class_weights: vec![] };
        let data = TensorData::new(vec![200.0_f32, -200.0, 0.0, 0.0], [2, 2]);
        let logits = Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad();
        let loss = objective.forward_mixed(logits.clone(), &Targets::Multi(vec![vec![1], vec![0]]), None);
        let gradient = values(logits.grad(&loss.clone().backward()).unwrap());
        assert!(
            (values(loss)[0] - 100.0).abs() < 1.0 && gradient.iter().all(|slope| slope.is_finite()),
            "{gradient:?}"
        );
    }
    let objective = Objective { loss: LossFunction::Focal { gamma: 2.0 }, class_weights: vec![1.0, 2.0] };
    let error = objective.check_multi(2).unwrap_err().to_string();
    assert!(error.contains("set `balance` to none"), "{error}");
    assert!(objective.check(2).is_ok());
}

/// Draws pictures of a disc, a cross, both or none, on a light ground, with a table of their labels.
pub(crate) fn draw(folder: &Path, count: usize) {
    use rand::RngExt;
    std::fs::create_dir_all(folder).unwrap();
    let mut table = String::from("path,labels\n");
    for index in 0..count {
        let rng = &mut Seed(7).rng(&[index as u64]);
        let labels: Vec<&str> = [("cross", 1), ("disc", 2)]
            .iter()
            .filter(|(_, bit)| index & bit > 0)
            .map(|(label, _)| *label)
            .collect();
        writeln!(table, "{index:03}.png,{}", labels.join(" ")).unwrap();
        let mut place =
            |left: f32| [left + rng.random_range(-3.0..3.0_f32), 32.0 + rng.random_range(-12.0..12.0_f32)];
        let (cross, disc) = (place(18.0), place(46.0));
        let ink = [0, 1, 2].map(|_| rng.random_range(20.0..120.0_f32));
        let image = RgbImage::from_fn(64, 64, |x, y| {
            let from = |place: [f32; 2]| ((x as f32 - place[0]).abs(), (y as f32 - place[1]).abs());
            let (cx, cy) = from(cross);
            let (dx, dy) = from(disc);
            let in_cross = labels.contains(&"cross") && cx.min(cy) < 3.0 && cx.max(cy) < 12.0;
            let in_disc = labels.contains(&"disc") && dx * dx + dy * dy < 100.0;
            let grain = rng.random_range(-15.0..15.0_f32);
            ink.map(|ink| (if in_cross || in_disc { ink } else { 210.0 } + grain) as u8).into()
        });
        image.save(folder.join(format!("{index:03}.png"))).unwrap();
    }
    std::fs::write(folder.join("labels.csv"), table).unwrap();
}

fn settings(folder: &Path) -> TrainSettings {
    let mut settings = TrainSettings::new(folder);
    settings.data.set_labeler(Labeler::Csv(CsvLabels::new(folder.join("labels.csv")).label_separator(' ')));
    settings.fit.arch = Arch::ResNet10Narrow.into();
    settings.fit.weights = WeightSource::Random;
    settings.loader.image_size = 64;
    settings.loader.batch_size = 8;
    settings
}

#[test]
fn it_learns_which_shapes_are_there_and_predicts_as_it_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    draw(&photos, 120);
    let mut settings = settings(&photos);
    settings.fit.epochs = 8;
    settings.fit.learning_rate = Some(3e-3);
    settings.data.test_fraction = Some(0.2);
    let finished =
        Run::prepare(folder.path().join("run"), settings, Listeners::default()).unwrap().train().unwrap();
    let f1 = |metrics: &[sciurus::Measured]| metrics.iter().find(|metric| metric.name == "f1").unwrap().value;
    let (valid, test) = (f1(&finished.record.metrics), f1(&finished.record.test_metrics));
    assert!(
        valid >= 0.9 && test >= 0.85,
        "F1 {valid} where the thresholds were chosen, {test} on test photos"
    );
    assert_eq!(finished.record.settings.run.metrics, ["accuracy_multi", "f1"]);

    let AnyPredictions::Multi(measured) = &finished.predictions else { panic!("any number of labels") };
    assert_eq!(finished.run.any_predictions().unwrap(), finished.predictions);
    let error = finished.run.predictions().unwrap_err().to_string();
    assert!(error.contains("are multi-label") && error.contains("sciurus interpret"), "{error}");
    let predictor = Predictor::load(finished.run.model_path()).unwrap();
    let manifest = predictor.manifest();
    assert_eq!(manifest.output, Output::MultiLabel { thresholds: measured.thresholds.clone() });
    assert_eq!(manifest.format, 3, "it answers from a photo and its mirror image");
    for i in 0..measured.len() {
        let image = decode_file(photos.join(&measured.paths[i]), &DecodeLimits::default()).unwrap();
        let prediction = predictor.predict(&image).unwrap();
        let mut on = prediction.labels.clone();
        on.sort();
        assert_eq!(on, measured.on_labels(i));
        assert_eq!(prediction.ranking.len(), 2);
        let probability = measured.row(i)[measured.vocab.class(&prediction.label).unwrap()];
        assert!((prediction.probability - probability).abs() < 1e-5);
    }
    let scores = MultiInterpretation::new(measured.clone()).labels();
    assert!(scores.iter().all(|label| label.support > 5 && label.average_precision > 0.9), "{scores:?}");
}

#[test]
fn mixing_weights_smoothing_folds_and_views_go_with_any_number_of_labels() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path(), 48);
    let mut settings = settings(folder.path());
    settings.fit.epochs = 2;
    settings.loader.mix = Some(Mix::mix_up());
    settings.fit.balance = Balance::Loss;
    settings.fit.loss = LossFunction::LabelSmoothing { amount: 0.1 };
    settings.data.set_splitter(Splitter::KFold { folds: 4, fold: 1 });
    settings.run.metrics = vec!["average_precision".into(), "f1_samples".into()];
    settings.loader.augment = Augmentation::Flip;
    let mut learner = settings.learner(Listeners::default()).unwrap();
    settings.fit(&mut learner).unwrap();
    let last = learner.history().epochs.last().unwrap();
    assert!(last.train_loss.is_finite() && last.valid_loss < 1.5, "{last:?}");
    assert_eq!(
        last.metrics.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(),
        settings.run.metrics
    );
    let AnyPredictions::Multi(views) = learner.any_tta(Split::Valid, sciurus::Tta::new(2)).unwrap() else {
        panic!("any number of labels")
    };
    assert_eq!(views.len(), 12);
    assert!(learner.predictions(Split::Valid).unwrap_err().to_string().contains("any_predictions"));
    let path = folder.path().join("model.sciurus");
    learner.export(&path).unwrap();
    let Output::MultiLabel { thresholds } = ModelBundle::load(&path).unwrap().manifest.output else {
        panic!("any number of labels")
    };
    assert_eq!(thresholds.len(), 2);
}

#[test]
fn what_needs_one_label_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path(), 24);
    let said = |change: &dyn Fn(&mut TrainSettings)| {
        let mut settings = settings(folder.path());
        change(&mut settings);
        settings.learner(Listeners::default()).unwrap_err().to_string()
    };
    let top = said(&|settings| settings.run.metrics = vec!["top_2".into()]);
    assert!(top.contains("exactly one label per photo") && top.contains("accuracy_multi"), "{top}");
    let order = said(&|settings| settings.fit.balance = Balance::Batches);
    assert!(order.contains("set `balance` to loss"), "{order}");
    let focal = said(&|settings| {
        settings.fit.balance = Balance::Loss;
        settings.fit.loss = LossFunction::Focal { gamma: 2.0 };
    });
    assert!(focal.contains("focal:2"), "{focal}");

    let loaders = |labels: CsvLabels| {
        let loaders = ImageDataLoaders::from_csv(labels).image_size(64).batch_size(8);
        loaders.build().unwrap()
    };
    let many = || CsvLabels::new(folder.path().join("labels.csv")).label_separator(' ');
    let learner = vision_learner(loaders(many()), Arch::ResNet10Narrow).weights(WeightSource::Random);
    let error = learner.metric(ErrorRate).build().unwrap_err().to_string();
    assert!(error.contains("multi_metric"), "{error}");
    let learner = vision_learner(loaders(many()), Arch::ResNet10Narrow).weights(WeightSource::Random);
    let learner = learner.boxed_multi_metric(multi_metric_named("roc_auc").unwrap()).build().unwrap();
    assert_eq!(learner.metric_names(), ["roc_auc"]);
}
