//! The Open Inference Protocol, version 2, which Triton, KServe and their clients speak: health, metadata, and inference with
//! tensors in JSON or in binary.
//!
//! A model has one input, `image`: files as `BYTES` `[photo]` (in JSON in base64), or pixels as `UINT8` `[photo, height, width, 3]`.
//! Its outputs are `label` (`BYTES`), `probabilities` (`FP32` `[photo, class]`, in the order of the metadata's `labels`), and
//! `similarity` and `rejected` where the model says whether a photo is none of its classes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sciurus::data::RgbImage;
use sciurus::{Manifest, Prediction};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::body::from_base64;
use crate::fault::Fault;
use crate::intake::{Arrived, Intake, Room};
use crate::models::{Model, Models};
use crate::predict::answers;
use crate::queue::Photo;

/// The header that says how many bytes of a body are JSON; the rest are tensors in binary.
pub(crate) const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// The input of every model.
const IMAGE: &str = "image";
/// The only version of every model.
const VERSION: &str = "1";

/// What is asked of a model.
#[derive(Debug, Deserialize)]
pub(crate) struct InferRequest {
    id: Option<String>,
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Wanted>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    #[serde(default)]
    parameters: Parameters,
    /// Read only once it is known what it must be: as any value, a number would take as much memory as thirty pixels.
    data: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    binary_data_size: Option<usize>,
}

/// The server.
pub(crate) async fn server() -> Json<Value> {
    Json(
        json!({ "name": "sciurus", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] }),
    )
}

