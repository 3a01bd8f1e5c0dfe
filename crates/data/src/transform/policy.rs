//! Augmentation with nothing to tune: TrivialAugment Wide and RandAugment. In: a square photo. Out: the photo after one
//! or more operations, drawn from one set.

use super::Transform;
use super::affine::Motion;
use super::tone::Tone;
use crate::error::DataError;
use crate::image::RgbImage;
use crate::option::BadOption;
use crate::seed::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// How many magnitudes an operation has.
const BINS: usize = 31;

/// One operation on an image, without its magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Identity,
    Move(Motion),
    Tone(Tone),
}

impl Operation {
    /// torchvision's, in its order.
    const ALL: [Self; 14] = [
        Self::Identity,
        Self::Move(Motion::ShearX),
        Self::Move(Motion::ShearY),
        Self::Move(Motion::TranslateX),
        Self::Move(Motion::TranslateY),
        Self::Move(Motion::Rotate),
        Self::Tone(Tone::Brightness),
        Self::Tone(Tone::Color),
        Self::Tone(Tone::Contrast),
        Self::Tone(Tone::Sharpness),
        Self::Tone(Tone::Posterize),
        Self::Tone(Tone::Solarize),
        Self::Tone(Tone::AutoContrast),
        Self::Tone(Tone::Equalize),
    ];

    fn apply(self, image: RgbImage, magnitude: f64) -> RgbImage {
        match self {
            Self::Identity => image,
            Self::Move(motion) => motion.apply(&image, magnitude),
            Self::Tone(tone) => tone.apply(image, magnitude),
        }
    }

    /// Whether the sign of its magnitude is drawn too: negative half of the time.
    fn is_signed(self) -> bool {
        use Tone::{Brightness, Color, Contrast, Sharpness};
        matches!(self, Self::Move(_) | Self::Tone(Brightness | Color | Contrast | Sharpness))
    }
}

/// The largest magnitudes of a policy.
#[derive(Debug, Clone, Copy)]
struct Magnitudes {
    shear: f64,
    /// Pixels to the right and down.
    translate: [f64; 2],
    degrees: f64,
    /// Of brightness, colour, contrast and sharpness.
    enhance: f64,
    /// How many of the 8 bits are removed at most.
    bits: f64,
}

impl Magnitudes {
    /// The magnitude of an operation at a step of 0 to 30, without its sign.
    fn magnitude(&self, operation: Operation, step: usize) -> f64 {
        let part = step.min(BINS - 1) as f64 / (BINS - 1) as f64;
        match operation {
            Operation::Move(Motion::ShearX | Motion::ShearY) => part * self.shear,
            Operation::Move(Motion::TranslateX) => part * self.translate[0],
            Operation::Move(Motion::TranslateY) => part * self.translate[1],
            Operation::Move(Motion::Rotate) => part * self.degrees,
            Operation::Tone(Tone::Brightness | Tone::Color | Tone::Contrast | Tone::Sharpness) => {
                part * self.enhance
            }
            // torchvision divides the step by steps per bit, in this order; ties are rounded to even.
            Operation::Tone(Tone::Posterize) => {
                8.0 - (step.min(BINS - 1) as f64 / ((BINS - 1) as f64 / self.bits)).round_ties_even()
            }
            Operation::Tone(Tone::Solarize) => 255.0 * (1.0 - part),
            Operation::Identity | Operation::Tone(Tone::AutoContrast | Tone::Equalize) => 0.0,
        }
    }

    /// Draws an operation and its sign, and applies it. Every operation draws the same numbers, so the stream stays in
    /// step.
    fn draw(&self, image: RgbImage, rng: &mut Rng, step: impl FnOnce(&mut Rng) -> usize) -> RgbImage {
        let operation = Operation::ALL[rng.random_range(0..Operation::ALL.len())];
        let magnitude = self.magnitude(operation, step(rng));
        let negative = rng.random::<bool>() && operation.is_signed();
        operation.apply(image, if negative { -magnitude } else { magnitude })
    }
}

