//! The first page: what is in the folder, what was passed over and why, which runs there are, and what to do next.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use maud::{Markup, html};
use sciurus::data::{ContentHash, LeftOut, argument, counted, one_line};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::Page;
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::jobs::JobKind;
use crate::pictures::Size;
use crate::project::Project;
use crate::unpacking::unpack;
use crate::workspace::{KnownRun, Listing};

/// Files that are named before "and more".
const NAMED: usize = 12;
/// Runs that are shown.
const RUNS: usize = 12;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/", get(page))
        .route("/folder/read", post(read))
        .route("/jobs/{id}/stop", post(stop))
        .route("/thumb/{content}", get(small))
        .route("/photo/{content}", get(large))
}

/// What takes an archive of photos.
pub(super) fn for_archives() -> Router<Workspace> {
    Router::new().route("/folder/zip", post(zip))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || Ok(rendered(&workspace))).await
}

fn rendered(workspace: &Workspace) -> Markup {
    let folder = workspace.folder();
    let runs = workspace.runs();
    let body = match workspace.listing() {
        Listing::Reading => html! {
            header { h1 { "Reading the folder" } p.lead { (folder.display()) } }
            p.soft { "Every file is read once, so that damaged ones are found now." }
        },
        Listing::Refused(why) => html! {
            header { h1 { "This is no data set yet" } p.lead { (folder.display()) } }
            p.problem { (why) }
            p { a.button.do href="/gather" { "Gather photos" } " " button data-post="/folder/read" { "Read it again" } }
            (dropping())
        },
        Listing::Ready(project) => ready(&project, &runs, workspace),
    };
    Page {
        at: "/",
        title: "Project",
        script: Some("project.js"),
        state: None,
        command: Some(format!("sciurus inspect {}", argument(folder))),
        body,
    }
    .render(workspace)
}

fn ready(project: &Project, runs: &[KnownRun], workspace: &Workspace) -> Markup {
    let summary = &project.summary;
    let changes = workspace.desk().as_ref().map_or(0, |desk| desk.moves().changes().count());
    let passed_over: usize = summary.left_out.iter().map(|one| one.files).sum();
    let most = summary.classes.iter().map(sciurus::data::ClassSummary::items).max().unwrap_or(1);
    html! {
        header {
            h1 { (counted(summary.items, "photo")) " of " (counted_classes(summary.classes.len())) }
            p.lead { (workspace.folder().display()) }
        }
        section.next { (next(runs, changes)) }
        section aria-labelledby="classes" {
            h2 #classes { "Classes" }
            table.bars {
                thead { tr { th scope="col" { "class" } th scope="col" { "photos" } th {} } }
                tbody {
                    @for class in &summary.classes {
                        tr {
                            th scope="row" { a href={ "/look#class=" (encoded(&class.label)) } { (class.label) } }
                            td.n { (class.items()) }
                            td.wide { meter min="0" max=(most) value=(class.items()) { (class.items()) } }
                        }
                    }
                }
            }
        }
        @if !summary.notes.is_empty() {
            section { h2 { "What was taken for granted" } ul { @for note in &summary.notes { li { (note) } } } }
        }
        @if !summary.skipped.is_empty() {
            section {
                h2 { (counted(summary.skipped.len(), "file")) " can't be used" }
                ul.files {
                    @for file in summary.skipped.iter().take(NAMED) {
                        li { code { (one_line(&file.path.to_string_lossy())) } " " span.soft { (file.reason) } }
                    }
                    @if summary.skipped.len() > NAMED { li.soft { "and " (summary.skipped.len() - NAMED) " more" } }
                }
            }
        }
        @if passed_over > 0 {
            section {
                h2 { (counted(passed_over, "file")) " passed over" }
                ul.files {
                    @for one in summary.left_out.iter().take(NAMED) { (left_out(one)) }
                    @if summary.left_out.len() > NAMED { li.soft { "and " (summary.left_out.len() - NAMED) " more" } }
                }
            }
        }
        @if !runs.is_empty() { (table_of_runs(runs)) }
        (dropping())
        p { button data-post="/folder/read" { "Read the folder again" } }
    }
}

/// Where photos can be dropped, and what becomes of them.
fn dropping() -> Markup {
    html! {
        section aria-labelledby="more-photos" {
            h2 #more-photos { "More photos" }
            label.drop #drop {
                input #file type="file" accept=".zip,application/zip";
                span { "Drop a folder here that has a folder for each class, or a zip of one" }
            }
            div #queue role="status" {}
            ul.files #refused {}
        }
    }
}

