//! Takes every pixel of a square from wherever a map says: one interpolation, however many changes the map stands for.
//! In: an image and a map from pixels of the result to pixels of the image. Out: a square.

use super::geometry::Map;
use super::resize::{reflect, resized};
use crate::image::RgbImage;

/// Positions are counted in 1/256 pixel.
const FRACTION_BITS: u32 = 8;
const ONE: u32 = 1 << FRACTION_BITS;

/// With more source pixels than this per result pixel, the source is shrunk first.
const STEEPEST: f64 = 3.0;

/// Positions are computed up to this many pixels from the corner; longer images are shrunk first.
const FARTHEST: u32 = (1 << 14) - 1;

/// Bilinear interpolation, mirrored beyond the edges.
///
/// `map` takes a pixel `(x, y)` of the result to a position in `source`, both counted from the centre of the first
/// pixel. Where the image shrinks, each pixel of the result is the mean of 2 × 2 or 3 × 3 positions, so that fine
/// patterns don't alias into noise.
pub(crate) fn resample(source: &RgbImage, map: Map, size: usize) -> RgbImage {
    let steepness = steepness(&map, size);
    let too_long = f64::from(source.width().max(source.height())) / f64::from(FARTHEST);
    if steepness > STEEPEST || too_long > 1.0 {
        let (smaller, map) = shrink(source, &map, too_long.max(steepness / 2.0));
        return sample(&smaller, &map, size, 2);
    }
    let taps = if steepness > 2.5 { 3 } else { 1 + usize::from(steepness > 1.5) };
    sample(source, &map, size, taps)
}

/// The largest distance in the source between two neighbouring pixels of the result. It's evaluated at the corners,
/// where projective maps are steepest.
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

/// The source shrunk by a factor, and the map into it.
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
    let mut sums = vec![0_u64; size];
    let mut places = vec![[0_i32; 2]; size];
    let offset = |tap: usize| (tap as f64 + 0.5) / taps as f64 - 0.5;
    for (y, row) in pixels.chunks_exact_mut(size.max(1) * 3).enumerate() {
        sums.fill(0);
        for tap in 0..taps * taps {
            let start = [offset(tap % taps), y as f64 + offset(tap / taps)];
            find_places(map, start, &mut places);
            match taps {
                1 => add_row::<0>(source, &places, &mut sums),
                2 => add_row::<2>(source, &places, &mut sums),
                _ => add_row::<4>(source, &places, &mut sums),
            }
        }
        // For a grey level of 1, `sums` holds 256, or with nine taps 9 times 256 shifted right by 4.
        match taps {
            1 | 2 => write_row::<256>(&sums, row),
            _ => write_row::<144>(&sums, row),
        }
    }
    RgbImage::from_raw(size as u32, size as u32, pixels).unwrap_or_default()
}

/// Where the pixels of a row come from, in 1/256 pixel; clamped to `FARTHEST` pixels. Single precision is enough: an
/// error of 1/256 pixel would take an image of 60,000 pixels.
fn find_places(map: &Map, [start_x, start_y]: [f64; 2], places: &mut [[i32; 2]]) {
    let along = map.0.map(|row| row[0] as f32);
    let base = map.0.map(|row| (row[0] * start_x + row[1] * start_y + row[2]) as f32);
    for (x, place) in places.iter_mut().enumerate() {
        let x = x as f32;
        let depth = ONE as f32 / (along[2] * x + base[2]);
        *place = [fixed((along[0] * x + base[0]) * depth), fixed((along[1] * x + base[1]) * depth)];
    }
}

/// The nearest integer, up to 2^22, in three instructions that vectorise: when 1.5 * 2^23 is added, the lowest bit of a
/// single-precision number counts ones.
fn fixed(value: f32) -> i32 {
    const ONES: f32 = 1.5 * (1 << 23) as f32;
    const MOST: f32 = (FARTHEST << FRACTION_BITS) as f32;
    let near = value.clamp(-MOST, MOST) + ONES;
    near.to_bits() as i32 - ONES.to_bits() as i32
}

