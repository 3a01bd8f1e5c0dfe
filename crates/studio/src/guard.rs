//! Who is answered. In: every request, before anything else looks at it. Out: the answer of the app with headers that keep a page in
//! its place, or a refusal.
//!
//! Anybody's page in the same browser can send requests to this machine, so an address that only this machine can reach protects
//! nothing. In this order: the `Host` must be ours (a name that somebody points at 127.0.0.1 is not: DNS rebinding); a secret
//! that was in the address once, and is in a cookie since, must be there.

use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::Workspace;
use crate::access::Access;
use crate::pages::plain;

/// What a page may do: run our scripts, show our pictures, ask us. Nothing else, and in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses who may not ask; for others, the app answers.
pub(crate) async fn check(State(workspace): State<Workspace>, request: Request, next: Next) -> Response {
    let access = workspace.access();
    let mut response = match refusal(access, &request) {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The answer to a request that does not reach the app.
fn refusal(access: &Access, request: &Request) -> Option<Response> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    // A full address in the request line counts in place of the header.
    let named = request.uri().authority().map(axum::http::uri::Authority::as_str);
    if ![host, named].into_iter().flatten().all(|host| access.is_host(host)) || host.is_none() {
        return Some(refused("This is not the address of the studio."));
    }
    if let Some(given) = token_in(request.uri()) {
        return Some(match access.is_token(&given) {
            true => welcome(access, request.uri()),
            false => refused("This address is of another studio, or of one that has ended."),
        });
    }
    (!access.has_cookie(request.headers()))
        .then(|| refused("The studio opens by the address that it printed."))
}

/// Puts the secret into a cookie, and leads to the same page without it, so that it stays in no history and no screenshot.
fn welcome(access: &Access, uri: &Uri) -> Response {
    let mut response = Redirect::to(uri.path()).into_response();
    if let Ok(value) = HeaderValue::from_str(&access.cookie()) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn token_in(uri: &Uri) -> Option<String> {
    let query = uri.path_and_query().and_then(PathAndQuery::query)?;
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned)
}

fn refused(why: &str) -> Response {
    let what = "Run `sciurus studio` in a terminal and open the address that it prints.";
    (StatusCode::FORBIDDEN, plain("Not here", &[why, what])).into_response()
}
