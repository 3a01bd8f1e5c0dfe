//! Predicts with a trained model, for pictures and files.

mod bundle;
mod grad_cam;
mod rejection;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use rayon::prelude::*;
use sciurus_data::{
    BadOption, DataError, DecodeLimits, Pipeline, RgbImage, SkipReason, Skipped, decode, decode_file,
};
use sciurus_insight::{sigmoid, softmax};
use serde::{Deserialize, Serialize};

pub use bundle::{DataRecord, Manifest, ModelBundle, Output};
pub use grad_cam::HeatMap;
pub use rejection::{KnownPhotos, Rejection, Similarity};

use crate::model::{VisionModel, fitting_batch, numbers};
use crate::nn::{FoldedLayers, Pass, floats};
use crate::{Device, Error, Precision};

/// Memory for the predictions of a batch (bytes), and the bytes of it that each label needs besides its letters.
const ANSWER_BYTES: usize = 128 << 20;
const LABEL_BYTES: usize = 64;

/// A model's prediction for one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The most probable label.
    pub label: String,
    /// Its probability (0..1), calibrated by the model's temperature.
    pub probability: f32,
    /// The predicted labels: `label` alone; for a multi-label model, all labels whose probability exceeds their threshold, most
    /// probable first, possibly none.
    pub labels: Vec<String>,
    /// Every label with its probability (0..1), most probable first.
    pub ranking: Vec<(String, f32)>,
    /// How alike the picture is to the photos that the model knows; `None` if the model cannot say or was not asked.
    #[serde(default)]
    pub similarity: Option<Similarity>,
    /// Whether it is so unlike them that it shows none of the classes, whatever the probabilities say; `None` as above.
    #[serde(default)]
    pub rejected: Option<bool>,
}

/// The pixels of a picture as a model sees it: [`Predictor::prepare`] makes it, [`Predictor::predict_prepared`] wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared(Vec<f32>);

/// The result for one file.
#[derive(Debug, Clone, PartialEq)]
pub enum FilePrediction {
    /// It was classified.
    Predicted {
        /// The file.
        path: PathBuf,
        /// The prediction.
        prediction: Prediction,
    },
    /// It cannot be read as a picture.
    Skipped(Skipped),
}

/// A trained model, ready for new pictures. It preprocesses them exactly as it was measured.
///
/// ```no_run
/// use sciurus::Predictor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let predictor = Predictor::load("runs/squirrels/model.sciurus")?;
/// let prediction = predictor.predict_file("photo.jpg")?;
/// println!("{} ({:.1} %)", prediction.label, prediction.probability * 100.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Predictor {
    path: PathBuf,
    model: VisionModel,
    manifest: Manifest,
    pipeline: Pipeline,
    placed: Device,
    device: BurnDevice,
    precision: Precision,
    folded: FoldedLayers,
    /// What a picture must be like to belong to one of the classes.
    known: Option<KnownPhotos>,
}

