//! The model to take along: one file, who made its photos, and the lines that use it.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use sciurus::data::argument;
use sciurus::data::fs::read_regular;

use super::project::measured;
use super::{Page, nothing_yet};
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::workspace::KnownRun;

/// Most bytes of a model.
const LARGEST: u64 = 2 << 30;
/// The file that gathering writes about who made the photos.
const CREDITS: &str = "ATTRIBUTION.md";

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/take-home", get(page))
        .route("/take-home/{run}/model.sciurus", get(model))
        .route("/take-home/credits.md", get(credits))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || {
        let run = workspace.newest_run();
        let command =
            run.as_ref().map(|known| format!("sciurus predict {} PHOTO", argument(known.run.folder())));
        let body = match &run {
            None => nothing_yet("There is nothing to take home yet", "Train a model first."),
            Some(known) => ready(known, workspace.folder()),
        };
        let page = Page { at: "/take-home", title: "Take home", script: None, state: None, command, body };
        Ok(page.render(&workspace))
    })
    .await
}

fn ready(known: &KnownRun, photos: &std::path::Path) -> Markup {
    let program = "use sciurus::Predictor;\n\n\
                   fn main() -> Result<(), Box<dyn std::error::Error>> {\n    \
                   let predictor = Predictor::load(\"model.sciurus\")?;\n    \
                   let prediction = predictor.predict_file(\"photo.jpg\")?;\n    \
                   println!(\"{} ({:.1} %)\", prediction.label, 100.0 * prediction.probability);\n    \
                   Ok(())\n}\n";
    html! {
        header { h1 { "Your model" } p.lead { (measured(known)) } }
        section {
            p { "One file holds the network, its labels, and how photos are prepared for it. Opening it runs no code." }
            p { a.button.do href={ "/take-home/" (known.name()) "/model.sciurus" } download { "Download model.sciurus" }
                @if photos.join(CREDITS).is_file() { " " a.button href="/take-home/credits.md" download { "Who made the photos" } } }
        }
        section { h2 { "In a terminal" } pre tabindex="0" { code { "sciurus predict model.sciurus photo.jpg" } } }
        section { h2 { "In your own program" } pre tabindex="0" { code { (program) } } p.soft { "Add the crate sciurus to it." } }
    }
}

async fn model(State(workspace): State<Workspace>, Path(name): Path<String>) -> Result<Response, Fault> {
    beside(move || {
        let missing = || Fault::Missing("there is no such model".to_owned());
        let mut runs = workspace.runs().into_iter();
        let known = runs.find(|known| known.is_finished() && known.name() == name).ok_or_else(missing)?;
        download(&known.run.model_path(), "application/octet-stream", "model.sciurus", LARGEST)
    })
    .await
}

async fn credits(State(workspace): State<Workspace>) -> Result<Response, Fault> {
    beside(move || {
        download(&workspace.folder().join(CREDITS), "text/markdown; charset=utf-8", CREDITS, LARGEST)
    })
    .await
}

fn download(path: &std::path::Path, kind: &str, name: &str, largest: u64) -> Result<Response, Fault> {
    let bytes = read_regular(path, largest).map_err(|_| Fault::Missing(format!("{name} cannot be read")))?;
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from(bytes)).into_response())
}
