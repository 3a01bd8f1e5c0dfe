//! Converts images `[batch, channel, height, width]` in f32 to the kernels' layout.

use rayon::prelude::*;

use crate::element::Element;
use crate::size::{checked_len, checked_sum};

/// Writes images `[batch, channels, height, width]` as `[batch, padded height, padded width, channels]`, with a border of `padding`
/// zeros, and more zeros at the right and the bottom up to the padded size. A first convolution reads this without a copy.
///
/// # Panics
/// When a size is 0, lengths do not match, or the padded size is too small.
pub fn prepare_images<E: Element>(
    images: &[f32],
    [channels, height, width]: [usize; 3],
    padding: usize,
    padded: [usize; 2],
    output: &mut [E],
) {
    let picture = checked_len(&[channels, height, width]);
    assert!(picture > 0, "pictures have no size of 0: {channels} x {height} x {width}");
    assert!(
        padded[0] >= checked_sum(&[height, padding]) && padded[1] >= checked_sum(&[width, padding]),
        "room for {height} x {width} with {padding} around, not {padded:?}"
    );
    assert!(images.len().is_multiple_of(picture), "whole pictures of {channels} x {height} x {width}");
    let len = checked_len(&[images.len() / picture, padded[0], padded[1], channels]);
    assert_eq!(output.len(), len, "images of one batch");
    let row_len = padded[1] * channels;
    output.par_chunks_mut(row_len).enumerate().for_each(|(index, row)| {
        let (image, y) = (index / padded[0], index % padded[0]);
        row.fill(E::narrow(0.0));
        if y < padding || y >= padding + height {
            return;
        }
        for channel in 0..channels {
            let from = &images[((image * channels + channel) * height + y - padding) * width..][..width];
            let to = row[padding * channels + channel..].iter_mut().step_by(channels);
            from.iter().zip(to).for_each(|(&value, to)| *to = E::narrow(value));
        }
    });
}
