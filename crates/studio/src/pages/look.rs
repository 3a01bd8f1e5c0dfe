//! All photos in a grid: by class, split, issue and name; many decided at once.

use std::collections::HashSet;
use std::path::PathBuf;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use sciurus::Choice;
use sciurus::data::argument;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Page;
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::workspace::Listing;

/// Cells that are in the page itself, so that there is something to see before the script has run.
const FIRST: usize = 48;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/look", get(page))
        .route("/look/photos", get(photos))
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
                    label { "Sort " select name="sort" { option value="name" { "by name" } option value="score" { "most suspicious first" } option value="size" { "smallest first" } } }
                }
            }
            div.grid #grid role="group" aria-label="Photos" tabindex="0" {
                @for item in project.dataset.items.iter().take(FIRST) {
                    span.cell { img src={ "/thumb/" (item.content) } alt="" loading="eager"; }
                }
            }
            div.selected #selected hidden {}
        },
        Listing::Reading => html! { header { h1 { "Reading the folder" } } },
        Listing::Refused(why) => html! { header { h1 { "Nothing to look at yet" } } p.problem { (why) } },
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

/// Every photo, as short as can be: content, class, split, path, width, height.
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
        Ok(Json(json!({ "labels": dataset.vocab.labels(), "photos": photos, "issues": issues })))
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
        let desk = desk.as_mut().ok_or(Fault::NotYet)?;
        let decided = desk.decide_photos(&asked.paths, &asked.choice, &super::clean::now())?;
        workspace.tell("decided");
        Ok(Json(json!({ "decided": decided })))
    })
    .await
}
