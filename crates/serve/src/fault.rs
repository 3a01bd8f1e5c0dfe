//! Why a request got no answer, in words and as a status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Seconds after which a refused client may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The request cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// A photo cannot be read.
    #[error("{0}")]
    Photo(String),
    /// There is no such model or address.
    #[error("{0}")]
    Missing(String),
    /// The key is missing or wrong.
    #[error("this server wants a key: send `Authorization: Bearer KEY`")]
    Key,
    /// The request calls this machine by a name that is not its own.
    #[error("this server answers as localhost alone; give it a key to have it answer to other names")]
    Host,
    /// Too many bytes.
    #[error("the request has more than {0} bytes; send fewer or smaller photos")]
    TooLarge(usize),
    /// Too many photos wait already.
    #[error("{0} photos are waiting already; try again in a moment")]
    Busy(usize),
    /// Too many connections are open.
    #[error("{0} connections are open already; try again in a moment")]
    Crowded(usize),
    /// The requests that are there hold too many bytes already.
    #[error("the requests that are there have {0} bytes already; try again in a moment")]
    Full(usize),
    /// It did not arrive, or was not answered, in time.
    #[error("the request took longer than {0} s")]
    Late(u64),
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(String),
}

impl Fault {
    /// The status of an answer that says this.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Photo(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Key => StatusCode::UNAUTHORIZED,
            Self::Host => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy(_) | Self::Crowded(_) | Self::Full(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Late(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Model(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same as text, for a client whose request was never read.
    pub(crate) fn response(&self) -> String {
        let (status, body) = (self.status(), self.body().to_string());
        let retry = if status == StatusCode::TOO_MANY_REQUESTS { "retry-after: 1\r\n" } else { "" };
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{retry}connection: close\r\n\r\n{body}"
        )
    }

    fn body(&self) -> Value {
        json!({ "error": self.to_string() })
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        match self {
            Self::Busy(_) | Self::Crowded(_) | Self::Full(_) => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            Self::Key => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
