//! From bytes to numbers for a model. In: an RGB image. Out: planar `f32` values, `[channel, height, width]`.

use crate::image::RgbImage;
use serde::{Deserialize, Serialize};

/// `(value / 255 - mean) / std` per channel: red, green, blue.
///
/// ```
/// use sciurus_data::{Normalize, RgbImage};
///
/// let mut pixels = vec![0.0; 3 * 2 * 2];
/// Normalize::identity().write(&RgbImage::from_pixel(2, 2, [255, 0, 51].into()), &mut pixels);
/// assert_eq!(pixels, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.2, 0.2, 0.2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Normalize {
    /// Mean of each channel over the photos the model was trained on, 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, above 0.
    pub std: [f32; 3],
}

impl Normalize {
    /// The statistics of ImageNet, which nearly every pretrained model expects.
    #[must_use]
    pub const fn imagenet() -> Self {
        Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// Values between 0 and 1, without further normalisation.
    #[must_use]
    pub const fn identity() -> Self {
        Self { mean: [0.0; 3], std: [1.0; 3] }
    }

    /// Writes `[3, height, width]` values. A byte has only 256 values, so each is looked up in a table.
    ///
    /// If `pixels` is shorter than the image needs, the rest is left out.
    pub fn write(&self, image: &RgbImage, pixels: &mut [f32]) {
        let plane = image.width() as usize * image.height() as usize;
        for (channel, plane) in pixels.chunks_mut(plane.max(1)).take(3).enumerate() {
            let table = self.table(channel);
            for (value, pixel) in plane.iter_mut().zip(image.as_raw().chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    }

    fn table(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|byte| (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_the_formula_s() {
        let image =
            RgbImage::from_fn(16, 16, |x, y| [(y * 16 + x) as u8, 7, (255 - y * 16 - x) as u8].into());
        let normalize = Normalize::imagenet();
        let mut pixels = vec![f32::NAN; 3 * 256];
        normalize.write(&image, &mut pixels);
        for byte in 0..256 {
            assert_eq!(pixels[byte], (byte as f32 / 255.0 - 0.485) / 0.229);
            assert_eq!(pixels[256 + byte], (7.0 / 255.0 - 0.456) / 0.224);
            assert_eq!(pixels[512 + byte], ((255 - byte) as f32 / 255.0 - 0.406) / 0.225);
        }
    }
}
