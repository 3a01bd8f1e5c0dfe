//! What every request passes: a number by which it is found in the log, the key, and a line in the log when it is answered.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::models::Models;

/// The header with a request's number: a client's own is kept, if it is plain.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Most characters of a number that a client gives.
const LONGEST_ID: usize = 64;
/// What may be asked without a key: whether the server is alive.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"];

pub(crate) async fn pass(State(models): State<Models>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    // The route, not the address: what clients make up would fill the log and the counts.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let is_open = OPEN.contains(&route.as_str());
    let settings = models.settings();
    let mut response = if settings.local && !names_this_machine(request.headers()) {
        Fault::Host.into_response()
    } else if is_open || has_key(settings.key.as_deref(), request.headers()) {
        next.run(request).await
    } else {
        Fault::Key.into_response()
    };
    let (status, took) = (response.status().as_u16(), began.elapsed());
    models.metrics().answered(&route, status, took);
    tracing::info!(id, method = %method, route, status, ms = took.as_secs_f64() * 1e3, "answered");
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The number that a client gave, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
    };
    given.filter(is_plain).map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    let mut bytes = [0; 8];
    // Without random numbers a request has no number of its own, and is answered all the same.
    let _ = getrandom::fill(&mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// Whether a request calls this machine by a name that only this machine has.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a request carries the key, if one is wanted. Hashes are compared, so that the time tells nothing of the key.
fn has_key(key: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(key) = key else { return true };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    given.is_some_and(|(_, given)| Sha256::digest(given.trim()) == Sha256::digest(key))
}
