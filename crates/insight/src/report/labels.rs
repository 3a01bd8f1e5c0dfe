//! How each label fares where items have any number of them.

use maud::{Markup, html};

use crate::{LabelScores, MultiInterpretation, MultiPredictions};

/// A row per label, in the vocabulary's order.
pub(super) fn section(predictions: &MultiPredictions) -> Markup {
    let labels = MultiInterpretation::new(predictions.clone()).labels();
    html! {
        section aria-labelledby="labels" {
            h2 id="labels" { "Labels" }
            div class="scroll" {
                table class="numbers" {
                    thead {
                        tr {
                            th scope="col" { "label" }
                            @for heading in ["items", "precision", "recall", "F1", "average precision", "threshold"] {
                                th scope="col" class="right" { (heading) }
                            }
                        }
                    }
                    tbody { @for scores in &labels { (row(scores)) } }
                }
            }
            p class="note" {
                "A label is on where its probability exceeds its threshold. The thresholds were chosen on these items for the \
                 best F1, which flatters precision, recall and F1 here; average precision needs no threshold."
            }
        }
    }
}

fn row(scores: &LabelScores) -> Markup {
    let LabelScores { label, support, precision, recall, f1, average_precision, threshold } = scores;
    html! {
        tr {
            th scope="row" { (label) }
            td class="right" { (support) }
            @for score in [*precision, *recall, *f1, *average_precision] {
                td class="right" { (if score.is_nan() { "–".to_string() } else { format!("{score:.3}") }) }
            }
            td class="right" { (format!("{threshold:.3}")) }
        }
    }
}
