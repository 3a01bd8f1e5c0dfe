//! Brightness and contrast as one lookup table. In: the two drawn values. Out: the image with every value looked up.

use crate::image::RgbImage;

/// Brightness and contrast in logit space, where they never clip: `sigmoid((logit(v) + logit(brightness)) * contrast)`
/// for values from 0 to 1.
///
/// Source: fastai 2.8, `vision/augment.py`, `Brightness` and `Contrast`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lighting {
    /// 0..1; ½ changes nothing.
    pub(crate) brightness: f64,
    /// Above 0; 1 changes nothing.
    pub(crate) contrast: f64,
}

impl Lighting {
    pub(crate) fn apply(self, image: &mut RgbImage) {
        let neutral = Self { brightness: 0.5, contrast: 1.0 };
        if self != neutral {
            let table = self.table();
            image.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
        }
    }

    fn table(self) -> [u8; 256] {
        let shift = logit(self.brightness);
        std::array::from_fn(|byte| {
            let value = sigmoid((logit(byte as f64 / 255.0) + shift) * self.contrast);
            (value * 255.0).round() as u8
        })
    }
}

/// fastai's `logit`, kept finite.
fn logit(value: f64) -> f64 {
    let value = value.clamp(1e-7, 1.0 - 1e-7);
    -(1.0 / value - 1.0).ln()
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_tables_are_fastai_s() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/augment.json")).unwrap();
        for case in golden["lights"].as_array().unwrap() {
            let number = |key: &str| case[key].as_f64().unwrap();
            let table = Lighting { brightness: number("brightness"), contrast: number("contrast") }.table();
            let values: Vec<f64> = serde_json::from_value(case["values"].clone()).unwrap();
            for (got, want) in table.into_iter().zip(values) {
                assert!((f64::from(got) - want).abs() <= 0.501, "{got} is not {want}");
            }
        }
    }

    #[test]
    fn zero_strength_is_the_identity() {
        let table = Lighting { brightness: 0.5, contrast: 1.0 }.table();
        assert!(table.iter().enumerate().all(|(byte, &value)| byte == usize::from(value)));
    }

    #[test]
    fn black_stays_black_and_order_is_kept() {
        let bright = Lighting { brightness: 0.6, contrast: 0.8 }.table();
        assert_eq!((bright[0], bright[255]), (0, 255));
        assert!(bright.is_sorted());
        // sigmoid(logit(0.6) * 0.8) of the middle, by hand: 0.5804
        assert_eq!(Lighting { brightness: 0.6, contrast: 0.8 }.table()[127], 148);
        assert!(Lighting { brightness: 0.4, contrast: 1.0 }.table()[127] < 110);
    }
}
