//! Operations per image: scaling its channels, and summing over its pixels.

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::nonlinearity::Nonlinearity;
use crate::norm::{GradientSums, gradient_sums, normalize};
use crate::size::{check_pixels, checked_len};

/// `output = input * scale + shift`, plus a shortcut, where each channel of each image has its own scale and shift
/// `[image, channel]`.
///
/// # Panics
/// When there are no images, channels or pixels, or lengths do not match.
pub fn scale_images<E: Element>(
    isa: Isa,
    input: &[E],
    (channels, [scale, shift]): (usize, [&[f32]; 2]),
    residual: Option<&[E]>,
    output: &mut [E],
) {
    check_pixels(scale.len(), channels);
    assert_eq!(shift.len(), scale.len(), "one shift for each scale");
    check_images(input.len(), scale.len());
    assert_eq!(input.len(), output.len(), "input and output of one shape");
    let images = scale.len() / channels;
    assert!(residual.is_none_or(|residual| residual.len() == input.len()), "a shortcut of the same shape");
    let len = input.len() / images;
    output.par_chunks_exact_mut(len).enumerate().for_each(|(image, output)| {
        let (values, factors) = (image * len..(image + 1) * len, image * channels..(image + 1) * channels);
        let residual = residual.map(|residual| &residual[values.clone()]);
        let affine = [&scale[factors.clone()], &shift[factors]];
        normalize(isa, &input[values], affine, (residual, Nonlinearity::None), output);
    });
}

/// Sums over the pixels of each image: of `values` and, if `others` are given, of `values` times `others`.
///
/// # Panics
/// When there are no images, channels or pixels, or lengths do not match.
pub fn image_sums<E: Element>(
    isa: Isa,
    [images, channels]: [usize; 2],
    values: &[E],
    others: Option<&[E]>,
) -> Vec<GradientSums> {
    check_images(values.len(), checked_len(&[images, channels]));
    assert!(others.is_none_or(|others| others.len() == values.len()), "two of one shape");
    let len = values.len() / images;
    let zeros = vec![0.0; channels];
    let of_image = |image: usize| {
        let at = image * len..(image + 1) * len;
        let others = others.map(|others| (&others[at.clone()], &zeros[..]));
        gradient_sums(isa, channels, &values[at], None, others)
    };
    (0..images).into_par_iter().map(of_image).collect()
}

/// Checks that there are whole images. Without pixels, nothing would limit the number of channels, for which memory is allocated.
fn check_images(values: usize, channels: usize) {
    assert!(
        channels > 0 && values > 0 && values.is_multiple_of(channels),
        "whole images with {channels} channels together, not {values} values"
    );
}
