//! The metrics of a report as a table, each with its interval as a bar.

use maud::{Markup, html};

use super::Report;
use crate::{AnyPredictions, Interval, Measured, mistake_weight};

/// Width of the bar in its own units.
const WIDTH: f64 = 160.0;

/// Metrics with intervals, the loss, and the weight of one mistake.
pub(super) fn section(report: &Report) -> Markup {
    let predictions = &report.predictions;
    html! {
        section aria-labelledby="metrics" {
            h2 id="metrics" { "Metrics" }
            div class="scroll" {
                table class="numbers" {
                    thead {
                        tr {
                            th scope="col" { "metric" }
                            th scope="col" class="right" { "value" }
                            th scope="col" { "95 % interval" }
                            th scope="col" { span class="unseen" { "interval as a bar" } }
                            th scope="col" { "measured on" }
                        }
                    }
                    tbody {
                        @for measured in &report.metrics { (row(measured)) }
                        tr {
                            th scope="row" { "valid_loss" }
                            td class="right" { (number(predictions.valid_loss())) }
                            td { "–" }
                            td {}
                            td { (predictions.len()) " items, nats" }
                        }
                        @if !report.test_metrics.is_empty() {
                            tr { th scope="rowgroup" colspan="5" { "on the test photos, which no choice was based on" } }
                            @for measured in &report.test_metrics { (row(measured)) }
                        }
                    }
                }
            }
            @if let AnyPredictions::Single(_) = predictions {
                p class="note" { "Mind that " (mistake_weight(predictions.len())) "." }
            }
        }
    }
}

fn row(measured: &Measured) -> Markup {
    html! {
        tr {
            th scope="row" { (measured.name) }
            td class="right" { (number(measured.value)) }
            td { @match measured.interval { Some(interval) => (interval), None => "–" } }
            td { @if let Some(interval) = measured.interval { (bar(measured.value, interval)) } }
            td { (measured.basis()) }
        }
    }
}

/// The interval on a line from 0 to 1, with the value as a dot; nothing if it's outside.
fn bar(value: f64, interval: Interval) -> Markup {
    let inside = |v: f64| (0.0..=1.0).contains(&v);
    let place = |v: f64| format!("{:.1}", 5.0 + v * (WIDTH - 10.0));
    html! {
        @if inside(value) && inside(interval.low) && inside(interval.high) {
            svg class="bar" viewBox="0 0 160 12" width="160" height="12" aria-hidden="true" {
                line class="axis" x1="5" x2="155" y1="6" y2="6" {}
                line class="reach" x1=(place(interval.low)) x2=(place(interval.high)) y1="6" y2="6" {}
                circle class="dot" cx=(place(value)) cy="6" r="3.5" {}
            }
        }
    }
}

/// Four decimals; a dash for NaN and infinity.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "–".to_string() }
}
