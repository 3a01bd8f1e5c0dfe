//! Reading requests without a model, for the fuzz target `request`; no part of the interface. In: the body of a request. Out: how
//! many photos it holds, or why it is refused.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};

use crate::body::{Asked, Query};
use crate::fault::Fault;
use crate::infer::{self, JSON_LENGTH};
use crate::intake::Intake;
use crate::settings::ServeSettings;

/// Reads a body of this content type as `/predict` does.
///
/// # Errors
/// It is refused.
pub async fn predict(kind: &[u8], body: Vec<u8>, settings: &ServeSettings) -> Result<usize, Fault> {
    let mut request = Request::new(Body::from(body));
    if let Ok(kind) = HeaderValue::from_bytes(kind) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(Asked::read(request, Query::default(), &Intake::new(settings)).await?.photos.len())
}

/// Reads a body as the Open Inference Protocol has it; of its bytes, so many are JSON, or all.
///
/// # Errors
/// It is refused.
pub async fn infer(json: Option<u32>, body: Vec<u8>, settings: &ServeSettings) -> Result<usize, Fault> {
    let mut request = Request::new(Body::from(body));
    if let Some(json) = json {
        request.headers_mut().insert(JSON_LENGTH, HeaderValue::from(json));
    }
    let (_, photos, _) = infer::read(request, &Intake::new(settings)).await?;
    Ok(photos.len())
}
