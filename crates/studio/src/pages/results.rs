//! Where a model is wrong: the confusion matrix, whose cells open their photos; the photos with the highest losses; whether a run
//! is really better than another.

use std::path::Path;
use std::str::FromStr;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use sciurus::data::{ContentHash, DecodeLimits, argument, decode_file, one_line};
use sciurus::insight::{TopLoss, compare};
use sciurus::photos::small_jpeg;
use sciurus::{ClassificationInterpretation, ConfusionMatrix, Predictions, Vocab};
use serde::Deserialize;

use super::plots::{how_sure, reliability_diagram};
use super::project::{encoded, measured};
use super::{Page, nothing_yet};
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::project::Project;
use crate::workspace::{KnownRun, Listing};

/// Photos with the highest losses.
const WORST: usize = 12;
/// Photos of a cell that are shown.
const OF_CELL: usize = 60;
/// Classes up to which there is a whole matrix; above it, the pairs that are confused.
const WHOLE: usize = 20;
/// Pairs of classes that are named.
const PAIRS: usize = 20;
/// Longer side of a heat map (pixels), and its JPEG quality (1 to 100).
const SIDE: u32 = 320;
const QUALITY: u8 = 82;

pub(super) fn routes() -> Router<Workspace> {
    Router::new().route("/results", get(page)).route("/results/heat", get(heat))
}

/// What to show.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// The name of a run; without it, the newest.
    run: Option<String>,
    /// A cell of the matrix: true label and predicted one.
    target: Option<String>,
    prediction: Option<String>,
    /// The name of a run to compare with.
    with: Option<String>,
    /// Whether photos show where the network looked.
    #[serde(default)]
    looked: Shown,
}

/// What of a photo is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    /// The photo.
    #[default]
    Plain,
    /// Where the network looked.
    Heat,
}

async fn page(State(workspace): State<Workspace>, Query(asked): Query<Asked>) -> Result<Markup, Fault> {
    beside(move || {
        let runs: Vec<KnownRun> = workspace.runs().into_iter().filter(KnownRun::is_finished).collect();
        let wanted = |name: &Option<String>| runs.iter().find(|known| Some(known.name()) == *name);
        let shown = if asked.run.is_some() { wanted(&asked.run) } else { runs.first() };
        let body = match shown {
            None => nothing_yet("There are no results yet", "Train a model first: a head takes seconds."),
            Some(known) => ready(known, &runs, (&asked, wanted(&asked.with)), &workspace)?,
        };
        let run = shown.map_or_else(|| "RUN".into(), |known| known.run.folder().to_owned());
        let command = Some(format!("sciurus interpret {}", argument(&run)));
        Ok(Page { at: "/results", title: "Results", script: None, state: None, command, body }
            .render(&workspace))
    })
    .await
}

fn ready(
    known: &KnownRun,
    runs: &[KnownRun],
    (asked, with): (&Asked, Option<&KnownRun>),
    workspace: &Workspace,
) -> Result<Markup, Fault> {
    let project = match workspace.listing() {
        Listing::Ready(project) => Some(project),
        Listing::Reading | Listing::Refused(_) => None,
    };
    let project = project.as_deref();
    let predictions = known.run.predictions()?;
    let here = format!("/results?run={}", encoded(&known.name()));
    let interpretation = ClassificationInterpretation::new(predictions);
    let matrix = interpretation.confusion_matrix();
    let predictions = interpretation.predictions();
    Ok(html! {
        header { h1 { (measured(known)) } p.lead { code { (known.name()) } }
            p.soft { (sciurus::insight::mistake_weight(predictions.len()).to_string()) }
        }
        section { h2 { "Which class was taken for which?" } (confusion(&matrix, &predictions.vocab, &here)) }
        @if let (Some(target), Some(prediction)) = (&asked.target, &asked.prediction) {
            section #photos { h2 { (target) " taken for " (prediction) } (cell(predictions, (target, prediction), project)) }
        }
        section #hardest { h2 { "The photos it found hardest" }
            p.soft { "A high loss is often a wrong label. " a href="/clean" { "Clean" } " looks at all photos, not only these. "
                @match asked.looked {
                    Shown::Plain => a href={ (here) "&looked=heat#hardest" } { "Show where the network looked" },
                    Shown::Heat => a href={ (here) "#hardest" } { "Show the photos" },
                }
            }
            div.sheet { @for top in interpretation.top_losses(WORST) { (hard(&top, project, (asked.looked, &known.name()))) } }
        }
        section { h2 { "Is it as sure as it should be?" } p { (how_sure(predictions)) }
            div.beside { (reliability_diagram(predictions)) }
        }
        @if runs.len() > 1 { section { h2 { "Is it better than another run?" } (better(known, with, runs, &here)) } }
    })
}

