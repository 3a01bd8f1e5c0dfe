//! Limits the number of images that are predicted together, so that a model of unknown origin cannot use up the memory.

use super::Arch;

/// Memory for the activations of a batch (bytes). It leaves the rest of 1 GB for weights and photos.
const BUDGET: usize = 768 << 20;

/// The largest number of images of this size (pixels) that can be predicted with at most 768 MB, at least one.
///
/// The memory of a prediction grows with the number of pixels. The bytes per pixel, 60 to 910, were measured and rounded up:
/// the peak memory of a process that predicts 8 images of 224 pixels, one of 512 and one of 1024 in f32 on the CPU, minus that
/// of a process that predicts a single small image.
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

/// Bytes per pixel needed to predict an image.
fn activation_bytes(arch: Arch) -> usize {
    match arch {
        Arch::ResNet10Narrow => 100,
        Arch::ViTSmall16 => 200,
        Arch::ResNet18 | Arch::ResNet34 | Arch::Hazel => 300,
        Arch::SqueezeNet1_1 => 330,
        Arch::ResNet50 | Arch::ResNet101 => 520,
        Arch::ConvNeXtTiny => 880,
        Arch::MobileNetV2
        | Arch::EfficientNetB0
        | Arch::EfficientNetLite0
        | Arch::EfficientNetLite2
        // As much as the hungriest of ours.
        | Arch::Own(_) => 920,
    }
}
