//! Gathering: photos that arrive with their licences, those that were not kept and why, and photos of one's own: dropped,
//! chosen, or taken by this machine's camera.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use sciurus::data::ContentHash;
use sciurus::data::fs::{Kind, Root, forget_private, keep_private, read_private};
use sciurus::gather::{CatalogueEntry, GatherClass, GatherRun, KeyNeed, SourceSpec, catalogue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::project::sent;
use super::{Page, camera};
use crate::Workspace;
use crate::adding::{Added, Brought, check_flat, check_name};
use crate::fault::{Fault, beside};
use crate::gathering::{Watching, told};
use crate::jobs::{Job, JobKind};
use crate::pictures::Size;
use crate::services::{Allowed, Asked, MOST};
use crate::workspace::Listing;

/// Classes that the form offers room for where there are none yet.
const ROOM: usize = 2;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/gather", get(page))
        .route("/gather/command", post(command))
        .route("/gather/begin", post(begin))
        .route("/gather/state", get(state))
        .route("/gather/thumb/{content}", get(thumb))
        .route("/gather/added", post(added))
}

/// What takes a photo, which is larger than anything else that is sent.
pub(super) fn for_photos() -> Router<Workspace> {
    Router::new().route("/gather/add", post(add))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || {
        let interrupted = interrupted(&workspace);
        let asked = workspace.gathering().view(workspace.folder(), 0, 0).asked;
        let asked = asked.or_else(|| interrupted.clone()).unwrap_or_default();
        let command = asked.command(workspace.folder(), &workspace.services());
        let page = Page {
            at: "/gather",
            title: "Gather",
            script: Some("gather.js"),
            state: Some(whole(&workspace, Known::default())),
            command: Some(command),
            body: body(&workspace, &asked, interrupted.as_ref()),
        };
        Ok(page.render(&workspace))
    })
    .await
}

fn body(workspace: &Workspace, asked: &Asked, interrupted: Option<&Asked>) -> Markup {
    let project = workspace.project().ok();
    let labels = project.as_ref().map_or(&[][..], |project| project.dataset.vocab.labels());
    html! {
        header {
            h1 { "Gather photos" }
            p.lead {
                "Name what your model is to tell apart. Photos arrive with their licence, are checked, and go into a folder for each "
                "class."
            }
        }
        @if interrupted.is_some() {
            p.next { "The last gathering was cut off. Begin it again, and it goes on where it was." }
        }
        datalist #labels { @for label in labels { option value=(label) {} } }
        div.choices {
            form.card #ask {
                h2 { "Search for photos" }
                @match check_flat(workspace.folder(), project.as_deref()) {
                    Ok(()) => (form(asked, workspace)),
                    Err(why) => p.problem { (why) },
                }
            }
            (own())
        }
        section #gathering hidden aria-label="Gathering" {}
        section.next #then hidden aria-label="What comes next" {}
        section #arrived hidden aria-labelledby="arrived-title" {
            h2 #arrived-title { "Arrived" }
            ul.arrivals {}
        }
        details #rejected hidden { summary {} ul.files {} }
    }
}

fn form(asked: &Asked, workspace: &Workspace) -> Markup {
    let none = GatherClass { name: String::new(), terms: String::new() };
    let room = match (asked.classes.len(), workspace.listing()) {
        (0, Listing::Ready(_)) => 1,
        (0, _) => ROOM,
        _ => 0,
    };
    let licences = [
        (Allowed::Any, "any", "any that is known"),
        (Allowed::Commercial, "commercial", "commercial use allowed"),
        (Allowed::PublicDomain, "public_domain", "public domain"),
    ];
    html! {
        div #rows { @for class in asked.classes.iter().chain(std::iter::repeat_n(&none, room)) { (row(class)) } }
        button #more type="button" { "Add a class" }
        div.fields {
            label { "Photos of each " input type="number" name="per_class" min="1" max=(MOST) required value=(asked.per_class); }
            label { "Shorter side, pixels " input type="number" name="min_size" min="0" max="4000" required value=(asked.min_size); }
            label { "Licences " select name="licences" {
                @for (allowed, value, name) in licences { option value=(value) selected[allowed == asked.licences] { (name) } }
            } }
        }
        details { summary { "Sources" } ul.files { @for source in catalogue(&workspace.services().keys) { (offered(&source, asked)) } } }
        p.problem #wrong role="alert" hidden {}
        button.do { "Gather" }
    }
}

