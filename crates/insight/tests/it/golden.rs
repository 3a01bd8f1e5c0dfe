//! Against fastai, scikit-learn and SciPy: `tests/golden/metrics.json`, made by `make_metrics.py`.

use sciurus_insight::{
    Accuracy, ClassificationInterpretation, Confused, ErrorRate, Metric, Predictions, Vocab, wilson,
};
use serde::Deserialize;

/// What scikit-learn and SciPy compute in float64.
const EXACT: f64 = 1e-12;
/// What fastai computes in float32, and what we store in it.
const SINGLE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    main: Case,
    absent_class: Case,
    wilson_95: Vec<WilsonCase>,
}

#[derive(Deserialize)]
struct Case {
    logits: Vec<Vec<f32>>,
    targets: Vec<usize>,
    vocab: Vec<String>,
    predictions: Vec<usize>,
    fastai: Fastai,
    sklearn: Sklearn,
    loss_per_item_first8: Vec<f64>,
    top_losses_10: Vec<u32>,
}

#[derive(Deserialize)]
struct Fastai {
    accuracy: f64,
    error_rate: f64,
    cross_entropy: f64,
    confusion_matrix: Vec<Vec<usize>>,
    most_confused: Vec<(String, String, usize)>,
    most_confused_min_3: Vec<(String, String, usize)>,
}

#[derive(Deserialize)]
struct Sklearn {
    accuracy: f64,
    log_loss: f64,
    confusion_matrix: Vec<Vec<usize>>,
    per_class: PerClass,
}

#[derive(Deserialize)]
struct PerClass {
    recall: Vec<f64>,
    support: Vec<usize>,
}

#[derive(Deserialize)]
struct WilsonCase {
    k: usize,
    n: usize,
    low: f64,
    high: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/metrics.json")).unwrap()
}

fn cases() -> Vec<(Case, ClassificationInterpretation)> {
    let Golden { main, absent_class, .. } = golden();
    let interpreted = |case: Case| {
        let (items, paths) = crate::names(case.targets.len());
        let vocab = Vocab::new(case.vocab.clone());
        let predictions =
            Predictions::from_logits(vocab, items, paths, &case.logits.concat(), case.targets.clone());
        (case, ClassificationInterpretation::new(predictions.unwrap()))
    };
    [main, absent_class].map(interpreted).into()
}

#[track_caller]
fn assert_near(ours: f64, theirs: f64, tolerance: f64) {
    assert!((ours - theirs).abs() <= tolerance, "ours {ours}, theirs {theirs}, tolerance {tolerance}");
}

fn triples(pairs: Vec<Confused>) -> Vec<(String, String, usize)> {
    pairs.into_iter().map(|pair| (pair.target, pair.prediction, pair.count)).collect()
}

#[test]
fn golden_predictions_and_rates() {
    for (case, interpretation) in cases() {
        let predictions = interpretation.predictions();
        let ours: Vec<usize> = (0..predictions.len()).map(|i| predictions.prediction(i)).collect();
        assert_eq!(ours, case.predictions);
        assert_near(Accuracy.value(predictions), case.sklearn.accuracy, EXACT);
        assert_near(ErrorRate.value(predictions), 1.0 - case.sklearn.accuracy, EXACT);
        assert_near(Accuracy.value(predictions), case.fastai.accuracy, SINGLE);
        assert_near(ErrorRate.value(predictions), case.fastai.error_rate, SINGLE);
    }
}

/// In float64 this is tested to 1e-12 beside the code, in `softmax.rs`.
#[test]
fn golden_losses() {
    for (case, interpretation) in cases() {
        let predictions = interpretation.predictions();
        assert_near(predictions.valid_loss(), case.fastai.cross_entropy, SINGLE);
        assert_near(predictions.valid_loss(), case.sklearn.log_loss, SINGLE);
        for (&ours, &theirs) in predictions.losses.iter().zip(&case.loss_per_item_first8) {
            assert_near(f64::from(ours), theirs, SINGLE);
        }
    }
}

#[test]
fn golden_losses_of_probabilities() {
    for (case, interpretation) in cases() {
        let Predictions { vocab, items, paths, probabilities, targets, .. } =
            interpretation.predictions().clone();
        let again = Predictions::from_probabilities(vocab, items, paths, probabilities, targets).unwrap();
        assert_near(again.valid_loss(), case.sklearn.log_loss, SINGLE);
    }
}

#[test]
fn golden_confusion_matrix() {
    for (case, interpretation) in cases() {
        let confusion = interpretation.confusion_matrix();
        assert_eq!(confusion.counts, case.fastai.confusion_matrix.concat());
        assert_eq!(confusion.counts, case.sklearn.confusion_matrix.concat());
        for (class, errors) in confusion.per_class().iter().enumerate() {
            assert_eq!(errors.items, case.sklearn.per_class.support[class]);
            let recall = confusion.count(class, class) as f64 / errors.items.max(1) as f64;
            assert_near(recall, case.sklearn.per_class.recall[class], EXACT);
            assert_eq!(errors.wrong, errors.items - confusion.count(class, class));
        }
    }
}

#[test]
fn golden_most_confused() {
    for (case, interpretation) in cases() {
        assert_eq!(triples(interpretation.most_confused(1)), case.fastai.most_confused);
        assert_eq!(triples(interpretation.most_confused(3)), case.fastai.most_confused_min_3);
        assert_eq!(interpretation.most_confused(0), interpretation.most_confused(1));
    }
}

#[test]
fn golden_top_losses() {
    for (case, interpretation) in cases() {
        let ours: Vec<u32> = interpretation.top_losses(10).iter().map(|top| top.item.0).collect();
        assert_eq!(ours, case.top_losses_10);
        assert_eq!(interpretation.top_losses(usize::MAX).len(), case.targets.len());
    }
}

#[test]
fn golden_wilson() {
    for WilsonCase { k, n, low, high } in golden().wilson_95 {
        let ours = wilson(k, n);
        assert_near(ours.low, low, EXACT);
        assert_near(ours.high, high, EXACT);
    }
}
