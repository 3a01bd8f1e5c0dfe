//! The page of a run: title, facts, and the sections below each other.

use maud::{Markup, PreEscaped, html};

use super::{Report, classes, curves, labels, matrix, measures, photos, reliability};
use crate::page::{document, header};
use crate::{AnyPredictions, ConfusionMatrix};

const SCRIPT: &str = include_str!("script.js");

/// The whole document about a run.
pub(super) fn page(report: &Report) -> Markup {
    let body = html! {
        main {
            (header(&report.title, &report.facts))
            (measures::section(report))
            (curves::section(report))
            (of_kind(report))
        }
        script { (PreEscaped(SCRIPT)) }
    };
    document(&report.title, &body)
}

/// The sections that depend on whether items are single-label or multi-label.
fn of_kind(report: &Report) -> Markup {
    match &report.predictions {
        AnyPredictions::Single(predictions) => {
            let confusion = ConfusionMatrix::new(predictions);
            html! {
                (matrix::section(&confusion))
                (photos::section(report))
                (classes::section(&confusion))
                (reliability::section(predictions, report.temperature))
            }
        }
        AnyPredictions::Multi(predictions) => html! {
            (photos::section(report))
            (labels::section(predictions))
        },
    }
}
