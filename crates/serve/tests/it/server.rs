//! A server with a small model, and requests to it.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use burn::tensor::Device;
use sciurus::data::{Preprocessing, RgbImage};
use sciurus::insight::{Embeddings, Interval, Temperature};
use sciurus::model::VisionModel;
use sciurus::{
    Arch, DataRecord, KnownPhotos, Manifest, ModelBundle, Output, Precision, Predictor, Rejection, Seed,
    Vocab, WeightsRecord,
};
use sciurus_serve::{Models, ServeSettings, app};
use serde_json::Value;
use tower::ServiceExt;

/// Writes a model with random weights that knows two labels.
pub(crate) fn model(folder: &Path, name: &str, labels: [&str; 2]) -> PathBuf {
    let arch = Arch::SqueezeNet1_1;
    let state = VisionModel::new(arch, 2, Seed(1), &Device::flex()).unwrap().state_dict();
    let rejection = Rejection {
        neighbours: 1,
        threshold: 0.0,
        photos: 19,
        passes: 0.95,
        interval: Interval { low: 0.75, high: 1.0 },
    };
    let known = KnownPhotos {
        rejection: rejection.clone(),
        features: Embeddings { width: arch.channels(), values: vec![1.0 / 16.0; arch.channels()] },
    };
    let manifest = Manifest {
        format: 4,
        version: "0.2.0".into(),
        arch,
        vocab: Vocab::new(labels.map(String::from)),
        preprocessing: Preprocessing {
            image_size: 64,
            normalize: arch.normalize(),
            ..Preprocessing::default()
        },
        metrics: Vec::new(),
        data: DataRecord { fingerprint: String::new(), train: 1, valid: 1, licences: Default::default() },
        weights: WeightsRecord { name: "random".into(), sha256: None, licence: None },
        seed: Seed(1),
        precision: Precision::F32,
        temperature: Temperature(1.0),
        output: Output::SingleLabel,
        rejection: Some(rejection),
    };
    let path = folder.join(name);
    ModelBundle { manifest, state, known: Some(known) }.save(&path).unwrap();
    path
}

/// A server with these settings, and the folder of its model.
pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) models: Models,
    app: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The text of a refusal with this status.
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// A refusal by the framework, in plain text.
    pub(crate) fn refused_plainly(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Server {
    pub(crate) fn new(settings: ServeSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = model(folder.path(), "squirrels.sciurus", ["grey", "red"]);
        let files = [("squirrels".to_owned(), path)];
        let models = Models::load(&files, settings, |path| Predictor::load(path)).unwrap();
        Self { folder, app: app(models.clone()), models }
    }

    pub(crate) fn usual() -> Self {
        Self::new(ServeSettings::default())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, address: &str) -> Answered {
        self.send(Request::get(address).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, address: &str, kind: &str, body: impl Into<Body>) -> Answered {
        self.send(Request::post(address).header("content-type", kind).body(body.into()).unwrap()).await
    }

    /// What the library says of a photo.
    pub(crate) fn predictor(&self) -> Predictor {
        Predictor::load(self.folder.path().join("squirrels.sciurus")).unwrap()
    }
}

/// A picture that depends on a number.
pub(crate) fn picture(number: u32) -> RgbImage {
    RgbImage::from_fn(90, 70, |x, y| {
        [(x * (number + 2)) as u8, (y * (number + 3)) as u8, (x * y / 9) as u8].into()
    })
}

pub(crate) fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
