//! The photos of a report: at first those with the largest losses, then what a button chooses.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sciurus_data::ItemId;

use super::{Report, Thumbnail};
use crate::predictions::largest_first;
use crate::{AnyPredictions, ConfusionMatrix, MultiPredictions, Predictions};

/// When a photo is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// When the page opens: its loss is among the largest.
    AtFirst,
    /// When a button asks for it.
    WhenChosen,
}

/// Which photos a button shows; the page's script reads it from the button.
#[derive(Debug)]
pub(super) struct Choice {
    /// `top`, `mistakes`, `all`, or `pair` with the classes.
    show: &'static str,
    pair: Option<(usize, usize)>,
    /// What the status line says is shown.
    name: String,
    /// How many such items there are, with or without a picture.
    count: usize,
}

impl Choice {
    /// The items of one cell of the confusion matrix.
    pub(super) fn pair(confusion: &ConfusionMatrix, target: usize, prediction: usize) -> Self {
        let (given, predicted) = (confusion.vocab.label(target), confusion.vocab.label(prediction));
        let name = if target == prediction {
            format!("{given}, predicted right")
        } else {
            format!("{given} taken for {predicted}")
        };
        Self {
            show: "pair",
            pair: Some((target, prediction)),
            name,
            count: confusion.count(target, prediction),
        }
    }

    fn of(show: &'static str, name: &str, count: usize) -> Self {
        Self { show, pair: None, name: name.to_string(), count }
    }

    /// The button that shows them, with this `style` and content.
    pub(super) fn button(&self, style: Option<&str>, content: &Markup) -> Markup {
        let Self { show, pair, name, count } = self;
        let told = format!("{name}: {count}, show photos");
        html! {
            button type="button" style=[style] data-show=(show) data-name=(name) data-count=(count)
                data-target=[pair.map(|pair| pair.0)] data-prediction=[pair.map(|pair| pair.1)]
                aria-pressed=(show == &"top") aria-label=(told) { (content) }
        }
    }
}

/// The buttons, and a card for each item that has a picture, is a mistake, or has a large loss.
pub(super) fn section(report: &Report) -> Markup {
    let Report { predictions, top, .. } = report;
    let (thumbnails, overlays) = (by_item(&report.thumbnails), by_item(&report.overlays));
    let order = largest_first(predictions.losses());
    let has_card = |place: usize, i: usize| {
        place < *top || !predictions.is_right(i) || thumbnails.contains_key(&predictions.items()[i])
    };
    html! {
        section aria-labelledby="photos" {
            h2 id="photos" { "Photos" }
            (toolbar(report))
            p id="status" role="status" tabindex="-1" { (largest((*top).min(order.len()))) }
            div class="cards" {
                @for (place, &i) in order.iter().enumerate().filter(|&(place, &i)| has_card(place, i)) {
                    @let item = predictions.items()[i];
                    @let pictures = [thumbnails.get(&item).copied(), overlays.get(&item).copied()];
                    @let shown = if place < *top { Shown::AtFirst } else { Shown::WhenChosen };
                    (card(predictions, i, shown, pictures))
                }
            }
        }
    }
}

fn by_item(thumbnails: &[Thumbnail]) -> HashMap<ItemId, &Thumbnail> {
    thumbnails.iter().map(|thumbnail| (thumbnail.item, thumbnail)).collect()
}

fn largest(top: usize) -> String {
    if top == 1 { "The largest loss".to_string() } else { format!("The {top} largest losses") }
}

fn toolbar(report: &Report) -> Markup {
    let predictions = &report.predictions;
    let top = report.top.min(predictions.len());
    let mistakes = (0..predictions.len()).filter(|&i| !predictions.is_right(i)).count();
    html! {
        div class="toolbar" role="group" aria-label="Which photos" {
            (Choice::of("top", &largest(top), top).button(None, &html! { "Largest losses" }))
            (Choice::of("mistakes", "All mistakes", mistakes).button(None, &html! { "All mistakes" }))
            (Choice::of("all", "All photos", predictions.len()).button(None, &html! { "All photos" }))
            @if !report.overlays.is_empty() {
                label { input type="checkbox" id="overlays"; " Show where the model looked" }
            }
        }
    }
}

fn card(predictions: &AnyPredictions, i: usize, shown: Shown, pictures: [Option<&Thumbnail>; 2]) -> Markup {
    let (is_top, is_right) = (shown == Shown::AtFirst, predictions.is_right(i));
    let told = match predictions {
        AnyPredictions::Single(predictions) => Told::of_one(predictions, i),
        AnyPredictions::Multi(predictions) => Told::of_many(predictions, i),
    };
    let Told { target, prediction, answer, given, path } = told;
    html! {
        figure class="card" data-target=(target) data-prediction=(prediction) data-top[is_top] hidden[!is_top] {
            (picture(&path, pictures))
            figcaption {
                p class=(if is_right { "right-mark" } else { "wrong-mark" }) {
                    span class="unseen" { (if is_right { "right: " } else { "wrong: " }) }
                    (answer)
                }
                p { "given " (given) }
                p class="note" { "loss " (format!("{:.3}", predictions.losses()[i])) }
                p class="path note" title=(path) { (path) }
            }
        }
    }
}

/// What a card says about its item. The page's script compares target and prediction.
struct Told {
    target: String,
    prediction: String,
    answer: Markup,
    given: Markup,
    path: String,
}

impl Told {
    fn of_one(predictions: &Predictions, i: usize) -> Self {
        let (target, prediction) = (predictions.targets[i], predictions.prediction(i));
        let row = predictions.row(i);
        Self {
            target: target.to_string(),
            prediction: prediction.to_string(),
            answer: html! { strong { (predictions.prediction_label(i)) } " " (percent(row[prediction])) },
            given: html! { strong { (predictions.target_label(i)) } " " (percent(row[target])) },
            path: predictions.paths[i].display().to_string(),
        }
    }

    fn of_many(predictions: &MultiPredictions, i: usize) -> Self {
        let on = (0..predictions.vocab.len()).filter(|&class| predictions.is_on(i, class)).collect();
        let numbers =
            |classes: &Vec<usize>| classes.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let labels = |classes: &Vec<usize>| {
            html! {
                @if classes.is_empty() { "no label" }
                @for (place, &class) in classes.iter().enumerate() {
                    @if place > 0 { ", " }
                    strong { (predictions.vocab.label(class)) } " " (percent(predictions.row(i)[class]))
                }
            }
        };
        Self {
            target: numbers(&predictions.targets[i]),
            prediction: numbers(&on),
            answer: labels(&on),
            given: labels(&predictions.targets[i]),
            path: predictions.paths[i].display().to_string(),
        }
    }
}

fn picture(path: &str, [photo, overlay]: [Option<&Thumbnail>; 2]) -> Markup {
    html! {
        div class="picture" {
            @match photo {
                Some(photo) => img src=(data_uri(photo)) alt=(path) loading="lazy" decoding="async";,
                None => span class="note" { "no picture" }
            }
            @if let Some(overlay) = overlay {
                img class="overlay" src=(data_uri(overlay)) alt=(format!("{path}, where the model looked"))
                    loading="lazy" decoding="async";
            }
        }
    }
}

fn data_uri(thumbnail: &Thumbnail) -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(&thumbnail.jpeg))
}

/// With a non-breaking space.
fn percent(probability: f32) -> String {
    format!("{:.1}\u{a0}%", 100.0 * probability)
}
