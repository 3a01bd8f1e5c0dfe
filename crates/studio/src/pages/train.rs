//! Training: a head in seconds, or the whole network in epochs, with its curve and table as they grow.

use std::path::PathBuf;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{Markup, html};
use sciurus::data::fs::{forget_private, keep_private, read_private};
use sciurus::data::{Progress, argument, counted};
use sciurus::{
    Arch, ArchChoice, Control, Error, Event, FineTune, FinishedRun, Listeners, LrFind, Observer, Pace,
    PreparedRun, Run, TrainSettings,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::project::measured;
use super::{Page, nothing};
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::jobs::{Job, JobKind};
use crate::project::Project;
use crate::workspace::{KnownRun, Listing};

/// Most epochs that the form offers.
const EPOCHS: usize = 100;
/// Points of the curve that are kept: a pixel each on a usual screen.
const POINTS: usize = 1200;

pub(super) fn routes() -> Router<Workspace> {
    Router::new()
        .route("/train", get(page))
        .route("/train/begin", post(begin))
        .route("/train/rates", post(rates))
        .route("/train/resume", post(resume))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || {
        let body = match workspace.listing() {
            Listing::Ready(project) => {
                let trains = workspace.jobs().running().is_some_and(|job| job.kind == JobKind::Train);
                let runs = workspace.runs();
                let unfinished = runs.iter().find(|known| !trains && is_stopped(known, &project));
                ready(&project, &runs, unfinished)
            }
            Listing::Reading => html! { header { h1 { "Reading the folder" } } },
            Listing::Refused(why) => nothing("Nothing to train on yet", &why),
        };
        let page = Page {
            at: "/train",
            title: "Train",
            script: Some("train.js"),
            state: None,
            command: Some(format!("sciurus train {}", argument(workspace.folder()))),
            body,
        };
        Ok(page.render(&workspace))
    })
    .await
}

/// Whether the rest of a run can be trained: it was stopped, and the photos are as they were.
fn is_stopped(known: &KnownRun, project: &Project) -> bool {
    let is_stopped = !known.is_finished() || known.record.cut_short;
    is_stopped && known.record.data.fingerprint == project.summary.fingerprint
}