/// A model's description.
pub(crate) async fn metadata(
    State(models): State<Models>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Fault> {
    let model = models.named(Some(&name))?;
    let predictor = model.queue.predictor();
    let manifest = predictor.manifest();
    let classes = manifest.vocab.len();
    let mut outputs = vec![
        json!({ "name": "label", "datatype": "BYTES", "shape": [-1] }),
        json!({ "name": "probabilities", "datatype": "FP32", "shape": [-1, classes] }),
    ];
    if predictor.rejection().is_some() {
        outputs.push(json!({ "name": "similarity", "datatype": "FP32", "shape": [-1] }));
        outputs.push(json!({ "name": "rejected", "datatype": "BOOL", "shape": [-1] }));
    }
    Ok(Json(json!({
        "name": model.name,
        "versions": [VERSION],
        "platform": "sciurus",
        "inputs": [{ "name": IMAGE, "datatype": "BYTES", "shape": [-1] }],
        "outputs": outputs,
        "parameters": {
            "arch": manifest.arch.name(),
            "labels": manifest.vocab.labels(),
            "image_size": manifest.preprocessing.image_size,
            "metrics": manifest.metrics,
        },
    })))
}

/// Whether a model is ready: it is, if it is there.
pub(crate) async fn ready(
    State(models): State<Models>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Fault> {
    Ok(Json(json!({ "name": models.named(Some(&name))?.name, "ready": true })))
}

/// The same two for clients that name the version.
pub(crate) async fn metadata_of_version(
    models: State<Models>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    check_version(&version)?;
    metadata(models, Path(name)).await
}

pub(crate) async fn ready_of_version(
    models: State<Models>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Fault> {
    check_version(&version)?;
    ready(models, Path(name)).await
}

pub(crate) async fn infer_of_version(
    models: State<Models>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    check_version(&version)?;
    infer(models, Path(name), request).await
}

fn check_version(version: &str) -> Result<(), Fault> {
    match version {
        VERSION => Ok(()),
        _ => Err(Fault::Missing(format!("models have the version {VERSION} alone"))),
    }
}

/// Inference.
pub(crate) async fn infer(
    State(models): State<Models>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let model = models.named(Some(&name))?;
    let (asked, photos, _room) = read(request, models.intake()).await?;
    let predictor = model.queue.predictor();
    let answers = answers(&models, (model, &predictor), photos).await?;
    let predictions = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    respond(model, &asked, outputs(&predictions, predictor.manifest()))
}

/// Reads a request: what is asked, the photos of its input, and the memory that they hold.
pub(crate) async fn read(
    request: Request,
    intake: &Intake,
) -> Result<(InferRequest, Vec<Photo>, Room), Fault> {
    let json_bytes = json_length(request.headers())?;
    let Arrived { bytes, room } = intake.read(request.into_body()).await?;
    let (asked, binary) = parsed(&bytes, json_bytes)?;
    let [input] = &asked.inputs[..] else {
        return Err(Fault::Bad(format!(
            "a model has one input, `{IMAGE}`; the request has {}",
            asked.inputs.len()
        )));
    };
    let photos = photos(input, &binary)?;
    intake.check_count(photos.len())?;
    Ok((asked, photos, room))
}

/// How many bytes of the body are JSON, if not all.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Fault> {
    let Some(value) = headers.get(&JSON_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Fault::Bad(format!("`{JSON_LENGTH}` must be a number of bytes")))
}

fn parsed(body: &Bytes, json_bytes: Option<usize>) -> Result<(InferRequest, Bytes), Fault> {
    let length = json_bytes.unwrap_or(body.len());
    if length > body.len() {
        return Err(Fault::Bad(format!(
            "`{JSON_LENGTH}` says {length} bytes, and the body has {}",
            body.len()
        )));
    }
    let asked = serde_json::from_slice(&body[..length])
        .map_err(|error| Fault::Bad(format!("the JSON cannot be used: {error}")))?;
    Ok((asked, body.slice(length..)))
}

/// The photos of an input tensor.
fn photos(input: &Tensor, binary: &Bytes) -> Result<Vec<Photo>, Fault> {
    let bad = |why: String| Err(Fault::Bad(why));
    if input.name != IMAGE {
        return bad(format!("a model has one input, `{IMAGE}`, and not `{}`", input.name.escape_default()));
    }
    let raw = match input.parameters.binary_data_size {
        Some(size) if size > binary.len() => {
            return bad(format!("`binary_data_size` says {size} bytes, and {} are there", binary.len()));
        }
        Some(size) => Some(binary.slice(..size)),
        None => None,
    };
    match (input.datatype.as_str(), &input.shape[..], raw, &input.data) {
        ("BYTES", [count] | [count, 1], Some(raw), _) => files(&raw, *count),
        ("BYTES", [count] | [count, 1], None, Some(data)) => {
            let texts: Vec<String> = serde_json::from_str(data.get()).map_err(unusable)?;
            check_shape(texts.len(), *count)?;
            texts.iter().map(|text| from_base64(text)).collect()
        }
        ("UINT8", [count, height, width, 3], Some(raw), _) => pixels(&raw, [*count, *height, *width]),
        ("UINT8", [count, height, width, 3], None, Some(data)) => {
            let mut values = Vec::new();
            let mut json = serde_json::Deserializer::from_str(data.get());
            Flat(&mut values).deserialize(&mut json).map_err(unusable)?;
            pixels(&values.into(), [*count, *height, *width])
        }
        _ => bad(format!(
            "`{IMAGE}` must be BYTES [photo] (files; in JSON in base64) or UINT8 [photo, height, width, 3], with as many \
             values as the shape says"
        )),
    }
}

/// Files of a tensor in binary: four bytes of length before each.
fn files(raw: &Bytes, count: usize) -> Result<Vec<Photo>, Fault> {
    let cut = || Fault::Bad("the binary tensor ends in the middle of a photo".to_owned());
    let mut rest = raw.clone();
    let mut photos = Vec::new();
    while !rest.is_empty() {
        let head: [u8; 4] = rest.get(..4).and_then(|head| head.try_into().ok()).ok_or_else(cut)?;
        let end = 4 + u32::from_le_bytes(head) as usize;
        if end > rest.len() {
            return Err(cut());
        }
        photos.push(Photo::File(rest.slice(4..end)));
        rest = rest.slice(end..);
    }
    check_shape(photos.len(), count)?;
    Ok(photos)
}

fn check_shape(found: usize, said: usize) -> Result<(), Fault> {
    match found == said {
        true => Ok(()),
        false => Err(Fault::Bad(format!("the shape says {said} photos, and the tensor has {found}"))),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn unusable(error: serde_json::Error) -> Fault {
    Fault::Bad(format!("the data of `{IMAGE}` cannot be used: {error}"))
}

/// Photos of a tensor of pixels.
fn pixels(raw: &Bytes, [count, height, width]: [usize; 3]) -> Result<Vec<Photo>, Fault> {
    let of_photo = height.checked_mul(width).and_then(|area| area.checked_mul(3)).filter(|bytes| *bytes > 0);
    let fits = of_photo.and_then(|bytes| bytes.checked_mul(count)) == Some(raw.len());
    let (Some(of_photo), true) = (of_photo, fits) else {
        return Err(Fault::Bad("the tensor has not as many values as its shape says".to_owned()));
    };
    let sides = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let image =
        |pixels: &[u8]| sides.and_then(|(width, height)| RgbImage::from_raw(width, height, pixels.to_vec()));
    let photos = raw.chunks_exact(of_photo).map(|pixels| image(pixels).map(Photo::Pixels));
    photos.collect::<Option<_>>().ok_or_else(|| Fault::Bad("the pictures are too large".to_owned()))
}

/// The values of a tensor in JSON, which may be nested or flat.
struct Flat<'v>(&'v mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("whole numbers from 0 to 255")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.0.push(u8::try_from(value).map_err(|_| E::custom("pixels are whole numbers from 0 to 255"))?);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Flat(self.0))?.is_some() {}
        Ok(())
    }
}

/// An output tensor, in both ways that it can be sent.
struct Output {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    json: Value,
    binary: Vec<u8>,
}

fn outputs(predictions: &[Prediction], manifest: &Manifest) -> Vec<Output> {
    let photos = predictions.len();
    let labels: Vec<&str> = predictions.iter().map(|prediction| prediction.label.as_str()).collect();
    let text = |label: &&str| [&(label.len() as u32).to_le_bytes()[..], label.as_bytes()].concat();
    let of_label = |prediction: &Prediction, label: &String| {
        prediction
            .ranking
            .iter()
            .find(|(known, _)| known == label)
            .map_or(0.0, |(_, probability)| *probability)
    };
    let classes = manifest.vocab.labels();
    let probabilities: Vec<f32> =
        predictions.iter().flat_map(|one| classes.iter().map(move |label| of_label(one, label))).collect();
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut outputs = vec![
        Output {
            name: "label",
            datatype: "BYTES",
            shape: vec![photos],
            json: json!(labels),
            binary: labels.iter().flat_map(text).collect(),
        },
        Output {
            name: "probabilities",
            datatype: "FP32",
            shape: vec![photos, classes.len()],
            json: json!(probabilities),
            binary: floats(&probabilities),
        },
    ];
    let known: Option<Vec<(f32, bool)>> =
        predictions.iter().map(|one| Some((one.similarity?.cosine, one.rejected?))).collect();
    if let Some(known) = known {
        let (cosines, rejected): (Vec<f32>, Vec<bool>) = known.into_iter().unzip();
        outputs.push(Output {
            name: "similarity",
            datatype: "FP32",
            shape: vec![photos],
            binary: floats(&cosines),
            json: json!(cosines),
        });
        outputs.push(Output {
            name: "rejected",
            datatype: "BOOL",
            shape: vec![photos],
            json: json!(rejected),
            binary: rejected.into_iter().map(u8::from).collect(),
        });
    }
    outputs
}

/// The outputs that are wanted, each in JSON or in binary.
fn respond(model: &Model, asked: &InferRequest, outputs: Vec<Output>) -> Result<Response, Fault> {
    let all_binary = asked.parameters.binary_data_output == Some(true);
    let (mut described, mut binary) = (Vec::new(), Vec::new());
    for wanted in &asked.outputs {
        if !outputs.iter().any(|output| output.name == wanted.name) {
            let known: Vec<&str> = outputs.iter().map(|output| output.name).collect();
            let name = wanted.name.escape_default();
            return Err(Fault::Missing(format!(
                "there is no output `{name}`; there are {}",
                known.join(", ")
            )));
        }
    }
    for output in outputs {
        let wanted = asked.outputs.iter().find(|wanted| wanted.name == output.name);
        if wanted.is_none() && !asked.outputs.is_empty() {
            continue;
        }
        let in_binary = wanted.and_then(|wanted| wanted.parameters.binary_data).unwrap_or(all_binary);
        let Output { name, datatype, shape, json, binary: raw } = output;
        described.push(match in_binary {
            true => json!({ "name": name, "datatype": datatype, "shape": shape, "parameters": { "binary_data_size": raw.len() } }),
            false => json!({ "name": name, "datatype": datatype, "shape": shape, "data": json }),
        });
        if in_binary {
            binary.extend(raw);
        }
    }
    let mut answer = json!({ "model_name": model.name, "model_version": VERSION, "outputs": described });
    if let Some(id) = &asked.id {
        answer["id"] = json!(id);
    }
    if binary.is_empty() {
        return Ok(Json(answer).into_response());
    }
    let text = answer.to_string();
    let length = HeaderValue::from(text.len());
    let body = [text.into_bytes(), binary].concat();
    let octets = HeaderValue::from_static("application/octet-stream");
    Ok(([(JSON_LENGTH, length), (header::CONTENT_TYPE, octets)], body).into_response())
}
