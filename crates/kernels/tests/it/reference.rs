//! Slow and obvious references in f64, with what is needed to say how far f32 may be from them.

use sciurus_kernels::{ConvShape, PoolShape};

/// Sums, the sums of their terms' magnitudes, and how many terms there were.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub(crate) value: Vec<f64>,
    pub(crate) magnitude: Vec<f64>,
    pub(crate) terms: Vec<usize>,
}

impl Sums {
    pub(crate) fn zeros(len: usize) -> Self {
        Self { value: vec![0.0; len], magnitude: vec![0.0; len], terms: vec![0; len] }
    }

    pub(crate) fn add(&mut self, at: usize, term: f64) {
        self.value[at] += term;
        self.magnitude[at] += term.abs();
        self.terms[at] += 1;
    }

    /// Adds one further term to each sum.
    pub(crate) fn add_each(&mut self, terms: impl IntoIterator<Item = f64>) {
        terms.into_iter().enumerate().for_each(|(at, term)| self.add(at, term));
    }

    pub(crate) fn relu(&mut self) {
        self.value.iter_mut().for_each(|value| *value = value.max(0.0));
    }

    /// The largest of an error that depends on terms and magnitudes, over one of `channels`.
    pub(crate) fn worst(&self, channel: usize, channels: usize, error: impl Fn(usize, f64) -> f64) -> f64 {
        let sums = self.terms.iter().zip(&self.magnitude).skip(channel).step_by(channels);
        sums.map(|(&terms, &magnitude)| error(terms, magnitude)).fold(0.0, f64::max)
    }
}

/// Visits every product of a convolution: the places of its input value, its weight and its output value. All three
/// passes are sums of these products.
pub(crate) fn each_product(shape: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let [out_height, out_width] = shape.out_size();
    let [channels_in, channels_out] = shape.channels;
    let [kernel_height, kernel_width] = shape.kernel;
    for image in 0..shape.batch {
        for (out_y, out_x) in grid([out_height, out_width]) {
            let output = ((image * out_height + out_y) * out_width + out_x) * channels_out;
            for (row, column) in grid([kernel_height, kernel_width]) {
                let Some([y, x]) = input_pixel(shape, [out_y, out_x], [row, column]) else { continue };
                let input = ((image * shape.size[0] + y) * shape.size[1] + x) * channels_in;
                for (out, channel) in grid([channels_out, channels_in]) {
                    let weight =
                        ((out * channels_in + channel) * kernel_height + row) * kernel_width + column;
                    visit(input + channel, weight, output + out);
                }
            }
        }
    }
}

/// The input pixel that an output pixel meets with a place of the kernel; none in the padding.
pub(crate) fn input_pixel(shape: &ConvShape, out: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
    let along = |axis: usize| {
        let place = (out[axis] * shape.stride + kernel[axis]).checked_sub(shape.padding)?;
        (place < shape.size[axis]).then_some(place)
    };
    Some([along(0)?, along(1)?])
}

/// Every pair of indices, the second one running faster.
pub(crate) fn grid([rows, columns]: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

/// The output of a convolution.
pub(crate) fn conv_forward(shape: &ConvShape, input: &[f64], weights: &[f64]) -> Sums {
    let mut sums = Sums::zeros(shape.output_len());
    each_product(shape, |from, weight, to| sums.add(to, input[from] * weights[weight]));
    sums
}

/// The gradient of its input.
pub(crate) fn conv_input_gradient(shape: &ConvShape, gradient: &[f64], weights: &[f64]) -> Sums {
    let mut sums = Sums::zeros(shape.input_len());
    each_product(shape, |to, weight, from| sums.add(to, gradient[from] * weights[weight]));
    sums
}

/// The gradient of its weights.
pub(crate) fn conv_weight_gradient(shape: &ConvShape, input: &[f64], gradient: &[f64]) -> Sums {
    let mut sums = Sums::zeros(shape.weights_len());
    each_product(shape, |from, to, out| sums.add(to, input[from] * gradient[out]));
    sums
}

/// Mean and biased variance of values.
pub(crate) fn moments(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    [mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count]
}

/// The place of each window's maximum in the input, and within the window: the first one of equal values, and a
/// NaN before any number.
pub(crate) fn max_pool(shape: &PoolShape, input: &[f64]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let [out_height, out_width] = shape.out_size();
    for image in 0..shape.batch {
        for (out_y, out_x) in grid([out_height, out_width]) {
            for channel in 0..shape.channels {
                places.push(maximum(shape, input, image, [out_y, out_x], channel));
            }
        }
    }
    places
}

fn maximum(
    shape: &PoolShape,
    input: &[f64],
    image: usize,
    out: [usize; 2],
    channel: usize,
) -> (usize, usize) {
    let mut best = None;
    for (row, column) in grid([shape.kernel; 2]) {
        let [y, x] = [out[0] * shape.stride + row, out[1] * shape.stride + column]
            .map(|at| at.wrapping_sub(shape.padding));
        if y >= shape.size[0] || x >= shape.size[1] {
            continue;
        }
        let at = ((image * shape.size[0] + y) * shape.size[1] + x) * shape.channels + channel;
        let is_better = best.is_none_or(|(best, _): (usize, usize)| {
            input[at] > input[best] || (input[at].is_nan() && !input[best].is_nan())
        });
        if is_better {
            best = Some((at, row * shape.kernel + column));
        }
    }
    best.expect("every window covers a pixel")
}

/// Height or width of a pooled picture, as the documentation of PyTorch has it.
pub(crate) fn pooled_size(shape: &PoolShape, size: usize) -> usize {
    let span = (size + 2 * shape.padding - shape.kernel) as f64 / shape.stride as f64;
    let out = if shape.ceil { span.ceil() } else { span.floor() } as usize + 1;
    // A window that would begin beyond the input and its left padding is left out.
    if shape.ceil && (out - 1) * shape.stride >= size + shape.padding { out - 1 } else { out }
}