/// TrivialAugment Wide: one operation, with one of 31 magnitudes, all equally likely. There is nothing to tune.
///
/// The operations are identity, shear and shift along both axes (up to 0.99, and 32 pixels), rotation (135°),
/// brightness, colour, contrast and sharpness (factors 0.01..=1.99), posterize (2..=8 bits), solarize, autocontrast and
/// equalize, as in Pillow. Pixels are taken from their nearest neighbour, and what comes from outside is black.
///
/// Source: Müller and Hutter 2021, arXiv 2103.10158; torchvision 0.29, `TrivialAugmentWide`.
///
/// ```
/// use sciurus_data::{RgbImage, Seed, Transform, TrivialAugment};
///
/// let photo = TrivialAugment.apply(RgbImage::new(64, 48), &mut Seed(42).rng(&[]));
/// assert_eq!(photo.dimensions(), (64, 48));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrivialAugment;

impl TrivialAugment {
    const REACH: Magnitudes =
        Magnitudes { shear: 0.99, translate: [32.0; 2], degrees: 135.0, enhance: 0.99, bits: 6.0 };
}

impl Transform for TrivialAugment {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        Self::REACH.draw(image, rng, |rng| rng.random_range(0..BINS))
    }

    fn name(&self) -> String {
        "TrivialAugment: one random operation of random strength".to_owned()
    }
}

/// RandAugment: several operations in turn, all with the same magnitude.
///
/// The operations are those of [`TrivialAugment`], with a smaller range: shear 0.3, shift 45 % of the side, rotation
/// 30°, factors 0.1..=1.9, posterize 4..=8 bits.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `operations` | 2 | operations per image | 0..=8 |
/// | `magnitude` | 9 | strength of each, out of 30 | 0..=30 |
///
/// Source: Cubuk et al. 2019, arXiv 1909.13719; torchvision 0.29, `RandAugment`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandAugment {
    /// Operations per image.
    pub operations: usize,
    /// Strength of each, 0..=30.
    pub magnitude: usize,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { operations: 2, magnitude: 9 }
    }
}

impl RandAugment {
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let parts = [
            ("operations", self.operations as f64, self.operations <= 8),
            ("magnitude", self.magnitude as f64, self.magnitude <= 30),
        ];
        let advice = "choose up to 8 operations and a magnitude of up to 30";
        Ok(BadOption::check_parts("augment", &parts, advice)?)
    }

    fn magnitudes((width, height): (u32, u32)) -> Magnitudes {
        let translate = [width, height].map(|side| 150.0 / 331.0 * f64::from(side));
        Magnitudes { shear: 0.3, translate, degrees: 30.0, enhance: 0.9, bits: 4.0 }
    }
}

impl Transform for RandAugment {
    fn apply(&self, image: RgbImage, rng: &mut Rng) -> RgbImage {
        let reach = Self::magnitudes(image.dimensions());
        (0..self.operations).fold(image, |image, _| reach.draw(image, rng, |_| self.magnitude))
    }

