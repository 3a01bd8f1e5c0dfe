//! From a photo to the numbers that a model sees. In: what a model expects ([`Preprocessing`]) and how training photos
//! vary ([`Augmentation`]). Out: a [`Pipeline`].

use super::Transform;
use super::augment::AugTransforms;
use super::crop::{Flip, RandomCrop, RandomResizedCrop};
use super::erase::RandomErasing;
use super::normalize::Normalize;
use super::policy::{RandAugment, TrivialAugment};
use super::resize::{Resize, ResizeMethod, ResizeShorter};
use crate::dataset::ContentHash;
use crate::error::DataError;
use crate::image::RgbImage;
use crate::option::BadOption;
use crate::seed::{Rng, Seed, purpose};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How photos are turned into what a model expects. It's saved with the model's weights, so prediction uses the same
/// preprocessing as validation did.
///
/// ```
/// use sciurus_data::{Preprocessing, RgbImage};
///
/// let preprocessing = Preprocessing { image_size: 160, ..Preprocessing::default() };
/// let pixels = preprocessing.pipeline().tensor(RgbImage::new(640, 480));
/// assert_eq!(pixels.len(), 3 * 160 * 160);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Width and height in pixels of the model's input, 32..=4096.
    pub image_size: usize,
    /// How a photo becomes a square.
    pub resize_method: ResizeMethod,
    /// The statistics that the model expects.
    pub normalize: Normalize,
    /// Test-time augmentation: the views of a photo whose logits are averaged.
    #[serde(default)]
    pub views: Views,
}

impl Default for Preprocessing {
    /// 224 pixels, cropped, ImageNet's statistics, one view.
    fn default() -> Self {
        Self {
            image_size: 224,
            resize_method: ResizeMethod::Crop,
            normalize: Normalize::imagenet(),
            views: Views::Plain,
        }
    }
}

/// Test-time augmentation: the views of a photo whose logits are averaged, in validation and in prediction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Views {
    /// The photo as it is.
    #[default]
    Plain,
    /// The photo and its mirror image, which takes twice the time.
    Mirrored,
}

impl Preprocessing {
    /// The pipeline for validation and prediction: nothing random.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        let resize = Resize { size: self.image_size, method: self.resize_method };
        Pipeline::new(self.image_size, self.normalize).once(resize)
    }

    /// Checks settings that come from a file or a user.
    ///
    /// # Errors
    /// The image size is not in 32..=4096 pixels, a mean is not finite, or a standard deviation is not finite and above
    /// 0.
    pub fn check(&self) -> Result<(), DataError> {
        let Normalize { mean, std } = self.normalize;
        let wrong = |option, value, advice| Err(DataError::Option(BadOption { option, value, advice }));
        if !(32..=4096).contains(&self.image_size) {
            return wrong("image_size", self.image_size.to_string(), "choose from 32 to 4096 pixels");
        }
        if !mean.iter().all(|mean| mean.is_finite()) {
            return wrong("normalize.mean", numbers(mean), "choose three finite numbers");
        }
        if !std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return wrong("normalize.std", numbers(std), "choose three finite numbers above 0");
        }
        Ok(())
    }
}

/// How training photos vary. In JSON: `"none"`, `"flip"`, `{"random_resized_crop": {"min_scale": 0.35}}`,
/// `{"standard": {"max_rotate": 20.0}}` or `{"trivial_augment": {}}`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Augmentation {
    /// Only the random position of the crop.
    #[default]
    None,
    /// Mirrored half of the time.
    Flip,
    /// fastai's `RandomResizedCrop`, between 3:4 and 4:3, then mirrored half of the time.
    RandomResizedCrop {
        /// Smallest area that is taken, as a share of the prepared photo's, above 0 and at most 1.
        min_scale: f64,
    },
    /// fastai's `aug_transforms`. The pipeline sets its `size`.
    Standard(AugTransforms),
    /// [`RandomResizedCrop`], mirrored half of the time, then [`RandomErasing`].
    RandomErasing {
        /// Smallest area that is taken, as for `RandomResizedCrop`.
        #[serde(default = "usual_scale")]
        min_scale: f64,
        /// What is erased.
        #[serde(default)]
        erasing: RandomErasing,
    },
    /// [`RandomResizedCrop`], mirrored half of the time, then [`TrivialAugment`], then [`RandomErasing`]: the order of
    /// torchvision's recipe of 2021, with the smallest area and the erased noise of fastai.
    TrivialAugment {
        /// Smallest area that is taken, as for `RandomResizedCrop`.
        #[serde(default = "usual_scale")]
        min_scale: f64,
        /// How often a part is erased (0..=1).
        #[serde(default = "seldom")]
        erase: f64,
    },
    /// [`RandomResizedCrop`], mirrored half of the time, then [`RandAugment`], then [`RandomErasing`].
    RandAugment {
        /// Smallest area that is taken, as for `RandomResizedCrop`.
        #[serde(default = "usual_scale")]
        min_scale: f64,
        /// How many operations, and how strong they are.
        #[serde(default)]
        policy: RandAugment,
        /// How often a part is erased (0..=1).
        #[serde(default = "seldom")]
        erase: f64,
    },
}

