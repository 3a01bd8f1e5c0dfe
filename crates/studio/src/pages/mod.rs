//! The pages, a file each: what it shows, what it may be asked, and the command that does the same. This one has what they share.

mod clean;
mod gather;
mod look;
mod plots;
mod project;
mod results;
mod take_home;
mod train;
mod try_photo;

pub(crate) use train::go_on;

use axum::Router;
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;

use crate::Workspace;
use crate::assets::address;

/// Every page with its requests.
pub(crate) fn routes() -> Router<Workspace> {
    Router::new()
        .merge(project::routes())
        .merge(gather::routes())
        .merge(look::routes())
        .merge(train::routes())
        .merge(clean::routes())
        .merge(results::routes())
        .merge(try_photo::routes())
        .merge(take_home::routes())
}

/// What takes a photo, which is larger than anything else that is sent.
pub(crate) fn for_photos() -> Router<Workspace> {
    try_photo::for_photos().merge(gather::for_photos())
}

/// What takes an archive of photos, which is larger still.
pub(crate) fn for_archives() -> Router<Workspace> {
    project::for_archives()
}

/// The steps of the story, in order: address and name.
const STEPS: [(&str, &str); 8] = [
    ("/", "Project"),
    ("/gather", "Gather"),
    ("/look", "Look"),
    ("/train", "Train"),
    ("/clean", "Clean"),
    ("/results", "Results"),
    ("/try", "Try"),
    ("/take-home", "Take home"),
];

/// A page.
struct Page<'a> {
    /// Its address, one of the steps.
    at: &'a str,
    title: &'a str,
    /// The script that brings it to life.
    script: Option<&'a str>,
    /// What the script begins with, as JSON.
    state: Option<serde_json::Value>,
    /// The command that does the same.
    command: Option<String>,
    body: Markup,
}

impl Page<'_> {
    fn render(self, workspace: &Workspace) -> Markup {
        let changes = workspace.changes();
        let name = workspace.folder().file_name().unwrap_or_default().to_string_lossy();
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · " (name) }
                    link rel="icon" href=(address("icon.svg"));
                    link rel="stylesheet" href=(address("studio.css"));
                    @if let Some(script) = self.script {
                        script type="module" src=(address(script)) {}
                    } @else {
                        script type="module" src=(address("studio.js")) {}
                    }
                }
                body data-page=(self.at) data-changes=(changes) {
                    a.skip href="#main" { "Skip to the page" }
                    nav aria-label="Steps" {
                        b { (name) }
                        @for (at, step) in STEPS {
                            a href=(at) aria-current=[(at == self.at).then_some("page")] { (step) }
                        }
                    }
                    main #main { (self.body)
                        footer {
                            span #saved role="status" {}
                            @if let Some(command) = &self.command {
                                span.command { "In a terminal: " code { (command) } }
                            }
                        }
                    }
                    div #job hidden {}
                    div #say.quiet role="status" aria-live="polite" {}
                    @if let Some(state) = &self.state {
                        script #state type="application/json" { (maud::PreEscaped(embedded(state))) }
                    }
                }
            }
        }
    }
}

/// What a page says that needs a model where there is none.
fn nothing_yet(title: &str, then: &str) -> Markup {
    html! {
        header { h1 { (title) } p.lead { (then) } }
        p { a.button.do href="/train" { "Train" } }
    }
}

/// This machine's camera, for `camera.js`.
fn camera() -> Markup {
    html! {
        button #camera type="button" { "Use the camera" }
        div #view hidden {
            video #video muted playsinline aria-label="What the camera sees" {}
            div.fields {
                button.do #shoot type="button" { "Take a photo" }
                button #close type="button" { "Close the camera" }
            }
        }
    }
}

/// JSON that can stand in a page: nothing in it ends the element that it stands in.
fn embedded(state: &impl Serialize) -> String {
    serde_json::to_string(state).unwrap_or_default().replace('<', "\\u003c")
}

/// What a page shows of a folder that is no data set: why, and what to do about it.
fn nothing(title: &str, why: &str) -> Markup {
    html! {
        header { h1 { (title) } }
        p.problem { (why) }
        p { a.button.do href="/gather" { "Gather photos" } " " a.button href="/" { "Add your own" } }
    }
}

/// A page of a few sentences, for who has no other.
pub(crate) fn plain(title: &str, sentences: &[&str]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } }
            body { h1 { (title) } @for sentence in sentences { p { (sentence) } } }
        }
    }
}
