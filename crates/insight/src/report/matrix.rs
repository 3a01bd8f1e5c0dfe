//! The confusion matrix as a grid of buttons that choose which photos the page shows.

use maud::{Markup, html};

use super::photos::Choice;
use crate::ConfusionMatrix;

/// With more classes than this a grid is unreadable, so the most confused pairs are listed instead.
const MAX_GRID: usize = 50;
/// How many pairs are listed.
const LISTED: usize = 100;

/// The grid, or the list of pairs if there are many classes.
pub(super) fn section(confusion: &ConfusionMatrix) -> Markup {
    let classes = confusion.vocab.len();
    html! {
        section aria-labelledby="confusion" {
            h2 id="confusion" { "Confusion matrix" }
            p class="note" { "Rows are the given labels, columns what was predicted. Choose a number to see its photos." }
            @if classes > MAX_GRID { (pairs(confusion)) } @else { (grid(confusion)) }
        }
    }
}

fn grid(confusion: &ConfusionMatrix) -> Markup {
    let classes = confusion.vocab.labels().iter().enumerate();
    html! {
        div class="scroll" {
            table class="matrix" {
                caption class="unseen" { "Counts of items by given and predicted label" }
                thead {
                    tr {
                        th scope="col" class="corner" { "given \\ predicted" }
                        @for (_, label) in classes.clone() { th scope="col" title=(label) { (label) } }
                    }
                }
                tbody {
                    @for (target, label) in classes {
                        tr {
                            th scope="row" title=(label) { (label) }
                            @for prediction in 0..confusion.vocab.len() { (cell(confusion, target, prediction)) }
                        }
                    }
                }
            }
        }
    }
}

/// A count, coloured more strongly the larger its share of the row.
fn cell(confusion: &ConfusionMatrix, target: usize, prediction: usize) -> Markup {
    let count = confusion.count(target, prediction);
    let row: usize = (0..confusion.vocab.len()).map(|class| confusion.count(target, class)).sum();
    let kind = if target == prediction { "right-cell" } else { "wrong-cell" };
    html! {
        td class=(kind) {
            @if count == 0 { span class="none" { "·" } } @else {
                @let share = format!("--share: {:.3}", count as f64 / row as f64);
                (Choice::pair(confusion, target, prediction).button(Some(&share), &html! { (count) }))
            }
        }
    }
}

fn pairs(confusion: &ConfusionMatrix) -> Markup {
    let class = |label: &str| confusion.vocab.class(label).unwrap_or_default();
    html! {
        ul class="pairs" {
            @for pair in confusion.most_confused(1).iter().take(LISTED) {
                @let (target, prediction) = (class(&pair.target), class(&pair.prediction));
                li {
                    (Choice::pair(confusion, target, prediction).button(None, &html! { (pair.count) }))
                    " " (pair.target) " taken for " (pair.prediction)
                }
            }
        }
    }
}
