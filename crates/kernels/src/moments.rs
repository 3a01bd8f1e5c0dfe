//! Mean and variance of channels, combined from parts.

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Means `[channel]`.
    pub mean: Vec<f32>,
    /// Mean squared differences from the mean `[channel]`.
    pub variance: Vec<f32>,
}

impl Moments {
    /// Combines parts `[part, 3, channel]` (pivot, sum and sum of squares of differences from it) of `counts` values
    /// each, in order and in f64 (Chan, Golub & LeVeque 1979).
    pub(crate) fn combined(parts: &[f32], channels: usize, counts: &[usize]) -> Self {
        let mut moments = Self { mean: Vec::with_capacity(channels), variance: Vec::with_capacity(channels) };
        for channel in 0..channels {
            let (mut total, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
            for (part, count) in parts.chunks_exact(3 * channels).zip(counts) {
                let [pivot, sum, square] = [0, 1, 2].map(|row| f64::from(part[row * channels + channel]));
                let count = *count as f64;
                let part_mean = pivot + sum / count;
                let part_squares = square - sum * sum / count;
                // Rounding can make it slightly negative. A comparison, unlike `max`, keeps NaN.
                let part_squares = if part_squares < 0.0 { 0.0 } else { part_squares };
                let distance = part_mean - mean;
                squares += part_squares + distance * distance * total * count / (total + count);
                total += count;
                mean += distance * count / total;
            }
            moments.mean.push(mean as f32);
            moments.variance.push((squares / total) as f32);
        }
        moments
    }
}
