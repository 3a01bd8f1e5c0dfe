//! Using a model: on a loader, on pictures, on files.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use rayon::prelude::*;
use sciurus_data::{
    DecodeLimits, Loader, Pipeline, RgbImage, SkipReason, Skipped, Split, Targets, Views, decode_file,
};
use sciurus_insight::{AnyPredictions, MultiPredictions, Predictions, sigmoid, softmax};
use serde::{Deserialize, Serialize};

use crate::bundle::{Manifest, ModelBundle, Output};
use crate::grad_cam::HeatMap;
use crate::learner::Event;
use crate::model::{FoldedLayers, Pass, VisionModel, floats};
use crate::{Device, Error, Precision};

/// A model's answer for one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The most probable label.
    pub label: String,
    /// Its probability (0..1), calibrated by the model's temperature.
    pub probability: f32,
    /// What it shows: that label; of a model for any number of labels those whose probability exceeds their threshold, most
    /// probable first, perhaps none.
    pub labels: Vec<String>,
    /// Every label with its probability (0..1), most probable first.
    pub ranking: Vec<(String, f32)>,
}

/// What became of one file.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It was classified.
    Predicted {
        /// The file.
        path: PathBuf,
        /// What it shows.
        prediction: Prediction,
    },
    /// It is no readable picture.
    Skipped(Skipped),
}

/// A trained model, ready to use on new pictures. It sees them exactly as it was measured.
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
    model: VisionModel,
    manifest: Manifest,
    pipeline: Pipeline,
    device: BurnDevice,
    precision: Precision,
    folded: FoldedLayers,
}

impl Predictor {
    /// Loads a model on the processor.
    ///
    /// # Errors
    /// The file cannot be read or is no model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::load_on(path, Device::Cpu)
    }

    /// Loads a model on a device.
    ///
    /// # Errors
    /// The file cannot be read or is no model, or the device is not in this build.
    pub fn load_on(path: impl AsRef<Path>, device: Device) -> Result<Self, Error> {
        let fastest = Precision::Auto.on(device)?;
        let device = device.open()?;
        let bundle = ModelBundle::load(path.as_ref())?;
        // As it was measured; but where bf16 would only be slower, f32 gives the same answers more exactly.
        let precision = match bundle.manifest.precision {
            Precision::F32 => Precision::F32,
            _ => fastest,
        };
        let model = bundle.model(&device).map_err(|error| error.in_file(path.as_ref()))?;
        let pipeline = bundle.manifest.preprocessing.pipeline();
        let folded = FoldedLayers::default();
        Ok(Self { model: model.valid(), manifest: bundle.manifest, pipeline, device, precision, folded })
    }

    /// What the model is and how it was measured.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Classifies one picture.
    pub fn predict(&self, image: &RgbImage) -> Prediction {
        self.ranked(&self.logits(self.pipeline.tensor(image.clone())))
    }

    /// Classifies pictures together, which is faster than one by one.
    pub fn predict_batch(&self, images: &[RgbImage]) -> Vec<Prediction> {
        let pixels: Vec<_> = images.par_iter().map(|image| self.pipeline.tensor(image.clone())).collect();
        self.predict_pixels(&pixels)
    }

    /// Reads and classifies one file.
    ///
    /// # Errors
    /// The file is no readable picture; the reason says why.
    pub fn predict_file(&self, path: impl AsRef<Path>) -> Result<Prediction, SkipReason> {
        Ok(self.predict(&decode_file(path.as_ref(), &DecodeLimits::default())?))
    }

    /// Reads and classifies files, `batch_size` at a time, in order; a file that is no readable picture says why.
    pub fn predict_files<'a>(
        &'a self,
        files: &'a [PathBuf],
        batch_size: usize,
    ) -> impl Iterator<Item = Answer> + 'a {
        files.chunks(batch_size.max(1)).flat_map(|files| self.answer(files))
    }

    /// The body's features of a picture, averaged over it: `[channel]`. Alike pictures have alike embeddings.
    pub fn embed(&self, image: &RgbImage) -> Vec<f32> {
        floats(
            self.model.embed(self.tensor(self.pipeline.tensor(image.clone())), &mut self.pass()).into_data(),
        )
    }

    /// What the model sees of a picture, and which part of that speaks for a class (below the number of labels).
    pub fn grad_cam(&self, image: &RgbImage, class: usize) -> (RgbImage, HeatMap) {
        let square = self.pipeline.square(image.clone());
        let pixels = self.tensor(self.pipeline.pixels(&square));
        let map = HeatMap::new(&self.model, pixels, class, &mut self.pass());
        (square, map)
    }

    /// Only the pixels that the model sees are kept of each photo, so that a batch of large ones fits into memory.
    fn answer(&self, files: &[PathBuf]) -> Vec<Answer> {
        let limits = DecodeLimits::default();
        let read = |path: &PathBuf| Ok(self.pipeline.tensor(decode_file(path, &limits)?));
        let read: Vec<Result<Vec<f32>, SkipReason>> = files.par_iter().map(read).collect();
        let (pixels, skipped): (Vec<_>, Vec<_>) = read
            .into_iter()
            .map(|result| result.map_or_else(|r| (None, Some(r)), |p| (Some(p), None)))
            .unzip();
        let pixels: Vec<_> = pixels.into_iter().flatten().collect();
        let mut predictions = self.predict_pixels(&pixels).into_iter();
        let answer = |(path, skipped): (&PathBuf, Option<SkipReason>)| match skipped {
            Some(reason) => Some(Answer::Skipped(Skipped { path: path.clone(), reason })),
            None => predictions.next().map(|prediction| Answer::Predicted { path: path.clone(), prediction }),
        };
        files.iter().zip(skipped).filter_map(answer).collect()
    }

    fn predict_pixels(&self, images: &[Vec<f32>]) -> Vec<Prediction> {
        if images.is_empty() {
            return Vec::new();
        }
        self.logits(images.concat())
            .chunks_exact(self.manifest.vocab.len())
            .map(|row| self.ranked(row))
            .collect()
    }

    /// Pixels `[image, 3, size, size]` to logits, row-major `[image, class]`.
    fn logits(&self, pixels: Vec<f32>) -> Vec<f32> {
        let views = self.manifest.preprocessing.views;
        floats(self.model.answer(self.tensor(pixels), views, &mut self.pass()).into_data())
    }

    fn pass(&self) -> Pass {
        Pass::evaluate().with_precision(self.precision).with_folded(&self.folded)
    }

    /// Pixels of whole images as a tensor `[image, 3, size, size]`.
    fn tensor(&self, pixels: Vec<f32>) -> Tensor<4> {
        let size = self.manifest.preprocessing.image_size;
        let images = pixels.len() / self.pipeline.values();
        Tensor::from_data(TensorData::new(pixels, [images, 3, size, size]), &self.device)
    }

    fn ranked(&self, logits: &[f32]) -> Prediction {
        match &self.manifest.output {
            Output::OneLabel => self.most_probable(logits),
            Output::AnyNumber { thresholds } => self.above(logits, thresholds),
        }
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
        Prediction { label, probability, labels, ranking }
    }

    fn most_probable(&self, logits: &[f32]) -> Prediction {
        let scale = 1.0 / self.manifest.temperature.0 as f32;
        let logits: Vec<f32> = logits.iter().map(|logit| logit * scale).collect();
        let mut ranking: Vec<(String, f32)> =
            self.manifest.vocab.labels().iter().cloned().zip(softmax(&logits).map(|p| p as f32)).collect();
        ranking.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (label, probability) = ranking[0].clone();
        Prediction { labels: vec![label.clone()], label, probability, ranking }
    }
}

