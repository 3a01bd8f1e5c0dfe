//! The scores of each class: support, precision, recall and F1 from the confusion matrix.

use maud::{Markup, html};

use super::scores;
use crate::ConfusionMatrix;
use crate::table::share;

const NUMBERS: [&str; 4] = ["items", "precision", "recall", "F1"];

/// One class's scores, 0..1; `None` where they would be a share of nothing.
#[derive(Debug, PartialEq)]
struct Scores {
    support: usize,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

impl Scores {
    /// Precision `tp / (tp + fp)`, recall `tp / (tp + fn)`, F1 their harmonic mean `2 tp / (2 tp + fp + fn)`: those of
    /// scikit-learn's `precision_recall_fscore_support`, which gives 0 where this gives `None`.
    fn of(confusion: &ConfusionMatrix, class: usize) -> Self {
        let classes = || 0..confusion.vocab.len();
        let hits = confusion.count(class, class);
        let support: usize = classes().map(|prediction| confusion.count(class, prediction)).sum();
        let predicted: usize = classes().map(|target| confusion.count(target, class)).sum();
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            support,
            precision: share(hits, predicted),
            recall: share(hits, support),
            f1: share(2 * hits, support + predicted),
        }
    }
}

/// A row per class, in the vocabulary's order.
pub(super) fn section(confusion: &ConfusionMatrix) -> Markup {
    let labels = confusion.vocab.labels().iter().enumerate();
    let rows = labels.map(|(class, label)| row(label, &Scores::of(confusion, class)));
    html! {
        section aria-labelledby="classes" {
            h2 id="classes" { "Classes" }
            (scores::table("class", &NUMBERS, rows))
        }
    }
}

fn row(label: &str, scores: &Scores) -> (String, Vec<String>) {
    let mut cells = vec![scores.support.to_string()];
    cells.extend([scores.precision, scores.recall, scores.f1].map(|score| share(score.unwrap_or(f64::NAN))));
    (label.to_owned(), cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_scores_are_scikit_learns() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap();
        for case in ["main", "absent_class"] {
            let case = &golden[case];
            let counts: Vec<Vec<usize>> =
                serde_json::from_value(case["sklearn"]["confusion_matrix"].clone()).unwrap();
            let json = serde_json::json!({"vocab": case["vocab"], "counts": counts.concat()});
            let confusion: ConfusionMatrix = serde_json::from_value(json).unwrap();
            for class in 0..confusion.vocab.len() {
                let scores = Scores::of(&confusion, class);
                let expected = |what: &str| case["sklearn"]["per_class"][what][class].as_f64().unwrap();
                assert_eq!(scores.support as f64, expected("support"));
                for (what, score) in
                    [("precision", scores.precision), ("recall", scores.recall), ("f1", scores.f1)]
                {
                    assert!((score.unwrap_or(0.0) - expected(what)).abs() < 1e-12, "{what} of {class}");
                }
            }
        }
    }

    #[test]
    fn a_class_that_never_comes_up_has_no_scores() {
        let json = serde_json::json!({"vocab": ["fox", "grey"], "counts": [0, 0, 0, 3]});
        let scores = Scores::of(&serde_json::from_value(json).unwrap(), 0);
        assert_eq!(scores, Scores { support: 0, precision: None, recall: None, f1: None });
    }
}
