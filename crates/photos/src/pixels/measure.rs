//! Numbers that describe how a photo looks: brightness, information, edges, colour. In: pixels. Out: [`PixelMeasures`],
//! plain data that the [quality checks](crate::QualityCheck) judge.

use crate::pixels::pillow::{Filter, Plane, View, grey_of, resize};
use sciurus_data::RgbImage;
use serde::{Deserialize, Serialize};

/// Longest side, in pixels, of the copy for CleanVision's blur check.
const CLEANVISION_BLUR_SIZE: f64 = 64.0;

/// Longest side, in pixels, of the copy for [`PixelMeasures::sharpness`].
const SHARPNESS_SIZE: usize = 256;

/// How a photo looks, in numbers, as CleanVision 0.3.7 computes them (all but `chroma_p99` and `sharpness`).
///
/// All are rounded to nine decimals, so that a round trip through JSON gives the same numbers.
///
/// A pixel's brightness is `sqrt(0.241 R² + 0.691 G² + 0.068 B²) / 255`, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PixelMeasures {
    /// 99th percentile of brightness, 0..=1.
    pub brightness_p99: f64,
    /// 5th percentile of brightness, 0..=1.
    pub brightness_p5: f64,
    /// Entropy of the concatenated histograms of all channels, in bits: 0 to 8 for one channel; for three, 1.58 (all
    /// pixels are equal) to 9.58.
    pub entropy_bits: f64,
    /// Standard deviation of the edges in a grey copy whose longest side is at most 64 pixels, 0..=255.
    pub edges: f64,
    /// Standard deviation of the 256 counts in that copy's grey histogram.
    pub grey_histogram_std: f64,
    /// 99th percentile of the difference between a pixel's strongest and weakest colour, 0..=255.
    pub chroma_p99: u8,
    /// Variance of the Laplacian of a grey copy whose longest side is at most 256 pixels, in squared grey levels: below
    /// 100 for blurred photos, hundreds to thousands for sharp ones.
    pub sharpness: f64,
}

impl PixelMeasures {
    /// Measures an image. For photos with one channel, which store only brightness, the information is that of one
    /// channel.
    pub(crate) fn of(image: &RgbImage, grey: &Plane, channels: Channels) -> Self {
        let counts = Counts::of(image);
        let (edges, grey_histogram_std) = cleanvision_blur(image);
        let [brightness_p5, brightness_p99] = counts.brightness_percentiles(image, [5.0, 99.0]);
        Self {
            brightness_p99: rounded(brightness_p99),
            brightness_p5: rounded(brightness_p5),
            entropy_bits: rounded(counts.entropy_bits(channels)),
            edges: rounded(edges),
            grey_histogram_std: rounded(grey_histogram_std),
            chroma_p99: counts.chroma_percentile(0.99),
            sharpness: rounded(laplacian_variance(grey)),
        }
    }
}

pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// Shannon's entropy of counts that add up to `total`, in bits.
pub(crate) fn entropy(counts: impl Iterator<Item = u64>, total: f64) -> f64 {
    let bits = |count: u64| {
        let share = count as f64 / total;
        if count == 0 { 0.0 } else { -share * share.log2() }
    };
    counts.map(bits).sum()
}

/// What a file stores for each pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Only brightness.
    Grey,
    /// Three colours.
    Colour,
}

/// The grey values of an image.
pub(crate) fn grey(image: &RgbImage) -> Plane {
    let values = image.as_raw().chunks_exact(3).map(|pixel| grey_of([pixel[0], pixel[1], pixel[2]]));
    Plane {
        width: image.width() as usize,
        height: image.height() as usize,
        channels: 1,
        values: values.collect(),
    }
}

/// 1000 times the square of a pixel's brightness, as an integer up to 65,025,000.
fn brightness_key(pixel: &[u8]) -> u32 {
    let square = |value: u8| u32::from(value) * u32::from(value);
    241 * square(pixel[0]) + 691 * square(pixel[1]) + 68 * square(pixel[2])
}

const COARSE: u32 = 10;
const MOST: u32 = 1000 * 255 * 255;

