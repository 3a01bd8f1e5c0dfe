//! Asks an app as a browser does, without a network.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use sciurus_studio::{Access, Workspace, app};
use serde_json::Value;
use tower::ServiceExt;

/// The port that the app believes to be at.
pub(crate) const PORT: u16 = 4321;

/// A studio on a folder, and the cookie of somebody who may use it.
pub(crate) struct Studio {
    pub(crate) app: Router,
    pub(crate) workspace: Workspace,
    pub(crate) cookie: String,
    /// The query that lets somebody in.
    pub(crate) token: String,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Studio {
    /// Opens a folder, and waits until it was read.
    pub(crate) async fn open(folder: &Path) -> Self {
        let workspace = Workspace::open(folder, Access::local(PORT).unwrap()).unwrap();
        let token = workspace.access().address().split_once("/?").unwrap().1.to_owned();
        let app = app(workspace.clone());
        let welcome = app
            .clone()
            .oneshot(request("GET", &format!("/?{token}")).body(Body::empty()).unwrap())
            .await
            .unwrap();
        let cookie = welcome.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let studio = Self { app, workspace, cookie, token };
        studio.settle().await;
        studio
    }

    /// Asks as the person who has the cookie.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(request("GET", path).header(header::COOKIE, &self.cookie).body(Body::empty()).unwrap()).await
    }

    /// Sends JSON as one of the studio's own pages.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = request("POST", path)
            .header(header::COOKIE, &self.cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .header("sec-fetch-site", "same-origin");
        self.ask(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 << 20).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Waits until no job runs, and returns how the last one ended.
    pub(crate) async fn settle(&self) -> String {
        let began = Instant::now();
        loop {
            let jobs = self.workspace.job_states();
            match jobs.last() {
                Some(job) if jobs.iter().all(|job| job.message.is_some()) => {
                    return job.message.clone().unwrap();
                }
                _ => {}
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{jobs:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A request with the host that the app is at.
pub(crate) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, format!("127.0.0.1:{PORT}"))
}
