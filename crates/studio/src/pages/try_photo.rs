//! The model on a photo that it has never seen: what it says, how sure it is, and where it looked.

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use sciurus::data::{DecodeLimits, RgbImage, decode};
use sciurus::photos::small_jpeg;
use sciurus::{Prediction, Predictor};
use serde_json::{Value, json};

use super::project::measured;
use super::{Page, camera, nothing_yet};
use crate::Workspace;
use crate::fault::{Fault, beside};
use crate::near::Neighbour;

/// Longer side of what is sent back (pixels), and its JPEG quality.
const SIDE: u32 = 640;
const QUALITY: u8 = 82;
/// Labels that are shown with their probability.
const SHOWN: usize = 8;

pub(super) fn routes() -> Router<Workspace> {
    Router::new().route("/try", get(page))
}

/// What takes a photo, which is larger than anything else that is sent.
pub(crate) fn for_photos() -> Router<Workspace> {
    Router::new().route("/try/photo", post(photo))
}

async fn page(State(workspace): State<Workspace>) -> Result<Markup, Fault> {
    beside(move || {
        let run = workspace.newest_run();
        // Its model begins to look at the folder, so that the first photo does not wait for it.
        let _ = run.as_ref().map(|known| workspace.near(known));
        let body = match &run {
            None => nothing_yet("There is no model yet", "Train one first: a head takes seconds."),
            Some(known) => html! {
                header { h1 { "What is on this photo?" } p.lead { "Drop one, paste one, or choose one. It stays on this machine." } }
                label.drop #drop { input #file type="file" accept="image/*" multiple; span { "Drop photos here, or choose them" } }
                div.camera { (camera()) }
                section #answers aria-live="polite" {}
                p.soft { "Model: " code { (known.name()) } ", " (measured(known)) }
            },
        };
        let model = run.as_ref().map(|known| known.run.folder().to_owned()).unwrap_or_else(|| "RUN".into());
        let page = Page {
            at: "/try",
            title: "Try",
            script: Some("try.js"),
            state: None,
            command: Some(format!("sciurus predict {} PHOTO", sciurus::data::argument(&model))),
            body,
        };
        Ok(page.render(&workspace))
    })
    .await
}

/// Predicts the photo in the request's body.
async fn photo(State(workspace): State<Workspace>, bytes: Bytes) -> Result<Json<Value>, Fault> {
    beside(move || {
        let missing = || Fault::Missing("there is no model yet; train one first".to_owned());
        let known = workspace.newest_run().ok_or_else(missing)?;
        let predictor = workspace.predictor(&known)?;
        let photo =
            decode(&bytes, &DecodeLimits::default()).map_err(|reason| Fault::Bad(reason.to_string()))?;
        // Its evidence: the photos of the folder that it finds most like this one.
        let near = workspace.near(&known).ok().and_then(|near| near.nearest(&predictor.embed(&photo).ok()?));
        answer(&predictor, &photo, near.as_deref()).map(Json)
    })
    .await
}

fn answer(predictor: &Predictor, photo: &RgbImage, near: Option<&[Neighbour]>) -> Result<Value, Fault> {
    let Prediction { label, probability, ranking, rejected, .. } = predictor.predict(photo)?;
    let vocab = &predictor.manifest().vocab;
    let class = vocab.class(&label).unwrap_or(0);
    // A network that cannot say where it looked still says what it saw.
    let looked = predictor.grad_cam(photo, class).ok().map(|(seen, map)| map.over(&seen));
    let picture = |image: RgbImage| small_jpeg(image, SIDE, QUALITY).map(|jpeg| STANDARD.encode(jpeg));
    Ok(json!({
        "label": label, "probability": probability, "rejected": rejected,
        "ranking": ranking.iter().take(SHOWN).collect::<Vec<_>>(),
        "picture": picture(photo.clone()), "looked": looked.and_then(picture), "near": near,
    }))
}
