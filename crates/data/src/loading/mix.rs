//! Mixing the images of a batch: MixUp and CutMix. In: a batch. Out: its mixed pixels, and which two items each image
//! is made of; the training step mixes the loss in the same shares.

use super::batch::{Batch, Mixed};
use crate::error::DataError;
use crate::option::BadOption;
use crate::seed::Rng;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::Beta;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How the images of a batch are mixed, each with a partner from the same batch.
///
/// In JSON: `{"kind": "mix_up", "alpha": 0.4}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, strum::VariantNames)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mix {
    /// Each image fades into its partner: `share · image + (1 - share) · partner`. Each has its own share: draw from
    /// Beta(alpha, alpha), and take the greater of that and 1 minus that.
    ///
    /// Source: Zhang et al. 2017, arXiv 1710.09412; fastai 2.8, `MixUp`.
    MixUp {
        /// Above 0; fastai's 0.4.
        alpha: f64,
    },
    /// A rectangle of each image is replaced by its partner's, the same rectangle for the whole batch. Its area is 1 -
    /// share before it's clipped at the image's edges, with a share from Beta(alpha, alpha).
    ///
    /// Source: Yun et al. 2019, arXiv 1905.04899; fastai 2.8, `CutMix`.
    CutMix {
        /// Above 0; fastai's 1.
        alpha: f64,
    },
}

/// fastai's defaults, by name.
impl FromStr for Mix {
    type Err = BadOption;

    fn from_str(name: &str) -> Result<Self, BadOption> {
        match name {
            "mix_up" => Ok(Self::mix_up()),
            "cut_mix" => Ok(Self::cut_mix()),
            _ => Err(BadOption::new("mix", name, "choose mix_up or cut_mix")),
        }
    }
}

impl Mix {
    /// fastai's MixUp.
    #[must_use]
    pub fn mix_up() -> Self {
        Self::MixUp { alpha: 0.4 }
    }

    /// fastai's CutMix.
    #[must_use]
    pub fn cut_mix() -> Self {
        Self::CutMix { alpha: 1.0 }
    }

    /// Checks settings that come from a file or a user.
    ///
    /// # Errors
    /// `alpha` is not a finite number above 0.
    pub fn check(&self) -> Result<(), DataError> {
        self.distribution().map(|_| ())
    }

    fn distribution(&self) -> Result<Beta<f64>, DataError> {
        let (Self::MixUp { alpha } | Self::CutMix { alpha }) = *self;
        let wrong = || {
            DataError::Option(BadOption {
                option: "alpha",
                value: alpha.to_string(),
                advice: "choose a number above 0, such as 0.4 for MixUp and 1 for CutMix",
            })
        };
        if !alpha.is_finite() {
            return Err(wrong());
        }
        Beta::new(alpha, alpha).map_err(|_| wrong())
    }

    /// Mixes a batch that isn't mixed yet, and records how in it.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    ///
    /// ```
    /// use sciurus_data::{Batch, ItemId, Mix, Seed, Targets};
    ///
    /// let mut batch = Batch {
    ///     pixels: [vec![0.0; 3 * 4 * 4], vec![1.0; 3 * 4 * 4]].concat(),
    ///     size: 4,
    ///     targets: Targets::Single(vec![0, 1]),
    ///     items: vec![ItemId(0), ItemId(1)],
    ///     ..Batch::default()
    /// };
    /// Mix::mix_up().apply(&mut batch, &mut Seed(42).rng(&[]))?;
    /// let mixed = batch.mixed.as_ref().map(|mixed| mixed.share.len());
    /// assert_eq!(mixed, Some(2));
    /// # Ok::<(), sciurus_data::DataError>(())
    /// ```
    pub fn apply(&self, batch: &mut Batch, rng: &mut Rng) -> Result<(), DataError> {
        let distribution = self.distribution()?;
        let values = 3 * batch.size * batch.size;
        let mut partner: Vec<usize> = (0..batch.len()).collect();
        partner.shuffle(rng);
        let share = match self {
            Self::MixUp { .. } => {
                let share = |_: &usize| {
                    let drawn: f64 = rng.sample(distribution);
                    drawn.max(1.0 - drawn) as f32
                };
                let share: Vec<f32> = partner.iter().map(share).collect();
                let source = batch.pixels.clone();
                let images = batch.pixels.chunks_mut(values.max(1)).zip(&partner).zip(&share);
                for ((image, &partner), &share) in images {
                    let other = &source[partner * values..(partner + 1) * values];
                    for (value, other) in image.iter_mut().zip(other) {
                        *value = share * *value + (1.0 - share) * other;
                    }
                }
                share
            }
            Self::CutMix { .. } => {
                let window = Window::draw(batch.size, rng.sample(distribution), rng);
                window.copy(batch, &partner);
                vec![1.0 - window.area() as f32 / (batch.size * batch.size).max(1) as f32; batch.len()]
            }
        };
        batch.mixed = Some(Mixed { partner, share });
        Ok(())
    }
}

