//! All photos in a grid: by class, split, issue and name; many decided at once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use sciurus::Choice;
use sciurus::data::argument;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, nothing};
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::project::Project;
use crate::workspace::Listing;

/// Cells that are in the page itself, so that there is something to see before the script has run.
const FIRST: usize = 48;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/look", get(page))
        .route("/look/photos", get(photos))
        .route("/look/map", get(map))
        .route("/look/decide", post(decide))
}

async fn page(State(workspace): State<Workspace>) -> Markup {
    let body = match workspace.listing() {
        Listing::Ready(project) => html! {
            header.bar {
                h1 { "Look" }
                p.lead #count role="status" { (project.summary.items) " photos" }
                form.filters #filters {
                    label { "Class " select name="class" { option value="" { "all" } @for label in project.dataset.vocab.labels() { option value=(label) { (label) } } } }
                    label { "Split " select name="split" { option value="" { "all" } option { "train" } option { "valid" } option { "test" } } }
                    label { "Issue " select name="issue" { option value="" { "all" } } }
                    label { "Name " input type="search" name="name" autocomplete="off"; }
                    label { "Sort " select name="sort" { option value="name" { "by name" } option value="score" { "most suspicious first" } option value="loss" { "highest loss first" } option value="size" { "smallest first" } } }
                    label { "Loss at least " input type="number" name="loss" min="0" step="0.5" disabled title="Train a model first"; }
                    button #mapped type="button" aria-pressed="false" { "Map" kbd { "M" } }
                }
            }
            div.looking #looking {
            section.map #map hidden aria-label="Map of the photos" {
                canvas #dots role="img" aria-label="Each photo is a dot, and like lies beside like. The grid has the same photos." {}
                div.legend #legend {}
                p.soft #refining role="status" {}
            }
            div.grid #grid role="group" aria-label="Photos" tabindex="0" {
                @for item in project.dataset.items.iter().take(FIRST) {
                    span.cell { img src={ "/thumb/" (item.content) } alt="" loading="eager"; }
                }
            }
            }
            dialog.photo #photo aria-label="A photo" {}
            div.selected #selected hidden {}
        },
        Listing::Reading => html! { header { h1 { "Reading the folder" } } },
        Listing::Refused(why) => nothing("Nothing to look at yet", &why),
    };
    Page {
        at: "/look",
        title: "Look",
        script: Some("look.js"),
        state: None,
        command: Some(format!("sciurus clean {} --html report.html", argument(workspace.folder()))),
        body,
    }
    .render(&workspace)
}

/// Every photo, as short as can be: content, class, split, path, width, height. With them, by their places, the losses that the newest
/// run measured.
async fn photos(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let project = workspace.project()?;
        let dataset = &project.dataset;
        let photo = |item: &sciurus::data::ImageItem| {
            let class = item.target.classes().first().copied();
            json!([
                item.content.to_string(),
                class,
                item.split,
                item.path.to_string_lossy(),
                item.width,
                item.height
            ])
        };
        let photos: Vec<Value> = dataset.items.iter().map(photo).collect();
        let issues = workspace.desk().as_ref().map(crate::desk::Desk::issues);
        let losses = losses(&workspace, &project);
        Ok(Json(
            json!({ "labels": dataset.vocab.labels(), "photos": photos, "issues": issues, "losses": losses }),
        ))
    })
    .await
}

/// Place and loss (nats) of each photo that the newest run was measured on; empty if there is none, or photos have several labels.
fn losses(workspace: &Workspace, project: &Project) -> Vec<(usize, f32)> {
    let Some(predictions) = workspace.newest_run().and_then(|known| known.run.predictions().ok()) else {
        return Vec::new();
    };
    let places: HashMap<&Path, usize> =
        project.dataset.items.iter().enumerate().map(|(place, item)| (&*item.path, place)).collect();
    let measured = predictions.paths.iter().zip(&predictions.losses);
    measured.filter_map(|(path, loss)| Some((*places.get(&**path)?, *loss))).collect()
}

/// Where each photo lies on the map, in the order of [`photos`].
async fn map(State(workspace): State<Workspace>) -> Result<Response, Fault> {
    beside(move || {
        let project = workspace.project()?;
        let cleaner =
            workspace.desk().as_ref().map(|desk| Arc::clone(desk.cleaner())).ok_or(Fault::NotYet)?;
        let map = workspace.map(&cleaner);
        let (round, is_final, bytes) = map.placed(project.dataset.items.iter().map(|item| &*item.path));
        let round = if is_final { "final".to_owned() } else { round.to_string() };
        let headers = [("content-type", "application/octet-stream".to_owned()), ("x-round", round)];
        Ok((headers, bytes).into_response())
    })
    .await
}

/// Photos, by their paths, and what becomes of them.
#[derive(Debug, Deserialize)]
struct Asked {
    paths: HashSet<PathBuf>,
    #[serde(flatten)]
    choice: Choice,
}

async fn decide(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let mut desk = workspace.desk();
        let decided = desk.as_mut().ok_or(Fault::NotYet)?.decide_photos(
            &asked.paths,
            &asked.choice,
            &super::clean::now(),
        )?;
        drop(desk);
        workspace.tell("decided");
        super::clean::fit_again(&workspace);
        Ok(Json(json!({ "decided": decided })))
    })
    .await
}