fn ready(project: &Project, runs: &[KnownRun], unfinished: Option<&KnownRun>) -> Markup {
    let defaults = TrainSettings::default();
    html! {
        header { h1 { "Train on " (counted(project.summary.items, "photo")) }
            p.lead { "A head in seconds tells you how hard it is. The whole network is more accurate, and takes minutes." }
        }
        div.choices {
            form.card data-train="instant" {
                h2 { "A head in seconds" }
                p.soft { "A pretrained network looks at each photo once; a linear head learns your classes. Every photo is predicted by a head that never saw it." }
                button.do { "Train a head" }
            }
            form.card data-train="whole" {
                h2 { "The whole network" }
                p.soft { "First the head, then everything, as fastai's fine_tune does." }
                div.fields {
                    label { "Network " select name="arch" {
                        option value="auto" data-speed=(Arch::ResNet18.images_per_second()) { "the best at hand" }
                        @for arch in Arch::ALL.iter().filter(|arch| is_offered(**arch)) {
                            option value=(arch.name()) data-speed=(arch.images_per_second()) { (arch.name()) }
                        }
                    } }
                    label { "Epochs " input type="number" name="epochs" min="1" max=(EPOCHS) value=(defaults.fit.epochs); }
                    label { "Pixels " input type="number" name="image_size" min="32" max="512" step="16" value=(defaults.loader.image_size); }
                    label { "Learning rate " input type="number" name="learning_rate" min="0" step="any" placeholder=(FineTune::new(1).base_learning_rate); }
                }
                p.soft #takes data-photos=(project.summary.items) data-measured=[measured_speed(runs)] role="status" {}
                p { button.do { "Train it all" } " " button type="button" #rates { "Find a learning rate" } }
                div #found hidden {}
            }
        }
        @if let Some(known) = unfinished {
            section { p { "The run " code { (known.name()) } " was stopped before its end." }
                button data-resume=(known.name()) { "Train the rest" } }
        }
        section #training hidden aria-label="Training" {}
        @if let Some(known) = runs.iter().find(|known| known.is_finished()) {
            section #newest { h2 { "Newest model" } p { strong { (measured(known)) } } p.soft { code { (known.name()) } } }
        }
    }
}

/// Photos a second of the newest training of a whole network here, and the network.
fn measured_speed(runs: &[KnownRun]) -> Option<String> {
    let whole = runs.iter().find(|known| !known.record.settings.run.instant && known.is_finished())?;
    Some(format!("{} {:.1}", whole.record.settings.fit.arch, whole.run.images_per_second()?))
}

/// Whether somebody without weights of their own can start from it.
fn is_offered(arch: Arch) -> bool {
    let info = arch.info();
    info.built_in || info.weights.is_some()
}

/// What the form asks for.
#[derive(Debug, Deserialize)]
struct Asked {
    instant: bool,
    arch: Option<ArchChoice>,
    epochs: Option<usize>,
    image_size: Option<usize>,
    learning_rate: Option<f64>,
}

/// The settings that a form asks for.
fn settings(workspace: &Workspace, asked: &Asked) -> Result<TrainSettings, Fault> {
    let mut settings = TrainSettings { data: workspace.settings(), ..TrainSettings::default() };
    settings.run.instant = asked.instant;
    settings.fit.arch = asked.arch.unwrap_or_default();
    settings.fit.epochs = asked.epochs.unwrap_or(settings.fit.epochs);
    settings.fit.learning_rate = asked.learning_rate;
    settings.loader.image_size = asked.image_size.unwrap_or(settings.loader.image_size);
    if !(1..=EPOCHS).contains(&settings.fit.epochs) {
        return Err(Fault::Bad(format!("choose 1 to {EPOCHS} epochs")));
    }
    settings.fit.check()?;
    Ok(settings)
}

/// Tries growing learning rates in a mock training; the job's losses are the curve, its log the suggestion.
async fn rates(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    let settings = settings(&workspace, &asked)?;
    let job = workspace.jobs().start(JobKind::Rates, move |job| {
        let mut learner = settings.learner(listeners(job))?;
        learner.chosen_instead().into_iter().for_each(|instead| job.say(instead));
        learner.observe(Trying { job: job.clone() });
        let curve = learner.lr_find(LrFind::default())?;
        let points = curve.learning_rates.iter().copied().zip(curve.losses.iter().copied());
        job.change(|state| state.rates = points.filter(|(_, loss)| loss.is_finite()).collect());
        let suggested = curve.suggestions.map(|all| all.valley);
        job.change(|state| state.suggested_rate = suggested);
        Ok(match suggested {
            Some(rate) => format!("{rate:.1e} is in the longest stretch over which the loss falls"),
            None => "the curve is too short to suggest a rate: there are too few photos".to_owned(),
        })
    })?;
    Ok(Json(json!({ "job": job })))
}

/// Follows the rates that are tried.
#[derive(Debug)]
struct Trying {
    job: Job,
}

impl Observer for Trying {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        if let Event::RateTried { step, steps, .. } = event {
            self.job.progress("trying learning rates", Progress { done: step + 1, total: *steps });
        }
        Ok(if self.job.is_stopped() { Control::Stop } else { Control::Continue })
    }
}

async fn begin(State(workspace): State<Workspace>, Json(asked): Json<Asked>) -> Result<Json<Value>, Fault> {
    let settings = settings(&workspace, &asked)?;
    let here = workspace.clone();
    let job = workspace.jobs().start(JobKind::Train, move |job| {
        let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
        let folder = Run::new_folder(here.folder(), &time)?;
        let trained = train(&here, job, |listeners| Run::prepare(folder.clone(), settings, listeners));
        if trained.is_err() {
            // A run that never began leaves nothing; one that did is not empty.
            let _ = std::fs::remove_dir(&folder);
        }
        trained
    })?;
    Ok(Json(json!({ "job": job })))
}

/// The name of a run.
#[derive(Debug, Deserialize)]
struct OfRun {
    run: String,
}

async fn resume(State(workspace): State<Workspace>, Json(of): Json<OfRun>) -> Result<Json<Value>, Fault> {
    let here = workspace.clone();
    let folder: PathBuf = beside(move || {
        let known = here.runs().into_iter().find(|known| known.name() == of.run);
        let missing = || Fault::Missing("there is no such run on this folder".to_owned());
        known.map(|known| known.run.folder().to_owned()).ok_or_else(missing)
    })
    .await?;
    Ok(Json(json!({ "job": train_rest(&workspace, folder)? })))
}

