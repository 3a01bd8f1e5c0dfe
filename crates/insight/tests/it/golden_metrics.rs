//! Every further metric against scikit-learn, fastai and NumPy: `tests/golden/metrics.json`; and their intervals.

use sciurus_insight::{
    CalibrationError, Metric, Predictions, Temperature, Vocab, metric_named, roc_auc_by_class,
};
use serde_json::Value;

/// What is computed from counts and ranks.
const EXACT: f64 = 1e-12;
/// What is computed from probabilities, which we store in f32; tested to 1e-12 beside the code.
const SINGLE: f64 = 1e-6;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/metrics.json")).unwrap()
}

fn predictions(case: &Value) -> Predictions {
    let logits: Vec<Vec<f32>> = serde_json::from_value(case["logits"].clone()).unwrap();
    let targets: Vec<usize> = serde_json::from_value(case["targets"].clone()).unwrap();
    let vocab: Vec<String> = serde_json::from_value(case["vocab"].clone()).unwrap();
    let (items, paths) = crate::names(targets.len());
    Predictions::from_logits(Vocab::new(vocab), items, paths, &logits.concat(), targets).unwrap()
}

#[track_caller]
fn assert_metric(name: &str, predictions: &Predictions, theirs: &Value, tolerance: f64) {
    let (ours, theirs) = (metric_named(name).unwrap().value(predictions), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() <= tolerance, "{name}: ours {ours}, theirs {theirs}");
}

#[test]
fn golden_metrics_of_classes() {
    for case in ["main", "absent_class"] {
        let case = &golden()[case];
        let (predictions, sklearn) = (predictions(case), &case["sklearn"]);
        for average in ["macro", "micro", "weighted"] {
            for score in ["precision", "recall", "f1"] {
                let name = if average == "macro" { score.to_owned() } else { format!("{score}_{average}") };
                assert_metric(&name, &predictions, &sklearn[average][score], EXACT);
            }
        }
        assert_metric("cohen_kappa", &predictions, &sklearn["cohen_kappa"], EXACT);
        assert_metric("matthews", &predictions, &sklearn["matthews"], EXACT);
        assert_metric("balanced_accuracy", &predictions, &sklearn["balanced_accuracy"], EXACT);
        assert_metric("top_2", &predictions, &case["fastai"]["top_2_accuracy"], SINGLE);
        assert_metric("top_3", &predictions, &case["fastai"]["top_3_accuracy"], SINGLE);
    }
}

#[test]
fn golden_metrics_of_ranks() {
    let case = &golden()["main"];
    let (predictions, sklearn) = (predictions(case), &case["sklearn"]);
    assert_metric("roc_auc", &predictions, &sklearn["roc_auc_ovr_macro"], EXACT);
    let floats = |name: &str| -> Vec<f64> { serde_json::from_value(sklearn[name].clone()).unwrap() };
    for (ours, theirs) in roc_auc_by_class(&predictions).into_iter().zip(floats("roc_auc_per_class")) {
        assert!((ours - theirs).abs() <= EXACT, "{ours} against {theirs}");
    }
    let by_class = floats("average_precision_per_class");
    let mean = by_class.iter().sum::<f64>() / by_class.len() as f64;
    assert_metric("average_precision", &predictions, &Value::from(mean), EXACT);
}

#[test]
fn golden_calibration() {
    for case in ["main", "absent_class"] {
        let case = &golden()[case];
        let (predictions, calibration) = (predictions(case), &case["calibration"]);
        assert_metric("brier", &predictions, &calibration["brier"], SINGLE);
        assert_metric("calibration_error", &predictions, &calibration["ece_15"], SINGLE);

        let temperature = Temperature::fit(&predictions);
        let theirs = calibration["best_temperature"].as_f64().unwrap();
        assert!((temperature.0 - theirs).abs() < 1e-4, "{} against {theirs}", temperature.0);
        let rows = (0..predictions.len()).flat_map(|i| temperature.applied_to(predictions.row(i))).collect();
        let Predictions { items, paths, vocab, targets, .. } = predictions.clone();
        let after = Predictions::from_probabilities(vocab, items, paths, rows, targets).unwrap();
        assert!((after.valid_loss() - calibration["nll_after"].as_f64().unwrap()).abs() < SINGLE);
        let ece = calibration["ece_15_after"].as_f64().unwrap();
        assert!((CalibrationError.value(&after) - ece).abs() < 1e-4);
    }
}

