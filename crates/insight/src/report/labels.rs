//! The scores of each label, for multi-label items.

use maud::{Markup, html};

use super::scores;
use crate::table::share;
use crate::{LabelScores, MultiInterpretation, MultiPredictions};

const NUMBERS: [&str; 6] = ["items", "precision", "recall", "F1", "average precision", "threshold"];

/// A row per label, in the vocabulary's order.
pub(super) fn section(predictions: &MultiPredictions) -> Markup {
    let labels = MultiInterpretation::new(predictions.clone()).labels();
    html! {
        section aria-labelledby="labels" {
            h2 id="labels" { "Labels" }
            (scores::table("label", &NUMBERS, labels.iter().map(row)))
            p class="note" {
                "A label is on where its probability exceeds its threshold. The thresholds were chosen on these items for the \
                 best F1, which flatters precision, recall and F1 here; average precision needs no threshold."
            }
        }
    }
}

fn row(scores: &LabelScores) -> (String, Vec<String>) {
    let LabelScores { label, support, precision, recall, f1, average_precision, threshold } = scores;
    let mut cells = vec![support.to_string()];
    cells.extend([*precision, *recall, *f1, *average_precision].map(share));
    cells.push(format!("{threshold:.3}"));
    (label.clone(), cells)
}