/// Goes on with a training that a killed studio left behind.
pub(crate) fn go_on(workspace: &Workspace) {
    let left = read_private(&note(workspace)).and_then(|path| String::from_utf8(path).ok());
    let Some(folder) = left.map(PathBuf::from) else { return };
    // If something else runs, or the run is gone, the page offers what is left of it.
    let _ = train_rest(workspace, folder);
}

/// Begins to train the rest of a run.
fn train_rest(workspace: &Workspace, folder: PathBuf) -> Result<u64, Fault> {
    let here = workspace.clone();
    let rest = move |job: &Job| train(&here, job, |listeners| Run::resume(folder, listeners));
    workspace.jobs().start(JobKind::Train, rest)
}

/// Where the run that trains is noted, so that a studio that is killed goes on with it.
fn note(workspace: &Workspace) -> String {
    format!("{}.training", workspace.instance())
}

/// Trains, and says how good the model is.
fn train(
    workspace: &Workspace,
    job: &Job,
    prepare: impl FnOnce(Listeners) -> Result<PreparedRun, Error>,
) -> Result<String, Fault> {
    let mut prepared = prepare(listeners(job))?;
    let learner = prepared.learner();
    learner.loaders().dataset().notes.iter().for_each(|note| job.say(note.to_string()));
    learner.chosen_instead().into_iter().for_each(|instead| job.say(instead));
    let pace = Pace::new(prepared.record().settings.fit.epochs);
    prepared.observe(Watching { job: job.clone(), pace, batches: 0 });
    let folder = std::path::absolute(prepared.run().folder()).unwrap_or_default();
    // Without the note, a training that is killed waits until somebody asks for the rest.
    let _ = keep_private(&note(workspace), folder.as_os_str().as_encoded_bytes());
    let finished = prepared.train();
    forget_private(&note(workspace));
    let finished = finished?;
    workspace.forget_predictor();
    workspace.tell("trained");
    Ok(told(&finished))
}

/// Puts what happens before a training into the job.
fn listeners(job: &Job) -> Listeners {
    let (scanning, loading) = (job.clone(), job.clone());
    Listeners {
        on_scan: Box::new(move |done| scanning.progress("reading the folder", done)),
        on_download: Box::new(move |done| loading.download(done)),
    }
}

fn told(finished: &FinishedRun) -> String {
    let measured = finished.record.metrics.first().map(ToString::to_string).unwrap_or_default();
    match finished.record.cut_short {
        true => format!("stopped; what was trained is saved: {measured}"),
        false => measured,
    }
}

/// Puts what happens into the job.
#[derive(Debug)]
struct Watching {
    job: Job,
    pace: Pace,
    batches: usize,
}

impl Observer for Watching {
    fn observe(&mut self, event: &Event) -> Result<Control, Error> {
        self.pace.observe(event);
        let (speed, left) = (self.pace.images_per_second(), self.pace.left().as_secs_f64());
        match event {
            Event::FitStarted { phase, epochs, steps, .. } => {
                let step = sciurus::EpochTable::title(*phase).to_string();
                let step = step.trim_end_matches(':').to_owned();
                self.job.update(|state| (state.step, state.done, state.total) = (step, 0, epochs * steps));
            }
            Event::PhotosEmbedded { done, total } => {
                let progress = Progress { done: *done, total: *total };
                self.job.progress("looking at the photos, so that the head begins well", progress);
            }
            Event::Resumed { rows, .. } => self.job.update(|state| state.rows.clone_from(rows)),
            Event::BatchTrained { train_loss, .. } => {
                self.batches += 1;
                let batches = self.batches;
                self.job.update(|state| {
                    state.done += 1;
                    (state.images_per_second, state.seconds_left) = (Some(speed), Some(left));
                    state.losses.push((batches, *train_loss));
                    if state.losses.len() > POINTS {
                        let mut place = 0;
                        state.losses.retain(|_| {
                            place += 1;
                            place % 2 == 0
                        });
                    }
                });
            }
            Event::PhotosSkipped { skipped, .. } => {
                skipped.iter().for_each(|photo| self.job.say(format!("left out: {photo}")));
            }
            Event::EpochEnded(record) => self.job.update(|state| state.rows.push(record.clone())),
            _ => {}
        }
        Ok(if self.job.is_stopped() { Control::Stop } else { Control::Continue })
    }
}
