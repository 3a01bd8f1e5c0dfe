//! The studio: a page app on this machine in which somebody looks at photos, trains, cleans, tries the model and takes it home.
//!
//! In: a [`Workspace`], a folder and who may use it. Out: [`app`], an axum router; [`serve`] runs it. Every action is the library's,
//! and every page shows the command that does the same. Nothing leaves the machine but the words
//! that somebody gathers photos with.
//!
//! ```no_run
//! use sciurus_studio::{Access, Reach, Workspace, serve};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (listener, access) = Access::listen("squirrels".as_ref(), 0, Reach::Machine)?;
//! let workspace = Workspace::open("squirrels", access)?;
//! println!("{}", workspace.access().address());
//! serve(listener, &workspace)?;
//! # Ok(())
//! # }
//! ```

mod access;
mod adding;
mod assets;
mod cache;
mod cards;
mod desk;
mod fault;
mod gathering;
mod guard;
mod jobs;
mod map;
mod near;
mod pages;
mod pictures;
mod project;
mod services;
mod stream;
mod unpacking;
mod workspace;

pub use access::{Access, Reach};
pub use fault::Fault;
pub use jobs::{JobKind, JobState, JobStatus};
pub use services::Services;
pub use workspace::Workspace;

use std::future::IntoFuture;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;

/// Most bytes that are sent to an address that takes no photo.
const LARGEST: usize = 4 << 20;
/// Most bytes of a photo that is sent.
const LARGEST_PHOTO: usize = 64 << 20;
/// Most bytes of an archive of photos that is sent.
const LARGEST_ARCHIVE: usize = 4 << 30;

/// How long to wait before looking again whether work has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The app. It answers nobody but who [`Access`] lets in.
pub fn app(workspace: Workspace) -> Router {
    let usual = Router::new()
        .merge(pages::routes())
        .route("/events", get(stream::events))
        .route("/now", get(stream::now))
        .route("/assets/{version}/{name}", get(assets::serve))
        .layer(RequestBodyLimitLayer::new(LARGEST));
    usual
        .merge(pages::for_photos().layer(RequestBodyLimitLayer::new(LARGEST_PHOTO)))
        .merge(pages::for_archives().layer(RequestBodyLimitLayer::new(LARGEST_ARCHIVE)))
        // The layers above ask what a request says of its length first.
        .layer(DefaultBodyLimit::disable())
        .layer(CsrfLayer::new())
        // The last layer is the first to see a request.
        .layer(from_fn_with_state(workspace.clone(), guard::check))
        .with_state(workspace)
}

/// Serves the app until Ctrl-C. A training that is running is stopped then, and saved.
///
/// # Errors
/// The listener fails, or no threads can be started.
pub fn serve(listener: TcpListener, workspace: &Workspace) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(resume(workspace.clone()));
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let serving = axum::serve(listener, app(workspace.clone()));
        tokio::select! {
            served = serving.into_future() => served,
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                wait_for_work(workspace).await;
                Ok(())
            }
        }
    })?;
    // Requests that still compute are not waited for: what they acknowledged is on the disk.
    runtime.shutdown_background();
    Access::forget(workspace.folder());
    Ok(())
}

/// Goes on with what a killed studio left behind, once the folder was read.
async fn resume(workspace: Workspace) {
    while workspace.jobs().running().is_some() {
        tokio::time::sleep(PAUSE).await;
    }
    pages::go_on(&workspace);
}

/// Asks what runs to stop, and waits until it has; the second Ctrl-C waits for nothing.
async fn wait_for_work(workspace: &Workspace) {
    while let Some(job) = workspace.jobs().running() {
        if job.kind == JobKind::List || job.kind == JobKind::Look {
            // They change nothing.
            return;
        }
        let _ = workspace.jobs().stop(job.id);
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return,
        }
    }
}