fn confusion(matrix: &ConfusionMatrix, vocab: &Vocab, here: &str) -> Markup {
    let labels = vocab.labels();
    let link = |target: &str, prediction: &str| {
        format!("{here}&target={}&prediction={}#photos", encoded(target), encoded(prediction))
    };
    if labels.len() > WHOLE {
        return html! {
            table {
                thead { tr { th scope="col" { "is" } th scope="col" { "taken for" } th scope="col" { "photos" } } }
                tbody { @for pair in matrix.most_confused(1).iter().take(PAIRS) {
                    tr { td { (pair.target) } td { (pair.prediction) } td.n { a href=(link(&pair.target, &pair.prediction)) { (pair.count) } } }
                } }
            }
        };
    }
    html! {
        table.matrix {
            thead { tr { th scope="col" { span.soft { "is \\ taken for" } } @for label in labels { th scope="col" { (label) } } th scope="col" { "wrong" } } }
            tbody { @for (target, errors) in matrix.per_class().iter().enumerate() {
                tr {
                    th scope="row" { (errors.label) }
                    @for (prediction, label) in labels.iter().enumerate() {
                        @let count = matrix.count(target, prediction);
                        td.n.right[target == prediction].wrong[target != prediction && count > 0] {
                            @if count > 0 { a href=(link(&errors.label, label)) { (count) } } @else { "0" }
                        }
                    }
                    td.n { (errors.wrong) " of " (errors.items) }
                }
            } }
        }
    }
}

/// The photos of a cell of the matrix.
fn cell(predictions: &Predictions, (target, prediction): (&str, &str), project: Option<&Project>) -> Markup {
    let is_in = |place: &usize| {
        predictions.target_label(*place) == target && predictions.prediction_label(*place) == prediction
    };
    let places: Vec<usize> = (0..predictions.len()).filter(is_in).collect();
    html! {
        div.sheet { @for &place in places.iter().take(OF_CELL) { (photo(&predictions.paths[place], project, "")) } }
        @if places.len() > OF_CELL { p.soft { "and " (places.len() - OF_CELL) " more" } }
    }
}

fn hard(top: &TopLoss, project: Option<&Project>, (shown, run): (Shown, &str)) -> Markup {
    let said = format!("is {}, taken for {} ({:.0} %)", top.target, top.prediction, 100.0 * top.probability);
    let content = project.filter(|_| shown == Shown::Heat).and_then(|project| project.content(&top.path));
    match content {
        None => photo(&top.path, project, &said),
        Some(content) => html! {
            figure {
                img src={ "/results/heat?run=" (encoded(run)) "&content=" (content) } alt="Where the network looked" loading="lazy";
                figcaption { (one_line(&top.path.to_string_lossy())) br; (said) }
            }
        },
    }
}

/// A photo of the folder, and the run whose model looks at it.
#[derive(Debug, Deserialize)]
struct OfPhoto {
    run: String,
    content: String,
}

/// Where a model looked in a photo, for the class that it saw.
async fn heat(State(workspace): State<Workspace>, Query(of): Query<OfPhoto>) -> Result<Response, Fault> {
    beside(move || {
        let missing = || Fault::Missing("there is no such photo, or no such run".to_owned());
        let known = workspace.runs().into_iter().find(|known| known.name() == of.run).ok_or_else(missing)?;
        let content = ContentHash::from_str(&of.content).map_err(|_| missing())?;
        let path = workspace.project()?.path(content).ok_or_else(missing)?;
        let predictor = workspace.predictor(&known)?;
        let photo =
            decode_file(&path, &DecodeLimits::default()).map_err(|why| Fault::Bad(why.to_string()))?;
        let seen = predictor.predict(&photo)?;
        let class = predictor.manifest().vocab.class(&seen.label).unwrap_or(0);
        let (square, map) = predictor.grad_cam(&photo, class)?;
        let jpeg = small_jpeg(map.over(&square), SIDE, QUALITY).ok_or(Fault::Failed)?;
        Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
    })
    .await
}

/// A small photo with its name. One that has moved since has no picture.
fn photo(path: &Path, project: Option<&Project>, said: &str) -> Markup {
    let name = one_line(&path.to_string_lossy());
    html! {
        figure {
            @match project.and_then(|project| project.content(path)) {
                Some(content) => a href={ "/photo/" (content) } { img src={ "/thumb/" (content) } alt=(name) loading="lazy"; },
                None => div.none { "moved since" },
            }
            figcaption { (name) @if !said.is_empty() { br; (said) } }
        }
    }
}

fn better(known: &KnownRun, with: Option<&KnownRun>, runs: &[KnownRun], here: &str) -> Markup {
    let others = runs.iter().filter(|other| other.name() != known.name());
    html! {
        p.labels { @for other in others { a.button href={ (here) "&with=" (encoded(&other.name())) } { (other.name()) } " " } }
        @if let Some(other) = with {
            @match other.run.predictions().and_then(|before| Ok(compare(&before, &known.run.predictions()?)?)) {
                Ok(comparison) => pre tabindex="0" { (comparison) },
                Err(error) => p.problem { (Fault::told(&error)) },
            }
        }
    }
}