/// What one pass over the pixels counts.
#[derive(Debug)]
struct Counts {
    pixels: u64,
    channels: [[u64; 256]; 3],
    chroma: [u64; 256],
    /// Keys of brightness, in steps of 1024.
    brightness: Vec<u64>,
}

impl Counts {
    fn of(image: &RgbImage) -> Self {
        let mut counts = Self {
            pixels: u64::from(image.width()) * u64::from(image.height()),
            channels: [[0; 256]; 3],
            chroma: [0; 256],
            brightness: vec![0; (MOST >> COARSE) as usize + 1],
        };
        for pixel in image.as_raw().chunks_exact(3) {
            for (channel, &value) in counts.channels.iter_mut().zip(pixel) {
                channel[usize::from(value)] += 1;
            }
            let (most, least) = (pixel[0].max(pixel[1]).max(pixel[2]), pixel[0].min(pixel[1]).min(pixel[2]));
            counts.chroma[usize::from(most - least)] += 1;
            counts.brightness[(brightness_key(pixel) >> COARSE) as usize] += 1;
        }
        counts
    }

    /// Pillow's `Image.entropy`.
    fn entropy_bits(&self, channels: Channels) -> f64 {
        let bands = if channels == Channels::Grey { &self.channels[..1] } else { &self.channels[..] };
        let total = self.pixels as f64 * bands.len() as f64;
        entropy(bands.iter().flatten().copied(), total)
    }

    fn chroma_percentile(&self, share: f64) -> u8 {
        let rank = (self.pixels.saturating_sub(1) as f64 * share) as u64;
        bin_of(&self.chroma, rank).0 as u8
    }

    /// numpy's percentiles, interpolated between two ranks.
    fn brightness_percentiles<const N: usize>(&self, image: &RgbImage, percents: [f64; N]) -> [f64; N] {
        percents.map(|percent| {
            let place = percent / 100.0 * self.pixels.saturating_sub(1) as f64;
            let [low, high] =
                [place.floor(), place.ceil()].map(|rank| self.brightness_at(image, rank as u64));
            low + (high - low) * place.fract()
        })
    }

    /// The brightness of the pixel with this rank. Its coarse bin is known; a second pass finds its position within.
    fn brightness_at(&self, image: &RgbImage, rank: u64) -> f64 {
        let (step, below) = bin_of(&self.brightness, rank);
        let mut fine = vec![0_u64; 1 << COARSE];
        for pixel in image.as_raw().chunks_exact(3) {
            let key = brightness_key(pixel);
            if (key >> COARSE) as usize == step {
                fine[key as usize & ((1 << COARSE) - 1)] += 1;
            }
        }
        let key = (step << COARSE) + bin_of(&fine, rank - below).0;
        (key as f64 / 1000.0).sqrt() / 255.0
    }
}

/// The bin that contains a rank (from 0), and how many values are in the bins before it.
fn bin_of(counts: &[u64], rank: u64) -> (usize, u64) {
    let mut below = 0;
    for (bin, &count) in counts.iter().enumerate() {
        if rank < below + count {
            return (bin, below);
        }
        below += count;
    }
    (0, 0)
}

/// The two numbers of CleanVision's blur check: standard deviations of the edges and of the histogram's counts.
fn cleanvision_blur(image: &RgbImage) -> (f64, f64) {
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let ratio = width.max(height) / CLEANVISION_BLUR_SIZE;
    let shorter = |length: f64| (floor_divide(length, ratio) as usize).max(1);
    let size = if ratio > 1.0 {
        (shorter(width), shorter(height))
    } else {
        (image.width() as usize, image.height() as usize)
    };
    let small = resize(View::of(image), size.0, size.1, Filter::Bicubic);
    let values: Vec<u8> =
        small.values.chunks_exact(3).map(|pixel| grey_of([pixel[0], pixel[1], pixel[2]])).collect();
    let mut histogram = [0.0; 256];
    values.iter().for_each(|&value| histogram[usize::from(value)] += 1.0);
    let edges = find_edges(&values, small.width, small.height);
    (variance(edges.into_iter()).sqrt(), variance(histogram.into_iter()).sqrt())
}

/// Python's `//` for floating point numbers: it goes through the remainder, so 300 // (300 / 64) gives what Python
/// gives.
fn floor_divide(value: f64, by: f64) -> f64 {
    let exact = (value - value % by) / by;
    let floor = exact.floor();
    if exact - floor > 0.5 { floor + 1.0 } else { floor }
}

