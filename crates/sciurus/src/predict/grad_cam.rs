//! Grad-CAM: which part of a picture supports a class.
//!
//! In: a model, an image and a class. Out: a [`HeatMap`] of the image's square, and the image with the map over it.

use burn::module::Module;
use burn::tensor::Tensor;
use sciurus_data::{RgbImage, resized};

use crate::model::VisionModel;
use crate::nn::{Pass, floats};

/// How much each part of a picture supports a class: row-major `[height, width]`, 0..=1, 1 for the strongest part. All 0 if no
/// part does.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values (0..=1), row-major.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The map of one image `[1, 3, height, width]`, on the device of a model in evaluation mode.
    ///
    /// `relu(sum over channels k of a_k A_k)` over the body's features `A`, where `a_k` is the gradient of the class's logit
    /// with respect to `A_k`, averaged over all pixels; then divided by its largest value. Source: Selvaraju et al. 2017,
    /// arXiv 1610.02391.
    pub(crate) fn new(model: &VisionModel, image: Tensor<4>, class: usize, pass: &mut Pass) -> Self {
        let features = model.body().forward(image, pass);
        let [_, channels, height, width] = features.dims();
        // Only the head needs autodiff, because the gradients end at the features.
        let features = Tensor::from_data(features.to_data().convert::<f32>(), &features.device().autodiff());
        let features = features.require_grad();
        let head = model.head().clone().train();
        let logit =
            head.forward(features.clone(), &mut Pass::evaluate().layer_by_layer()).narrow(1, class, 1);
        let slopes = features.grad(&logit.sum().backward());
        let values = floats(features.inner().into_data());
        let slopes = slopes.map(|slopes| floats(slopes.into_data())).unwrap_or_default();
        let pixels = height * width;
        let mut map = vec![0.0_f32; pixels];
        for (values, slopes) in values.chunks_exact(pixels).zip(slopes.chunks_exact(pixels)).take(channels) {
            let weight = slopes.iter().sum::<f32>() / pixels as f32;
            map.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        let largest = map.iter().copied().fold(0.0, f32::max);
        let share = |value: &mut f32| *value = if largest > 0.0 { (*value / largest).max(0.0) } else { 0.0 };
        map.iter_mut().for_each(share);
        Self { height, width, values: map }
    }

    /// The picture with the map over it, from blue (0) to red (1).
    pub fn over(&self, image: &RgbImage) -> RgbImage {
        let colour = |x: u32, y: u32| {
            let value = self.values[y as usize * self.width + x as usize];
            [value, 1.0 - (2.0 * value - 1.0).abs(), 1.0 - value].map(|part| (part * 255.0) as u8).into()
        };
        let map = RgbImage::from_fn(self.width as u32, self.height as u32, colour);
        let mut result = resized(map, image.width(), image.height());
        for (under, over) in image.pixels().zip(result.pixels_mut()) {
            for (under, over) in under.0.iter().zip(&mut over.0) {
                *over = ((u16::from(*over) * 2 + u16::from(*under) * 3) / 5) as u8;
            }
        }
        result
    }
}