/// Adds the interpolated pixel at each position to its sum, shifted right by `SHIFT` bits so that the sum of all taps
/// fits.
///
/// The three colours of a pixel are in one word, 16 bits each, and are interpolated together: this is the inner loop of
/// every training epoch.
fn add_row<const SHIFT: u32>(source: &RgbImage, places: &[[i32; 2]], sums: &mut [u64]) {
    let (raw, stride) = (source.as_raw().as_slice(), source.width() as usize * 3);
    let (width, height) = source.dimensions();
    // A position inside these bounds has four neighbours, and each pair of them can be read as eight bytes.
    let inner = (width.saturating_sub(3), height.saturating_sub(1));
    let keep = 0x0001_0001_0001 * (0xffff >> SHIFT);
    for (&[x, y], sum) in places.iter().zip(sums) {
        let (left, top) = (x >> FRACTION_BITS, y >> FRACTION_BITS);
        let part = [x, y].map(|place| u64::from(place as u32 & (ONE - 1)));
        // As `u32`, negative numbers become large ones, so one comparison checks both bounds.
        let mixed = if (left as u32) < inner.0 && (top as u32) < inner.1 {
            let at = top as usize * stride + left as usize * 3;
            let (upper, lower) = (word(raw, at), word(raw, at + stride));
            blend([spread(upper), spread(upper >> 24), spread(lower), spread(lower >> 24)], part)
        } else {
            blend_at_edge(source, [left, top], part)
        };
        *sum += (mixed >> SHIFT) & keep;
    }
}

/// 256 times the interpolated pixel, from its neighbours: upper left, upper right, lower left, lower right.
fn blend([upper_left, upper_right, lower_left, lower_right]: [u64; 4], [part_x, part_y]: [u64; 2]) -> u64 {
    let rounded = |value: u64| ((value + 0x0080_0080_0080) >> 8) & 0x00ff_00ff_00ff;
    let upper = rounded(mix(upper_left, upper_right, part_x));
    mix(upper, rounded(mix(lower_left, lower_right, part_x)), part_y)
}

#[cold]
#[inline(never)]
fn blend_at_edge(source: &RgbImage, [left, top]: [i32; 2], part: [u64; 2]) -> u64 {
    let neighbours = [(left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)];
    blend(neighbours.map(|(x, y)| mirrored(source, x, y)), part)
}

/// 256 times the value between two, for each colour.
fn mix(near: u64, far: u64, part: u64) -> u64 {
    near * (u64::from(ONE) - part) + far * part
}

/// Eight bytes: a pixel, its right neighbour, and two bytes that aren't used.
fn word(raw: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&raw[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Three bytes, spread 16 bits apart.
fn spread(bytes: u64) -> u64 {
    bytes & 0xff | (bytes & 0xff00) << 8 | (bytes & 0xff_0000) << 16
}

fn mirrored(source: &RgbImage, x: i32, y: i32) -> u64 {
    let (width, height) = source.dimensions();
    let (x, y) = (reflect(i64::from(x), width) as usize, reflect(i64::from(y), height) as usize);
    let at = (y * width as usize + x) * 3;
    let [red, green, blue] = [0, 1, 2].map(|channel| u64::from(source.as_raw()[at + channel]));
    red | green << 16 | blue << 32
}

fn write_row<const LEVEL: u64>(sums: &[u64], row: &mut [u8]) {
    for (pixel, sum) in row.chunks_exact_mut(3).zip(sums) {
        for (channel, value) in pixel.iter_mut().enumerate() {
            let sum = sum >> (16 * channel) & 0xffff;
            *value = ((sum + LEVEL / 2) / LEVEL) as u8;
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
    fn places_are_rounded_and_kept_near() {
        let values = [0.0, 0.4, 0.6, -0.6, -3.2, 70_000.3, 1e12, -1e12];
        let most = (FARTHEST << FRACTION_BITS) as i32;
        assert_eq!(values.map(fixed), [0, 0, 1, -1, -3, 70_000, most, -most]);
        let long = RgbImage::from_fn(40_000, 2, |x, _| [(x / 200) as u8; 3].into());
        let end = resample(&long, Map::scale_shift([1.0; 2], [39_990.0, 0.0]), 9);
        assert!(end.pixels().all(|pixel| pixel.0[0] >= 198), "{end:?}");
    }

    #[test]
    fn a_single_pixel_fills_everything() {
        let image = RgbImage::from_pixel(1, 1, [9, 8, 7].into());
        assert!(resample(&image, Map::rotation(30.0), 5).pixels().all(|pixel| pixel.0 == [9, 8, 7]));
    }
}
