//! What went wrong, as an answer that a page can show.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sciurus::Error;
use sciurus::data::DataError;
use serde_json::json;

/// Why a request got no other answer. Its text is for the person at the page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The library's error, which says what to do.
    #[error(transparent)]
    Sciurus(#[from] sciurus::Error),
    /// Something else is being worked on.
    #[error("{0} is not finished; wait for it, or stop it first")]
    Busy(&'static str),
    /// The photos have not been looked at yet.
    #[error("the photos have not been looked at yet; that is being done")]
    NotYet,
    /// What the page shows is no longer so.
    #[error("{0}")]
    Changed(&'static str),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// What was sent cannot be used.
    #[error("{0}")]
    Bad(String),
    /// A part of the studio failed; the rest goes on.
    #[error("this part of the studio failed; its terminal says why")]
    Failed,
}

impl Fault {
    /// Whether it is no fault: somebody stopped the work.
    pub(crate) fn is_stop(&self) -> bool {
        matches!(self, Self::Sciurus(Error::Data(DataError::Stopped)))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Sciurus(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy(_) | Self::Changed(_) => StatusCode::CONFLICT,
            Self::NotYet => StatusCode::SERVICE_UNAVAILABLE,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error with its causes, in one sentence.
    pub(crate) fn told(error: &dyn std::error::Error) -> String {
        let mut told = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !told.contains(&text) {
                told = format!("{told}: {text}");
            }
            cause = inner.source();
        }
        told
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({ "error": Self::told(&self) }))).into_response()
    }
}

/// Runs work that computes or waits for a disk beside the requests.
pub(crate) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Failed)?
}