/// The value in fastai's course: at least 35 % of a photo.
fn usual_scale() -> f64 {
    0.35
}

/// torchvision's recipe erases parts of one photo in ten.
fn seldom() -> f64 {
    0.1
}

impl Augmentation {
    /// The names of [`named`](Self::named), from gentle to strong.
    pub const NAMES: [&str; 7] = [
        "none",
        "flip",
        "standard",
        "random_resized_crop",
        "random_erasing",
        "rand_augment",
        "trivial_augment",
    ];

    /// An augmentation with its usual settings, by name (`-` may stand for `_`). `standard` takes at least three
    /// quarters of a photo, those after it at least 35 %.
    ///
    /// # Errors
    /// There is no augmentation of this name.
    ///
    /// ```
    /// use sciurus_data::Augmentation;
    ///
    /// assert_eq!(Augmentation::named("flip")?, Augmentation::Flip);
    /// let error = Augmentation::named("flop").unwrap_err().to_string();
    /// assert!(error.starts_with("augment is flop; choose none, flip, standard, random_resized_crop"));
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    pub fn named(name: &str) -> Result<Self, DataError> {
        let (min_scale, erase) = (usual_scale(), seldom());
        Ok(match name.replace('-', "_").as_str() {
            "none" => Self::None,
            "flip" => Self::Flip,
            "standard" => Self::Standard(AugTransforms::default().min_scale(0.75)),
            "random_resized_crop" => Self::RandomResizedCrop { min_scale },
            "random_erasing" => Self::RandomErasing { min_scale, erasing: RandomErasing::default() },
            "rand_augment" => Self::RandAugment { min_scale, policy: RandAugment::default(), erase },
            "trivial_augment" => Self::TrivialAugment { min_scale, erase },
            _ => {
                return Err(DataError::Option(BadOption {
                    option: "augment",
                    value: name.to_owned(),
                    advice: "choose none, flip, standard, random_resized_crop, random_erasing, rand_augment or \
                             trivial_augment",
                }));
            }
        })
    }

    /// Checks settings that come from a file or a user.
    ///
    /// # Errors
    /// A number is out of its range.
    pub fn check(&self) -> Result<(), DataError> {
        let wrong = |value: f64, advice| {
            Err(DataError::Option(BadOption { option: "augment", value: value.to_string(), advice }))
        };
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        if let Some(scale) = self.min_scale().filter(|scale| !(is_share(*scale) && *scale > 0.0)) {
            return wrong(scale, "choose a min_scale above 0 and at most 1");
        }
        match *self {
            Self::None | Self::Flip | Self::RandomResizedCrop { .. } => Ok(()),
            Self::Standard(transforms) => transforms.check(),
            Self::RandomErasing { erasing, .. } => erasing.check(),
            Self::TrivialAugment { erase, .. } | Self::RandAugment { erase, .. } if !is_share(erase) => {
                wrong(erase, "choose how often to erase, from 0 to 1")
            }
            Self::TrivialAugment { .. } => Ok(()),
            Self::RandAugment { policy, .. } => policy.check(),
        }
    }

    /// Whether it mirrors photos, so that a photo and its mirror image count as the same.
    pub fn mirrors(&self) -> bool {
        match self {
            Self::None => false,
            Self::Standard(transforms) => transforms.do_flip,
            Self::Flip
            | Self::RandomResizedCrop { .. }
            | Self::RandomErasing { .. }
            | Self::TrivialAugment { .. }
            | Self::RandAugment { .. } => true,
        }
    }

    /// The views for validation and prediction: mirror images only if the model was trained on them.
    pub fn views(&self) -> Views {
        if self.mirrors() { Views::Mirrored } else { Views::Plain }
    }

