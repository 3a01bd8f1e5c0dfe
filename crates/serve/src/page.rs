//! What people and programs read about the server: a page to try a photo on, the models, and the description of the addresses.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::models::Models;

/// The page may run its own script, show the photo that was chosen, and ask this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const PAGE: &str = include_str!("../assets/page.html");
const SCRIPT: &str = include_str!("../assets/page.js");
const STYLE: &str = include_str!("../assets/page.css");
const OPENAPI: &str = include_str!("../assets/openapi.json");

pub(crate) async fn page() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, PAGE).into_response()
}

pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Fault> {
    let (kind, text) = match name.as_str() {
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "page.css" => ("text/css; charset=utf-8", STYLE),
        _ => return Err(Fault::Missing("there is no such file".to_owned())),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

pub(crate) async fn openapi() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        OPENAPI.replace("\"VERSION\"", &format!("\"{}\"", env!("CARGO_PKG_VERSION"))),
    )
}

/// The models, with what is known of each.
pub(crate) async fn models(State(models): State<Models>) -> Json<Value> {
    let described = models.all().map(|model| {
        let predictor = model.queue.predictor();
        let manifest = predictor.manifest();
        json!({
            "name": model.name,
            "arch": manifest.arch.name(),
            "labels": manifest.vocab.labels(),
            "metrics": manifest.metrics,
            "rejection": predictor.rejection(),
        })
    });
    Json(json!({ "models": described.collect::<Vec<Value>>() }))
}
