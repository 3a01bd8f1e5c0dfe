//! `POST /predict`: photos in, what each shows out.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Query, Request, State};
use sciurus::{Prediction, Predictor};
use serde::Serialize;

use crate::body::{self, Asked};
use crate::fault::Fault;
use crate::models::{Model, Models};
use crate::queue::{Answers, Photo};

/// The answer to a request.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    model: String,
    predictions: Vec<OfPhoto>,
}

/// What is said of a photo.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OfPhoto {
    Predicted(Predicted),
    Unreadable { error: String },
}

#[derive(Debug, Serialize)]
struct Predicted {
    /// The most probable label, or the labels of a multi-label model.
    label: String,
    labels: Vec<String>,
    probability: f32,
    /// Whether it shows none of the classes; `null` where the model cannot say.
    rejected: Option<bool>,
    /// How alike it is to the photos that the model knows (-1 to 1).
    similarity: Option<f32>,
    top: Vec<Ranked>,
}

#[derive(Debug, Serialize)]
struct Ranked {
    label: String,
    probability: f32,
}

pub(crate) async fn predict(
    State(models): State<Models>,
    Query(query): Query<body::Query>,
    request: Request,
) -> Result<Json<Answer>, Fault> {
    let asked = Asked::read(request, query, models.intake()).await?;
    let Asked { photos, model, top, room: _room } = asked;
    let model = models.named(model.as_deref())?;
    let answers = answers(&models, (model, &model.queue.predictor()), photos).await?;
    if let [Err(fault)] = &answers[..] {
        return Err(fault.clone());
    }
    let top = top.unwrap_or(models.settings().top).max(1);
    let of_photo = |answer| match answer {
        Ok(prediction) => Ok(OfPhoto::Predicted(Predicted::of(prediction, top))),
        // One photo of many that cannot be read stops none of the others.
        Err(Fault::Photo(error)) => Ok(OfPhoto::Unreadable { error }),
        Err(fault) => Err(fault),
    };
    let predictions = answers.into_iter().map(of_photo).collect::<Result<_, _>>()?;
    Ok(Json(Answer { model: model.name.clone(), predictions }))
}

/// Has a model predict photos, in time.
pub(crate) async fn answers(
    models: &Models,
    (model, predictor): (&Model, &Arc<Predictor>),
    photos: Vec<Photo>,
) -> Result<Answers, Fault> {
    let timeout = models.settings().timeout;
    let asked = model.queue.ask(Arc::clone(predictor), photos, Instant::now() + timeout);
    let answers =
        tokio::time::timeout(timeout, asked).await.map_err(|_| Fault::Late(timeout.as_secs()))??;
    let predicted = || answers.iter().flatten();
    let rejected = predicted().filter(|prediction| prediction.rejected == Some(true)).count();
    models.metrics().predicted(&model.name, predicted().count(), rejected);
    Ok(answers)
}

impl Predicted {
    fn of(prediction: Prediction, top: usize) -> Self {
        let ranked = |(label, probability)| Ranked { label, probability };
        Self {
            label: prediction.label,
            labels: prediction.labels,
            probability: prediction.probability,
            rejected: prediction.rejected,
            similarity: prediction.similarity.map(|similarity| similarity.cosine),
            top: prediction.ranking.into_iter().take(top).map(ranked).collect(),
        }
    }
}
