//! Grey values and small copies of photos exactly as Pillow makes them, bit for bit, for measures that other programs
//! define on its results. In: an image. Out: its grey values, or a smaller copy through the bicubic, bilinear or
//! Lanczos filter.
//!
//! `fast_image_resize` is faster but rounds its weights to fewer bits, so that one value in a hundred differs by one.

use sciurus_data::RgbImage;
use std::f64::consts::PI;

/// Rows of values, with `channels` values per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pub(crate) values: Vec<u8>,
}

impl Plane {
    /// The same values, borrowed.
    pub(crate) fn view(&self) -> View<'_> {
        let Self { width, height, channels, ref values } = *self;
        View { width, height, channels, values }
    }
}

/// A borrowed [`Plane`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pub(crate) values: &'a [u8],
}

impl<'a> View<'a> {
    /// The three colours of an image.
    pub(crate) fn of(image: &'a RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, channels: 3, values: image.as_raw() }
    }

    fn to_plane(self) -> Plane {
        let Self { width, height, channels, values } = self;
        Plane { width, height, channels, values: values.to_vec() }
    }
}

/// Pillow's antialiased resize filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    Bilinear,
    Bicubic,
    Lanczos,
}

impl Filter {
    /// How many source pixels, without scaling, are on each side of the centre.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, place: f64) -> f64 {
        let x = place.abs();
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0),
            Self::Lanczos if (-3.0..3.0).contains(&place) => sinc(place) * sinc(place / 3.0),
            _ => 0.0,
        }
    }
}

/// ITU-R 601 in integers, as in Pillow's `convert("L")`.
pub(crate) fn grey_of([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

/// Fractional bits of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// The weights of one pixel of the result, and the first source pixel they belong to.
#[derive(Debug)]
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Resizes a plane. One that already has the size is returned as it is; one without pixels stays empty.
///
/// As in Pillow, rows are resized first and then added up for each row of the result. But each row is resized only when
/// it's needed: all resized rows of a strip with one column and many rows would be many times the strip.
///
/// Source: Pillow, `src/libImaging/Resample.c`, 8 bits per channel.
pub(crate) fn resize(source: View<'_>, width: usize, height: usize, filter: Filter) -> Plane {
    if (source.width, source.height) == (width, height) || source.values.is_empty() || width * height == 0 {
        return source.to_plane();
    }
    let across = (source.width != width).then(|| taps(source.width, width, filter));
    let rows = source.values.chunks_exact(source.width * source.channels);
    let stride = width * source.channels;
    let mut values = Vec::with_capacity(stride * height);
    if source.height == height {
        rows.for_each(|row| narrow(row, across.as_deref(), source.channels, &mut values));
    } else {
        let mut sums = Sums::new(taps(source.height, height, filter), stride);
        let mut short = Vec::with_capacity(stride);
        for row in rows {
            short.clear();
            narrow(row, across.as_deref(), source.channels, &mut short);
            sums.add(&short);
        }
        values.extend(sums.values.into_iter().map(rounded));
    }
    Plane { width, height, channels: source.channels, values }
}

fn taps(length: usize, result: usize, filter: Filter) -> Vec<Taps> {
    let scale = length as f64 / result as f64;
    let filter_scale = scale.max(1.0);
    let support = filter.support() * filter_scale;
    let tap = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        // Like Python's int() and C's cast, this rounds toward zero; a negative position is clipped to the edge.
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(length);
        let weigh = |x: usize| filter.weight((x as f64 + first as f64 - center + 0.5) * (1.0 / filter_scale));
        let exact: Vec<f64> = (0..end - first).map(weigh).collect();
        let sum: f64 = exact.iter().sum();
        let fixed = |weight: f64| {
            let weight = if sum == 0.0 { weight } else { weight / sum };
            (weight * f64::from(1 << PRECISION) + 0.5_f64.copysign(weight)) as i32
        };
        Taps { first, weights: exact.into_iter().map(fixed).collect() }
    };
    (0..result).map(tap).collect()
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION - 1);

/// Appends a row resized to another length, or as it is without taps, to `into`.
fn narrow(row: &[u8], taps: Option<&[Taps]>, channels: usize, into: &mut Vec<u8>) {
    match (taps, channels) {
        (None, _) => into.extend_from_slice(row),
        (Some(taps), 1) => across::<1>(row, taps, into),
        (Some(taps), _) => across::<3>(row, taps, into),
    }
}

fn across<const CHANNELS: usize>(row: &[u8], taps: &[Taps], into: &mut Vec<u8>) {
    for tap in taps {
        let mut sums = [HALF; CHANNELS];
        let pixels = row[tap.first * CHANNELS..].chunks_exact(CHANNELS);
        for (pixel, &weight) in pixels.zip(&tap.weights) {
            for channel in 0..CHANNELS {
                sums[channel] += i32::from(pixel[channel]) * weight;
            }
        }
        into.extend(sums.map(rounded));
    }
}

/// The rows of a result, made while the rows of its source come one by one.
#[derive(Debug)]
struct Sums {
    taps: Vec<Taps>,
    stride: usize,
    values: Vec<i32>,
    /// The next row of the source.
    next: usize,
    /// The first row of the result that isn't finished.
    open: usize,
}

impl Sums {
    fn new(taps: Vec<Taps>, stride: usize) -> Self {
        let values = vec![HALF; taps.len() * stride];
        Self { taps, stride, values, next: 0, open: 0 }
    }

    fn add(&mut self, row: &[u8]) {
        let y = self.next;
        self.next += 1;
        let done = |tap: &Taps| tap.first + tap.weights.len() <= y;
        self.open += self.taps[self.open..].iter().take_while(|tap| done(tap)).count();
        let sums = self.values[self.open * self.stride..].chunks_exact_mut(self.stride);
        for (tap, sums) in self.taps[self.open..].iter().zip(sums).take_while(|(tap, _)| tap.first <= y) {
            let Some(&weight) = tap.weights.get(y - tap.first) else { continue };
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_constant_and_sizes_are_as_asked() {
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for (width, height) in [(1, 1), (7, 50), (100, 3), (33, 32)] {
                let plane = Plane { width: 33, height: 20, channels: 3, values: vec![77; 33 * 20 * 3] };
                let small = resize(plane.view(), width, height, filter);
                assert_eq!((small.width, small.height), (width, height));
                assert_eq!(small.values, vec![77; width * height * 3]);
            }
        }
    }
}
