//! Perceptual hashes: fingerprints of how a photo looks, for finding its copies. In: grey values. Out: a
//! [`PerceptualHash`] of 64 bits, upright and in every other orientation.

use crate::pixels::measure::grey;
use crate::pixels::pillow::{Filter, Plane, resize};
use sciurus_data::RgbImage;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::f64::consts::PI;
use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

/// Sides of the small copy that is hashed, in pixels.
pub(crate) const SIDE: usize = 32;

/// Sides of the block of low frequencies that becomes the hash.
const LOW: usize = 8;

/// Values this near to the median count as equal to it. In a picture of one colour, all frequencies but the first are
/// rounding errors.
const EQUAL: f64 = 1e-6;

/// The 8 × 8 DCT hash of a picture ("pHash"), 64 bits, as imagehash 4.3.2 computes it: grey, 32 × 32 by Lanczos, DCT,
/// and for each of the lowest 8 × 8 frequencies a bit that says whether it's above their median.
///
/// ```
/// use sciurus_data::RgbImage;
/// use sciurus_photos::PerceptualHash;
///
/// let photo = RgbImage::from_fn(40, 30, |x, y| [(6 * x) as u8, (8 * y) as u8, 90].into());
/// let brighter = RgbImage::from_fn(40, 30, |x, y| [(6 * x + 9) as u8, (8 * y + 9) as u8, 99].into());
/// let hash = PerceptualHash::of(&photo);
/// assert!(hash.distance(PerceptualHash::of(&brighter)) <= 4);
/// assert_eq!(hash.to_string().parse(), Ok(hash));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerceptualHash(pub u64);

impl PerceptualHash {
    /// The hash of an image.
    #[must_use]
    pub fn of(image: &RgbImage) -> Self {
        all_turns(&small_grey(&grey(image)))[0]
    }

    /// How many of the 64 bits of two hashes differ: 0 to 8 for copies, around 32 for different pictures.
    #[must_use]
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The 32 × 32 grey values, row by row, that the hash and the thumbnail are made from.
pub(crate) fn small_grey(grey: &Plane) -> [u8; SIDE * SIDE] {
    let mut values = [0; SIDE * SIDE];
    let small = resize(grey.view(), SIDE, SIDE, Filter::Lanczos);
    if small.values.len() == values.len() {
        values.copy_from_slice(&small.values);
    }
    values
}

/// The hashes of a picture's eight orientations, in the order of [`Turn::ALL`].
pub(crate) fn all_turns(small: &[u8; SIDE * SIDE]) -> [PerceptualHash; 8] {
    let block = low_frequencies(small);
    Turn::ALL.map(|turn| hash(&turn.of_frequencies(&block)))
}

/// A rotation or mirror image. Its steps in order: swap rows and columns, mirror left to right, flip top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Turn {
    /// Rows and columns are swapped (mirrored at the diagonal).
    pub transposed: bool,
    /// Left and right are swapped.
    pub mirrored: bool,
    /// Top and bottom are swapped.
    pub flipped: bool,
}

impl Turn {
    /// All eight, the upright one first.
    pub const ALL: [Self; 8] = {
        let mut all = [Self { transposed: false, mirrored: false, flipped: false }; 8];
        let mut index = 0;
        while index < 8 {
            all[index] =
                Self { transposed: index & 4 != 0, mirrored: index & 1 != 0, flipped: index & 2 != 0 };
            index += 1;
        }
        all
    };

    /// Mirroring changes the sign of the odd frequencies; transposing swaps the two directions.
    pub(crate) fn of_frequencies<T, const N: usize>(self, block: &[[T; N]; N]) -> [[T; N]; N]
    where
        T: Copy + Neg<Output = T>,
    {
        let mut turned = *block;
        for (v, row) in turned.iter_mut().enumerate() {
            for (u, value) in row.iter_mut().enumerate() {
                let odd = (self.mirrored && u % 2 == 1) ^ (self.flipped && v % 2 == 1);
                let source = if self.transposed { block[u][v] } else { block[v][u] };
                *value = if odd { -source } else { source };
            }
        }
        turned
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => "upright",
            (false, true, false) => "mirrored",
            (false, false, true) => "upside down, mirrored",
            (false, true, true) => "upside down",
            (true, false, false) => "on its side, mirrored",
            (true, true, false) => "turned to the right",
            (true, false, true) => "turned to the left",
            (true, true, true) => "on its other side, mirrored",
        })
    }
}

