//! Against cleanlab 2.9.0: `tests/golden/cleanlab.json` and `.safetensors`, made by `shared/golden/make_cleanlab.py`.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use sciurus_clean::find::{
    ConfidentJoint, FilterOptions, LabelFilter, LabelInspector, LabelScore, OutOfSample, class_thresholds,
    find_label_issues, label_scores, ranked_issues, threshold_adjusted,
};
use serde::Deserialize;

const PROBLEMS: [&str; 4] = ["small", "noisy", "imbalanced", "missing"];
const EXACT: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    problems: BTreeMap<String, Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "K")]
    classes: usize,
    thresholds: Vec<f64>,
    confident_joint_raw: Vec<Vec<usize>>,
    confident_joint_calibrated: Vec<Vec<usize>>,
    off_diagonal_indices: Vec<usize>,
    num_label_issues: BTreeMap<String, usize>,
    find_label_issues: BTreeMap<String, serde_json::Value>,
    find_label_issues_batched: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct Found {
    indices: Vec<usize>,
    ranked: BTreeMap<String, Vec<usize>>,
}

/// A tensor of the golden file, widened to f64.
pub(crate) fn tensor(name: &str) -> Vec<f64> {
    let file = SafeTensors::deserialize(include_bytes!("../golden/cleanlab.safetensors")).unwrap();
    let view = file.tensor(name).unwrap();
    let bytes = view.data();
    match view.dtype() {
        safetensors::Dtype::F64 => {
            bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
        }
        safetensors::Dtype::F32 => {
            bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
        }
        safetensors::Dtype::I64 => {
            bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn json() -> serde_json::Value {
    serde_json::from_str(include_str!("../golden/cleanlab.json")).unwrap()
}

fn problems() -> impl Iterator<Item = (&'static str, Problem, OutOfSample)> {
    let mut golden: Golden = serde_json::from_value(json()).unwrap();
    PROBLEMS.into_iter().map(move |name| {
        let problem = golden.problems.remove(name).unwrap();
        let labels = tensor(&format!("{name}/labels")).into_iter().map(|label| label as usize).collect();
        let probabilities = tensor(&format!("{name}/pred_probs"));
        let rows = OutOfSample::new(problem.classes, probabilities, labels).unwrap();
        (name, problem, rows)
    })
}

pub(crate) fn assert_near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() <= EXACT, "{what} {i}: {ours} against {theirs}");
    }
}

#[test]
fn golden_label_scores() {
    for (name, _, rows) in problems() {
        for (score, file) in [
            (LabelScore::SelfConfidence, "self_confidence"),
            (LabelScore::NormalizedMargin, "normalized_margin"),
            (LabelScore::ConfidenceWeightedEntropy, "confidence_weighted_entropy"),
        ] {
            let file = format!("{name}/score/{file}");
            assert_near(&label_scores(&rows, score), &tensor(&file), &file);
            if score != LabelScore::ConfidenceWeightedEntropy {
                let file = format!("{file}_adjusted");
                assert_near(&label_scores(&threshold_adjusted(&rows), score), &tensor(&file), &file);
            }
        }
    }
}

#[test]
fn golden_confident_joint() {
    for (name, problem, rows) in problems() {
        assert_near(&class_thresholds(&rows), &problem.thresholds, name);
        let joint = ConfidentJoint::new(&rows);
        assert_eq!(joint.counts, problem.confident_joint_raw, "{name}");
        assert_eq!(joint.off_diagonal, problem.off_diagonal_indices, "{name}");
        assert_eq!(joint.calibrated(rows.labels()), problem.confident_joint_calibrated, "{name}");
        let counts = &problem.num_label_issues;
        assert_eq!(joint.wrong_labels(rows.labels()), counts["off_diagonal_calibrated"], "{name}");
        let found = find_label_issues(&rows, LabelFilter::ConfidentLearning, FilterOptions::default());
        assert_eq!(found.len(), counts["off_diagonal"], "{name}");
    }
}