fn row(class: &GatherClass) -> Markup {
    let terms = if class.terms == class.name { "" } else { &class.terms };
    html! {
        fieldset.row {
            label { "Class " input name="name" list="labels" autocomplete="off" value=(class.name) placeholder="red squirrel"; }
            label { "Search words " input name="terms" autocomplete="off" value=(terms) placeholder="the same"; }
            button type="button" data-less aria-label="Leave this class out" { "×" }
        }
    }
}

/// A source that can be asked from a page: those on this machine are for the command.
fn offered(source: &CatalogueEntry, asked: &Asked) -> Markup {
    let id = source.info.id;
    let missing = match source.info.key {
        KeyNeed::Required { variables } if source.key_set != Some(true) => Some(variables.join(" and ")),
        _ => None,
    };
    html! {
        @if SourceSpec::from_str(id.name()).is_ok() {
            li {
                label {
                    input type="checkbox" name="source" value=(id) disabled[missing.is_some()] checked[missing.is_none() && asked.sources.contains(&id)];
                    " " strong { (id) } " " (source.info.what)
                }
                p.soft {
                    "For training: " (source.info.training) "."
                    @if let Some(variables) = missing { " It needs a key: set " (variables) " before the studio is started." }
                }
            }
        }
    }
}

fn own() -> Markup {
    html! {
        section.card #own aria-labelledby="own-title" {
            h2 #own-title { "Add your own" }
            label { "Class " input #class list="labels" autocomplete="off" placeholder="one that is there, or a new one"; }
            label.drop #drop { input #file type="file" accept="image/*" multiple; span { "Drop photos here, paste them, or choose them" } }
            (camera())
            p.soft {
                "Hold the camera's button for four photos a second. Those of one series look alike: move, and change what is behind, or "
                "the model will seem better than it is."
            }
            div #queue role="status" {}
            ul.files #refused {}
        }
    }
}

/// What a page knows already.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Known {
    run: u64,
    after: u64,
}

/// What arrived after what a page knows, and what the folder is now.
fn whole(workspace: &Workspace, known: Known) -> Value {
    let view = workspace.gathering().view(workspace.folder(), known.run, known.after);
    let (labels, why) = match workspace.listing() {
        Listing::Ready(project) => (project.dataset.vocab.labels().to_vec(), None),
        Listing::Refused(why) => (Vec::new(), Some(why)),
        Listing::Reading => (Vec::new(), Some("the folder is being read".to_owned())),
    };
    json!({ "view": view, "labels": labels, "why": why })
}

async fn state(State(workspace): State<Workspace>, Query(known): Query<Known>) -> Result<Json<Value>, Fault> {
    beside(move || Ok(Json(whole(&workspace, known)))).await
}

/// What was asked for, as it can be gathered.
fn checked(workspace: &Workspace, asked: Asked) -> Result<(Asked, GatherRun), Fault> {
    let asked = asked.tidied()?;
    let project = workspace.project().ok();
    check_flat(workspace.folder(), project.as_deref())?;
    asked.classes.iter().try_for_each(|class| check_name(&class.name, project.as_deref()))?;
    let run = asked.run(workspace.folder(), &workspace.services())?;
    Ok((asked, run))
}

/// The command that gathers what the form says.
async fn command(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let (asked, _) = checked(&workspace, asked)?;
        Ok(Json(json!({ "command": asked.command(workspace.folder(), &workspace.services()) })))
    })
    .await
}

