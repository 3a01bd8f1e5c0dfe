//! Items with any number of labels: metrics, thresholds and losses against scikit-learn and PyTorch
//! (`tests/golden/make_multi.py`), files, tables, properties.

use proptest::prelude::*;
use sciurus_insight::{
    AnyPredictions, Average, ByLabel, LabelTable, Metric, MultiInterpretation, MultiPredictions,
    MultiTopLossTable, Report, Vocab, metric_named, multi_metric_named,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/multi.json")).unwrap()
}

fn predictions(golden: &Value) -> MultiPredictions {
    let logits: Vec<Vec<f32>> = serde_json::from_value(golden["logits"].clone()).unwrap();
    let targets: Vec<Vec<usize>> = serde_json::from_value(golden["targets"].clone()).unwrap();
    let vocab = Vocab::new(["ant", "bee", "cat", "dog", "elk"].map(String::from));
    let (items, paths) = crate::names(targets.len());
    MultiPredictions::from_logits(vocab, items, paths, &logits.concat(), targets).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn near(ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "ours {ours}, theirs {theirs}");
}

#[test]
fn golden_metrics_are_scikit_learns() {
    let golden = golden();
    let half = predictions(&golden);
    let thresholds: Vec<f32> = serde_json::from_value(golden["thresholds"].clone()).unwrap();
    let chosen = half.clone().with_thresholds(thresholds).unwrap();
    for (predictions, name) in [(&half, "at_half"), (&chosen, "at_thresholds")] {
        let theirs = golden[name].as_object().unwrap();
        assert_eq!(theirs.len(), 21);
        for (name, value) in theirs {
            let metric = multi_metric_named(name).unwrap();
            assert_eq!(metric.name(), name);
            near(metric.value(predictions), value.as_f64().unwrap(), 1e-12);
        }
    }
    for name in ["average_precision", "roc_auc"] {
        near(multi_metric_named(name).unwrap().value(&half), golden[name].as_f64().unwrap(), 1e-12);
    }
    let labels = MultiInterpretation::new(chosen).labels();
    for (place, scores) in labels.iter().enumerate() {
        let theirs = |name: &str| floats(&golden["by_label"][name])[place];
        assert_eq!(scores.support as f64, theirs("support"));
        for (ours, name) in [(scores.precision, "precision"), (scores.recall, "recall"), (scores.f1, "f1")] {
            near(ours, theirs(name), 1e-12);
        }
        near(scores.average_precision, floats(&golden["average_precision_by_label"])[place], 1e-12);
    }
}

#[test]
fn golden_losses_of_items_are_pytorchs() {
    let golden = golden();
    let predictions = predictions(&golden);
    near(predictions.valid_loss(), golden["losses"]["cross_entropy"]["value"].as_f64().unwrap(), 1e-7);
    for (ours, theirs) in predictions.losses.iter().zip(floats(&golden["loss_per_item_first8"])) {
        near(f64::from(*ours), theirs, 1e-7);
    }
    let MultiPredictions { items, paths, vocab, probabilities, targets, .. } = predictions.clone();
    let again = MultiPredictions::from_probabilities(vocab, items, paths, probabilities, targets).unwrap();
    near(again.valid_loss(), predictions.valid_loss(), 1e-6);
}

#[test]
fn golden_best_thresholds_reach_the_best_f1_of_the_precision_recall_curve() {
    let golden = golden();
    let half = predictions(&golden);
    let AnyPredictions::Multi(best) = AnyPredictions::Multi(half.clone()).at_best_thresholds() else {
        panic!("still any number of labels")
    };
    assert_eq!(best.thresholds, half.best_thresholds());
    for (scores, theirs) in MultiInterpretation::new(best).labels().iter().zip(floats(&golden["best_f1"])) {
        near(scores.f1, theirs, 1e-12);
    }
}

#[test]
fn intervals_hold_the_value_and_are_repeatable() {
    let predictions = predictions(&golden());
    for name in
        ["accuracy_multi", "precision_micro", "recall", "f1", "f1_samples", "average_precision", "roc_auc"]
    {
        let metric = multi_metric_named(name).unwrap();
        let interval = metric.interval(&predictions).unwrap();
        assert_eq!(metric.interval(&predictions), Some(interval));
        let value = metric.value(&predictions);
        assert!(interval.low < value && value < interval.high, "{name}: {value} in {interval}");
        assert!(interval.high - interval.low < 0.4, "{name}: {interval} says nothing");
    }
}

#[test]
fn metrics_of_the_other_kind_say_so() {
    for name in ["error_rate", "top_3", "cohen_kappa", "brier"] {
        let error = multi_metric_named(name).unwrap_err().to_string();
        assert!(error.contains("exactly one label") && error.contains("average_precision"), "{error}");
    }
    for name in ["accuracy_multi", "f1_samples"] {
        let error = metric_named(name).unwrap_err().to_string();
        assert!(error.contains("`label_separator`") && error.contains("top_K"), "{error}");
    }
    let error = multi_metric_named("luck").unwrap_err().to_string();
    assert!(error.contains("there is no metric \"luck\""), "{error}");
}

