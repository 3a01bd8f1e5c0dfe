//! A server for models: photos in by HTTP, what they show out.
//!
//! In: [`Models`], and what they allow ([`ServeSettings`]). Out: [`app`], an axum router; [`serve`] runs it until it is asked to end.
//! Photos are decoded, cropped and resized exactly as they were when the model was measured, and what answers is the
//! [`Predictor`](sciurus::Predictor) of the library.
//!
//! ```no_run
//! use sciurus::Predictor;
//! use sciurus_serve::{Models, ServeSettings, serve};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = [("squirrels".to_owned(), "squirrels.sciurus".into())];
//! let models = Models::load(&files, ServeSettings::default(), |path| Predictor::load(path))?;
//! serve(std::net::TcpListener::bind("127.0.0.1:8000")?, models)?;
//! # Ok(())
//! # }
//! ```

mod body;
mod connections;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod infer;
mod intake;
mod metrics;
mod models;
mod page;
mod patient;
mod predict;
mod queue;
mod settings;

pub use fault::Fault;
pub use models::{Models, ModelsError, Reload, Reloaded};
pub use settings::ServeSettings;

use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::sync::watch;
use tower_http::cors::CorsLayer;

/// How often files of models are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The app.
pub fn app(models: Models) -> Router {
    let origins: Vec<HeaderValue> =
        models.settings().origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let router = Router::new()
        .route("/", get(page::page))
        .route("/assets/{name}", get(page::asset))
        .route("/openapi.json", get(page::openapi))
        .route("/predict", post(predict::predict))
        .route("/models", get(page::models))
        .route("/healthz", get(alive))
        .route("/readyz", get(alive))
        .route("/metrics", get(metrics))
        .route("/v2", get(infer::server))
        .route("/v2/health/live", get(alive))
        .route("/v2/health/ready", get(alive))
        .route("/v2/models/{model}", get(infer::metadata))
        .route("/v2/models/{model}/ready", get(infer::ready))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}", get(infer::metadata_of_version))
        .route("/v2/models/{model}/versions/{version}/ready", get(infer::ready_of_version))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer_of_version))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        // The handlers read bodies themselves, within the server's own limits of size and time.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(models.clone(), gate::pass));
    let router = match origins.is_empty() {
        true => router,
        false => router.layer(
            CorsLayer::new().allow_origin(origins).allow_methods([Method::GET, Method::POST]).allow_headers(
                [header::CONTENT_TYPE, header::AUTHORIZATION, HeaderName::from_static("x-request-id")],
            ),
        ),
    };
    router.with_state(models)
}

/// A server that answers can predict: models are loaded before it listens.
async fn alive() -> StatusCode {
    StatusCode::OK
}

async fn metrics(State(models): State<Models>) -> impl IntoResponse {
    for model in models.all() {
        models.metrics().waiting(&model.name, model.queue.waiting());
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], models.metrics().text())
}

async fn nothing() -> Fault {
    Fault::Missing("there is nothing at this address; `/openapi.json` lists what there is".to_owned())
}

async fn other_method() -> (StatusCode, Fault) {
    let why = "this address wants another method; photos are sent with POST".to_owned();
    (StatusCode::METHOD_NOT_ALLOWED, Fault::Bad(why))
}

/// Serves the app until the process is asked to end (Ctrl-C, or SIGTERM). Requests that are there by then are answered. The files of
/// models are loaded again when they change, and all of them at SIGHUP.
///
/// # Errors
/// The listener fails, or no threads can be started.
pub fn serve(listener: TcpListener, models: Models) -> std::io::Result<()> {
    serve_until(listener, models, asked_to_end())
}

/// The same until `end` has come.
///
/// # Errors
/// The listener fails, or no threads can be started.
pub fn serve_until(
    listener: TcpListener,
    models: Models,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let timeout = models.settings().timeout;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (ends, mut ended) = watch::channel(false);
        tokio::spawn(keep_loaded(models.clone()));
        tokio::spawn(async move {
            end.await;
            tracing::info!("ending: what was asked before is answered");
            ends.send_replace(true);
        });
        let attending = connections::attend(listener, app(models.clone()), models, ended.clone());
        let patience = async {
            // Connections that say nothing keep nobody from ending.
            let _ = ended.wait_for(|ended| *ended).await;
            tokio::time::sleep(timeout).await;
        };
        tokio::select! {
            () = attending => {}
            () = patience => {}
        }
        Ok(())
    })
}

/// Loads models again when their files change, or when the process is told to.
async fn keep_loaded(models: Models) {
    let mut told = hang_ups();
    loop {
        let which = tokio::select! {
            () = tokio::time::sleep(LOOK) => Reload::Changed,
            () = told.next() => Reload::All,
        };
        let models = models.clone();
        let reloaded = tokio::task::spawn_blocking(move || models.reload(which)).await.unwrap_or_default();
        for (model, reloaded) in reloaded {
            match reloaded {
                Reloaded::Same => {}
                Reloaded::Loaded => tracing::info!(model, "loaded again"),
                Reloaded::Failed(error) => {
                    tracing::error!(
                        model,
                        error = said(&error),
                        "cannot be loaded again; the one before goes on"
                    );
                }
            }
        }
    }
}

/// An error with its causes.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<String>>().join(": ")
}

/// Signals that say: load your files again.
struct HangUps(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

fn hang_ups() -> HangUps {
    #[cfg(unix)]
    return HangUps(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok());
    #[cfg(not(unix))]
    HangUps()
}

impl HangUps {
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0 {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Waits for Ctrl-C or, where there is one, a polite end from the system.
async fn asked_to_end() {
    let pressed = async {
        // Where it cannot be listened for, it never comes.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = pressed => {}
        () = terminated => {}
    }
}