/// A rectangle of an image: from and to, in pixels.
#[derive(Debug, Clone, Copy)]
struct Window {
    x: (usize, usize),
    y: (usize, usize),
}

impl Window {
    /// fastai's `rand_bbox` in a square image.
    fn draw(size: usize, share: f64, rng: &mut Rng) -> Self {
        let half = (size as f64 * (1.0 - share).sqrt()).round_ties_even() as usize / 2;
        let mut side = || {
            let middle = rng.random_range(0..size.max(1));
            (middle.saturating_sub(half), (middle + half).min(size))
        };
        Self { x: side(), y: side() }
    }

    fn area(&self) -> usize {
        (self.x.1 - self.x.0) * (self.y.1 - self.y.0)
    }

    /// Copies the window from each image's partner.
    fn copy(&self, batch: &mut Batch, partner: &[usize]) {
        let size = batch.size;
        let rows = |image: usize| {
            let planes = (3 * image..3 * (image + 1))
                .flat_map(|plane| (self.y.0..self.y.1).map(move |y| plane * size + y));
            planes.map(|row| row * size + self.x.0..row * size + self.x.1)
        };
        let cut = |image: usize| rows(image).flat_map(|row| batch.pixels[row].iter().copied()).collect();
        let cuts: Vec<Vec<f32>> = (0..partner.len()).map(cut).collect();
        for (image, &partner) in partner.iter().enumerate() {
            let mut from = cuts[partner].as_slice();
            for row in rows(image) {
                let (values, rest) = from.split_at(row.len());
                batch.pixels[row].copy_from_slice(values);
                from = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::ItemId;
    use crate::dataset::Targets;
    use crate::seed::Seed;
    use proptest::prelude::*;

    /// Image `i` has the value `i + 1` everywhere.
    fn batch(images: usize, size: usize) -> Batch {
        Batch {
            pixels: (0..images).flat_map(|image| vec![image as f32 + 1.0; 3 * size * size]).collect(),
            size,
            targets: Targets::Single((0..images).collect()),
            items: (0..images as u32).map(ItemId).collect(),
            ..Batch::default()
        }
    }

    proptest! {
        #[test]
        fn pixels_are_of_two_images_in_the_shares_that_are_told(
            images in 0_usize..7, size in 1_usize..20, seed: u64, alpha in 0.05_f64..3.0,
        ) {
            for mix in [Mix::MixUp { alpha }, Mix::CutMix { alpha }] {
                let mut mixed = batch(images, size);
                mix.apply(&mut mixed, &mut Seed(seed).rng(&[])).unwrap();
                let mut again = batch(images, size);
                mix.apply(&mut again, &mut Seed(seed).rng(&[])).unwrap();
                prop_assert_eq!(&mixed, &again);
                let Mixed { partner, share } = mixed.mixed.unwrap();
                let mut sorted = partner.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..images).collect::<Vec<_>>());
                for (image, pixels) in mixed.pixels.chunks(3 * size * size).enumerate() {
                    let (own, other) = (image as f32 + 1.0, partner[image] as f32 + 1.0);
                    let want = share[image] * own + (1.0 - share[image]) * other;
                    let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
                    prop_assert!((mean - want).abs() < 1e-4, "{mix:?}: {mean}, not {want}");
                    prop_assert!((0.0..=1.0).contains(&share[image]));
                    match mix {
                        Mix::MixUp { .. } => prop_assert!(share[image] >= 0.5),
                        Mix::CutMix { .. } => {
                            prop_assert!(pixels.iter().all(|&value| value == own || value == other));
                            prop_assert_eq!(share[image], share[0]);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn shares_have_their_distributions() {
        let shares = |mix: Mix| -> Vec<f64> {
            let one = |seed| {
                let mut batch = batch(8, 16);
                mix.apply(&mut batch, &mut Seed(seed).rng(&[])).unwrap();
                batch.mixed.unwrap().share
            };
            (0..500).flat_map(one).map(f64::from).collect()
        };
        let mean = |shares: Vec<f64>| shares.iter().sum::<f64>() / shares.len() as f64;
        // max(b, 1 - b) of Beta(0.4, 0.4) has mean 0.8398, by numerical integration (SciPy).
        let mix_up = mean(shares(Mix::mix_up()));
        assert!((mix_up - 0.8398).abs() < 0.01, "{mix_up}");
        // A rectangle that reaches over an edge is clipped, so the mean is above ½: 0.6998 by simulation (NumPy).
        let cut_mix = mean(shares(Mix::cut_mix()));
        assert!((cut_mix - 0.6998).abs() < 0.03, "{cut_mix}");
    }

    #[test]
    fn an_alpha_that_makes_no_sense_is_refused() {
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for mix in [Mix::MixUp { alpha }, Mix::CutMix { alpha }] {
                let said = mix.check().unwrap_err().to_string();
                assert!(said.starts_with(&format!("alpha is {alpha}; choose a number above 0")), "{said}");
            }
        }
    }
}
