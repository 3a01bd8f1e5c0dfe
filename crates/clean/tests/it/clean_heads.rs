//! The logistic head against scikit-learn: `tests/golden/logistic.json`, made by `make_logistic.py`; and out-of-fold
//! probabilities of sets that are small or odd.

use std::time::{Duration, Instant};

use sciurus_clean::find::{
    FoldItems, FoldOptions, LabelledItems, LogisticHead, LogisticOptions, OutOfFold, out_of_fold,
};
use sciurus_insight::Embeddings;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    penalty: f64,
    weights: Vec<f64>,
    coef: Vec<Vec<f64>>,
    intercept: Vec<f64>,
    probabilities_first10: Vec<Vec<f64>>,
}

/// The features that `make_logistic.py` describes.
fn golden_embeddings(labels: &[usize]) -> Embeddings {
    let feature = |i: usize, j: usize| {
        let wave = (i as f64 * 12.9898 + j as f64 * 78.233).sin() * 0.5;
        (wave + 0.8 * f64::from(u8::from(j == labels[i]))) as f32
    };
    let values = (0..labels.len()).flat_map(|i| (0..6).map(move |j| feature(i, j))).collect();
    Embeddings { width: 6, values }
}

#[test]
fn golden_logistic_head() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/logistic.json")).unwrap();
    assert_eq!(golden.cases.len(), 3);
    for case in golden.cases {
        let labels: Vec<usize> = (0..60).map(|i| i * 7 % case.classes).collect();
        let embeddings = golden_embeddings(&labels);
        let items: Vec<usize> = (0..60).collect();
        let options = LogisticOptions::default().penalty(case.penalty).tolerance(1e-11).iterations(1000);
        let data = LabelledItems {
            embeddings: &embeddings,
            labels: &labels,
            weights: Some(&case.weights),
            items: &items,
        };
        let head = LogisticHead::fit(data, case.classes, options.build().unwrap());
        let logits = head.logits(&embeddings, &items[..10]);
        for (row, expected) in logits.chunks(case.classes).zip(&case.probabilities_first10) {
            let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
            for (logit, expected) in row.iter().zip(expected) {
                assert!((logit.exp() / sum - expected).abs() < 1e-8, "{} {expected}", logit.exp() / sum);
            }
        }
        let weights = |class| head.weights(class).unwrap();
        for (class, expected) in case.coef.iter().enumerate() {
            for (feature, expected) in expected.iter().enumerate() {
                // scikit-learn keeps one row for two classes: the difference of ours.
                let ours = match case.classes {
                    2 => weights(1).0[feature] - weights(0).0[feature],
                    _ => weights(class).0[feature],
                };
                assert!((ours - expected).abs() < 1e-7, "{ours} {expected}");
            }
        }
        let bias = weights(case.classes - 1).1 - weights(0).1;
        let expected = match case.classes {
            2 => case.intercept[0],
            classes => case.intercept[classes - 1] - case.intercept[0],
        };
        assert!((bias - expected).abs() < 1e-7);
    }
}

/// Two noisy clusters per class around its own direction.
fn clusters(labels: &[usize], width: usize) -> Embeddings {
    let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729) as f32 * 0.618).sin();
    let values = (0..labels.len())
        .flat_map(|i| (0..width).map(move |j| (i, j)))
        .map(|(i, j)| noise(i, j) + if j % 7 == labels[i] { 1.5 } else { 0.0 })
        .collect();
    Embeddings { width, values }
}

fn judged(embeddings: &Embeddings, labels: &[usize], classes: usize) -> OutOfFold {
    let items = FoldItems { embeddings, labels, groups: None, weights: None };
    out_of_fold(items, classes, FoldOptions::default().build().unwrap()).unwrap()
}

#[test]
fn every_item_is_judged_and_it_does_not_depend_on_threads() {
    let labels: Vec<usize> = (0..90).map(|i| i % 3).collect();
    let embeddings = clusters(&labels, 16);
    let found = judged(&embeddings, &labels, 3);
    assert_eq!(found.rows.len(), 90);
    assert!(found.accuracy > 0.9 && found.unjudged.is_empty());
    assert_eq!(found.repeat_accuracy.len(), 3);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(alone.install(|| judged(&embeddings, &labels, 3)), found);
}

#[test]
fn an_item_does_not_vote_for_itself() {
    let mut labels: Vec<usize> = (0..60).map(|i| i % 2).collect();
    let embeddings = clusters(&labels, 8);
    labels[10] = 1;
    assert_eq!(judged(&embeddings, &labels, 2).rows.prediction(10), 0);
}

#[test]
fn classes_of_few_items_are_reported_not_fatal() {
    // 40 of class 0, 30 of class 1, then 1, 2, 3 and 4 of the next, none of the last.
    let sizes = [40, 30, 1, 2, 3, 4];
    let labels: Vec<usize> =
        sizes.iter().enumerate().flat_map(|(class, &n)| std::iter::repeat_n(class, n)).collect();
    let found = judged(&clusters(&labels, 8), &labels, 7);
    assert_eq!(found.unjudged, [70]);
    assert_eq!(found.rows.row(70)[2], 0.0);
    assert!((0..labels.len()).all(|item| found.rows.row(item)[6] == 0.0));
    for (labels, classes) in [(vec![], 2), (vec![0], 1), (vec![0, 1], 2), (vec![0, 0, 0], 1)] {
        assert_eq!(judged(&clusters(&labels, 4), &labels, classes).rows.len(), labels.len());
    }
}

#[test]
fn copies_are_not_judged_by_their_copies() {
    // Items 0 and 1 are the same photo with a wrong label: apart, each would vouch for the other.
    let mut labels: Vec<usize> = (0..80).map(|i| i / 2 % 2).collect();
    let mut embeddings = clusters(&labels, 64);
    embeddings.values.copy_within(0..64, 64);
    (labels[0], labels[1]) = (1, 1);
    let groups: Vec<usize> = (0..80).map(|i| if i == 1 { 0 } else { i }).collect();
    let options = FoldOptions::default().head(LogisticOptions::default().penalty(0.01)).build().unwrap();
    let given = |groups| {
        let items = FoldItems { embeddings: &embeddings, labels: &labels, groups, weights: None };
        out_of_fold(items, 2, options).unwrap().rows.row(0)[1]
    };
    assert!(given(Some(&groups)) + 0.2 < given(None));
}

#[test]
fn bad_input_is_named() {
    let embeddings = Embeddings { width: 1, values: vec![0.0, f32::NAN] };
    let error = |labels: &[usize], groups| {
        let items = FoldItems { embeddings: &embeddings, labels, groups, weights: None };
        out_of_fold(items, 2, FoldOptions::default()).unwrap_err().to_string()
    };
    assert!(error(&[0, 1], None).contains("item 1 (counted from 0): its embedding is not finite"));
    assert!(error(&[0], None).contains("embeddings (items times width)"));
    assert!(error(&[0, 1], Some(&[0][..])).contains("groups"));
    assert!(FoldOptions::default().folds(1).build().unwrap_err().to_string().contains("folds is 1"));
    assert!(LogisticOptions::default().penalty(0.0).build().is_err());
}

/// Three hundred images are done before anyone notices; generous, since tests run beside others and unoptimised.
#[test]
fn three_hundred_items_take_no_time() {
    let labels: Vec<usize> = (0..300).map(|i| i % 2).collect();
    let embeddings = clusters(&labels, 512);
    let start = Instant::now();
    judged(&embeddings, &labels, 2);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
