//! Pooling of `[batch, height, width, channel]`: the maximum of windows, and maximum and mean of whole pictures.

use rayon::prelude::*;

use crate::element::{Element, load, store};
use crate::isa::Isa;
use crate::simd::{Job, Simd};
use crate::size::{checked_len, checked_sum};

/// Max pooling with square windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape {
    /// Images.
    pub batch: usize,
    /// Height and width (pixels) of the input.
    pub size: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// Side (pixels) of a window, up to 15.
    pub kernel: usize,
    /// Step (pixels) from window to window.
    pub stride: usize,
    /// Border (pixels) around the input, which is never the maximum; smaller than the kernel.
    pub padding: usize,
    /// Whether a last window may reach beyond the input.
    pub ceil: bool,
}

impl PoolShape {
    /// Height and width (pixels) of the output, as in PyTorch: the last window begins inside the input or its padding.
    ///
    /// # Panics
    /// When the stride is 0, or the stride or the padded input is larger than memory can be.
    pub fn out_size(&self) -> [usize; 2] {
        let Self { kernel, stride, padding, .. } = *self;
        // Each is at most half of the `usize` range, so counting a last window one stride beyond the input cannot wrap around.
        assert!(stride > 0 && isize::try_from(stride).is_ok(), "no stride to pool with: {self:?}");
        self.size.map(|size| {
            let span = checked_sum(&[size, padding, padding]).saturating_sub(kernel);
            let out = if self.ceil { span.div_ceil(stride) } else { span / stride } + 1;
            if (out - 1) * stride >= size + padding { out - 1 } else { out }
        })
    }

    /// Values of an input.
    ///
    /// # Panics
    /// When they are more than memory can hold.
    pub fn input_len(&self) -> usize {
        checked_len(&[self.batch, self.size[0], self.size[1], self.channels])
    }

    /// Values of an output.
    ///
    /// # Panics
    /// When they are more than memory can hold, or there is no [`out_size`](Self::out_size).
    pub fn output_len(&self) -> usize {
        let [height, width] = self.out_size();
        checked_len(&[self.batch, height, width, self.channels])
    }

    /// Checks the sizes, and that input and output have the right lengths.
    fn check(&self, input: usize, output: usize) {
        let Self { batch, size, channels, kernel, stride, padding, .. } = *self;
        assert!((1..=15).contains(&kernel) && stride > 0 && padding < kernel, "windows of {self:?}");
        let sizes = [batch, size[0], size[1], channels];
        assert!(sizes.iter().all(|&size| size > 0), "pooling has no size of 0: {self:?}");
        assert!(
            size.iter().all(|&size| checked_sum(&[size, padding, padding]) >= kernel),
            "window larger than input: {self:?}"
        );
        assert_eq!(input, self.input_len(), "input of {self:?}");
        assert_eq!(output, self.output_len(), "output of {self:?}");
    }

    /// The positions along one axis that a window covers, inside the input.
    fn covered(&self, out: usize, axis: usize) -> std::ops::Range<usize> {
        let start = out * self.stride;
        start.saturating_sub(self.padding)
            ..(start + self.kernel).saturating_sub(self.padding).min(self.size[axis])
    }

    /// The position of a pixel in the window of an output pixel: row × kernel + column.
    #[inline(always)]
    fn window(&self, [y, x]: [usize; 2], [out_y, out_x]: [usize; 2]) -> usize {
        (y + self.padding - out_y * self.stride) * self.kernel + (x + self.padding - out_x * self.stride)
    }
}

/// A norm layer with ReLU, applied to values when they are read: scale and shift `[channel]`.
pub type NormRelu<'a> = [&'a [f32]; 2];

/// The maximum of each window. `places` receives its position in the window (row × kernel + column); of equal values, the first.
/// With `norm`, the input first goes through a norm layer and ReLU.
///
/// # Panics
/// When a size is 0, the window is larger than the input with its padding or than 15 pixels, or lengths do not match.
pub fn max_pool<E: Element>(
    isa: Isa,
    shape: &PoolShape,
    (input, norm): (&[E], Option<NormRelu<'_>>),
    output: &mut [E],
    places: &mut [u8],
) {
    shape.check(input.len(), output.len());
    assert_eq!(places.len(), output.len(), "one place for each value of the output");
    assert!(
        norm.is_none_or(|norm| norm.iter().all(|values| values.len() == shape.channels)),
        "one value per channel"
    );
    let row = shape.out_size()[1] * shape.channels;
    output.par_chunks_mut(row).zip(places.par_chunks_mut(row)).enumerate().for_each(
        |(index, (output, places))| {
            isa.run(MaxRow { shape, input, norm, output, places, index });
        },
    );
}

/// One row of output pixels.
struct MaxRow<'a, E> {
    shape: &'a PoolShape,
    input: &'a [E],
    norm: Option<NormRelu<'a>>,
    output: &'a mut [E],
    places: &'a mut [u8],
    index: usize,
}