#[test]
fn files_of_both_kinds_are_told_apart_and_broken_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.json");
    let many = AnyPredictions::Multi(predictions(&golden())).at_best_thresholds();
    many.save(&path).unwrap();
    assert_eq!(AnyPredictions::load(&path).unwrap(), many);
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"targets\":[[", "\"targets\":[[9,"),
        ("\"thresholds\":[", "\"thresholds\":[2.0,"),
        ("\"losses\":[", "\"losses\":[1e99,"),
    ] {
        assert_ne!(text.replace(from, to), text, "{from}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        assert!(AnyPredictions::load(&path).is_err(), "{to}");
    }
    let one = AnyPredictions::Single(crate::predictions_of(&["a", "b"], &[(0, 1), (1, 1)]));
    one.save(&path).unwrap();
    assert_eq!(AnyPredictions::load(&path).unwrap(), one);
    assert!(MultiPredictions::load(&path).is_err());
}

#[test]
fn a_label_that_no_item_has_counts_nowhere_and_tables_show_it() {
    let vocab = Vocab::new(["ant", "bee"].map(String::from));
    let (items, paths) = crate::names(3);
    let probabilities = vec![0.9, 0.2, 0.3, 0.6, 0.8, 0.1];
    let targets = vec![vec![0], vec![], vec![0]];
    let predictions =
        MultiPredictions::from_probabilities(vocab, items, paths, probabilities, targets).unwrap();
    assert_eq!(multi_metric_named("average_precision").unwrap().value(&predictions), 1.0);
    assert_eq!(predictions.best_thresholds(), [0.5, 0.5]);
    assert_eq!(predictions.mistakes(), 1);
    let interpretation = MultiInterpretation::new(predictions.clone());
    let table = LabelTable(&interpretation.labels()).to_string();
    assert!(table.lines().nth(2).unwrap().contains("0.000       –"), "{table}");
    let losses = MultiTopLossTable(&interpretation.top_losses(1)).to_string();
    assert!(
        losses.contains("bee") && losses.contains("none") && losses.ends_with("photos/001.jpg"),
        "{losses}"
    );

    let page = Report::of_many("labels & more", predictions).render();
    assert!(page.contains("labels &amp; more") && page.contains("accuracy_multi"), "{page}");
    assert!(page.contains("no label") && page.contains("average precision"));
    for missing in ["Confusion", "Reliability", "one mistake"] {
        assert!(!page.contains(missing), "{missing}");
    }
}

/// Up to 30 items of up to 5 labels, with probabilities that sometimes tie.
fn any_predictions() -> impl Strategy<Value = MultiPredictions> {
    (1_usize..6, 1_usize..31).prop_flat_map(|(labels, len)| {
        let logits = prop::collection::vec((-9_i8..9).prop_map(f32::from), labels * len);
        let truth = prop::collection::vec(any::<bool>(), labels * len);
        (logits, truth).prop_map(move |(logits, truth)| {
            let vocab = Vocab::new((0..labels).map(|label| format!("label {label}")));
            let (items, paths) = crate::names(len);
            let targets =
                truth.chunks(labels).map(|row| (0..labels).filter(|&label| row[label]).collect()).collect();
            MultiPredictions::from_logits(vocab, items, paths, &logits, targets).unwrap()
        })
    })
}

proptest! {
    #[test]
    fn no_threshold_has_a_higher_f1_than_the_best(predictions in any_predictions(), other in 0.0_f32..1.0) {
        let f1 = |thresholds: Vec<f32>| {
            let predictions = predictions.clone().with_thresholds(thresholds).unwrap();
            MultiInterpretation::new(predictions).labels().into_iter().map(|label| label.f1).collect::<Vec<_>>()
        };
        let (best, other) = (f1(predictions.best_thresholds()), f1(vec![other; predictions.vocab.len()]));
        for (best, other) in best.iter().zip(&other) {
            prop_assert!(other.is_nan() || *best >= *other || (best.is_nan() && *other == 0.0), "{best} {other}");
        }
    }

    #[test]
    fn metrics_are_shares_and_samples_and_items_agree(predictions in any_predictions()) {
        for name in ["accuracy_multi", "f1", "f1_micro", "f1_weighted", "f1_samples", "average_precision", "roc_auc"] {
            let value = multi_metric_named(name).unwrap().value(&predictions);
            prop_assert!(value.is_nan() || (0.0..=1.0).contains(&value), "{name} {value}");
        }
        if predictions.mistakes() == 0 {
            prop_assert_eq!(multi_metric_named("accuracy_multi").unwrap().value(&predictions), 1.0);
        }
        if predictions.len() == 1 {
            let [samples, micro] = [Average::Samples, Average::Micro].map(|average| ByLabel::f_beta(1.0, average).value(&predictions));
            prop_assert!((samples - micro).abs() < 1e-12);
        }
    }
}