/// DCT-II of rows and columns, without scaling by size: `2 Σ x cos(π k (2 n + 1) / 64)` each way. Source: scipy.fftpack.dct.
fn low_frequencies(small: &[u8; SIDE * SIDE]) -> [[f64; LOW]; LOW] {
    let wave = |k: usize, n: usize| 2.0 * (PI * k as f64 * (2 * n + 1) as f64 / (2 * SIDE) as f64).cos();
    let mut waves = [[0.0; SIDE]; LOW];
    for (k, row) in waves.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(n, value)| *value = wave(k, n));
    }
    let dot = |wave: &[f64; SIDE], values: &[f64]| wave.iter().zip(values).map(|(a, b)| a * b).sum::<f64>();
    let mut along = [[0.0; SIDE]; LOW];
    for (y, row) in small.chunks_exact(SIDE).enumerate() {
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        for u in 0..LOW {
            along[u][y] = dot(&waves[u], &row);
        }
    }
    let mut block = [[0.0; LOW]; LOW];
    for v in 0..LOW {
        for u in 0..LOW {
            block[v][u] = dot(&waves[v], &along[u]);
        }
    }
    block
}

/// A bit for each value above the median of all; the first value gives the highest bit.
fn hash(block: &[[f64; LOW]; LOW]) -> PerceptualHash {
    let mut sorted = [0.0; LOW * LOW];
    sorted.copy_from_slice(block.as_flattened());
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    let bits = block.as_flattened().iter().map(|&value| u64::from(value > median + EQUAL));
    PerceptualHash(bits.fold(0, |hash, bit| hash << 1 | bit))
}

impl fmt::Display for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerceptualHash({self})")
    }
}

/// Text that is not 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a perceptual hash is 16 hexadecimal digits, not `{0}`")]
pub struct NotAPerceptualHash(String);

impl FromStr for PerceptualHash {
    type Err = NotAPerceptualHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAPerceptualHash(text.to_owned());
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl Serialize for PerceptualHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PerceptualHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops;

    fn photo() -> RgbImage {
        let value =
            |x: u32, y: u32| (127.0 + 90.0 * (x as f64 / 9.0).sin() * (y as f64 / 5.0 + 1.0).cos()) as u8;
        RgbImage::from_fn(96, 64, |x, y| [value(x, y), (2 * x) as u8, value(y + x, x)].into())
    }

    #[test]
    fn each_turn_has_the_hash_of_the_turned_picture() {
        let hashes = all_turns(&small_grey(&grey(&photo())));
        for (turn, hash) in Turn::ALL.into_iter().zip(hashes) {
            let mut image = photo();
            if turn.transposed {
                image = imageops::flip_horizontal(&imageops::rotate90(&image));
            }
            if turn.mirrored {
                image = imageops::flip_horizontal(&image);
            }
            if turn.flipped {
                image = imageops::flip_vertical(&image);
            }
            let distance = hash.distance(PerceptualHash::of(&image));
            // Rows are resized before columns, so a picture on its side may differ by one grey level, and then two
            // frequencies may swap sides of the median.
            assert!(distance <= 2, "{turn}: {distance}");
        }
        let quarter = PerceptualHash::of(&imageops::rotate90(&photo()));
        let named = Turn::ALL.iter().position(|turn| turn.to_string() == "turned to the right").unwrap();
        assert!(hashes[named].distance(quarter) <= 2);
    }

    #[test]
    fn one_colour_has_a_hash_without_chance() {
        for level in [0, 1, 77, 255] {
            let flat = RgbImage::from_pixel(31, 57, [level; 3].into());
            assert_eq!(PerceptualHash::of(&flat).0, if level == 0 { 0 } else { 1 << 63 }, "{level}");
        }
    }

    #[test]
    fn a_hash_refuses_anything_but_hex() {
        for text in ["", "xyz", "+000000000000000", "00000000000000000"] {
            assert!(text.parse::<PerceptualHash>().is_err(), "{text}");
        }
    }
}
