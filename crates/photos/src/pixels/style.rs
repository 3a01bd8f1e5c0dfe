//! Whether a picture was drawn or photographed, by its pixels alone. In: pixels. Out: [`Style`], shares and entropies as plain
//! data, and the probability of a drawing.
//!
//! Whoever draws lays down areas of one colour with hard edges; a camera brings noise, soft edges and many colours. Eleven numbers
//! of a small copy say this better than the features of a pretrained network, which was taught to see a squirrel in both
//! (docs/cleaning-benchmarks.md has both).

use crate::pixels::measure::{entropy, rounded};
use crate::pixels::pillow::{Filter, View, resize};
use sciurus_data::RgbImage;
use serde::{Deserialize, Serialize};

/// Longest side, in pixels, of the copy that is measured.
const SIZE: u32 = 256;
/// Colours are counted in steps of so many bits.
const COARSE: u32 = 4;
/// How many of the commonest colours are counted together.
const FEW: usize = 8;
/// The numbers of a style.
pub const STYLE_WIDTH: usize = 11;

/// How a picture is made up, measured in a copy whose longest side has at most 256 pixels.
///
/// Grey values are 0..=255, shares and saturation 0..=1. A step is the difference of grey values of a pixel and its neighbour to
/// the right or below. A colour is one of 4,096: four bits for each channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// Share of steps below 1.5: areas of one colour.
    pub flat: f64,
    /// Share of steps from 1.5 to 12: noise, and soft edges.
    pub soft: f64,
    /// Share of steps above 40: hard edges.
    pub hard: f64,
    /// Entropy of the colours, in bits, 0..=12.
    pub colour_bits: f64,
    /// Share of the commonest colour.
    pub commonest: f64,
    /// Share of the eight commonest colours.
    pub commonest_eight: f64,
    /// Mean saturation.
    pub saturation: f64,
    /// Share of pixels whose channels are all above 245.
    pub white: f64,
    /// Share of pixels whose channels are all below 10.
    pub black: f64,
    /// Share of pixels with a saturation above 0.8.
    pub vivid: f64,
    /// Entropy of the grey values, in bits, 0..=8.
    pub grey_bits: f64,
}

/// Weights of the logistic regression on [`Style::values`], and its intercept.
///
/// Fitted by `cargo run -p sciurus-pretrain -- drawings`; docs/cleaning-benchmarks.md says on which pictures, and what it reaches
/// on others. As if three pictures in twenty were drawings.
const WEIGHTS: [f64; STYLE_WIDTH] =
    [3.3074, -3.3197, 9.0725, 3.2296, 2.0776, 15.6622, -0.5861, 5.1644, -4.6524, 1.0711, -2.1697];
const INTERCEPT: f64 = -17.1314;

impl Style {
    pub(crate) fn of(image: &RgbImage) -> Self {
        let (width, pixels) = small(image);
        let grey: Vec<f64> = pixels.chunks_exact(3).map(luma).collect();
        let steps = Steps::of(&grey, width);
        let mut colours = vec![0_u32; 1 << (3 * (8 - COARSE))];
        let mut greys = [0_u32; 256];
        let (mut saturation, mut white, mut black, mut vivid) = (0.0, 0_u32, 0_u32, 0_u32);
        for (pixel, grey) in pixels.chunks_exact(3).zip(&grey) {
            let code =
                pixel.iter().fold(0, |code, value| code << (8 - COARSE) | usize::from(value >> COARSE));
            colours[code] += 1;
            greys[*grey as usize] += 1;
            let (most, least) = (pixel[0].max(pixel[1]).max(pixel[2]), pixel[0].min(pixel[1]).min(pixel[2]));
            let own = f64::from(most - least) / f64::from(most.max(1));
            saturation += own;
            white += u32::from(least > 245);
            black += u32::from(most < 10);
            vivid += u32::from(own > 0.8);
        }
        let count = grey.len().max(1) as f64;
        colours.sort_unstable_by(|a, b| b.cmp(a));
        let share = |of: u32| f64::from(of) / count;
        Self {
            flat: rounded(steps.flat),
            soft: rounded(steps.soft),
            hard: rounded(steps.hard),
            colour_bits: rounded(entropy(colours.iter().copied().map(u64::from), count)),
            commonest: rounded(share(colours[0])),
            commonest_eight: rounded(share(colours[..FEW].iter().sum())),
            saturation: rounded(saturation / count),
            white: rounded(share(white)),
            black: rounded(share(black)),
            vivid: rounded(share(vivid)),
            grey_bits: rounded(entropy(greys.into_iter().map(u64::from), count)),
        }
    }

    /// All numbers, in the order of the fields.
    #[must_use]
    pub fn values(&self) -> [f64; STYLE_WIDTH] {
        [
            self.flat,
            self.soft,
            self.hard,
            self.colour_bits,
            self.commonest,
            self.commonest_eight,
            self.saturation,
            self.white,
            self.black,
            self.vivid,
            self.grey_bits,
        ]
    }