/// The files that `paths` name, in order: files as they are, folders searched through, sorted, without hidden entries.
/// What cannot be listed comes with its reason.
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

/// A model to be run over a loader in evaluation mode.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    pub(crate) model: &'a VisionModel,
    pub(crate) precision: Precision,
    pub(crate) views: Views,
    pub(crate) device: &'a BurnDevice,
}

impl Evaluation<'_> {
    /// Predictions for all photos of an epoch of a loader; only an augmented loader's epochs differ.
    ///
    /// # Errors
    /// No photo of the split could be read.
    pub(crate) fn run(
        &self,
        (loader, split): (&Loader, Split),
        epoch: u64,
        on_event: &mut dyn FnMut(Event) -> Result<(), Error>,
    ) -> Result<AnyPredictions, Error> {
        let (model, device) = (self.model.valid(), self.device.clone().inner());
        let dataset = loader.dataset();
        let folded = FoldedLayers::default();
        let (mut items, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (step, batch) in loader.epoch(epoch).enumerate() {
            if !batch.skipped.is_empty() {
                on_event(Event::PhotosSkipped { split, skipped: batch.skipped.clone() })?;
            }
            if batch.targets.is_empty() {
                continue;
            }
            let images = crate::learner::images(&batch, &device)?;
            let mut pass = Pass::evaluate().with_precision(self.precision).with_folded(&folded);
            logits.extend(floats(model.answer(images, self.views, &mut pass).into_data()));
            items.extend(&batch.items);
            on_event(Event::BatchValidated { step, images: batch.targets.len() })?;
            targets.push(batch.targets);
        }
        if items.is_empty() {
            return Err(Error::NothingReadable { split });
        }
        let paths = items.iter().filter_map(|id| Some(dataset.item(*id)?.path.clone())).collect();
        let (vocab, mut targets) = (dataset.vocab.clone(), targets.iter().flat_map(Targets::iter));
        Ok(if dataset.any_number() {
            let targets = targets.map(<[usize]>::to_vec).collect();
            AnyPredictions::Many(MultiPredictions::from_logits(vocab, items, paths, &logits, targets)?)
        } else {
            let targets = targets.by_ref().flatten().copied().collect();
            AnyPredictions::One(Predictions::from_logits(vocab, items, paths, &logits, targets)?)
        })
    }
}
