//! The photos of a request, in the ways that they can be sent. In: a request. Out: photos, and what is asked about them.

use std::time::Instant;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::fault::{Fault, causes};
use crate::queue::Photo;
use crate::settings::ServeSettings;

/// What is asked about photos.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) photos: Vec<Photo>,
    pub(crate) model: Option<String>,
    pub(crate) top: Option<usize>,
}

/// The part of an address after `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    model: Option<String>,
    top: Option<usize>,
}

/// A request in JSON: `{"image": BASE64}` or `{"images": [BASE64, …]}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InJson {
    image: Option<String>,
    #[serde(default)]
    images: Vec<String>,
    model: Option<String>,
    top: Option<usize>,
}

impl Asked {
    /// Reads a request: the bytes of a photo, a form of several, or JSON.
    pub(crate) async fn read(
        request: Request,
        query: Query,
        settings: &ServeSettings,
    ) -> Result<Self, Fault> {
        let kind = content_type(request.headers());
        let mut asked = match kind.as_str() {
            "multipart/form-data" => Self::form(request, settings).await?,
            "application/json" => Self::json(&bytes(request.into_body(), settings).await?)?,
            _ => Self {
                photos: vec![Photo::File(bytes(request.into_body(), settings).await?)],
                ..Self::default()
            },
        };
        asked.model = asked.model.or(query.model);
        asked.top = asked.top.or(query.top);
        let count = asked.photos.len();
        if count == 0 {
            return Err(Fault::Bad("there is no photo in the request; send the bytes of one, a form with files, or JSON with `image` or `images` in base64".to_owned()));
        }
        check_count(count, settings)?;
        Ok(asked)
    }

    async fn form(request: Request, settings: &ServeSettings) -> Result<Self, Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::Bad(format!("the form cannot be read: {error}"));
        let (parts, body) = request.into_parts();
        // Read first, so that the limits of size and time hold for a form as for anything else.
        let request = Request::from_parts(parts, Body::from(bytes(body, settings).await?));
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
        let mut asked = Self::default();
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "model" => asked.model = Some(field.text().await.map_err(|error| broken(&error))?),
                "top" => {
                    let text = field.text().await.map_err(|error| broken(&error))?;
                    let top =
                        text.trim().parse().map_err(|_| Fault::Bad("`top` must be a number".to_owned()))?;
                    asked.top = Some(top);
                }
                _ => asked.photos.push(Photo::File(field.bytes().await.map_err(|error| broken(&error))?)),
            }
            check_count(asked.photos.len(), settings)?;
        }
        Ok(asked)
    }

    fn json(bytes: &[u8]) -> Result<Self, Fault> {
        let asked: InJson = serde_json::from_slice(bytes)
            .map_err(|error| Fault::Bad(format!("the JSON cannot be used: {error}")))?;
        let photos = asked
            .image
            .iter()
            .chain(&asked.images)
            .map(|text| from_base64(text))
            .collect::<Result<_, _>>()?;
        Ok(Self { photos, model: asked.model, top: asked.top })
    }
}

/// A photo in base64, with or without the head of a `data:` address.
pub(crate) fn from_base64(text: &str) -> Result<Photo, Fault> {
    let text = text
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .map_or(text, |(_, rest)| rest);
    let bytes =
        STANDARD.decode(text).map_err(|error| Fault::Bad(format!("a photo is not in base64: {error}")))?;
    Ok(Photo::File(bytes.into()))
}

pub(crate) fn check_count(photos: usize, settings: &ServeSettings) -> Result<(), Fault> {
    let most = settings.most_photos;
    match photos > most {
        true => Err(Fault::Bad(format!("the request has more than {most} photos; send it in parts"))),
        false => Ok(()),
    }
}

/// The type of a request's body, without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A whole body, within the limits of size and time.
pub(crate) async fn bytes(body: Body, settings: &ServeSettings) -> Result<Bytes, Fault> {
    let began = Instant::now();
    let read = to_bytes(body, settings.largest_request);
    match tokio::time::timeout(settings.timeout, read).await {
        Err(_) => Err(Fault::Late(began.elapsed().as_secs())),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_limit(&error) => Err(Fault::TooLarge(settings.largest_request)),
        Ok(Err(error)) => Err(Fault::Bad(format!("the request was cut off: {error}"))),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    causes(error).any(|cause| cause.to_string().contains("length limit"))
}