    /// The probability (0..=1) that it is a drawing, cartoon, logo, screenshot or page of text and not a photo. A painting mostly
    /// counts as a photo.
    #[must_use]
    pub fn drawing(&self) -> f64 {
        let logit: f64 = self.values().iter().zip(WEIGHTS).map(|(value, weight)| value * weight).sum();
        1.0 / (1.0 + (-logit - INTERCEPT).exp())
    }
}

/// Width and pixels of the copy.
fn small(image: &RgbImage) -> (usize, Vec<u8>) {
    let (width, height) = image.dimensions();
    let shrink = (f64::from(SIZE) / f64::from(width.max(height).max(1))).min(1.0);
    let side = |side: u32| ((f64::from(side) * shrink).round() as usize).max(1);
    let small = resize(View::of(image), side(width), side(height), Filter::Bilinear);
    (small.width, small.values)
}

fn luma(pixel: &[u8]) -> f64 {
    0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])
}

/// Shares of steps between neighbours.
struct Steps {
    flat: f64,
    soft: f64,
    hard: f64,
}

impl Steps {
    fn of(grey: &[f64], width: usize) -> Self {
        let across = grey.chunks_exact(width).flat_map(|row| row.windows(2).map(|pair| pair[0] - pair[1]));
        let down = grey.iter().zip(grey.iter().skip(width)).map(|(a, b)| a - b);
        let (mut flat, mut soft, mut hard, mut all) = (0_u32, 0_u32, 0_u32, 0_u32);
        for step in across.chain(down).map(f64::abs) {
            all += 1;
            flat += u32::from(step < 1.5);
            soft += u32::from((1.5..12.0).contains(&step));
            hard += u32::from(step > 40.0);
        }
        let share = |of: u32| f64::from(of) / f64::from(all.max(1));
        Self { flat: share(flat), soft: share(soft), hard: share(hard) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PixelReport, jpeg};
    use sciurus_data::DecodeLimits;

    /// Soft light with the noise of a camera.
    fn photo(x: u32, y: u32) -> [u8; 3] {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97) >> 27;
        let wave =
            |a: f32, b: f32| (110.0 + 70.0 * (x as f32 / a).sin() * (y as f32 / b).cos()) as u8 + noise as u8;
        [wave(31.0, 47.0), wave(37.0, 29.0), wave(53.0, 23.0)]
    }

    /// Two colours with a hard edge between them, on white.
    fn drawing(x: u32, y: u32) -> [u8; 3] {
        let from = |a: u32, b: u32| (f64::from(x) - f64::from(a)).hypot(f64::from(y) - f64::from(b));
        match (from(150, 120), from(170, 110)) {
            (_, near) if near < 30.0 => [240, 40, 40],
            (near, _) if near < 80.0 => [40, 60, 220],
            _ => [255; 3],
        }
    }

    #[test]
    fn drawings_are_told_from_photos() {
        let style = |pixel: fn(u32, u32) -> [u8; 3]| {
            let file = jpeg(&RgbImage::from_fn(400, 300, |x, y| pixel(x, y).into()), 85).unwrap();
            PixelReport::of(&file, &DecodeLimits::default()).unwrap().style
        };
        let (photo, drawing) = (style(photo), style(drawing));
        assert!(photo.drawing() < 0.3 && drawing.drawing() > 0.95, "{photo:?} {drawing:?}");
        assert!(drawing.flat > 0.8 && drawing.commonest > 0.5 && drawing.white > 0.5, "{drawing:?}");
        assert!(
            photo.soft > 0.3 && photo.white == 0.0 && photo.colour_bits > drawing.colour_bits,
            "{photo:?}"
        );
    }

    #[test]
    fn numbers_of_known_pictures() {
        // One pixel has no neighbours.
        let one = Style::of(&RgbImage::from_pixel(1, 1, [255; 3].into()));
        assert_eq!((one.flat, one.colour_bits, one.commonest, one.white), (0.0, 0.0, 1.0, 1.0));
        // A board of black and red: every step is hard, two colours in equal shares.
        let board = RgbImage::from_fn(16, 16, |x, y| [if (x + y) % 2 == 0 { 255 } else { 0 }, 0, 0].into());
        let board = Style::of(&board);
        assert_eq!((board.flat, board.soft, board.hard), (0.0, 0.0, 1.0));
        assert_eq!((board.colour_bits, board.grey_bits, board.commonest), (1.0, 1.0, 0.5));
        assert_eq!((board.saturation, board.vivid, board.black, board.white), (0.5, 0.5, 0.5, 0.0));
        assert_eq!(board.commonest_eight, 1.0);
    }
}