async fn begin(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let (asked, run) = checked(&workspace, asked)?;
        let here = workspace.clone();
        let job = workspace.jobs().start(JobKind::Gather, move |job| gather(&here, job, asked, &run))?;
        Ok(Json(json!({ "job": job })))
    })
    .await
}

/// Gathers, and reads the folder again if that brought photos.
fn gather(workspace: &Workspace, job: &Job, asked: Asked, run: &GatherRun) -> Result<String, Fault> {
    // Without the note, a page that is opened after a crash has an empty form.
    let _ = serde_json::to_vec(&asked).map(|asked| keep_private(&note(workspace), &asked));
    workspace.gathering().begin(asked, workspace.folder());
    let watching = Watching { gathering: Arc::clone(workspace.gathering()), job: job.clone() };
    let gathered = run.run_blocking(watching);
    forget_private(&note(workspace));
    let gathered = gathered.map_err(|error| Fault::Bad(Fault::told(&error)))?;
    workspace.gathering().end(&gathered);
    let mut sources = gathered.classes.iter().flat_map(|class| &class.sources);
    if sources.any(|source| source.kept > 0) {
        // What was looked at is not all any more.
        *workspace.desk() = None;
        workspace.read_now(job);
    }
    told(&gathered)
}

/// Where what is being gathered is noted.
fn note(workspace: &Workspace) -> String {
    format!("{}.gathering", workspace.instance())
}

/// What a studio gathered that was killed.
fn interrupted(workspace: &Workspace) -> Option<Asked> {
    let gathers = workspace.jobs().running().is_some_and(|job| job.kind == JobKind::Gather);
    let noted = read_private(&note(workspace)).filter(|_| !gathers)?;
    serde_json::from_slice(&noted).ok()
}

/// A photo that arrived, before the folder is read again and after.
async fn thumb(State(workspace): State<Workspace>, Path(content): Path<String>) -> Result<Response, Fault> {
    let missing = || Fault::Missing("there is no such photo".to_owned());
    let content = ContentHash::from_str(&content).map_err(|_| missing())?;
    let known = workspace.project().ok().and_then(|project| project.path(content));
    let path = match known {
        Some(path) => path,
        None => {
            let place = workspace.gathering().place(content).ok_or_else(missing)?;
            let root = Root::open(workspace.folder()).map_err(sciurus::Error::from)?;
            // The ledger may be somebody else's, and what it names a link.
            let is_file = matches!(root.kind(&place), Ok(Some(Kind::File)));
            is_file.then(|| root.place(&place)).ok_or_else(missing)?
        }
    };
    sent(&workspace, &path, content, Size::Small).await
}

/// The class of a photo that is sent, and what its file was called.
#[derive(Debug, Deserialize)]
struct OfPhoto {
    class: String,
    name: String,
}

/// Puts the photo in the request's body into the folder of a class.
async fn add(
    State(workspace): State<Workspace>,
    Query(of): Query<OfPhoto>,
    bytes: Bytes,
) -> Result<Json<Added>, Fault> {
    beside(move || {
        let project = match workspace.listing() {
            Listing::Ready(project) => Some(project),
            Listing::Refused(_) => None,
            Listing::Reading => return Err(Fault::NotYet),
        };
        let (class, folder) = (of.class.trim(), workspace.folder());
        let photo = Brought { class, name: &of.name, bytes: &bytes };
        let added = workspace.adding().add(folder, project.as_deref(), &photo)?;
        if let Added::File { file, content } = &added {
            workspace.gathering().add(folder, *content, (file.clone(), class.to_owned()));
            workspace.jobs().tell(&json!({ "event": "gathering" }));
        }
        Ok(Json(added))
    })
    .await
}

/// All were sent: the folder is read again.
async fn added(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    workspace.read_folder().map(|job| Json(json!({ "job": job })))
}
