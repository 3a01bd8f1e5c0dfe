//! The photos of a request, in the ways that they can be sent. In: a request. Out: photos, and what is asked about them.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::fault::Fault;
use crate::intake::{Arrived, Intake, Room};
use crate::queue::Photo;

/// What is asked about photos.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) photos: Vec<Photo>,
    pub(crate) model: Option<String>,
    pub(crate) top: Option<usize>,
    /// Held while the request is.
    pub(crate) room: Room,
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
    pub(crate) async fn read(request: Request, query: Query, intake: &Intake) -> Result<Self, Fault> {
        let kind = content_type(request.headers());
        let (parts, body) = request.into_parts();
        // Read first, so that the limits of size and time hold for a form as for anything else.
        let Arrived { bytes, room } = intake.read(body).await?;
        let mut asked = match kind.as_str() {
            "multipart/form-data" => {
                Self::form(Request::from_parts(parts, Body::from(bytes)), intake).await?
            }
            "application/json" => Self::json(&bytes)?,
            _ => Self { photos: vec![Photo::File(bytes)], ..Self::default() },
        };
        asked.room = room;
        asked.model = asked.model.or(query.model);
        asked.top = asked.top.or(query.top);
        let count = asked.photos.len();
        if count == 0 {
            return Err(Fault::Bad("there is no photo in the request; send the bytes of one, a form with files, or JSON with `image` or `images` in base64".to_owned()));
        }
        intake.check_count(count)?;
        Ok(asked)
    }

    async fn form(request: Request, intake: &Intake) -> Result<Self, Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::Bad(format!("the form cannot be read: {error}"));
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
            intake.check_count(asked.photos.len())?;
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
        Ok(Self { photos, model: asked.model, top: asked.top, ..Self::default() })
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

/// The type of a request's body, without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