    /// The smallest share of the prepared photo that an epoch takes, if it takes a random part.
    fn min_scale(&self) -> Option<f64> {
        match *self {
            Self::None | Self::Flip | Self::Standard(_) => None,
            Self::RandomResizedCrop { min_scale }
            | Self::RandomErasing { min_scale, .. }
            | Self::TrivialAugment { min_scale, .. }
            | Self::RandAugment { min_scale, .. } => Some(min_scale),
        }
    }
}

/// Transforms that are done once per photo and kept, transforms that are done anew in every epoch, and the
/// normalisation at the end. The result is always `[3, image_size, image_size]`.
#[derive(Debug, Clone)]
pub struct Pipeline {
    image_size: usize,
    once: Vec<Arc<dyn Transform>>,
    each_epoch: Vec<Arc<dyn Transform>>,
    normalize: Normalize,
}

/// One step of a pipeline, as `inspect` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The transform and its settings.
    pub name: String,
    /// Width in pixels after the step.
    pub width: usize,
    /// Height in pixels after the step.
    pub height: usize,
    /// Smallest and largest value after the step: 0..=255 before the normalisation.
    pub values: (f32, f32),
}

impl Pipeline {
    /// A pipeline without transforms; photos are squeezed to the image size.
    #[must_use]
    pub fn new(image_size: usize, normalize: Normalize) -> Self {
        Self { image_size: image_size.max(1), once: Vec::new(), each_epoch: Vec::new(), normalize }
    }

    /// The pipeline for training.
    ///
    /// For `Crop`, the photo is kept with its shorter side at the image size, and every epoch takes another part of it.
    /// For [`Augmentation::Standard`] and those that take a random part, the shorter side is kept larger (460 for an
    /// image size of 224), but a photo is never enlarged to that. For `Squish` and `Pad` the square is kept.
    #[must_use]
    pub fn train(preprocessing: &Preprocessing, augmentation: &Augmentation) -> Self {
        let Preprocessing { image_size: size, resize_method: method, normalize, .. } = *preprocessing;
        let pipeline = Self::new(size, normalize);
        let min_scale = augmentation.min_scale();
        let from_larger = min_scale.is_some() || matches!(augmentation, Augmentation::Standard(_));
        let pipeline = match method {
            ResizeMethod::Crop if from_larger => {
                // fastai's usual presizing: 460 pixels for an image size of 224.
                let presized = (size as f64 * 460.0 / 224.0).round() as usize;
                pipeline.once(ResizeShorter { size: presized, enlarge: false })
            }
            ResizeMethod::Crop => {
                pipeline.once(ResizeShorter { size, enlarge: true }).each_epoch(RandomCrop { size })
            }
            ResizeMethod::Squish | ResizeMethod::Pad => pipeline.once(Resize { size, method }),
        };
        let pipeline = match min_scale {
            Some(min_scale) => pipeline
                .each_epoch(RandomResizedCrop { min_scale, ..RandomResizedCrop::new(size) })
                .each_epoch(Flip::default()),
            None => pipeline,
        };
        let erasing = |probability| RandomErasing { probability, normalize, ..RandomErasing::default() };
        match *augmentation {
            Augmentation::None | Augmentation::RandomResizedCrop { .. } => pipeline,
            Augmentation::Flip => pipeline.each_epoch(Flip::default()),
            Augmentation::Standard(transforms) => pipeline.each_epoch(transforms.size(size)),
            Augmentation::RandomErasing { erasing, .. } => {
                pipeline.each_epoch(RandomErasing { normalize, ..erasing })
            }
            Augmentation::TrivialAugment { erase, .. } => {
                pipeline.each_epoch(TrivialAugment).each_epoch(erasing(erase))
            }
            Augmentation::RandAugment { policy, erase, .. } => {
                pipeline.each_epoch(policy).each_epoch(erasing(erase))
            }
        }
    }

    /// Adds a transform whose result is kept. Its random numbers are the same for every photo.
    #[must_use]
    pub fn once(mut self, transform: impl Transform + 'static) -> Self {
        self.once.push(Arc::new(transform));
        self
    }

    /// Adds a transform that is done anew in every epoch.
    #[must_use]
    pub fn each_epoch(mut self, transform: impl Transform + 'static) -> Self {
        self.each_epoch.push(Arc::new(transform));
        self
    }

    /// Width and height in pixels of the result.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// How values are normalised.
    #[must_use]
    pub fn normalize(&self) -> &Normalize {
        &self.normalize
    }

    /// Does the steps that are done once per photo.
    #[must_use]
    pub fn prepare(&self, image: RgbImage) -> RgbImage {
        let rng = &mut Seed(0).rng(&[purpose::ONCE]);
        self.once.iter().fold(image, |image, transform| transform.apply(image, rng))
    }

