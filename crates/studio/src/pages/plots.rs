//! Plots as SVG, drawn by the studio: no script, and nothing but attributes, as the page's policy wants it.

use maud::{Markup, html};
use sciurus::Predictions;
use sciurus::insight::{ReliabilityBin, reliability};

/// Ranges of probability.
const BINS: usize = 10;
/// Side of the plot's square, and its margin, in its own units.
const SIDE: f64 = 200.0;
const MARGIN: f64 = 28.0;

/// How often a model is right when it is so sure: a dot for each range of probability, as large as it has photos, beside the line on
/// which a model lies that is as sure as it should be.
pub(super) fn reliability_diagram(predictions: &Predictions) -> Markup {
    let bins: Vec<ReliabilityBin> =
        reliability(predictions, BINS).into_iter().filter(|bin| bin.items > 0.0).collect();
    let most = bins.iter().map(|bin| bin.items).fold(1.0, f64::max);
    let x = |share: f64| MARGIN + share * SIDE;
    let y = |share: f64| 8.0 + (1.0 - share) * SIDE;
    let radius = |bin: &ReliabilityBin| 3.0 + 7.0 * (bin.items / most).sqrt();
    html! {
        svg.plot viewBox={ "0 0 " (SIDE + MARGIN + 8.0) " " (SIDE + MARGIN + 8.0) } role="img" aria-label="How often it is right, by how sure it is" {
            rect x=(x(0.0)) y=(y(1.0)) width=(SIDE) height=(SIDE) {}
            line x1=(x(0.0)) y1=(y(0.0)) x2=(x(1.0)) y2=(y(1.0)) {}
            @for bin in &bins {
                circle cx=(rounded(x(bin.confidence))) cy=(rounded(y(bin.accuracy))) r=(rounded(radius(bin))) {
                    title { (said(bin)) }
                }
            }
            @for share in [0.0, 0.5, 1.0] {
                text x=(x(share)) y=(SIDE + MARGIN - 4.0) text-anchor="middle" { (percent(share)) }
                text x=(MARGIN - 4.0) y=(y(share) + 4.0) text-anchor="end" { (percent(share)) }
            }
        }
        table {
            thead { tr { th scope="col" { "says" } th scope="col" { "is right" } th scope="col" { "photos" } } }
            tbody { @for bin in &bins { tr { td.n { (percent(bin.confidence)) } td.n { (percent(bin.accuracy)) } td.n { (bin.items) } } } }
        }
    }
}

/// In one sentence, whether a model is as sure as it should be.
pub(super) fn how_sure(predictions: &Predictions) -> String {
    let bins = reliability(predictions, 1);
    let Some(all) = bins.first().filter(|bin| bin.items > 0.0) else { return String::new() };
    let verdict = match all.confidence - all.accuracy {
        over if over > 0.05 => "It is surer than it should be",
        over if over < -0.05 => "It is less sure than it could be",
        _ => "It is about as sure as it should be",
    };
    format!(
        "{verdict}: on average it says {}, and {} are right.",
        percent(all.confidence),
        percent(all.accuracy)
    )
}

fn said(bin: &ReliabilityBin) -> String {
    format!(
        "{} photos: it says {}, and {} are right",
        bin.items,
        percent(bin.confidence),
        percent(bin.accuracy)
    )
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