    fn name(&self) -> String {
        let Self { operations, magnitude } = self;
        format!("RandAugment: {operations} random operations of strength {magnitude}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use proptest::prelude::*;
    use serde_json::Value;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../../tests/golden/operations.json")).unwrap()
    }

    fn name(operation: Operation) -> String {
        match operation {
            Operation::Identity => "Identity".to_owned(),
            Operation::Move(motion) => format!("{motion:?}"),
            Operation::Tone(tone) => format!("{tone:?}"),
        }
    }

    fn named(wanted: &Value) -> Operation {
        Operation::ALL.into_iter().find(|&operation| name(operation) == wanted.as_str().unwrap()).unwrap()
    }

    fn bytes(hexadecimal: &Value) -> Vec<u8> {
        let digits = hexadecimal.as_str().unwrap().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn golden_operations_are_torchvision_s_bit_for_bit() {
        let golden = golden();
        let side = |key: &str| golden[key].as_u64().unwrap() as u32;
        let source = RgbImage::from_raw(side("width"), side("height"), bytes(&golden["source"])).unwrap();
        let even = RgbImage::from_pixel(side("width"), side("height"), [90; 3].into());
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() > 30);
        for case in cases {
            let (operation, magnitude) = (named(&case["name"]), case["magnitude"].as_f64().unwrap());
            let got = operation.apply(source.clone(), magnitude);
            let wrong = got.as_raw().iter().zip(&bytes(&case["pixels"])).filter(|(a, b)| a != b).count();
            assert_eq!(wrong, 0, "{operation:?} {magnitude}: {wrong} of {} values differ", got.len());
            let middle =
                operation.apply(even.clone(), magnitude).get_pixel(side("width") / 2, side("height") / 2).0;
            assert_eq!(Value::from(middle.to_vec()), case["grey"], "{operation:?} {magnitude}");
        }
    }

    #[test]
    fn golden_magnitudes_are_torchvision_s() {
        let golden = golden();
        let size: [u32; 2] = serde_json::from_value(golden["rand_size"].clone()).unwrap();
        for (policy, reach) in
            [("trivial", TrivialAugment::REACH), ("rand", RandAugment::magnitudes(size.into()))]
        {
            let space = golden["spaces"][policy].as_object().unwrap();
            assert_eq!(space.len(), Operation::ALL.len());
            for operation in Operation::ALL {
                let golden = &space[&name(operation)];
                assert_eq!(golden["signed"], operation.is_signed(), "{operation:?}");
                let magnitudes: Vec<f64> = serde_json::from_value(golden["magnitudes"].clone()).unwrap();
                for (step, want) in magnitudes.iter().enumerate() {
                    let got = reach.magnitude(operation, step);
                    // torchvision keeps them in float32.
                    assert!(
                        (got - want).abs() <= 2e-7 * want.abs().max(1.0),
                        "{operation:?} {step}: {got}, {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_operation_is_drawn_and_repeats_with_the_seed() {
        let image = RgbImage::from_fn(24, 24, |x, y| [(9 * x) as u8, (7 * y) as u8, (x * y) as u8].into());
        let draw = |seed| TrivialAugment.apply(image.clone(), &mut Seed(seed).rng(&[]));
        let different = (0..200).map(draw).collect::<std::collections::HashSet<_>>().len();
        assert!((100..200).contains(&different), "{different}");
        assert_eq!(draw(3), draw(3));
        let none = RandAugment { operations: 0, magnitude: 30 };
        assert_eq!(none.apply(image.clone(), &mut Seed(3).rng(&[])), image);
    }

    proptest! {
        #[test]
        fn the_size_stays(width in 1_u32..40, height in 1_u32..40, seed: u64, operations in 0_usize..5, magnitude in 0_usize..=30) {
            let mut rng = Seed(seed).rng(&[]);
            let image = RgbImage::from_fn(width, height, |_, _| image::Rgb(rng.random()));
            let rand = RandAugment { operations, magnitude };
            prop_assert_eq!(rand.apply(image.clone(), &mut rng).dimensions(), (width, height));
            prop_assert_eq!(TrivialAugment.apply(image, &mut rng).dimensions(), (width, height));
        }

        #[test]
        fn without_magnitude_nothing_changes(width in 1_u32..30, height in 1_u32..30, seed: u64) {
            let mut rng = Seed(seed).rng(&[]);
            let image = RgbImage::from_fn(width, height, |_, _| image::Rgb(rng.random()));
            for operation in Operation::ALL.into_iter().filter(|operation| operation.is_signed()) {
                prop_assert_eq!(operation.apply(image.clone(), 0.0), image.clone(), "{:?}", operation);
            }
        }
    }
}
