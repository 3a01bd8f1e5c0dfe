//! Changes of light, colour and sharpness. In: an image and one number. Out: the image with changed values; nothing
//! moves.

use crate::image::RgbImage;

/// A change of values; each takes one magnitude, and some ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Above 0: lighter; -1: black.
    Brightness,
    /// Above 0: more colourful; -1: grey.
    Color,
    /// Above 0: more contrast; -1: uniform grey.
    Contrast,
    /// Above 0: sharper; -1: smoothed.
    Sharpness,
    /// How many bits of each value to keep: 0..=8.
    Posterize,
    /// Values from this one on (0..=255) are inverted.
    Solarize,
    /// Stretches each channel to 0 to 255.
    AutoContrast,
    /// Equalises each channel's histogram.
    Equalize,
}

impl Tone {
    /// Changes an image.
    ///
    /// Source: torchvision 0.29, `autoaugment._apply_op`; Pillow 13, `ImageEnhance`, `ImageOps` and `Blend.c`, with their
    /// rounding, so that the pixels are the same.
    pub(crate) fn apply(self, mut image: RgbImage, magnitude: f64) -> RgbImage {
        let factor = (1.0 + magnitude) as f32;
        match self {
            Self::Brightness => by_value(&mut image, |value, _| blend(0, value, factor)),
            Self::Color => image.pixels_mut().for_each(|pixel| {
                let grey = luma(pixel.0);
                pixel.0 = pixel.0.map(|value| blend(grey, value, factor));
            }),
            Self::Contrast => {
                let sum: u64 = image.pixels().map(|pixel| u64::from(luma(pixel.0))).sum();
                let pixels = f64::from(image.width()) * f64::from(image.height());
                let mean = (sum as f64 / pixels.max(1.0) + 0.5) as u8;
                by_value(&mut image, |value, _| blend(mean, value, factor));
            }
            Self::Sharpness => {
                let smooth = smoothed(&image);
                let values = image.iter_mut().zip(smooth.as_raw());
                values.for_each(|(value, &smooth)| *value = blend(smooth, *value, factor));
            }
            Self::Posterize => {
                let bits = magnitude.clamp(0.0, 8.0) as u32;
                let mask = (0xff00_u32 >> bits) as u8;
                by_value(&mut image, |value, _| value & mask);
            }
            Self::Solarize => {
                by_value(
                    &mut image,
                    |value, _| if f64::from(value) < magnitude { value } else { 255 - value },
                );
            }
            Self::AutoContrast => by_channel(&mut image, spread),
            Self::Equalize => by_channel(&mut image, equalized),
        }
        image
    }
}

/// Looks each value up in a table of its channel.
fn by_value(image: &mut RgbImage, change: impl Fn(u8, usize) -> u8) {
    let tables: [[u8; 256]; 3] =
        std::array::from_fn(|channel| std::array::from_fn(|value| change(value as u8, channel)));
    for pixel in image.pixels_mut() {
        for (value, table) in pixel.0.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// Maps each channel through a table made from its histogram.
fn by_channel(image: &mut RgbImage, table: impl Fn(&[u32; 256]) -> [u8; 256]) {
    let mut histograms = [[0; 256]; 3];
    for pixel in image.pixels() {
        for (value, histogram) in pixel.0.iter().zip(&mut histograms) {
            histogram[usize::from(*value)] += 1;
        }
    }
    let tables = histograms.each_ref().map(table);
    by_value(image, |value, channel| tables[channel][usize::from(value)]);
}

/// Pillow's `Image.blend`: from the first (0) to the second (1) and beyond; the fraction is truncated.
fn blend(first: u8, second: u8, part: f32) -> u8 {
    // Rust's cast from float to byte truncates and saturates at 0 and 255, as Pillow does.
    (f32::from(first) + part * (f32::from(second) - f32::from(first))) as u8
}

/// Pillow's mode L: ITU-R 601-2, in 16 bits.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// Pillow's `SMOOTH`: the centre has weight 5 of 13, its neighbours 1 each. The border stays.
fn smoothed(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let (row, raw) = (3 * width as usize, image.as_raw());
    let mut result = image.clone();
    for y in 1..(height as usize).saturating_sub(1) {
        for at in y * row + 3..((y + 1) * row).saturating_sub(3) {
            let line = |at: usize| u32::from(raw[at - 3]) + u32::from(raw[at]) + u32::from(raw[at + 3]);
            let sum = line(at - row) + line(at) + line(at + row) + 4 * u32::from(raw[at]);
            result.as_mut()[at] = ((2 * sum + 13) / 26) as u8;
        }
    }
    result
}

fn spread(histogram: &[u32; 256]) -> [u8; 256] {
    let present = || (0..256).filter(|&value| histogram[value] > 0);
    let (low, high) = (present().next().unwrap_or(0), present().next_back().unwrap_or(0));
    if high <= low {
        return std::array::from_fn(|value| value as u8);
    }
    let scale = 255.0 / (high - low) as f64;
    let offset = -(low as f64) * scale;
    std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
}

fn equalized(histogram: &[u32; 256]) -> [u8; 256] {
    let last = histogram.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
    let step = (histogram.iter().sum::<u32>() - last) / 255;
    if step == 0 {
        return std::array::from_fn(|value| value as u8);
    }
    let mut sum = step / 2;
    histogram.map(|count| {
        let level = (sum / step).min(255) as u8;
        sum += count;
        level
    })
}
