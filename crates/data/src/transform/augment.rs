//! fastai's `aug_transforms`, drawn separately for each image. In: a presized photo. Out: a square, changed as if
//! another photographer had taken it on another day.

use super::Transform;
use super::crop::uniform;
use super::geometry::Map;
use super::lighting::Lighting;
use super::resample::resample;
use crate::error::DataError;
use crate::image::RgbImage;
use crate::option::BadOption;
use crate::seed::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Random flip, warp, rotation, zoom, brightness and contrast, with fastai's distributions.
///
/// All geometry, from the random square of the photo to the final zoom, is one projective map and so one interpolation;
/// beyond its edges the photo is mirrored. Brightness and contrast are one lookup table of 256 entries.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `size` | 224 | width and height of the result, pixels; a pipeline sets it to its image size | ≥ 1 |
/// | `do_flip` | true | mirror left and right, with probability ½ | |
/// | `flip_vert` | false | with `do_flip`: with probability ½ one of all eight orientations of a square | |
/// | `max_rotate` | 10 | rotate by up to this angle, degrees | 0..=180 |
/// | `min_zoom`, `max_zoom` | 1, 1.1 | magnify about a random point | > 0 |
/// | `max_lighting` | 0.2 | change brightness and contrast | 0..1 |
/// | `max_warp` | 0.2 | tilt the view | 0..=0.5 |
/// | `p_affine` | 0.75 | probability of each of rotation, zoom and the two tilts | 0..=1 |
/// | `p_lighting` | 0.75 | probability of each of brightness and contrast | 0..=1 |
/// | `min_scale` | 1 | smallest share of the square's area that a random crop keeps | 0..=1, above 0 |
///
/// Source: fastai 2.8, `vision/augment.py`.
///
/// ```
/// use sciurus_data::{AugTransforms, RgbImage, Seed, Transform};
///
/// let gentle = AugTransforms::default().max_rotate(5.0).max_warp(0.0).size(64);
/// let photo = RgbImage::new(160, 120);
/// assert_eq!(gentle.apply(photo, &mut Seed(42).rng(&[])).dimensions(), (64, 64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugTransforms {
    /// Width and height of the result in pixels.
    pub size: usize,
    /// Whether photos are mirrored.
    pub do_flip: bool,
    /// Whether photos are also turned on their side and upside down.
    pub flip_vert: bool,
    /// Largest angle in degrees.
    pub max_rotate: f64,
    /// Smallest magnification.
    pub min_zoom: f64,
    /// Largest magnification.
    pub max_zoom: f64,
    /// Largest change of brightness and contrast (0..1).
    pub max_lighting: f64,
    /// Largest tilt: how far the corners move, in half widths (0..=0.5).
    pub max_warp: f64,
    /// Probability (0..=1) of each geometric change.
    pub p_affine: f64,
    /// Probability (0..=1) of each lighting change.
    pub p_lighting: f64,
    /// Smallest share (0..=1) of the area that a random crop keeps.
    pub min_scale: f64,
}

impl Default for AugTransforms {
    fn default() -> Self {
        Self {
            size: 224,
            do_flip: true,
            flip_vert: false,
            max_rotate: 10.0,
            min_zoom: 1.0,
            max_zoom: 1.1,
            max_lighting: 0.2,
            max_warp: 0.2,
            p_affine: 0.75,
            p_lighting: 0.75,
            min_scale: 1.0,
        }
    }
}

impl AugTransforms {
    /// Checks settings that come from a file or a user.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let share = |name, share: f64| (name, share, (0.0..=1.0).contains(&share));
        let parts = [
            share("p_affine", self.p_affine),
            share("p_lighting", self.p_lighting),
            ("min_scale", self.min_scale, self.min_scale > 0.0 && self.min_scale <= 1.0),
            ("max_rotate", self.max_rotate, (0.0..=180.0).contains(&self.max_rotate)),
            ("max_warp", self.max_warp, (0.0..=0.5).contains(&self.max_warp)),
            ("max_lighting", self.max_lighting, (0.0..1.0).contains(&self.max_lighting)),
            ("min_zoom", self.min_zoom, self.min_zoom > 0.0),
            ("max_zoom", self.max_zoom, (self.min_zoom..=100.0).contains(&self.max_zoom)),
        ];
        let advice = "choose max_rotate up to 180 degrees, max_warp up to 0.5, max_lighting below 1, min_zoom above 0 and up to \
                      max_zoom, min_scale above 0 and up to 1, p_affine and p_lighting from 0 to 1";
        Ok(BadOption::check_parts("augment", &parts, advice)?)
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl AugTransforms {
            $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })*
        }
    };
}