#[test]
fn intervals_hold_the_value_and_are_repeatable() {
    let predictions = predictions(&golden()["main"]);
    for name in [
        "top_2",
        "precision",
        "recall_weighted",
        "f2",
        "roc_auc",
        "average_precision",
        "cohen_kappa",
        "matthews",
        "balanced_accuracy",
        "brier",
        "f1_micro",
        "calibration_error",
    ] {
        let metric = metric_named(name).unwrap();
        let interval = metric.interval(&predictions).unwrap();
        assert_eq!(metric.interval(&predictions), Some(interval), "{name}");
        let value = metric.value(&predictions);
        assert!(interval.low < value && value < interval.high, "{name}: {value} in {interval}");
        assert!(interval.high - interval.low < 0.35, "{name}: {interval} says nothing");
    }
}

/// Balanced accuracy of classes of one size is the accuracy, whose interval is known from theory.
#[test]
fn a_resampled_interval_is_about_the_wilson_interval() {
    let pairs: Vec<(usize, usize)> =
        (0..200).map(|i| (i % 2, if i % 10 < 3 { 1 - i % 2 } else { i % 2 })).collect();
    let predictions = crate::predictions_of(&["a", "b"], &pairs);
    let ours = metric_named("balanced_accuracy").unwrap().interval(&predictions).unwrap();
    let theory = metric_named("accuracy").unwrap().interval(&predictions).unwrap();
    assert!(
        (ours.low - theory.low).abs() < 0.02 && (ours.high - theory.high).abs() < 0.02,
        "{ours} {theory}"
    );
    // With one label per item micro-averaged F1 is the accuracy, however the classes are.
    assert_eq!(metric_named("f1_micro").unwrap().interval(&predictions), Some(theory));
}

#[test]
fn rare_classes_do_not_draw_an_interval_away_from_its_value() {
    let labels: Vec<String> = (0..100).map(|class| format!("{class:03}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let right: Vec<(usize, usize)> = (0..300).map(|i| (i % 100, i % 100)).collect();
    let mut wrong = right.clone();
    (0..60).for_each(|i| wrong[i * 5].1 = (i * 7 + 1) % 100);
    for name in ["f1", "precision", "recall", "f1_weighted", "balanced_accuracy"] {
        let metric = metric_named(name).unwrap();
        let predictions = crate::predictions_of(&labels, &wrong);
        let (value, interval) = (metric.value(&predictions), metric.interval(&predictions).unwrap());
        assert!(interval.low < value && value < interval.high, "{name}: {value} in {interval}");
        // Resamples of a model without a mistake have none either, which says nothing of how sure that is.
        let perfect = crate::predictions_of(&labels, &right);
        assert_eq!((metric.value(&perfect), metric.interval(&perfect)), (1.0, None), "{name}");
    }
}

#[test]
fn what_cannot_be_measured_is_no_number_and_has_no_interval() {
    let one_class = crate::predictions_of(&["a", "b"], &[(0, 0), (0, 0), (0, 1)]);
    for name in ["roc_auc", "average_precision"] {
        let metric = metric_named(name).unwrap();
        assert!(metric.value(&one_class).is_nan(), "{name}");
        assert_eq!(metric.interval(&one_class), None, "{name}");
    }
    for name in ["f-1", "f", "top_0", "precision_macro", "luck", ""] {
        let error = metric_named(name).unwrap_err().to_string();
        assert!(error.contains("calibration_error"), "{error}");
    }
}
