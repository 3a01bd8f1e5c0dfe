//! How training went: losses and metrics by epoch, learning rates by step, and the same as numbers.

use maud::{Markup, html};

use super::line_chart::{LineChart, Point, Series};
use super::measures::number;
use super::{EpochRow, Report};
use crate::Measured;

/// More points than this can't be distinguished in a line.
const MAX_POINTS: usize = 400;

/// Curves, and a table to unfold; nothing if there are neither epochs nor learning rates.
pub(super) fn section(report: &Report) -> Markup {
    if report.epochs.is_empty() && report.learning_rates.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="training" {
            h2 id="training" { "Training" }
            div class="charts" {
                (losses(&report.epochs).figure())
                @for name in metric_names(&report.epochs) { (metric(&report.epochs, name).figure()) }
                (learning_rates(&report.learning_rates).figure())
            }
            @if !report.epochs.is_empty() {
                details {
                    summary { "Numbers by epoch" }
                    (table(&report.epochs))
                }
            }
        }
    }
}

fn losses(epochs: &[EpochRow]) -> LineChart {
    let line = |name: &str, of: fn(&EpochRow) -> f64| {
        let points = epochs.iter().enumerate().map(|(i, row)| point(i, of(row))).collect();
        Series { name: name.to_string(), points }
    };
    LineChart {
        title: "Loss (nats)".to_string(),
        across: "epoch",
        series: vec![line("train", |row| row.train_loss), line("valid", |row| row.valid_loss)],
        marks: phases(epochs),
    }
}

fn metric(epochs: &[EpochRow], name: &str) -> LineChart {
    let of = |(i, row): (usize, &EpochRow)| {
        let measured = find(row, name);
        let Point { x, .. } = point(i, 0.0);
        Point {
            x,
            y: measured.map_or(f64::NAN, |measured| measured.value),
            interval: measured.and_then(|measured| measured.interval),
        }
    };
    let points = epochs.iter().enumerate().map(of).collect();
    LineChart {
        title: name.to_string(),
        across: "epoch",
        series: vec![Series { name: name.to_string(), points }],
        marks: phases(epochs),
    }
}

/// Epochs are counted across all phases, from 1.
fn point(i: usize, y: f64) -> Point {
    Point { x: (i + 1) as f64, y, interval: None }
}

fn find<'a>(row: &'a EpochRow, name: &str) -> Option<&'a Measured> {
    row.metrics.iter().find(|measured| measured.name == name)
}

/// The names of all metrics, in order of first appearance.
fn metric_names(epochs: &[EpochRow]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for measured in epochs.iter().flat_map(|row| &row.metrics) {
        if !names.contains(&measured.name.as_str()) {
            names.push(&measured.name);
        }
    }
    names
}

/// Where each phase begins, if there are several.
fn phases(epochs: &[EpochRow]) -> Vec<(f64, String)> {
    let begins =
        |i: usize| i == 0 || epochs[i - 1].phase != epochs[i].phase || epochs[i].epoch < epochs[i - 1].epoch;
    let between = |i: usize| if i == 0 { 1.0 } else { i as f64 + 0.5 };
    let starts: Vec<usize> = (0..epochs.len()).filter(|&i| begins(i)).collect();
    match starts.len() {
        0 | 1 => Vec::new(),
        _ => starts.into_iter().map(|i| (between(i), epochs[i].phase.clone())).collect(),
    }
}

/// One line per group; groups that always have the same rate share one.
fn learning_rates(steps: &[Vec<f64>]) -> LineChart {
    let groups = steps.iter().map(Vec::len).max().unwrap_or(0);
    let stride = steps.len().div_ceil(MAX_POINTS).max(1);
    let mut series: Vec<(Vec<usize>, Vec<Point>)> = Vec::new();
    for group in 0..groups {
        let rate = |i: usize| steps[i].get(group).copied().unwrap_or(f64::NAN);
        let points: Vec<Point> = (0..steps.len()).step_by(stride).map(|i| point(i, rate(i))).collect();
        let same = |other: &[Point]| other.iter().zip(&points).all(|(a, b)| a.y.to_bits() == b.y.to_bits());
        match series.iter_mut().find(|(_, other)| same(other)) {
            Some((members, _)) => members.push(group + 1),
            None => series.push((vec![group + 1], points)),
        }
    }
    let series =
        series.into_iter().map(|(members, points)| Series { name: group_name(&members), points }).collect();
    LineChart { title: "Learning rate".to_string(), across: "step", series, marks: Vec::new() }
}

fn group_name(members: &[usize]) -> String {
    let numbers: Vec<String> = members.iter().map(ToString::to_string).collect();
    format!("{} {}", if members.len() == 1 { "group" } else { "groups" }, numbers.join(", "))
}

fn table(epochs: &[EpochRow]) -> Markup {
    let names = metric_names(epochs);
    html! {
        div class="scroll" {
            table class="numbers" {
                thead {
                    tr {
                        th scope="col" { "phase" }
                        th scope="col" class="right" { "epoch" }
                        th scope="col" class="right" { "train_loss" }
                        th scope="col" class="right" { "valid_loss" }
                        @for name in &names { th scope="col" class="right" { (name) } }
                    }
                }
                tbody {
                    @for row in epochs {
                        tr {
                            th scope="row" { (row.phase) }
                            td class="right" { (row.epoch) }
                            td class="right" { (number(row.train_loss)) }
                            td class="right" { (number(row.valid_loss)) }
                            @for name in &names {
                                td class="right" { (number(find(row, name).map_or(f64::NAN, |m| m.value))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
