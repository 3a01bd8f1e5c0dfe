//! The trait behind every change of an image. In: an image and random numbers. Out: an image.

mod affine;
mod augment;
mod crop;
mod erase;
mod geometry;
mod lighting;
mod normalize;
mod pipeline;
mod policy;
mod resample;
mod resize;
mod tone;

pub use augment::AugTransforms;
pub use crop::{CenterCrop, Flip, RandomCrop, RandomResizedCrop};
pub use erase::RandomErasing;
pub use normalize::Normalize;
pub use pipeline::{Augmentation, Pipeline, Preprocessing, Step, Views};
pub use policy::{RandAugment, TrivialAugment};
pub use resize::{Resize, ResizeMethod, ResizeShorter, resized};

use crate::image::RgbImage;
use crate::seed::Rng;
use std::fmt;

/// A change to one image. One that isn't random ignores `rng`.
///
/// `Debug` must show every setting: it is the key under which prepared pixels are cached.
///
/// ```
/// use sciurus_data::{RgbImage, Rng, Transform};
///
/// #[derive(Debug)]
/// struct Negative;
///
/// impl Transform for Negative {
///     fn apply(&self, mut image: RgbImage, _: &mut Rng) -> RgbImage {
///         image.iter_mut().for_each(|value| *value = 255 - *value);
///         image
///     }
/// }
/// assert_eq!(Negative.name(), "Negative");
/// ```
pub trait Transform: fmt::Debug + Send + Sync {
    /// Changes an image.
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage;

    /// What `inspect` shows; by default the settings as `Debug` prints them.
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

/// A transform that several pipelines share.
impl<T: Transform + ?Sized> Transform for std::sync::Arc<T> {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        (**self).apply(image, rng)
    }

    fn name(&self) -> String {
        (**self).name()
    }
}