#[test]
fn golden_filters_index_for_index() {
    let options = FilterOptions::default().build().unwrap();
    for (name, problem, rows) in problems() {
        for (file, expected) in &problem.find_label_issues {
            if file == "prune_by_noise_rate_frac_.5" {
                let half = options.noise_fraction(0.5).build().unwrap();
                let found = find_label_issues(&rows, LabelFilter::PruneByNoiseRate, half);
                assert_eq!(serde_json::json!(found), *expected, "{name} {file}");
                continue;
            }
            let filter: LabelFilter = serde_json::from_value(file.as_str().into()).unwrap();
            let expected: Found = serde_json::from_value(expected.clone()).unwrap();
            let found = find_label_issues(&rows, filter, options);
            assert_eq!(found, expected.indices, "{name} {file}");
            for (score, expected) in &expected.ranked {
                let score: LabelScore = serde_json::from_value(score.as_str().into()).unwrap();
                let ranked = ranked_issues(&found, &label_scores(&rows, score));
                assert_eq!(ranked, *expected, "{name} {file} {score:?}");
            }
        }
        assert_eq!(problem.find_label_issues.len(), 8);
    }
}

#[test]
fn golden_batched() {
    for (name, problem, rows) in problems() {
        for (batch, file) in [(10_000, "batch_size_default"), (128, "batch_size_128")] {
            let starts = (0..rows.len()).step_by(batch);
            let batches: Vec<OutOfSample> = starts
                .map(|start| {
                    let items = start..(start + batch).min(rows.len());
                    let probabilities = items.clone().flat_map(|item| rows.row(item).to_vec()).collect();
                    OutOfSample::new(rows.classes(), probabilities, rows.labels()[items].to_vec()).unwrap()
                })
                .collect();
            let mut inspector = LabelInspector::new(rows.classes(), LabelScore::SelfConfidence);
            batches.iter().for_each(|batch| inspector.observe(batch));
            let scores: Vec<f64> = batches.iter().flat_map(|batch| inspector.score(batch)).collect();
            assert_eq!(scores, label_scores(&rows, LabelScore::SelfConfidence));
            assert_eq!(inspector.label_issues(), problem.find_label_issues_batched[file], "{name} {file}");
        }
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let error = |classes, probabilities, labels| {
        OutOfSample::new(classes, probabilities, labels).unwrap_err().to_string()
    };
    assert!(error(2, vec![0.5, 0.5], vec![2]).contains("label is class 2, but there are 2 classes"));
    assert!(error(2, vec![0.5, 0.5, 0.9, 0.3], vec![0, 1]).starts_with("item 1 "));
    assert!(error(2, vec![f64::NAN, 0.5], vec![0]).starts_with("item 0 "));
    assert!(error(2, vec![0.5], vec![0]).contains("expected 2 values, found 1"));
    assert!(FilterOptions::default().noise_fraction(1.5).build().is_err());
}

/// Nothing to look at, one class, and one item are no reason to panic.
#[test]
fn degenerate_sets() {
    for rows in [
        OutOfSample::new(0, vec![], vec![]).unwrap(),
        OutOfSample::new(3, vec![], vec![]).unwrap(),
        OutOfSample::new(1, vec![1.0, 1.0], vec![0, 0]).unwrap(),
        OutOfSample::new(3, vec![0.2, 0.3, 0.5], vec![0]).unwrap(),
    ] {
        for filter in [
            LabelFilter::PruneByClass,
            LabelFilter::PruneByNoiseRate,
            LabelFilter::Both,
            LabelFilter::ConfidentLearning,
            LabelFilter::LowSelfConfidence,
            LabelFilter::LowNormalizedMargin,
        ] {
            let found = find_label_issues(&rows, filter, FilterOptions::default());
            assert!(found.len() <= 1, "{filter:?}");
        }
        assert!(label_scores(&rows, LabelScore::ConfidenceWeightedEntropy).iter().all(|s| s.is_finite()));
    }
}
