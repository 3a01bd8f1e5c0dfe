//! Crops and flips. In: an image. Out: a part of it, or its mirror image. Only [`RandomResizedCrop`] resamples pixels.

use super::Transform;
use super::resize::{Resize, ResizeMethod, ResizeShorter, cropped, resized};
use crate::image::RgbImage;
use crate::seed::Rng;
use image::imageops;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A square of `size` pixels at a random position, for training. A smaller image is enlarged first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomCrop {
    /// Width and height in pixels.
    pub size: usize,
}

impl Transform for RandomCrop {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        let image = at_least(self.size, image, rng);
        let size = self.size as u32;
        let left = rng.random_range(0..=image.width() - size);
        let top = rng.random_range(0..=image.height() - size);
        cropped(image, left, top, size, size)
    }

    fn name(&self) -> String {
        format!("crop a random square of {} pixels", self.size)
    }
}

/// A square of `size` pixels at the centre, for validation. A smaller image is enlarged first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CenterCrop {
    /// Width and height in pixels.
    pub size: usize,
}

impl Transform for CenterCrop {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        let image = at_least(self.size, image, rng);
        let size = self.size as u32;
        let (left, top) = ((image.width() - size) / 2, (image.height() - size) / 2);
        cropped(image, left, top, size, size)
    }

    fn name(&self) -> String {
        format!("crop the square of {} pixels in the middle", self.size)
    }
}

/// The image, enlarged if its shorter side has fewer than `size` pixels.
fn at_least(size: usize, image: RgbImage, rng: &mut Rng) -> RgbImage {
    let fits = image.width().min(image.height()) as usize >= size;
    if fits { image } else { ResizeShorter { size, enlarge: true }.apply(image, rng) }
}

/// fastai's `RandomResizedCrop`: a part of random area, proportions and position, squeezed to a square.
///
/// The area is uniform between `min_scale` and 1 of the image's, the logarithm of width / height uniform over `ratio`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RandomResizedCrop {
    /// Width and height of the result in pixels.
    pub size: usize,
    /// Smallest area, as a share of the image's, above 0 and at most 1.
    pub min_scale: f64,
    /// Smallest and largest width / height of the part.
    pub ratio: (f64, f64),
}

impl RandomResizedCrop {
    const ATTEMPTS: usize = 10;

    /// fastai's defaults: at least 8 % of the area, between 3:4 and 4:3.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { size, min_scale: 0.08, ratio: (3.0 / 4.0, 4.0 / 3.0) }
    }

    /// What fastai does with validation images instead: squeezes the whole image to a square about 14 % larger (256 for
    /// 224), then takes its centre.
    #[must_use]
    pub fn valid(&self) -> (Resize, CenterCrop) {
        let extra = (self.size as f64 * 0.14 / 8.0).ceil() as usize * 8;
        (Resize { size: self.size + extra, method: ResizeMethod::Squish }, CenterCrop { size: self.size })
    }

    /// Left, top, width and height of the part to take.
    fn window(&self, (width, height): (u32, u32), rng: &mut Rng) -> [u32; 4] {
        let (w, h) = (f64::from(width), f64::from(height));
        for _ in 0..Self::ATTEMPTS {
            let area = uniform(rng, self.min_scale, 1.0) * w * h;
            let ratio = uniform(rng, self.ratio.0.ln(), self.ratio.1.ln()).exp();
            let part_width = (area * ratio).sqrt().round_ties_even() as u32;
            let part_height = (area / ratio).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&part_width) && (1..=height).contains(&part_height) {
                let left = rng.random_range(0..=width - part_width);
                let top = rng.random_range(0..=height - part_height);
                return [left, top, part_width, part_height];
            }
        }
        let (part_width, part_height) = if w / h < self.ratio.0 {
            (width, (w / self.ratio.0) as u32)
        } else if w / h > self.ratio.1 {
            ((h * self.ratio.1) as u32, height)
        } else {
            (width, height)
        };
        let (part_width, part_height) = (part_width.clamp(1, width), part_height.clamp(1, height));
        [(width - part_width) / 2, (height - part_height) / 2, part_width, part_height]
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        let [left, top, width, height] = self.window(image.dimensions(), rng);
        resized(cropped(image, left, top, width, height), self.size as u32, self.size as u32)
    }

    fn name(&self) -> String {
        let least = 100.0 * self.min_scale;
        format!("crop a random part of at least {least:.0} % and resize it to {} pixels", self.size)
    }
}

/// A uniform number between two, which may be equal.
pub(crate) fn uniform(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * rng.random::<f64>()
}

/// Mirrors left and right, with a probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Probability (0..=1) that an image is mirrored.
    pub probability: f64,
}

impl Default for Flip {
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl Transform for Flip {
    fn apply(&self, mut image: RgbImage, rng: &mut Rng) -> RgbImage {
        if rng.random::<f64>() < self.probability {
            imageops::flip_horizontal_in_place(&mut image);
        }
        image
    }

    fn name(&self) -> String {
        format!("mirror {:.0} % of the photos", 100.0 * self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut rng = Seed(9).rng(&[]);
        RgbImage::from_fn(width, height, |_, _| image::Rgb(rng.random()))
    }

    #[test]
    fn the_valid_form_of_224_goes_through_256() {
        let (squish, crop) = RandomResizedCrop::new(224).valid();
        assert_eq!((squish.size, squish.method, crop.size), (256, ResizeMethod::Squish, 224));
    }

    #[test]
    fn random_crops_reach_every_place() {
        let image = RgbImage::from_fn(8, 5, |x, _| image::Rgb([x as u8, 0, 0]));
        let mut rng = Seed(1).rng(&[]);
        let mut seen = [false; 4];
        for _ in 0..100 {
            seen[RandomCrop { size: 5 }.apply(image.clone(), &mut rng).get_pixel(0, 0).0[0] as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
    }

    proptest! {
        #[test]
        fn crops_have_their_size(width in 1_u32..90, height in 1_u32..90, size in 1_usize..60, seed: u64) {
            let mut rng = Seed(seed).rng(&[]);
            let resized = RandomResizedCrop::new(size);
            let (squish, centre) = resized.valid();
            let transforms: [&dyn Transform; 4] = [&RandomCrop { size }, &CenterCrop { size }, &resized, &squish];
            for transform in transforms {
                let image = transform.apply(noise(width, height), &mut rng);
                let want = if transform.name() == squish.name() { squish.size } else { size } as u32;
                prop_assert_eq!(image.dimensions(), (want, want), "{}", transform.name());
            }
            prop_assert_eq!(centre.size, size);
        }

        #[test]
        fn flipping_twice_changes_nothing(width in 1_u32..40, height in 1_u32..40) {
            let (flip, rng) = (Flip { probability: 1.0 }, &mut Seed(0).rng(&[]));
            let image = noise(width, height);
            let once = flip.apply(image.clone(), rng);
            prop_assert_eq!(once.get_pixel(0, 0), image.get_pixel(width - 1, 0));
            prop_assert_eq!(flip.apply(once, rng), image);
        }
    }
}
