//! Takes every pixel of a square from wherever a map says: one interpolation, however many changes the map stands for.
//! In: an image and a map from pixels of the result to pixels of the image. Out: a square.

use crate::decode::RgbImage;
use crate::geometry::Map;
use crate::resize::{reflect, resized};

/// Places are counted in 1/256 pixel.
const FRACTION_BITS: u32 = 8;
const ONE: u32 = 1 << FRACTION_BITS;

/// Above this many pixels of the source per pixel of the result, the source is made smaller first.
const STEEPEST: f64 = 3.0;

/// Bilinear interpolation, mirrored beyond the edges.
///
/// `map` takes a pixel `(x, y)` of the result to a place in `source`, both counted from the centre of the first pixel.
/// Where the image shrinks, each pixel of the result is the mean of 2 × 2 or 3 × 3 places, so that fine patterns do not
/// turn into noise (aliasing).
pub(crate) fn resample(source: &RgbImage, map: Map, size: usize) -> RgbImage {
    let steepness = steepness(&map, size);
    if steepness > STEEPEST {
        let (smaller, map) = shrink(source, &map, steepness / 2.0);
        return sample(&smaller, &map, size, 2);
    }
    let taps = if steepness > 2.5 { 3 } else { 1 + usize::from(steepness > 1.5) };
    sample(source, &map, size, taps)
}

/// How many pixels of the source lie between two neighbours in the result, at most; measured in the corners, where
/// projective maps are steepest.
fn steepness(map: &Map, size: usize) -> f64 {
    let last = size.saturating_sub(1).max(1) as f64;
    let mut most = 0.0_f64;
    for (x, y) in [(0.0, 0.0), (last, 0.0), (0.0, last), (last, last)] {
        let [here_x, here_y] = map.at(x, y);
        for (step_x, step_y) in [(1.0, 0.0), (0.0, 1.0)] {
            let [there_x, there_y] = map.at(x + step_x, y + step_y);
            most = most.max((there_x - here_x).hypot(there_y - here_y));
        }
    }
    most
}

/// The source made smaller by a factor, and the map into it.
fn shrink(source: &RgbImage, map: &Map, factor: f64) -> (RgbImage, Map) {
    let shorter = |length: u32| (f64::from(length) / factor).round().max(1.0) as u32;
    let (width, height) = (shorter(source.width()), shorter(source.height()));
    let scale =
        [f64::from(width) / f64::from(source.width()), f64::from(height) / f64::from(source.height())];
    // The centre of the first pixel is half a pixel from the edge, before and after.
    let shift = scale.map(|scale| 0.5 * scale - 0.5);
    (resized(source.clone(), width, height), Map::scale_shift(scale, shift) * *map)
}

fn sample(source: &RgbImage, map: &Map, size: usize, taps: usize) -> RgbImage {
    let mut pixels = vec![0; size * size * 3];
    let mut sums = vec![[0_u32; 3]; size];
    let mut places = vec![[0_i32; 2]; size];
    let offset = |tap: usize| (tap as f64 + 0.5) / taps as f64 - 0.5;
    for (y, row) in pixels.chunks_exact_mut(size.max(1) * 3).enumerate() {
        sums.fill([0; 3]);
        for tap in 0..taps * taps {
            let start = [offset(tap % taps), y as f64 + offset(tap / taps)];
            find_places(map, start, &mut places);
            add_row(source, &places, &mut sums);
        }
        // `sums` counts in 1 / (256 * 256 * taps * taps) of a grey level.
        match taps {
            1 => write_row::<1>(&sums, row),
            2 => write_row::<4>(&sums, row),
            _ => write_row::<9>(&sums, row),
        }
    }
    RgbImage::from_raw(size as u32, size as u32, pixels).unwrap_or_default()
}

/// Where the pixels of a row come from, in 1/256 pixel. Single precision is enough: an error of 1/256 pixel would need
/// an image of 60,000 pixels.
fn find_places(map: &Map, [start_x, start_y]: [f64; 2], places: &mut [[i32; 2]]) {
    let scale = f64::from(ONE);
    let along = map.0.map(|row| row[0] as f32);
    let base = map.0.map(|row| (row[0] * start_x + row[1] * start_y + row[2]) as f32);
    let (scale, far) = (scale as f32, (1 << 30) as f32);
    let fixed = |value: f32| (value * scale).clamp(-far, far).round_ties_even() as i32;
    for (x, place) in places.iter_mut().enumerate() {
        let x = x as f32;
        let depth = 1.0 / (along[2] * x + base[2]);
        *place = [fixed((along[0] * x + base[0]) * depth), fixed((along[1] * x + base[1]) * depth)];
    }
}