impl Predictor {
    /// Loads a model on the CPU.
    ///
    /// # Errors
    /// The file cannot be read, is not a model, or is a model whose outputs are not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_on(path, Device::Cpu)
    }

    /// Loads a model on a device.
    ///
    /// # Errors
    /// The file cannot be read, is not a model, or is a model whose outputs are not finite; or the device is not in this build.
    pub fn load_on(path: impl AsRef<Path>, device: Device) -> Result<Self, Error> {
        Self::new(path.as_ref(), device, || ModelBundle::load(path.as_ref()))
    }

    /// Loads a model from the bytes of its file, on the CPU; for models that are part of a program. Errors call it `name`.
    ///
    /// ```no_run
    /// # use sciurus::Predictor;
    /// # const MODEL: &[u8] = &[];
    /// // const MODEL: &[u8] = include_bytes!("../model.sciurus");
    /// let predictor = Predictor::from_bytes("squirrels", MODEL)?;
    /// # Ok::<(), sciurus::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not a model, or a model whose outputs are not finite.
    pub fn from_bytes(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        Self::new(Path::new(name), Device::Cpu, || ModelBundle::from_bytes(name, bytes))
    }

    /// A model that is already in memory, on the CPU.
    ///
    /// # Errors
    /// Its outputs are not finite.
    pub fn from_bundle(bundle: ModelBundle) -> Result<Self, Error> {
        Self::new(Path::new("the model"), Device::Cpu, || Ok(bundle))
    }

    /// The same computing in another number format; at first it is the one that the model was measured in.
    ///
    /// # Errors
    /// The device doesn't have it.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self, Error> {
        self.precision = match precision {
            Precision::Auto => self.precision,
            other => other.on(self.placed)?,
        };
        Ok(self)
    }

    /// What the machine lacks is said before anything of the model is read.
    fn new(
        path: &Path,
        device: Device,
        bundle: impl FnOnce() -> Result<ModelBundle, Error>,
    ) -> Result<Self, Error> {
        let fastest = Precision::Auto.on(device)?;
        let (placed, device) = (device, device.open()?);
        let bundle = bundle()?;
        // The precision it was measured in; but where bf16 would only be slower, f32 gives the same predictions more exactly.
        let precision = match bundle.manifest.precision {
            Precision::F32 => Precision::F32,
            _ => fastest,
        };
        let path = path.to_owned();
        let model = bundle.model(&device).map_err(|error| error.in_file(&path))?.valid();
        let pipeline = bundle.manifest.preprocessing.pipeline();
        let (manifest, known, folded) = (bundle.manifest, bundle.known, FoldedLayers::default());
        let predictor = Self { path, model, manifest, pipeline, placed, device, precision, folded, known };
        // Two small test pictures show already at loading, not at the first photo, whether the outputs are finite.
        let (pixels, side) = numbers::pictures(&predictor.manifest.preprocessing.normalize);
        predictor.ranked_rows(&predictor.outputs(predictor.images(pixels, side)))?;
        Ok(predictor)
    }

    /// The same without "none of these": every picture gets the most probable label, and nothing says how alike it is to what the
    /// model knows.
    #[must_use]
    pub fn without_rejection(mut self) -> Self {
        self.known = None;
        self
    }

    /// What a picture must be like to belong to one of the classes; `None` if the model cannot say, because it is from an earlier
    /// version, is multi-label, or was measured on too few photos.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.known.as_ref().map(|known| &known.rejection)
    }

    /// The model's description: what it is and how it was measured.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Classifies one picture.
    ///
    /// # Errors
    /// The model's outputs are not finite.
    pub fn predict(&self, image: &RgbImage) -> Result<Prediction, Error> {
        self.predict_one(self.pipeline.tensor(image.clone()))
    }

    /// What the model sees of a picture, for [`predict_prepared`](Self::predict_prepared): this part needs no network, and can be
    /// done while that computes something else.
    #[must_use]
    pub fn prepare(&self, image: &RgbImage) -> Prepared {
        Prepared(self.pipeline.tensor(image.clone()))
    }

    /// Classifies pictures that this predictor prepared, as many at a time as [fit into memory](fitting_batch).
    ///
    /// # Errors
    /// The model's outputs are not finite.
    ///
    /// # Panics
    /// A picture was prepared for a model that sees another size.
    pub fn predict_prepared(&self, pictures: &[&Prepared]) -> Result<Vec<Prediction>, Error> {
        let mut predictions = Vec::with_capacity(pictures.len());
        for pictures in pictures.chunks(self.fitting_batch()) {
            let pixels: Vec<&[f32]> = pictures.iter().map(|picture| &*picture.0).collect();
            predictions.extend(self.predict_pixels(&pixels)?);
        }
        Ok(predictions)
    }

    fn predict_one(&self, pixels: Vec<f32>) -> Result<Prediction, Error> {
        self.ranked_rows(&self.outputs(self.tensor(pixels)))?.pop().ok_or_else(|| self.not_finite())
    }

    /// Decodes and classifies one picture, from the bytes of its file. In an asynchronous program, call it from
    /// `tokio::task::spawn_blocking` or a thread of its own: it computes for tens of milliseconds.
    ///
    /// # Errors
    /// The bytes are no picture that can be read, and the error's source says why; or the model's outputs are not finite.
    pub fn predict_bytes(&self, bytes: &[u8]) -> Result<Prediction, Error> {
        let image = decode(bytes, &DecodeLimits::default())
            .map_err(|source| Error::Photo { path: PathBuf::from("the picture"), source })?;
        self.predict(&image)
    }

    /// Classifies several pictures, which is faster than one by one: as many at a time as [fit into memory](fitting_batch).
    ///
    /// # Errors
    /// The model's outputs are not finite.
    pub fn predict_batch(&self, images: &[RgbImage]) -> Result<Vec<Prediction>, Error> {
        let mut predictions = Vec::with_capacity(images.len());
        for images in images.chunks(self.fitting_batch()) {
            let pixels: Vec<Vec<f32>> =
                images.par_iter().map(|image| self.pipeline.tensor(image.clone())).collect();
            predictions.extend(self.predict_pixels(&pixels)?);
        }
        Ok(predictions)
    }

    /// Reads and classifies one file.
    ///
    /// # Errors
    /// The file cannot be read as a picture, and the error's source says why; or the model's outputs are not finite.
    pub fn predict_file(&self, path: impl AsRef<Path>) -> Result<Prediction, Error> {
        let path = path.as_ref();
        let image = decode_file(path, &DecodeLimits::default())
            .map_err(|source| Error::Photo { path: path.to_owned(), source })?;
        self.predict(&image)
    }

    /// Reads and classifies files in order, `batch_size` at a time, or as many as [fit into memory](fitting_batch). A file that
    /// cannot be read as a picture comes with the reason.
    ///
    /// # Errors
    /// An item is an error if the model's outputs are not finite. That is the model's fault, not the file's, and there are no
    /// predictions for any file of that batch.
    pub fn predict_files<'a>(
        &'a self,
        files: &'a [PathBuf],
        batch_size: usize,
    ) -> impl Iterator<Item = Result<FilePrediction, Error>> + 'a {
        let together = batch_size.clamp(1, self.fitting_batch());
        files.chunks(together).flat_map(|files| match self.answer(files) {
            Ok(answers) => answers.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// A picture's embedding: the body's features, averaged over the picture, `[channel]`. Similar pictures have similar
    /// embeddings.
    ///
    /// # Errors
    /// The features are not finite.
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>, Error> {
        let images = self.tensor(self.pipeline.tensor(image.clone()));
        let features = floats(self.model.embed(images, &mut self.pass()).into_data());
        if features.iter().all(|feature| feature.is_finite()) { Ok(features) } else { Err(self.not_finite()) }
    }

    /// The part of a picture that the model sees, and a heat map of what in it supports a class.
    ///
    /// # Errors
    /// There is no such class: it must be below the number of labels.
    pub fn grad_cam(&self, image: &RgbImage, class: usize) -> Result<(RgbImage, HeatMap), Error> {
        let is_known = class < self.manifest.vocab.len();
        BadOption::check("class", class, is_known, "choose a number below that of the model's labels")?;
        let square = self.pipeline.square(image.clone());
        let pixels = self.tensor(self.pipeline.pixels(&square));
        let map = HeatMap::new(&self.model, pixels, class, &mut self.pass());
        Ok((square, map))
    }

    /// Keeps only the pixels of each photo that the model sees, so that a batch of large photos fits into memory.
    fn answer(&self, files: &[PathBuf]) -> Result<Vec<FilePrediction>, Error> {
        let limits = DecodeLimits::default();
        let read = |path: &PathBuf| Ok(self.pipeline.tensor(decode_file(path, &limits)?));
        let read: Vec<Result<Vec<f32>, SkipReason>> = files.par_iter().map(read).collect();
        for (path, result) in files.iter().zip(&read) {
            // If the machine has run out of something, the photo is not to blame, and is not reported as unreadable.
            if let Err(source) = result
                && source.is_machine_fault()
            {
                return Err(DataError::Machine { path: path.clone(), reason: source.clone() }.into());
            }
        }
        let (pixels, skipped): (Vec<_>, Vec<_>) = read
            .into_iter()
            .map(|result| result.map_or_else(|r| (None, Some(r)), |p| (Some(p), None)))
            .unzip();
        let pixels: Vec<_> = pixels.into_iter().flatten().collect();
        let mut predictions = self.predict_pixels(&pixels)?.into_iter();
        let answer = |(path, skipped): (&PathBuf, Option<SkipReason>)| match skipped {
            Some(reason) => Some(FilePrediction::Skipped(Skipped { path: path.clone(), reason })),
            None => predictions
                .next()
                .map(|prediction| FilePrediction::Predicted { path: path.clone(), prediction }),
        };
        Ok(files.iter().zip(skipped).filter_map(answer).collect())
    }

    /// The largest number of images in a batch. Memory limits it: for the network, and for the predictions, each of which lists
    /// all labels.
    fn fitting_batch(&self) -> usize {
        let labels: usize = self.manifest.vocab.labels().iter().map(|label| label.len() + LABEL_BYTES).sum();
        let images = fitting_batch(self.manifest.arch, self.manifest.preprocessing.image_size);
        images.min(ANSWER_BYTES / labels.max(1)).max(1)
    }

    fn predict_pixels<P: AsRef<[f32]>>(&self, images: &[P]) -> Result<Vec<Prediction>, Error> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let pixels: Vec<&[f32]> = images.iter().map(AsRef::as_ref).collect();
        self.ranked_rows(&self.outputs(self.tensor(pixels.concat())))
    }

    /// Predictions from what the model says of pictures.
    fn ranked_rows(&self, outputs: &Outputs) -> Result<Vec<Prediction>, Error> {
        let logits = outputs.logits.chunks_exact(self.manifest.vocab.len());
        let mut predictions =
            logits.map(|row| self.ranked(row)).collect::<Result<Vec<Prediction>, Error>>()?;
        if let (Some(known), Some(features)) = (&self.known, &outputs.features) {
            if !features.iter().all(|feature| feature.is_finite()) {
                return Err(self.not_finite());
            }
            let rows = features.par_chunks_exact(self.manifest.arch.channels());
            let similar: Vec<Similarity> = rows.map(|row| known.similarity(row)).collect();
            for (prediction, similarity) in predictions.iter_mut().zip(similar) {
                prediction.similarity = Some(similarity);
                prediction.rejected = Some(!known.passes(similarity));
            }
        }
        Ok(predictions)
    }

    /// Pixels `[image, 3, side, side]` to what the model says of them.
    fn outputs(&self, images: Tensor<4>) -> Outputs {
        let (views, pass) = (self.manifest.preprocessing.views, &mut self.pass());
        match &self.known {
            None => {
                let logits = self.model.forward_views(images, views, pass);
                Outputs { logits: floats(logits.into_data()), features: None }
            }
            Some(_) => {
                let (logits, features) = self.model.views_and_embedding(images, views, pass);
                let features = Some(floats(features.into_data()));
                Outputs { logits: floats(logits.into_data()), features }
            }
        }
    }

    fn pass(&self) -> Pass {
        Pass::evaluate().with_precision(self.precision).with_folded(&self.folded)
    }

    /// Pixels of whole images as a tensor `[image, 3, size, size]`.
    fn tensor(&self, pixels: Vec<f32>) -> Tensor<4> {
        self.images(pixels, self.manifest.preprocessing.image_size)
    }

    /// Pixels of whole images as a tensor `[image, 3, side, side]`.
    fn images(&self, pixels: Vec<f32>, side: usize) -> Tensor<4> {
        let images = pixels.len() / (3 * side * side);
        Tensor::from_data(TensorData::new(pixels, [images, 3, side, side]), &self.device)
    }

    fn not_finite(&self) -> Error {
        Error::NotFinite { path: self.path.clone() }
    }

    /// The prediction from one image's logits, which must be finite after division by the temperature.
    fn ranked(&self, logits: &[f32]) -> Result<Prediction, Error> {
        let scale = match &self.manifest.output {
            Output::SingleLabel => 1.0 / self.manifest.temperature.0 as f32,
            Output::MultiLabel { .. } => 1.0,
        };
        let logits: Vec<f32> = logits.iter().map(|logit| logit * scale).collect();
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(self.not_finite());
        }
        Ok(match &self.manifest.output {
            Output::SingleLabel => self.most_probable(&logits),
            Output::MultiLabel { thresholds } => self.above(&logits, thresholds),
        })
    }

    fn above(&self, logits: &[f32], thresholds: &[f32]) -> Prediction {
        let probabilities = logits.iter().map(|logit| sigmoid(*logit) as f32);
        let mut answers: Vec<(String, f32, bool)> = self
            .manifest
            .vocab
            .labels()
            .iter()
            .zip(probabilities.zip(thresholds))
            .map(|(label, (p, threshold))| (label.clone(), p, p > *threshold))
            .collect();
        answers.sort_by(|a, b| b.1.total_cmp(&a.1));
        let labels = answers.iter().filter(|(.., on)| *on).map(|(label, ..)| label.clone()).collect();
        let ranking: Vec<(String, f32)> = answers.into_iter().map(|(label, p, _)| (label, p)).collect();
        let (label, probability) = ranking[0].clone();
        Prediction { label, probability, labels, ranking, similarity: None, rejected: None }
    }

    fn most_probable(&self, logits: &[f32]) -> Prediction {
        let mut ranking: Vec<(String, f32)> =
            self.manifest.vocab.labels().iter().cloned().zip(softmax(logits).map(|p| p as f32)).collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (label, probability) = ranking[0].clone();
        let labels = vec![label.clone()];
        Prediction { label, probability, labels, ranking, similarity: None, rejected: None }
    }
}

/// What a model says of some pictures, row-major.
struct Outputs {
    /// `[picture, class]`.
    logits: Vec<f32>,
    /// `[picture, channel]`, where they are wanted.
    features: Option<Vec<f32>>,
}

/// All files in `paths`, in order. Folders are searched recursively, sorted, without hidden entries. Folders that cannot be
/// listed are returned with the reason.
pub fn find_files(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Skipped>) {
    let hidden = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    for path in paths {
        let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| !hidden(entry)) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => files.push(entry.into_path()),
                Err(error) => {
                    let path = error.path().unwrap_or(path).to_owned();
                    let reason = SkipReason::from(&std::io::Error::from(error));
                    skipped.push(Skipped { path, reason });
                }
            }
        }
    }
    (files, skipped)
}
