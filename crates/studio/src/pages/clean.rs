//! One card at a time, one key a card: what is wrong with the photos, decided by eye, carried out when it is asked for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use sciurus::clean::plan::{Decision, undo as move_back};
use sciurus::data::fs::Replace;
use sciurus::data::{argument, counted};
use sciurus::{CleanSettings, PlanApplied, apply_plan};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Page, nothing};
use crate::Workspace;
use crate::desk::{Asked, Desk};
use crate::fault::{Fault, beside};
use crate::jobs::{Job, JobKind};
use crate::workspace::Listing;

/// Photos of an audit.
const AUDIT: usize = 50;
/// Moves that a preview names.
const PREVIEW: usize = 200;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/clean", get(page))
        .route("/clean/state", get(state))
        .route("/clean/look", post(look))
        .route("/clean/decide", post(decide))
        .route("/clean/undo", post(undo))
        .route("/clean/audit", post(audit))
        .route("/clean/sheet", post(sheet))
        .route("/clean/apart", post(apart))
        .route("/clean/later", post(later))
        .route("/clean/again", post(look_again))
        .route("/clean/history", get(history))
        .route("/clean/rewind", post(rewind))
        .route("/clean/similar", get(similar))
        .route("/clean/moves", get(moves))
        .route("/clean/apply", post(apply))
        .route("/clean/back", post(back))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || {
        if matches!(workspace.listing(), Listing::Ready(_)) {
            // Who comes here wants to know what is wrong. If something else runs, the page offers it later.
            let _ = start(&workspace);
        }
        let state = workspace.desk().as_ref().map(Desk::view);
        let refused = match workspace.listing() {
            Listing::Refused(why) if state.is_none() => Some(why),
            _ => None,
        };
        let body = match &refused {
            Some(why) => nothing("Nothing to clean yet", why),
            None => html! {
                div #desk data-ready=[state.is_some().then_some("")] {
                    header { h1 { "Looking at every photo" } p.lead { "Then you decide, one key a photo." } }
                }
            },
        };
        let page = Page {
            at: "/clean",
            title: "Clean",
            script: refused.is_none().then_some("clean.js"),
            state: Some(json!(state)),
            command: Some(format!("sciurus clean {} --review", argument(workspace.folder()))),
            body,
        };
        Ok(page.render(&workspace))
    })
    .await
}

/// Has the photos looked at, unless they are.
fn start(workspace: &Workspace) -> Result<(), Fault> {
    if workspace.desk().is_some() {
        return Ok(());
    }
    let here = workspace.clone();
    workspace.jobs().start(JobKind::Look, move |job| open_desk(&here, job)).map(drop)
}

/// Looks at the photos and opens the review.
fn open_desk(workspace: &Workspace, job: &Job) -> Result<String, Fault> {
    // Closed first: its journal has one writer.
    *workspace.desk() = None;
    let settings = CleanSettings { data: workspace.settings(), ..CleanSettings::default() };
    let desk = Desk::open(&settings, job)?;
    *workspace.desk() = Some(desk);
    workspace.tell("looked");
    Ok("all photos were looked at".to_owned())
}

async fn state(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, |_| Ok(())).await
}

async fn look(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    beside(move || start(&workspace).map(|()| Json(json!({})))).await
}

async fn decide(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    let answer = on_desk(workspace.clone(), move |desk| desk.decide(&asked, &now())).await?;
    workspace.tell("decided");
    fit_again(&workspace);
    Ok(answer)
}

/// Fits the heads again if that is due, while the review goes on: nobody waits for it.
pub(super) fn fit_again(workspace: &Workspace) {
    let due = workspace.desk().as_mut().and_then(|desk| Some((Arc::clone(desk.cleaner()), desk.due()?)));
    let Some((cleaner, refit)) = due else { return };
    let here = workspace.clone();
    let fitting = move || {
        let ranked = catch_unwind(AssertUnwindSafe(|| refit.run().ok())).ok().flatten();
        // The folder may have been looked at anew meanwhile.
        if let Some(desk) = here.desk().as_mut().filter(|desk| Arc::ptr_eq(desk.cleaner(), &cleaner)) {
            desk.rank_by(ranked);
        }
        here.tell("ranked");
    };
    let begun = thread::Builder::new().name("fitting again".to_owned()).spawn(fitting);
    if begun.is_err()
        && let Some(desk) = workspace.desk().as_mut()
    {
        desk.rank_by(None);
    }
}

/// How many decisions stand, as the page knows it.
#[derive(Debug, Deserialize)]
struct Standing {
    standing: usize,
}

async fn undo(State(workspace): State<Workspace>, Json(of): Json<Standing>) -> Result<Json<Value>, Fault> {
    let answer = on_desk(workspace.clone(), move |desk| desk.undo(of.standing, &now())).await?;
    workspace.tell("decided");
    Ok(answer)
}