fn add_row(source: &RgbImage, places: &[[i32; 2]], sums: &mut [[u32; 3]]) {
    let (width, height) = source.dimensions();
    let (raw, stride) = (source.as_raw().as_slice(), width as usize * 3);
    for (&[x, y], sum) in places.iter().zip(sums) {
        let (left, top) = (x >> FRACTION_BITS, y >> FRACTION_BITS);
        let (part_x, part_y) = ((x as u32) & (ONE - 1), (y as u32) & (ONE - 1));
        let inside = left >= 0 && top >= 0 && (left as u32) + 1 < width && (top as u32) + 1 < height;
        let (upper, lower) = if inside {
            let at = top as usize * stride + left as usize * 3;
            (pair(raw, at, at + 3), pair(raw, at + stride, at + stride + 3))
        } else {
            let column = |x: i32| reflect(i64::from(x), width) as usize * 3;
            let row = |y: i32| reflect(i64::from(y), height) as usize * stride;
            let (left, right, top, bottom) = (column(left), column(left + 1), row(top), row(top + 1));
            (pair(raw, top + left, top + right), pair(raw, bottom + left, bottom + right))
        };
        for channel in 0..3 {
            let mix = |[near, far]: [&[u8]; 2]| {
                u32::from(near[channel]) * (ONE - part_x) + u32::from(far[channel]) * part_x
            };
            sum[channel] += mix(upper) * (ONE - part_y) + mix(lower) * part_y;
        }
    }
}

fn pair(raw: &[u8], left: usize, right: usize) -> [&[u8]; 2] {
    [&raw[left..left + 3], &raw[right..right + 3]]
}

fn write_row<const PLACES: u32>(sums: &[[u32; 3]], row: &mut [u8]) {
    let whole = ONE * ONE * PLACES;
    for (pixel, sum) in row.chunks_exact_mut(3).zip(sums) {
        for channel in 0..3 {
            pixel[channel] = ((sum[channel] + whole / 2) / whole) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| [(3 * x) as u8, (2 * y) as u8, (x + y) as u8].into())
    }

    #[test]
    fn the_identity_changes_nothing() {
        let image = gradient(40, 40);
        assert_eq!(resample(&image, Map::scale_shift([1.0; 2], [0.0; 2]), 40), image);
    }

    #[test]
    fn half_a_pixel_is_the_mean_and_edges_are_mirrored() {
        let image = gradient(40, 40);
        let moved = resample(&image, Map::scale_shift([1.0, 1.0], [0.5, -2.0]), 40);
        assert_eq!(moved.get_pixel(10, 10).0[1], 16);
        assert_eq!(moved.get_pixel(10, 0).0[1], 4);
        assert_eq!(moved.get_pixel(4, 20).0[0], 14);
        assert_eq!(moved.get_pixel(39, 20).0[0], (39 * 3 + 38 * 3_u32).div_ceil(2) as u8);
    }

    #[test]
    fn fine_stripes_become_grey_instead_of_noise() {
        let stripes = RgbImage::from_fn(400, 400, |x, _| [if x % 2 == 0 { 0 } else { 255 }; 3].into());
        for shrink in [2.0, 2.9, 4.0, 6.5, 13.0] {
            let size = (400.0 / shrink) as usize;
            let half = 0.5 * (shrink - 1.0);
            let small = resample(&stripes, Map::scale_shift([shrink; 2], [half; 2]), size);
            let far = small.as_raw().iter().map(|&value| value.abs_diff(127)).max().unwrap();
            assert!(far <= if shrink == 2.9 { 45 } else { 12 }, "{shrink}: {far}");
        }
    }

    #[test]
    fn a_single_pixel_fills_everything() {
        let image = RgbImage::from_pixel(1, 1, [9, 8, 7].into());
        assert!(resample(&image, Map::rotation(30.0), 5).pixels().all(|pixel| pixel.0 == [9, 8, 7]));
    }
}
