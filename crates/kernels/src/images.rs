//! Images as they come, `[batch, channel, height, width]` in f32, brought into the kernels' order.

use rayon::prelude::*;

use crate::element::Element;

/// Writes images `[batch, channels, height, width]` as `[batch, padded height, padded width, channels]` with `padding`
/// zeros around, and further zeros right and below up to the padded size: what a first convolution reads directly.
///
/// # Panics
/// When lengths do not fit, or the padded size is too small.
pub fn prepare_images<E: Element>(
    images: &[f32],
    [channels, height, width]: [usize; 3],
    padding: usize,
    padded: [usize; 2],
    output: &mut [E],
) {
    let picture = channels * height * width;
    assert!(padded[0] >= height + padding && padded[1] >= width + padding, "room for {height} x {width}");
    assert_eq!(images.len() / picture * padded[0] * padded[1] * channels, output.len(), "images of one batch");
    let row_len = padded[1] * channels;
    output.par_chunks_mut(padded[0] * row_len).zip(images.par_chunks_exact(picture)).for_each(|(output, image)| {
        for (y, row) in output.chunks_exact_mut(row_len).enumerate() {
            row.fill(E::narrow(0.0));
            if y < padding || y >= padding + height {
                continue;
            }
            for channel in 0..channels {
                let from = &image[(channel * height + y - padding) * width..][..width];
                let to = row[padding * channels + channel..].iter_mut().step_by(channels);
                from.iter().zip(to).for_each(|(&value, to)| *to = E::narrow(value));
            }
        }
    });
}