setters! {
    /// Width and height of the result in pixels.
    size: usize,
    /// Whether photos are mirrored.
    do_flip: bool,
    /// Whether photos are also turned on their side and upside down: for things seen from above or through a
    /// microscope.
    flip_vert: bool,
    /// Largest angle in degrees.
    max_rotate: f64,
    /// Smallest magnification.
    min_zoom: f64,
    /// Largest magnification.
    max_zoom: f64,
    /// Largest change of brightness and contrast (0..1).
    max_lighting: f64,
    /// Largest tilt (0..=0.5).
    max_warp: f64,
    /// Probability (0..=1) of each geometric change.
    p_affine: f64,
    /// Probability (0..=1) of each lighting change.
    p_lighting: f64,
    /// Smallest share (0..=1) of the area that a random crop keeps.
    min_scale: f64,
}

impl AugTransforms {
    /// Draws one map from the result to the square, both from -1 to 1: crop, then zoom, rotation and flip, then warp.
    fn draw_map(&self, rng: &mut Rng) -> Map {
        let flip = self.draw_flip(rng);
        let warp = Map::warp(self.draw_tilt(rng), self.draw_tilt(rng));
        let degrees = masked(rng, self.p_affine, 0.0, |rng| uniform(rng, -self.max_rotate, self.max_rotate));
        let zoom = masked(rng, self.p_affine, 1.0, |rng| uniform(rng, self.min_zoom, self.max_zoom));
        let centre = [rng.random(), rng.random()];
        // A zoom of 0 would divide by zero.
        let zoom = Map::zoom(zoom.max(0.01), centre);
        warp * flip * Map::rotation(degrees) * zoom * self.draw_crop(rng)
    }

    fn draw_flip(&self, rng: &mut Rng) -> Map {
        let way = match (self.do_flip, self.flip_vert) {
            (false, _) => 0,
            (true, false) => masked(rng, 0.5, 0, |_| 1),
            (true, true) => masked(rng, 0.5, 0, |rng| rng.random_range(0..8)),
        };
        Map::dihedral(way)
    }

    fn draw_tilt(&self, rng: &mut Rng) -> f64 {
        // Beyond ½ the view would tip over its own horizon.
        let most = self.max_warp.clamp(0.0, 0.5);
        masked(rng, self.p_affine, 0.0, |rng| uniform(rng, -most, most))
    }

    /// A square of random area at a random position, like fastai's `RandomResizedCropGPU` with ratio 1.
    fn draw_crop(&self, rng: &mut Rng) -> Map {
        let side = uniform(rng, self.min_scale.clamp(0.0, 1.0), 1.0).sqrt();
        let room = 1.0 - side;
        Map::scale_shift([side; 2], [uniform(rng, -room, room), uniform(rng, -room, room)])
    }

    fn draw_lighting(&self, rng: &mut Rng) -> Lighting {
        let most = self.max_lighting.clamp(0.0, 0.999);
        let brightness =
            masked(rng, self.p_lighting, 0.5, |rng| uniform(rng, 0.5 * (1.0 - most), 0.5 * (1.0 + most)));
        let widest = -(1.0 - most).ln();
        let contrast = masked(rng, self.p_lighting, 1.0, |rng| uniform(rng, -widest, widest).exp());
        Lighting { brightness, contrast }
    }
}

/// The value of `draw` with a probability, otherwise `neutral`. It draws the same numbers either way, so one option
/// doesn't change what the others draw.
fn masked<T>(rng: &mut Rng, probability: f64, neutral: T, draw: impl FnOnce(&mut Rng) -> T) -> T {
    let chosen = rng.random::<f64>() < probability;
    let drawn = draw(rng);
    if chosen { drawn } else { neutral }
}

