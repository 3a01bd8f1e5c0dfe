//! How many images are predicted together, so that a model from anywhere takes no more memory than there is.

use super::Arch;

/// Memory for the activations of a batch (bytes), which leaves the rest of 1 GB to weights and photos.
const BUDGET: usize = 768 << 20;

/// The largest number of images with this side (pixels) whose prediction takes at most 768 MB, at least one.
///
/// The memory of a prediction grows with the pixels. What each takes was measured as the peak of a process that predicts in f32, on
/// the processor, 8 images of 224 pixels and one of 512 and of 1024, less that of one that predicts a single small image, and
/// rounded up: 60 to 910 bytes.
///
/// ```
/// use sciurus::{Arch, model::fitting_batch};
/// assert!(fitting_batch(Arch::ResNet18, 224) >= 32);
/// assert!(fitting_batch(Arch::ResNet18, 1024) < 4);
/// ```
pub fn fitting_batch(arch: Arch, image_size: usize) -> usize {
    let image = image_size.saturating_mul(image_size).saturating_mul(activation_bytes(arch));
    (BUDGET / image.max(1)).max(1)
}

/// Bytes that the prediction of an image takes for each of its pixels.
fn activation_bytes(arch: Arch) -> usize {
    match arch {
        Arch::ResNet10Narrow => 100,
        Arch::ViTSmall16 => 200,
        Arch::ResNet18 | Arch::ResNet34 => 300,
        Arch::SqueezeNet1_1 => 330,
        Arch::ResNet50 | Arch::ResNet101 => 520,
        Arch::ConvNeXtTiny => 880,
        Arch::MobileNetV2 | Arch::EfficientNetB0 => 920,
    }
}