    /// Does the steps of an epoch on a prepared photo. The result is a square of the image size.
    #[must_use]
    pub fn finish(&self, prepared: RgbImage, rng: &mut Rng) -> RgbImage {
        let image = self.each_epoch.iter().fold(prepared, |image, transform| transform.apply(image, rng));
        self.last_resize().apply(image, rng)
    }

    /// A custom pipeline may end with another size; its images are then squeezed to the image size. Otherwise this
    /// changes nothing.
    fn last_resize(&self) -> Resize {
        Resize { size: self.image_size, method: ResizeMethod::Squish }
    }

    /// Prepares, finishes and normalises a photo without randomness: `[3, image_size, image_size]`, for prediction.
    #[must_use]
    pub fn tensor(&self, image: RgbImage) -> Vec<f32> {
        self.pixels(&self.square(image))
    }

    /// Prepares and finishes a photo without randomness: the square that the model sees in prediction.
    #[must_use]
    pub fn square(&self, image: RgbImage) -> RgbImage {
        self.finish(self.prepare(image), &mut Seed(0).rng(&[purpose::ONCE]))
    }

    /// Normalises a square of the image size: `[3, image_size, image_size]`.
    #[must_use]
    pub fn pixels(&self, square: &RgbImage) -> Vec<f32> {
        let mut pixels = vec![0.0; self.values()];
        self.normalize.write(square, &mut pixels);
        pixels
    }

    /// How many values an image has: 3 × image size × image size.
    #[must_use]
    pub fn values(&self) -> usize {
        3 * self.image_size * self.image_size
    }

    /// Runs all steps on one photo and returns its size and values after each, for `inspect`.
    #[must_use]
    pub fn walk(&self, image: RgbImage, rng: &mut Rng) -> Vec<Step> {
        let mut steps = vec![Step::of("photo".to_owned(), &image)];
        let mut image = image;
        for transform in self.once.iter().chain(&self.each_epoch) {
            image = transform.apply(image, rng);
            steps.push(Step::of(transform.name(), &image));
        }
        if image.dimensions() != (self.image_size as u32, self.image_size as u32) {
            image = self.last_resize().apply(image, rng);
            steps.push(Step::of(self.last_resize().name(), &image));
        }
        let mut pixels = vec![0.0; self.values()];
        self.normalize.write(&image, &mut pixels);
        let name = "subtract the mean of each colour and divide by its deviation".to_owned();
        steps.push(Step { values: range(pixels.into_iter()), ..Step::of(name, &image) });
        steps
    }

    /// Identifies the steps that are done once per photo, to find cached pixels.
    pub(crate) fn once_key(&self) -> ContentHash {
        ContentHash::of(format!("{:?}", self.once).as_bytes())
    }
}

impl Step {
    fn of(name: String, image: &RgbImage) -> Self {
        let values = range(image.iter().map(|&value| f32::from(value)));
        Self { name, width: image.width() as usize, height: image.height() as usize, values }
    }
}

fn numbers(three: [f32; 3]) -> String {
    three.map(|number| number.to_string()).join(", ")
}