impl Transform for AugTransforms {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        let (width, height) = image.dimensions();
        let side = width.min(height);
        let left = rng.random_range(0..=width - side);
        let top = rng.random_range(0..=height - side);
        let drawn = self.draw_map(rng);

        let last = self.size.saturating_sub(1).max(1) as f64;
        let from_pixels = Map::scale_shift([2.0 / last; 2], [-1.0; 2]);
        let half = 0.5 * f64::from(side.saturating_sub(1));
        let to_pixels = Map::scale_shift([half; 2], [f64::from(left) + half, f64::from(top) + half]);
        let mut image = resample(&image, to_pixels * drawn * from_pixels, self.size);
        self.draw_lighting(rng).apply(&mut image);
        image
    }

    fn name(&self) -> String {
        format!("fastai's aug_transforms: mirror, turn, zoom, warp and light, to {} pixels", self.size)
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

    /// Nothing random: the result is the source.
    fn still() -> AugTransforms {
        AugTransforms::default().do_flip(false).p_affine(0.0).p_lighting(0.0).max_lighting(0.0)
    }

    #[test]
    fn without_chance_nothing_changes() {
        let image = noise(31, 31);
        assert_eq!(still().size(31).apply(image.clone(), &mut Seed(3).rng(&[])), image);
    }

    #[test]
    fn half_of_the_photos_are_mirrored() {
        let image = noise(24, 24);
        let mirrored = image::imageops::flip_horizontal(&image);
        let results =
            (0..400).map(|i| still().size(24).do_flip(true).apply(image.clone(), &mut Seed(5).rng(&[i])));
        let (mut plain, mut flipped) = (0, 0);
        for result in results {
            plain += usize::from(result == image);
            flipped += usize::from(result == mirrored);
        }
        assert_eq!(plain + flipped, 400);
        assert!((150..=250).contains(&flipped), "{flipped}");
    }

    #[test]
    fn drawn_values_have_fastai_s_ranges_and_shares() {
        let aug = AugTransforms::default();
        let lights: Vec<Lighting> = (0..4000).map(|i| aug.draw_lighting(&mut Seed(1).rng(&[i]))).collect();
        let bright: Vec<f64> = lights.iter().map(|light| light.brightness).filter(|&b| b != 0.5).collect();
        assert!((2900..3100).contains(&bright.len()), "{}", bright.len());
        assert!(bright.iter().all(|b| (0.4..0.6).contains(b)));
        let contrasts: Vec<f64> = lights.iter().map(|light| light.contrast).filter(|&c| c != 1.0).collect();
        assert!((2900..3100).contains(&contrasts.len()), "{}", contrasts.len());
        assert!(contrasts.iter().all(|c| (0.8..1.25).contains(c)));
        let tilts = (0..4000).filter(|&i| aug.draw_tilt(&mut Seed(2).rng(&[i])) != 0.0).count();
        assert!((2900..3100).contains(&tilts), "{tilts}");
    }

    #[test]
    fn options_travel_through_json_and_typing_errors_are_refused() {
        let aug: AugTransforms = serde_json::from_str(r#"{"max_rotate": 30.0}"#).unwrap();
        assert_eq!(aug, AugTransforms::default().max_rotate(30.0));
        assert!(serde_json::from_str::<AugTransforms>(r#"{"max_rotation": 30.0}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_constant_photo_stays_constant(
            width in 1_u32..80, height in 1_u32..80, size in 1_usize..50, grey: [u8; 3], seed: u64, min_scale in 0.05_f64..1.0,
        ) {
            let aug = AugTransforms::default().size(size).flip_vert(true).max_rotate(180.0).max_warp(0.5)
                .min_zoom(0.3).max_zoom(3.0).min_scale(min_scale).p_lighting(0.0);
            let image = aug.apply(RgbImage::from_pixel(width, height, grey.into()), &mut Seed(seed).rng(&[]));
            prop_assert_eq!(image.dimensions(), (size as u32, size as u32));
            prop_assert!(image.pixels().all(|pixel| pixel.0 == grey));
        }
    }
}