fn left_out(one: &LeftOut) -> Markup {
    html! {
        li {
            code { (one_line(&one.path.to_string_lossy())) }
            " " span.soft { (one.why) @if one.files > 1 { ", " (counted(one.files, "file")) } }
        }
    }
}

/// What to do next, in one sentence.
fn next(runs: &[KnownRun], changes: usize) -> Markup {
    match runs.iter().find(|known| known.is_finished()) {
        _ if changes > 0 => html! {
            p { (counted(changes, "decision")) " wait to be carried out." }
            a.button.do href="/clean#apply" { "Apply them" }
        },
        None => html! {
            p { "Train a first model: it takes seconds, and shows which photos are wrong." }
            a.button.do href="/train" { "Train" }
        },
        Some(known) => html! {
            p { "The newest model: " strong { (measured(known)) } ". Look at what is odd among the photos." }
            a.button.do href="/clean" { "Clean" }
        },
    }
}

fn table_of_runs(runs: &[KnownRun]) -> Markup {
    html! {
        section {
            h2 { "Runs" }
            table {
                thead { tr { th scope="col" { "run" } th scope="col" { "network" } th scope="col" { "measured" } } }
                tbody {
                    @for known in runs.iter().take(RUNS) {
                        tr {
                            th scope="row" { code { (known.name()) } }
                            td { (known.record.settings.fit.arch) @if known.record.settings.run.instant { ", a head in seconds" } }
                            td { (measured(known)) }
                        }
                    }
                }
            }
        }
    }
}

/// How good a run's model is, with its interval.
pub(super) fn measured(known: &KnownRun) -> String {
    match known.record.metrics.first() {
        Some(metric) if known.is_finished() => metric.to_string(),
        _ => "not finished".to_owned(),
    }
}

fn counted_classes(classes: usize) -> String {
    format!("{classes} {}", if classes == 1 { "class" } else { "classes" })
}

/// A name as a part of an address.
pub(super) fn encoded(label: &str) -> String {
    url::form_urlencoded::byte_serialize(label.as_bytes()).collect()
}

async fn read(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    workspace.read_folder().map(|job| Json(json!({ "job": job })))
}

/// Adds the photos of an archive. It goes to the disk as it comes, because it may be larger than the memory.
async fn zip(State(workspace): State<Workspace>, body: Body) -> Result<Json<Value>, Fault> {
    let full = |error: std::io::Error| {
        Fault::Bad(format!("the archive cannot be kept while it is unpacked: {error}"))
    };
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(full)?);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|_| Fault::Bad("the archive did not arrive whole; send it again".to_owned()))?;
        file.write_all(&part).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    let archive = file.into_std().await;
    let here = workspace.clone();
    let job = workspace.jobs().start(JobKind::Unpack, move |job| unpack(&here, archive, job))?;
    Ok(Json(json!({ "job": job })))
}

async fn stop(State(workspace): State<Workspace>, Path(id): Path<u64>) -> Result<Json<Value>, Fault> {
    workspace.jobs().stop(id).map(|()| Json(json!({ "stopped": id })))
}

async fn small(state: State<Workspace>, content: Path<String>) -> Result<Response, Fault> {
    picture(state, content, Size::Small).await
}

async fn large(state: State<Workspace>, content: Path<String>) -> Result<Response, Fault> {
    picture(state, content, Size::Large).await
}

/// A photo of the folder, found by its content: an address has no path that could lead elsewhere.
async fn picture(
    State(workspace): State<Workspace>,
    Path(content): Path<String>,
    size: Size,
) -> Result<Response, Fault> {
    let missing = || Fault::Missing("there is no such photo".to_owned());
    let content = ContentHash::from_str(&content).map_err(|_| missing())?;
    let path = workspace.project()?.path(content).ok_or_else(missing)?;
    sent(&workspace, &path, content, size).await
}

/// A photo as an answer, made anew.
pub(super) async fn sent(
    workspace: &Workspace,
    path: &std::path::Path,
    content: ContentHash,
    size: Size,
) -> Result<Response, Fault> {
    let jpeg = workspace.pictures().get(path, content, size).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((headers, jpeg.to_vec()).into_response())
}