async fn audit(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, |desk| {
        desk.audit(AUDIT);
        Ok(())
    })
    .await
}

/// A card, by its name.
#[derive(Debug, Deserialize)]
struct OfCard {
    card: String,
}

async fn sheet(State(workspace): State<Workspace>, Json(of): Json<OfCard>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, move |desk| desk.sheet(&of.card)).await
}

async fn apart(State(workspace): State<Workspace>, Json(of): Json<OfCard>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, move |desk| desk.apart(&of.card)).await
}

async fn later(State(workspace): State<Workspace>, Json(of): Json<OfCard>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, move |desk| desk.postpone(&of.card)).await
}

async fn look_again(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    on_desk(workspace, |desk| {
        desk.look_again();
        Ok(())
    })
    .await
}

/// What was decided, and when.
async fn history(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let decisions = workspace.desk().as_ref().ok_or(Fault::NotYet)?.history();
        let shown = |one: &Decision| {
            json!({
                "path": one.path.to_string_lossy(), "content": one.content.to_string(), "old": one.old,
                "action": one.action, "new": one.new, "time": one.time,
            })
        };
        Ok(Json(decisions.iter().map(shown).collect()))
    })
    .await
}

/// How many decisions stand, as the page knows it, and how many are to stay.
#[derive(Debug, Deserialize)]
struct Rewind {
    standing: usize,
    to: usize,
}

async fn rewind(State(workspace): State<Workspace>, Json(of): Json<Rewind>) -> Result<Json<Value>, Fault> {
    let answer = on_desk(workspace.clone(), move |desk| desk.rewind(of.standing, of.to, &now())).await?;
    workspace.tell("decided");
    Ok(answer)
}

/// Does something at the desk; the answer is how it looks then.
async fn on_desk(
    workspace: Workspace,
    work: impl FnOnce(&mut Desk) -> Result<(), Fault> + Send + 'static,
) -> Result<Json<Value>, Fault> {
    beside(move || {
        let mut desk = workspace.desk();
        let desk = desk.as_mut().ok_or(Fault::NotYet)?;
        work(desk)?;
        Ok(Json(json!(desk.view())))
    })
    .await
}

/// A photo of a card.
#[derive(Debug, Deserialize)]
struct OfPhoto {
    path: PathBuf,
}

async fn similar(
    State(workspace): State<Workspace>,
    Query(of): Query<OfPhoto>,
) -> Result<Json<Value>, Fault> {
    beside(move || {
        let desk = workspace.desk();
        Ok(Json(json!(desk.as_ref().ok_or(Fault::NotYet)?.similar(&of.path))))
    })
    .await
}

/// What would move, and where to.
async fn moves(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    beside(move || {
        let desk = workspace.desk();
        let plan = desk.as_ref().ok_or(Fault::NotYet)?.moves();
        let moves: Vec<Value> = plan
            .changes()
            .take(PREVIEW)
            .map(|item| json!({ "path": item.path.to_string_lossy(), "action": item.action, "to": item.to }))
            .collect();
        Ok(Json(json!({ "count": plan.changes().count(), "moves": moves })))
    })
    .await
}

/// Carries out what was decided, and nothing else.
async fn apply(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    let here = workspace.clone();
    let job = workspace.jobs().start(JobKind::Apply, move |job| {
        let plan = here.desk().as_ref().map(Desk::moves).ok_or(Fault::NotYet)?;
        let applied = apply_plan(&plan, &here.settings(), None, Replace::forced(false))?;
        let told = match applied {
            PlanApplied::Moved(applied) => {
                job.say_left(&applied.left);
                format!("{} moved; nothing was deleted", counted(applied.moved.len(), "file"))
            }
            PlanApplied::Table { table, changes, .. } => {
                format!("{} written with {}", table.display(), counted(changes, "change"))
            }
        };
        again(&here, job)?;
        Ok(told)
    })?;
    Ok(Json(json!({ "job": job })))
}

/// Moves back what was moved last.
async fn back(State(workspace): State<Workspace>) -> Result<Json<Value>, Fault> {
    let here = workspace.clone();
    let job = workspace.jobs().start(JobKind::Undo, move |job| {
        let moved = move_back(here.folder()).map_err(sciurus::Error::from)?;
        job.say_left(&moved.left);
        again(&here, job)?;
        Ok(match moved.moved.len() {
            0 => "there was nothing to move back".to_owned(),
            files => format!("{} moved back", counted(files, "file")),
        })
    })?;
    Ok(Json(json!({ "job": job })))
}

/// After files have moved: the folder is read, and its photos are looked at, anew. Nearly everything is in the cache.
fn again(workspace: &Workspace, job: &Job) -> Result<(), Fault> {
    workspace.read_now(job);
    open_desk(workspace, job).map(drop)
}

/// The present time, as the journal wants it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}