fn range(values: impl Iterator<Item = f32>) -> (f32, f32) {
    values
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn augmentation_has_a_readable_json_form() {
        let json = |augmentation: &Augmentation| serde_json::to_string(augmentation).unwrap();
        assert_eq!(json(&Augmentation::default()), r#""none""#);
        let crop = Augmentation::RandomResizedCrop { min_scale: 0.35 };
        assert_eq!(json(&crop), r#"{"random_resized_crop":{"min_scale":0.35}}"#);
        assert_eq!(serde_json::from_str::<Augmentation>(&json(&crop)).unwrap(), crop);
        let standard: Augmentation = serde_json::from_str(r#"{"standard": {"max_rotate": 20.0}}"#).unwrap();
        assert_eq!(standard, Augmentation::Standard(AugTransforms::default().max_rotate(20.0)));
        for name in Augmentation::NAMES {
            let augmentation = Augmentation::named(name).unwrap();
            assert_eq!(Augmentation::named(&name.replace('_', "-")).unwrap(), augmentation);
            assert!(json(&augmentation).contains(&format!("\"{name}\"")), "{name}: {}", json(&augmentation));
            assert_eq!(serde_json::from_str::<Augmentation>(&json(&augmentation)).unwrap(), augmentation);
        }
        for name in ["random_erasing", "rand_augment", "trivial_augment"] {
            let usual: Augmentation = serde_json::from_str(&format!(r#"{{"{name}":{{}}}}"#)).unwrap();
            assert_eq!(usual, Augmentation::named(name).unwrap());
        }
    }

    #[test]
    fn every_pipeline_ends_with_the_image_size() {
        let photo = RgbImage::from_fn(100, 70, |x, y| [2 * x as u8, 3 * y as u8, 0].into());
        for resize_method in [ResizeMethod::Crop, ResizeMethod::Squish, ResizeMethod::Pad] {
            let preprocessing = Preprocessing { image_size: 48, resize_method, ..Preprocessing::default() };
            let named = |name: &str| Pipeline::train(&preprocessing, &Augmentation::named(name).unwrap());
            let train = Augmentation::NAMES.map(named);
            for pipeline in train.iter().chain([&preprocessing.pipeline()]) {
                let steps = pipeline.walk(photo.clone(), &mut Seed(1).rng(&[]));
                let last = steps.last().unwrap();
                assert_eq!((last.width, last.height), (48, 48), "{steps:?}");
                assert!(
                    last.name.starts_with("subtract the mean") && last.values.0 < 0.0 && last.values.1 > 0.0
                );
                assert_eq!(pipeline.tensor(photo.clone()).len(), pipeline.values());
            }
        }
    }

    #[test]
    fn strong_augmentation_keeps_pixels_to_crop_from_but_never_enlarges() {
        let standard = Augmentation::Standard(AugTransforms::default());
        for augmentation in [standard, Augmentation::RandomResizedCrop { min_scale: 0.35 }] {
            let train = Pipeline::train(&Preprocessing::default(), &augmentation);
            assert_eq!(train.prepare(RgbImage::new(1000, 800)).dimensions(), (575, 460));
            assert_eq!(train.prepare(RgbImage::new(300, 200)).dimensions(), (300, 200));
        }
    }

    #[test]
    fn random_resized_crops_take_at_least_the_least_area_and_are_mirrored() {
        // Values rise from left to right, so the range in a row is the width of the part.
        let photo = RgbImage::from_fn(256, 256, |x, _| [x as u8, 0, 0].into());
        let augmentation = Augmentation::RandomResizedCrop { min_scale: 0.81 };
        for resize_method in [ResizeMethod::Crop, ResizeMethod::Squish, ResizeMethod::Pad] {
            let preprocessing = Preprocessing { image_size: 128, resize_method, ..Preprocessing::default() };
            let train = Pipeline::train(&preprocessing, &augmentation);
            let prepared = train.prepare(photo.clone());
            let side = if resize_method == ResizeMethod::Crop { 256 } else { 128 };
            assert_eq!(prepared.dimensions(), (side, side));
            let ends = |seed| {
                let image = train.finish(prepared.clone(), &mut Seed(seed).rng(&[]));
                (i32::from(image.get_pixel(0, 64)[0]), i32::from(image.get_pixel(127, 64)[0]))
            };
            let ends: Vec<_> = (0..40).map(ends).collect();
            // A part with 81 % of the area is at least 81 % as wide as the photo.
            assert!(ends.iter().all(|(left, right)| left.abs_diff(*right) >= 200), "{ends:?}");
            assert!(ends.iter().any(|(left, right)| left.abs_diff(*right) < 240), "{ends:?}");
            let mirrored = ends.iter().filter(|(left, right)| left > right).count();
            assert!((5..=35).contains(&mirrored), "{ends:?}");
        }
    }

    #[test]
    fn preprocessing_from_outside_is_checked() {
        let sized = |image_size| Preprocessing { image_size, ..Preprocessing::default() };
        let with = |mean: f32, std: f32| {
            let normalize = Normalize { mean: [0.5, mean, 0.5], std: [0.5, 0.5, std] };
            Preprocessing { normalize, ..Preprocessing::default() }
        };
        for good in [sized(32), sized(224), sized(4096), with(0.0, 1e-3), with(-1.0, 2.0)] {
            assert!(good.check().is_ok(), "{good:?}");
        }
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        let bad_std = [0.0, -0.2, nan, infinite].map(|std| (with(0.5, std), "normalize.std is"));
        let bad_mean = [nan, infinite].map(|mean| (with(mean, 0.5), "normalize.mean is"));
        let bad_size = [0, 31, 4097, usize::MAX].map(|size| (sized(size), "image_size is"));
        for (bad, said) in bad_std.into_iter().chain(bad_mean).chain(bad_size) {
            let error = bad.check().unwrap_err().to_string();
            assert!(error.starts_with(said), "{bad:?}: {error}");
        }
    }
}
