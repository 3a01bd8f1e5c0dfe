//! The reliability diagram: whether probabilities mean what they say. Items binned by the probability of their
//! prediction, the share of correct predictions in each bin, and the expected calibration error.

use maud::{Markup, html};

use crate::metrics::calibration_error;
use crate::{Predictions, ReliabilityBin, Temperature, reliability};

/// Number of bins over 0..1.
const BINS: usize = 10;
/// Sizes of the diagram in its own units: its square, and the space for labels at the left and below.
const SIDE: f64 = 240.0;
const MARGIN: f64 = 44.0;
/// Space above and at the right for half a label.
const EDGE: f64 = 10.0;

/// The bins that have items, with their indices.
fn filled(bins: &[ReliabilityBin]) -> impl Iterator<Item = (usize, &ReliabilityBin)> {
    bins.iter().enumerate().filter(|(_, bin)| bin.items > 0.0)
}

/// The diagram with its numbers; nothing if there are no items.
pub(super) fn section(predictions: &Predictions, temperature: Option<Temperature>) -> Markup {
    if predictions.is_empty() {
        return html! {};
    }
    let bins = reliability(predictions, BINS);
    let error = calibration_error(&bins);
    html! {
        section aria-labelledby="reliability" {
            h2 id="reliability" { "Reliability" }
            p class="note" {
                "Of the predictions made with a probability of 80 %, 80 % should be right: bars on the diagonal. "
                "Expected calibration error over " (BINS) " bins: "
                strong { (format!("{error:.4}")) } "."
            }
            @if let Some(temperature) = temperature.filter(|temperature| *temperature != Temperature(1.0)) {
                p class="note" {
                    "The model divides its logits by a temperature of " (format!("{:.3}", temperature.0))
                    ", which made the probabilities better on photos that it was not chosen on; all numbers here are with it."
                }
            }
            div class="reliability" {
                (diagram(&bins, error))
                (table(&bins))
            }
        }
    }
}

fn diagram(bins: &[ReliabilityBin], error: f64) -> Markup {
    let (width, height) = (MARGIN + SIDE + EDGE, MARGIN + SIDE + EDGE);
    let (left, top) = (|x: f64| MARGIN + x * SIDE, |y: f64| EDGE + (1.0 - y) * SIDE);
    let told =
        format!("Reliability diagram, expected calibration error {error:.4}; the table has its numbers");
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(told) {
            g class="axes" {
                @for tick in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
                    line class="grid" x1=(left(0.0)) x2=(left(1.0)) y1=(top(tick)) y2=(top(tick)) {}
                    text x=(left(0.0) - 6.0) y=(top(tick)) dy="0.32em" text-anchor="end" { (tick) }
                    text x=(left(tick)) y=(top(0.0) + 14.0) text-anchor="middle" { (tick) }
                }
                text x=(left(0.5)) y=(height - 12.0) text-anchor="middle" { "probability of the prediction" }
                text x="0" y="0" text-anchor="middle" transform=(format!("translate(12 {}) rotate(-90)", top(0.5))) {
                    "share that was right"
                }
            }
            @for (i, bin) in filled(bins) {
                @let low = i as f64 / bins.len() as f64;
                rect class="share" x=(left(low) + 1.0) width=(SIDE / bins.len() as f64 - 2.0) y=(top(bin.accuracy))
                    height=(format!("{:.2}", SIDE * bin.accuracy)) {
                    title { ((bin.accuracy * bin.items).round()) " of " (bin.items) " right" }
                }
                circle class="dot" cx=(left(bin.confidence)) cy=(top(bin.accuracy)) r="3" {}
            }
            line class="ideal" x1=(left(0.0)) y1=(top(0.0)) x2=(left(1.0)) y2=(top(1.0)) {}
        }
    }
}

fn table(bins: &[ReliabilityBin]) -> Markup {
    let edge = |i: usize| format!("{:.1}", i as f64 / bins.len() as f64);
    html! {
        table class="numbers" {
            thead {
                tr {
                    th scope="col" { "probability" }
                    @for heading in ["items", "mean", "right"] { th scope="col" class="right" { (heading) } }
                }
            }
            tbody {
                @for (i, bin) in filled(bins) {
                    tr {
                        th scope="row" { (edge(i)) " to " (edge(i + 1)) }
                        td class="right" { (bin.items) }
                        td class="right" { (format!("{:.3}", bin.confidence)) }
                        td class="right" { (format!("{:.3}", bin.accuracy)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ItemId, Vocab};

    /// Probabilities are stored in f32, which costs digits.
    #[test]
    fn golden_calibration_error() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap();
        for case in ["main", "absent_class"] {
            let case = &golden[case];
            let logits: Vec<Vec<f32>> = serde_json::from_value(case["logits"].clone()).unwrap();
            let targets: Vec<usize> = serde_json::from_value(case["targets"].clone()).unwrap();
            let vocab: Vec<String> = serde_json::from_value(case["vocab"].clone()).unwrap();
            let items = (0..).map(ItemId).take(targets.len()).collect();
            let paths = vec!["x.jpg".into(); targets.len()];
            let predictions =
                Predictions::from_logits(Vocab::new(vocab), items, paths, &logits.concat(), targets).unwrap();
            let bins = reliability(&predictions, 15);
            let expected = case["calibration"]["ece_15"].as_f64().unwrap();
            assert!((calibration_error(&bins) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn certainty_is_in_the_last_bin() {
        let vocab = Vocab::new(["grey".to_string(), "red".to_string()]);
        let predictions = Predictions::from_probabilities(
            vocab,
            vec![ItemId(0)],
            vec!["x".into()],
            vec![1.0, 0.0],
            vec![0],
        );
        let bins = reliability(&predictions.unwrap(), BINS);
        assert_eq!(bins[9].items, 1.0);
        assert_eq!(calibration_error(&bins), 0.0);
    }
}
