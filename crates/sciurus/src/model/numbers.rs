//! Checks that a model's numbers are finite: its weights before it is used, and its outputs for two test pictures.
//!
//! In: a state dict, or a model. Out: what is wrong with it, if anything. Huge weights and negative running variances come from
//! a diverged training or a damaged file, and lead to predictions of NaN.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use sciurus_data::{Normalize, RgbImage, Seed};

use super::VisionModel;
use crate::nn::{Pass, StateDict, floats};

/// Side of the test pictures (pixels). Every network accepts it, and it costs little.
const SIDE: usize = 64;
/// The bits of the smallest f32 that bf16 rounds to infinity: halfway between the largest bf16 and the next power of two.
const ROUNDS_TO_INFINITY: u32 = 0x7f7f_8000;

/// Checks that all values are finite in f32 and in bf16, because a model may compute in either, and that no variance is below 0.
///
/// # Errors
/// The first tensor that fails, and why.
pub(crate) fn check(state: &StateDict) -> Result<(), String> {
    for (name, tensor) in state {
        if !are_finite(&tensor.values) {
            return Err(format!(
                "tensor `{name}` has values that are not finite (NaN, infinite or too large)"
            ));
        }
        if name.ends_with("running_var") && tensor.values.iter().any(|variance| *variance < 0.0) {
            return Err(format!("tensor `{name}` has variances below 0"));
        }
    }
    Ok(())
}

/// Whether all values are finite, even when rounded to bf16.
pub(crate) fn are_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.abs().to_bits() < ROUNDS_TO_INFINITY)
}

/// Two test pictures, one grey and one noise: pixels `[2, 3, side, side]`, and the side.
pub(crate) fn pictures(normalize: &Normalize) -> (Vec<f32>, usize) {
    let rng = &mut Seed(0).rng(&[]);
    let side = SIDE as u32;
    let grey = RgbImage::from_pixel(side, side, [128; 3].into());
    let noise = RgbImage::from_fn(side, side, |_, _| rng.random::<[u8; 3]>().into());
    let mut pixels = vec![0.0; 2 * 3 * SIDE * SIDE];
    let (first, second) = pixels.split_at_mut(3 * SIDE * SIDE);
    normalize.write(&grey, first);
    normalize.write(&noise, second);
    (pixels, SIDE)
}

/// Whether a model's body gives finite features for the two test pictures, with this normalisation.
pub(crate) fn body_is_sound(model: &VisionModel, normalize: &Normalize) -> bool {
    let model = model.valid();
    let Some(device) = model.devices().into_iter().next() else { return true };
    let (pixels, side) = pictures(normalize);
    let images = Tensor::from_data(TensorData::new(pixels, [2, 3, side, side]), &device);
    are_finite(&floats(model.embed(images, &mut Pass::evaluate()).into_data()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finite_is_so_in_bf16_too() {
        let last = f32::from_bits(ROUNDS_TO_INFINITY - 1);
        for value in [
            0.0,
            -0.0,
            1e-45,
            -1.0,
            3e38,
            last,
            -last,
            f32::from_bits(ROUNDS_TO_INFINITY),
            f32::MAX,
            f32::INFINITY,
        ] {
            assert_eq!(are_finite(&[value]), half::bf16::from_f32(value).is_finite(), "{value:e}");
        }
        assert!(are_finite(&[last]) && !are_finite(&[f32::NAN]) && !are_finite(&[0.0, -f32::NAN]));
    }
}
