//! The frame of a report: head, title, facts, and the sections one below the other.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, classes, curves, labels, matrix, measures, photos, reliability};
use crate::{AnyPredictions, ConfusionMatrix};

/// Nothing is loaded from anywhere, and nothing can be: the browser refuses it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");
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

/// A document with the frame of all pages.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// What depends on whether items have one label or any number.
fn of_kind(report: &Report) -> Markup {
    match &report.predictions {
        AnyPredictions::One(predictions) => {
            let confusion = ConfusionMatrix::new(predictions);
            html! {
                (matrix::section(&confusion))
                (photos::section(report))
                (classes::section(&confusion))
                (reliability::section(predictions, report.temperature))
            }
        }
        AnyPredictions::Many(predictions) => html! {
            (photos::section(report))
            (labels::section(predictions))
        },
    }
}

pub(super) fn header(title: &str, facts: &[(String, String)]) -> Markup {
    html! {
        header {
            h1 { (title) }
            @if !facts.is_empty() {
                dl class="facts" {
                    @for (name, value) in facts {
                        div { dt { (name) } dd { (value) } }
                    }
                }
            }
        }
    }
}
