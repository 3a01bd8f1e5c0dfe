//! Noise over parts of a photo, so that a model doesn't rely on one detail. In: a photo. Out: the photo, with one or
//! more rectangles of random values.

use super::Transform;
use super::crop::uniform;
use super::normalize::Normalize;
use crate::error::DataError;
use crate::image::RgbImage;
use crate::option::BadOption;
use crate::seed::Rng;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// fastai's `RandomErasing`: rectangles of random position, area and proportions are filled with noise.
///
/// The noise has the mean and standard deviation of the pipeline's normalisation, so after normalising its mean is 0
/// and its standard deviation 1. It's clipped at black and white.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `probability` | 0.5 | how often a photo is changed | 0..=1 |
/// | `min_area`, `max_area` | 0, 0.3 | area of all rectangles, as a share of the photo's | 0..=1 |
/// | `min_aspect` | 0.3 | smallest height / width of a rectangle; the largest is its inverse | 0..=1, above 0 |
/// | `max_count` | 1 | most rectangles; each takes an equal part of the area | ≥ 1 |
/// | `normalize` | ImageNet's | statistics of the noise; set by the pipeline, never read from a file | |
///
/// Source: Zhong et al. 2017, arXiv 1708.04896; fastai 2.8, `vision/augment.py` (torchvision's defaults: areas 0.02 to
/// 0.33).
///
/// ```
/// use sciurus_data::{RandomErasing, RgbImage, Seed, Transform};
///
/// let erasing = RandomErasing { probability: 1.0, min_area: 0.25, ..RandomErasing::default() };
/// let photo = erasing.apply(RgbImage::new(64, 64), &mut Seed(42).rng(&[]));
/// assert!(photo.pixels().any(|pixel| pixel.0 != [0; 3]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomErasing {
    /// How often a photo is changed (0..=1).
    pub probability: f64,
    /// Smallest area as a share of the photo's (0..=1).
    pub min_area: f64,
    /// Largest area as a share of the photo's (0..=1).
    pub max_area: f64,
    /// Smallest height / width of a rectangle (0..=1); the largest is its inverse.
    pub min_aspect: f64,
    /// Most rectangles.
    pub max_count: u32,
    /// Mean and standard deviation of the noise.
    #[serde(skip, default = "Normalize::imagenet")]
    pub normalize: Normalize,
}

impl Default for RandomErasing {
    fn default() -> Self {
        Self {
            probability: 0.5,
            min_area: 0.0,
            max_area: 0.3,
            min_aspect: 0.3,
            max_count: 1,
            normalize: Normalize::imagenet(),
        }
    }
}

impl RandomErasing {
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let share = |name, share: f64| (name, share, (0.0..=1.0).contains(&share));
        let parts = [
            share("probability", self.probability),
            share("max_area", self.max_area),
            ("min_area", self.min_area, (0.0..=self.max_area).contains(&self.min_area)),
            ("min_aspect", self.min_aspect, self.min_aspect > 0.0 && self.min_aspect <= 1.0),
            ("max_count", f64::from(self.max_count), self.max_count > 0),
        ];
        let advice =
            "choose shares from 0 to 1, min_area up to max_area, min_aspect above 0, and max_count 1 or more";
        Ok(BadOption::check_parts("augment", &parts, advice)?)
    }
}

impl Transform for RandomErasing {
    fn apply(&self, mut image: RgbImage, rng: &mut Rng) -> RgbImage {
        if rng.random::<f64>() >= self.probability {
            return image;
        }
        let (width, height) = image.dimensions();
        let count = rng.random_range(1..=self.max_count.max(1));
        let area = f64::from(width) * f64::from(height) / f64::from(count);
        let widest = -self.min_aspect.clamp(0.01, 1.0).ln();
        for _ in 0..count {
            let area = area * uniform(rng, self.min_area.clamp(0.0, 1.0), self.max_area.clamp(0.0, 1.0));
            let aspect = uniform(rng, -widest, widest).exp();
            let (top, tall) = slice(rng, area * aspect, height);
            let (left, wide) = slice(rng, area / aspect, width);
            for y in top..top + tall {
                for x in left..left + wide {
                    image.get_pixel_mut(x, y).0 = noise(&self.normalize, rng);
                }
            }
        }
        image
    }

    fn name(&self) -> String {
        format!("cover a random rectangle in {:.0} % of the photos", 100.0 * self.probability)
    }
}

/// fastai's `_slice`: where a side begins, and how long it is.
fn slice(rng: &mut Rng, square: f64, side: u32) -> (u32, u32) {
    let length = (square.sqrt().round_ties_even() as u32).min(side);
    (rng.random_range(0..=side - length), length)
}

fn noise(Normalize { mean, std }: &Normalize, rng: &mut Rng) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let drawn: f32 = rng.sample(StandardNormal);
        ((mean[channel] + std[channel] * drawn) * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;

    /// The pixels that erasing changed, in a photo of a colour that noise hardly ever has.
    fn erased(erasing: RandomErasing, (width, height): (u32, u32), seed: u64) -> Vec<(u32, u32)> {
        let photo = RgbImage::from_pixel(width, height, [255, 0, 255].into());
        let photo = erasing.apply(photo, &mut Seed(seed).rng(&[]));
        let changed = photo.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [255, 0, 255]);
        changed.map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn areas_and_noise_are_as_asked() {
        let erasing =
            RandomErasing { probability: 1.0, min_area: 0.25, max_area: 0.25, ..RandomErasing::default() };
        for seed in 0..50 {
            let share = erased(erasing, (200, 200), seed).len() as f64 / 40_000.0;
            assert!((0.235..0.265).contains(&share), "{share}");
        }
        let half =
            (0..400).filter(|&seed| !erased(RandomErasing::default(), (64, 64), seed).is_empty()).count();
        assert!((160..240).contains(&half), "{half}");
        let mut rng = Seed(1).rng(&[]);
        let halves = Normalize { mean: [0.5; 3], std: [0.1; 3] };
        for (normalize, mean) in [(Normalize::imagenet(), 0.456), (halves, 0.5)] {
            let sum: f64 = (0..20_000).map(|_| f64::from(noise(&normalize, &mut rng)[1])).sum();
            assert!((sum / 20_000.0 / 255.0 - mean).abs() < 0.01);
        }
    }

    proptest! {
        #[test]
        fn one_rectangle_within_the_photo(width in 1_u32..50, height in 1_u32..50, seed: u64) {
            let erasing = RandomErasing { probability: 1.0, min_area: 0.3, max_area: 1.0, ..RandomErasing::default() };
            let changed = erased(erasing, (width, height), seed);
            let side = |of: fn(&(u32, u32)) -> u32| {
                let places = || changed.iter().map(of);
                places().max().map_or(0, |most| most - places().min().unwrap_or(0) + 1)
            };
            let rectangle = side(|place| place.0) * side(|place| place.1);
            // By chance a pixel of noise may have the old colour, but hardly more than two.
            prop_assert!(rectangle as usize <= changed.len() + 2, "{} of {rectangle}", changed.len());
        }
    }
}