impl<E: Element> Job for MaxRow<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { shape, output, places, .. } = self;
        let [out_height, out_width] = shape.out_size();
        let (image, out_y) = (self.index / out_height, self.index % out_height);
        let [height, width] = shape.size;
        let channels = shape.channels;
        let image = image * height * width * channels;
        let rows = shape.covered(out_y, 0);
        for out_x in 0..out_width {
            let columns = shape.covered(out_x, 1);
            for channel in (0..channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - channel);
                // SAFETY: `max_pool` checked the lengths. `covered` stays inside the image, which has `channels` values for
                // each pixel; output and places hold the row; scale and shift, where given, have `channels` values.
                unsafe {
                    let norm = self
                        .norm
                        .map(|norm| norm.map(|values| load::<S, f32>(values.as_ptr().add(channel), lanes)));
                    let mut best = S::splat(f32::NEG_INFINITY);
                    // If no value is greater than the start value, the window's first pixel inside the input is the maximum.
                    let mut place =
                        S::splat(shape.window([rows.start, columns.start], [out_y, out_x]) as f32);
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let at = image + (y * width + x) * channels + channel;
                            let mut value = load::<S, E>(self.input.as_ptr().add(at), lanes);
                            if let Some([scale, shift]) = norm {
                                value = S::relu(S::fma(value, scale, shift));
                            }
                            let window = S::splat(shape.window([y, x], [out_y, out_x]) as f32);
                            let next_place = S::where_not_greater(value, best, place, window);
                            let next_best = S::where_not_greater(value, best, best, value);
                            // NaN does not even equal itself, so these comparisons keep it as the maximum, as in PyTorch.
                            place = S::where_not_greater(best, best, next_place, place);
                            best = S::where_not_greater(best, best, next_best, best);
                        }
                    }
                    let at = out_x * channels + channel;
                    store::<S, E>(output.as_mut_ptr().add(at), best, lanes);
                    let mut narrow = [0.0_f32; 16];
                    S::store(narrow.as_mut_ptr(), place);
                    let places = places.as_mut_ptr().add(at);
                    for (lane, &place) in narrow.iter().enumerate().take(lanes) {
                        places.add(lane).write(place as u8);
                    }
                }
            }
        }
    }
}

/// The gradient of a max pooling's input: each window's gradient goes to its maximum. With `output`, the input came from ReLU, and
/// windows whose maximum is not above 0 have no gradient. `input_gradient` is replaced.
///
/// # Panics
/// As [`max_pool`].
pub fn max_pool_gradient<E: Element>(
    isa: Isa,
    shape: &PoolShape,
    (places, output): (&[u8], Option<&[E]>),
    gradient: &[E],
    input_gradient: &mut [E],
) {
    shape.check(input_gradient.len(), gradient.len());
    assert_eq!(places.len(), gradient.len(), "one place for each value of the output");
    assert!(output.is_none_or(|output| output.len() == gradient.len()), "output of {shape:?}");
    let row = shape.size[1] * shape.channels;
    input_gradient.par_chunks_mut(row).enumerate().for_each(|(index, to)| {
        isa.run(ScatterRow { shape, places, output, gradient, to, index });
    });
}

/// One row of input pixels, gathered from the windows that cover it.
struct ScatterRow<'a, E> {
    shape: &'a PoolShape,
    places: &'a [u8],
    output: Option<&'a [E]>,
    gradient: &'a [E],
    to: &'a mut [E],
    index: usize,
}

impl<E: Element> ScatterRow<'_, E> {
    /// Windows along one axis that cover a place.
    fn windows(&self, place: usize, axis: usize) -> std::ops::Range<usize> {
        let Self { shape, .. } = self;
        let padded = place + shape.padding;
        let first = (padded + 1).saturating_sub(shape.kernel).div_ceil(shape.stride);
        first..(padded / shape.stride + 1).min(shape.out_size()[axis])
    }
}