/// Pillow's `FIND_EDGES`: eight times a pixel minus its neighbours, clipped to 0..=255; the border stays as it is.
fn find_edges(values: &[u8], width: usize, height: usize) -> Vec<f64> {
    let at = |x: usize, y: usize| i32::from(values[y * width + x]);
    let edge = |place: usize| {
        let (x, y) = (place % width, place / width);
        if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
            return f64::from(values[place]);
        }
        let around: i32 =
            (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y))).map(|(x, y)| at(x, y)).sum();
        f64::from((9 * at(x, y) - around).clamp(0, 255))
    };
    (0..values.len()).map(edge).collect()
}

/// Population variance (divided by n, not n - 1); 0 if there are no values.
fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count
}

/// Variance of the four-neighbour Laplacian, on a copy with at most 256 pixels along its longest side.
fn laplacian_variance(plane: &Plane) -> f64 {
    let longest = plane.width.max(plane.height);
    let shorter = |length: usize| (length * SHARPNESS_SIZE).div_ceil(longest).max(1);
    let small;
    let plane = if longest > SHARPNESS_SIZE {
        small = resize(plane.view(), shorter(plane.width), shorter(plane.height), Filter::Bilinear);
        &small
    } else {
        plane
    };
    let (width, values) = (plane.width, &plane.values);
    let at = |place: usize| f64::from(values[place]);
    let inner = (1..plane.height.saturating_sub(1))
        .flat_map(|y| (1..width.saturating_sub(1)).map(move |x| y * width + x));
    let bend = |place: usize| {
        at(place - 1) + at(place + 1) + at(place - width) + at(place + width) - 4.0 * at(place)
    };
    variance(inner.map(bend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn floor_division_is_pythons() {
        let sizes = [300.0, 1333.0, 4000.0, 65.0];
        let got = sizes.map(|size: f64| floor_divide(size, size / 64.0));
        // Python 3.11: [w // (w / 64) for w in (300, 1333, 4000, 65)]
        assert_eq!(got, [64.0, 64.0, 64.0, 64.0]);
        assert_eq!(floor_divide(1.0, 0.1), 9.0);
    }

    #[test]
    fn one_colour_has_no_information_no_edges_and_no_sharpness() {
        let image = RgbImage::from_pixel(90, 70, [40; 3].into());
        let measures = PixelMeasures::of(&image, &grey(&image), Channels::Colour);
        assert!((measures.brightness_p99 - 40.0 / 255.0).abs() < 1e-9);
        assert_eq!(measures.brightness_p5, measures.brightness_p99);
        assert_eq!((measures.sharpness, measures.chroma_p99), (0.0, 0));
        // The three channels side by side, each with one value.
        assert!((measures.entropy_bits - 3.0_f64.log2()).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_brightness(
            width in 1_u32..12, height in 1_u32..12, seed in any::<u32>()
        ) {
            let value = |x: u32, y: u32, by: u32| (x.wrapping_mul(by).wrapping_add(y * 77) ^ seed).wrapping_mul(by) as u8;
            let image = RgbImage::from_fn(width, height, |x, y| {
                [value(x, y, 2_654_435), value(y, x, 97_001), value(x, y, 31)].into()
            });
            let brightness = |pixel: &image::Rgb<u8>| {
                let [r, g, b] = pixel.0.map(f64::from);
                (0.241 * r * r + 0.691 * g * g + 0.068 * b * b).sqrt() / 255.0
            };
            let mut sorted: Vec<f64> = image.pixels().map(brightness).collect();
            sorted.sort_by(f64::total_cmp);
            let percentile = |percent: f64| {
                let place = percent / 100.0 * (sorted.len() - 1) as f64;
                let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
                low + (high - low) * place.fract()
            };
            let measures = PixelMeasures::of(&image, &grey(&image), Channels::Colour);
            prop_assert!((measures.brightness_p99 - percentile(99.0)).abs() < 2e-9);
            prop_assert!((measures.brightness_p5 - percentile(5.0)).abs() < 2e-9);
        }
    }
}
