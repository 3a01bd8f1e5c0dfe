//! A network as a teacher. In: a model that Sciurus saved, or the published weights of an architecture. Out: lessons.

use std::path::Path;

use burn::module::Module;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device as BurnDevice, Tensor};
use sciurus_data::{BadOption, Batch, Normalize, Seed};

use super::{Lesson, Teacher, TeacherRecord};
use crate::learner::images;
use crate::loaders::DataLoaders;
use crate::model::weights::{DownloadProgress, WeightPlaces, WeightSource, load_body};
use crate::model::{Arch, VisionModel};
use crate::nn::{FoldedLayers, Pass, floats};
use crate::predict::ModelBundle;
use crate::{Device, Error, Precision};

/// A deviation below this is taken for that of a feature that never changes.
const CONSTANT: f32 = 1e-6;

/// A network that teaches: it sees the student's batches, in the size that it was trained at, and answers for each as it is. Its
/// answers are not kept, so that it needs memory for one batch.
///
/// A model that Sciurus saved teaches its answers, if it has the student's labels, and its features. An architecture with published
/// weights teaches features alone. Features are centred and scaled over each batch.
///
/// ```no_run
/// use sciurus::prelude::*;
/// use sciurus::NetworkTeacher;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dls = ImageDataLoaders::from_folder("squirrels").build()?;
/// let teacher = NetworkTeacher::load("runs/big/model.sciurus")?;
/// let mut student = vision_learner(dls, Arch::SqueezeNet1_1).teacher(teacher).build()?;
/// student.fine_tune(4)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NetworkTeacher {
    model: VisionModel,
    /// Its labels, for a model that has some.
    labels: Option<Vec<String>>,
    /// For each class of the student its class in the model, once that is known.
    order: Option<Vec<usize>>,
    normalize: Normalize,
    student: Normalize,
    image_size: usize,
    width: usize,
    device: BurnDevice,
    precision: Precision,
    folded: FoldedLayers,
    record: TeacherRecord,
}

impl NetworkTeacher {
    /// The model of a file that Sciurus saved.
    ///
    /// # Errors
    /// The file cannot be read, or is not such a model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bundle = ModelBundle::load(path)?;
        let device = Device::Cpu.open()?;
        let manifest = &bundle.manifest;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let record = TeacherRecord { name, sha256: Some(crate::model::weights::sha256_of(path)?) };
        Ok(Self {
            labels: Some(manifest.vocab.labels().to_vec()),
            image_size: manifest.preprocessing.image_size,
            ..Self::of(&bundle.model(&device)?, manifest.arch, manifest.preprocessing.normalize, record)?
        })
    }

    /// An architecture with its published weights.
    ///
    /// # Errors
    /// The weights cannot be found, downloaded or read, or do not match the architecture.
    pub fn pretrained(
        arch: Arch,
        places: &WeightPlaces,
        on_download: &mut dyn FnMut(DownloadProgress),
    ) -> Result<Self, Error> {
        let model = VisionModel::new(arch, 2, Seed(0), &Device::Cpu.open()?)?;
        let (model, weights) = load_body(model, arch, &WeightSource::Pretrained, places, on_download)?;
        let record = TeacherRecord { name: weights.name, sha256: weights.sha256 };
        Self::of(&model, arch, arch.normalize(), record)
    }

    fn of(
        model: &VisionModel,
        arch: Arch,
        normalize: Normalize,
        record: TeacherRecord,
    ) -> Result<Self, Error> {
        Ok(Self {
            model: model.valid(),
            labels: None,
            order: None,
            normalize,
            student: normalize,
            image_size: arch.image_size(),
            width: arch.channels(),
            device: Device::Cpu.open()?.inner(),
            precision: Precision::Auto.on(Device::Cpu)?,
            folded: FoldedLayers::default(),
            record,
        })
    }

    /// The batch as it wants to see it: normalised as for its own training, and of that size.
    fn images(&self, batch: &Batch) -> Result<Tensor<4>, Error> {
        let [ours, student] = [&self.normalize, &self.student];
        let mut images = images(batch, &self.device)?;
        if ours != student {
            let of = |values: [f32; 3]| Tensor::<1>::from_floats(values, &self.device).reshape([1, 3, 1, 1]);
            let pairs: [usize; 3] = [0, 1, 2];
            let scale = pairs.map(|colour| student.std[colour] / ours.std[colour]);
            let shift = pairs.map(|colour| (student.mean[colour] - ours.mean[colour]) / ours.std[colour]);
            images = images * of(scale) + of(shift);
        }
        if batch.size != self.image_size {
            let options = InterpolateOptions::new(InterpolateMode::Bilinear)
                .with_align_corners(false)
                .with_output_size([self.image_size; 2]);
            images = interpolate(images, options);
        }
        Ok(images)
    }
}

impl Teacher for NetworkTeacher {
    fn prepare(&mut self, loaders: &DataLoaders) -> Result<(), Error> {
        self.student = loaders.preprocessing().normalize;
        let vocab = &loaders.dataset().vocab;
        if let Some(labels) = &self.labels {
            let place = |class: &String| labels.iter().position(|label| label == class);
            self.order = vocab.labels().iter().map(place).collect();
            // Some labels alike and some not is a slip, such as a class that was renamed.
            let known = vocab.labels().iter().filter_map(place).count();
            let is_clear = known == 0 || (known == labels.len() && known == vocab.len());
            let advice = "choose a teacher that knows just the student's labels, or none of them";
            BadOption::check("teacher", &self.record.name, is_clear, advice)?;
        }
        Ok(())
    }

    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn teach(&mut self, batch: &Batch) -> Result<Lesson, Error> {
        let images = self.images(batch)?;
        let mut pass = Pass::evaluate().with_precision(self.precision).with_folded(&self.folded);
        let (logits, features) = self.model.logits_and_embedding(images, &mut pass);
        let classes = logits.dims()[1];
        let logits = self.order.as_ref().map(|order| {
            let logits = floats(logits.into_data());
            logits.chunks_exact(classes).flat_map(|row| order.iter().map(|&class| row[class])).collect()
        });
        let mut features = floats(features.into_data());
        standardise(&mut features, self.width);
        Ok(Lesson { logits, features: Some(features) })
    }

    fn record(&self) -> TeacherRecord {
        self.record.clone()
    }
}

/// Centres each of `width` features over the rows and divides it by its deviation.
fn standardise(rows: &mut [f32], width: usize) {
    let count = (rows.len() / width) as f32;
    for feature in 0..width {
        let column = || rows.iter().skip(feature).step_by(width);
        let mean = column().sum::<f32>() / count;
        let variance = column().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        let scale = if variance.sqrt() < CONSTANT { 0.0 } else { variance.sqrt().recip() };
        rows.iter_mut().skip(feature).step_by(width).for_each(|value| *value = (*value - mean) * scale);
    }
}