impl<E: Element> Job for ScatterRow<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let shape = self.shape;
        let [height, width] = shape.size;
        let [out_height, out_width] = shape.out_size();
        let channels = shape.channels;
        let (image, y) = (self.index / height, self.index % height);
        let rows = self.windows(y, 0);
        for x in 0..width {
            let columns = self.windows(x, 1);
            for channel in (0..channels).step_by(S::LANES) {
                let lanes = S::LANES.min(channels - channel);
                // SAFETY: `max_pool_gradient` checked the lengths. `windows` stays inside the output, and so of its gradient
                // and places, which have `channels` values for each pixel; `to` holds the row.
                unsafe {
                    let mut sum = S::splat(0.0);
                    for out_y in rows.clone() {
                        for out_x in columns.clone() {
                            let window = shape.window([y, x], [out_y, out_x]);
                            let at = ((image * out_height + out_y) * out_width + out_x) * channels + channel;
                            let mut gradient = load::<S, E>(self.gradient.as_ptr().add(at), lanes);
                            if let Some(output) = self.output {
                                gradient =
                                    S::where_positive(load::<S, E>(output.as_ptr().add(at), lanes), gradient);
                            }
                            let chosen = S::where_bytes_are(
                                self.places.as_ptr().add(at),
                                window as u8,
                                lanes,
                                gradient,
                            );
                            sum = S::add(sum, chosen);
                        }
                    }
                    store::<S, E>(self.to.as_mut_ptr().add(x * channels + channel), sum, lanes);
                }
            }
        }
    }
}

/// Maximum and mean of each channel over the picture: `[batch, pixels, channels]` to `[batch, 2 * channels]`, the maxima first
/// (fastai's `AdaptiveConcatPool2d`). Returns the pixel of each maximum `[batch, channels]`.
///
/// # Panics
/// When a size is 0, the number of pixels does not fit 32 bits, or lengths do not match.
pub fn concat_pool<E: Element>(
    input: &[E],
    [batch, pixels, channels]: [usize; 3],
    output: &mut [f32],
) -> Vec<u32> {
    check_concat([batch, pixels, channels], [input.len(), output.len()]);
    let mut places = vec![0_u32; batch * channels];
    let images = input.par_chunks_exact(pixels * channels);
    let results = output.par_chunks_exact_mut(2 * channels).zip(places.par_chunks_exact_mut(channels));
    images.zip(results).for_each(|(image, (output, places))| {
        let (most, mean) = output.split_at_mut(channels);
        most.fill(f32::NEG_INFINITY);
        mean.fill(0.0);
        for (pixel, values) in image.chunks_exact(channels).enumerate() {
            for (channel, value) in values.iter().enumerate() {
                let value = value.widen();
                mean[channel] += value;
                if value > most[channel] || value.is_nan() {
                    (most[channel], places[channel]) = (value, pixel as u32);
                }
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= pixels as f32);
    });
    places
}

/// The gradient of [`concat_pool`]'s input, from that of its output `[batch, 2 * channels]`.
///
/// # Panics
/// As [`concat_pool`].
pub fn concat_pool_gradient<E: Element>(
    places: &[u32],
    gradient: &[f32],
    [batch, pixels, channels]: [usize; 3],
    input_gradient: &mut [E],
) {
    check_concat([batch, pixels, channels], [input_gradient.len(), gradient.len()]);
    assert_eq!(places.len(), batch * channels, "places of {batch} x {channels}");
    input_gradient.par_chunks_exact_mut(pixels * channels).enumerate().for_each(|(image, to)| {
        let (most, mean) = gradient[image * 2 * channels..][..2 * channels].split_at(channels);
        let places = &places[image * channels..][..channels];
        for (pixel, to) in to.chunks_exact_mut(channels).enumerate() {
            for (channel, to) in to.iter_mut().enumerate() {
                let at_most = if places[channel] as usize == pixel { most[channel] } else { 0.0 };
                *to = E::narrow(mean[channel] / pixels as f32 + at_most);
            }
        }
    });
}

fn check_concat([batch, pixels, channels]: [usize; 3], [input, output]: [usize; 2]) {
    let sizes = [batch, pixels, channels];
    assert!(sizes.iter().all(|&size| size > 0), "pooling has no size of 0: {batch} x {pixels} x {channels}");
    assert!(u32::try_from(pixels).is_ok(), "{pixels} pixels are more than 32 bits count");
    assert_eq!(input, checked_len(&sizes), "input of {batch} x {pixels} x {channels}");
    assert_eq!(output, checked_len(&[batch, 2, channels]), "output of {batch} x {channels}");
}
