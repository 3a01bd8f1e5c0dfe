//! Finds all pairs of hashes that differ in few bits, without comparing each with each. In: the hashes of many photos,
//! each in eight orientations. Out: pairs within a radius.
//!
//! Multi-index hashing: a hash is cut into four parts of 16 bits. If two hashes differ in at most `r` bits, then some
//! part `i` differs in at most `t_i` bits, provided that the `t_i + 1` add up to `r + 1`. So for each part the hashes
//! are sorted by its value, and only hashes with near values are compared. Source: Norouzi, Punjani, Fleet, "Fast
//! Search in Hamming Space with Multi-Index Hashing", 2012; thresholds by the general pigeonhole principle (Qin et al.,
//! 2018).

use crate::duplicates::phash::{PerceptualHash, Turn};
use rayon::prelude::*;

const PARTS: u32 = 4;
const PART_BITS: u32 = 16;
const VALUES: usize = 1 << PART_BITS;

/// The largest radius to search: beyond it, hashes of different pictures are as near as those of copies.
pub(crate) const LARGEST_RADIUS: u32 = 16;

/// Two photos whose hashes are near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NearHashes {
    /// Index of the first photo, smaller than that of the second.
    pub first: u32,
    /// Index of the second photo.
    pub second: u32,
    /// In how many bits they differ, in the orientation where that is fewest.
    pub distance: u32,
    /// Index in [`Turn::ALL`] of the turn from the first to the second.
    pub turn: u8,
}

/// Every pair of photos that differ in at most `radius` (0..=16) bits in some orientation, each pair once with its
/// nearest orientation, in ascending order. Uses all of rayon's threads; a million photos take seconds
/// (`cargo bench -p sciurus-photos --bench duplicates`).
///
/// Of photos with the same hash, only the first is compared with others, and each of the rest is paired with it. So a
/// folder of a million white pages is not a problem.
///
/// ```
/// use sciurus_photos::{PerceptualHash, near_hashes};
///
/// let hash = |value: u64| [PerceptualHash(value), PerceptualHash(!value), PerceptualHash(value.rotate_left(9)),
///     PerceptualHash(value ^ 0xffff), PerceptualHash(value.rotate_left(21)), PerceptualHash(value.rotate_left(33)),
///     PerceptualHash(value.rotate_left(41)), PerceptualHash(value.rotate_left(50))];
/// let pairs = near_hashes(&[hash(0x1234_5678_9abc_def0), hash(1), hash(0x1234_5678_9abc_def3)], 4);
/// assert_eq!((pairs.len(), pairs[0].first, pairs[0].second, pairs[0].distance), (1, 0, 2, 2));
/// ```
#[must_use]
pub fn near_hashes(photos: &[[PerceptualHash; 8]], radius: u32) -> Vec<NearHashes> {
    let (unique, mut pairs) = unique(photos);
    let radius = radius.min(LARGEST_RADIUS);
    for part in 0..PARTS {
        let index = Index::new(photos, &unique, part, 0);
        for turn in 0..Turn::ALL.len() {
            pairs.extend(join(photos, &unique, &index, (turn, radius)));
        }
    }
    pairs.par_sort_unstable();
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    pairs
}

/// The first photo of each hash; and the others, each paired with its first.
fn unique(photos: &[[PerceptualHash; 8]]) -> (Vec<u32>, Vec<NearHashes>) {
    let mut order: Vec<u32> = (0..photos.len() as u32).collect();
    let hash = |photo: u32| photos[photo as usize][0];
    order.par_sort_unstable_by_key(|&photo| (hash(photo), photo));
    let (mut firsts, mut pairs) = (Vec::new(), Vec::new());
    for same in order.chunk_by(|&a, &b| hash(a) == hash(b)) {
        firsts.push(same[0]);
        let pair = |&second: &u32| NearHashes { first: same[0], second, distance: 0, turn: 0 };
        pairs.extend(same[1..].iter().map(pair));
    }
    firsts.par_sort_unstable();
    (firsts, pairs)
}

/// How many bits of a part may differ.
fn threshold(radius: u32, part: u32) -> Option<u32> {
    // `radius + 1` shares, dealt to the parts in turn.
    ((radius + 1) / PARTS + u32::from(part < (radius + 1) % PARTS)).checked_sub(1)
}

fn part_of(hash: PerceptualHash, part: u32) -> usize {
    (hash.0 >> (part * PART_BITS)) as usize & (VALUES - 1)
}

/// Hashes sorted by the value of one part, and by photo among equal values.
#[derive(Debug)]
struct Index {
    part: u32,
    /// Where the hashes of each value begin, and where the last ones end.
    starts: Vec<u32>,
    hashes: Vec<u64>,
    photos: Vec<u32>,
}

impl Index {
    /// An index of the chosen photos (ascending), each in one orientation.
    fn new(photos: &[[PerceptualHash; 8]], chosen: &[u32], part: u32, turn: usize) -> Self {
        let hash = |photo: u32| photos[photo as usize][turn];
        let mut starts = vec![0_u32; VALUES + 1];
        chosen.iter().for_each(|&photo| starts[part_of(hash(photo), part) + 1] += 1);
        for value in 0..VALUES {
            starts[value + 1] += starts[value];
        }
        let mut places = starts.clone();
        let (mut hashes, mut sorted) = (vec![0; chosen.len()], vec![0; chosen.len()]);
        for &photo in chosen {
            let place = &mut places[part_of(hash(photo), part)];
            hashes[*place as usize] = hash(photo).0;
            sorted[*place as usize] = photo;
            *place += 1;
        }
        Self { part, starts, hashes, photos: sorted }
    }

    /// The hashes with this value, and the photos they belong to.
    fn of_value(&self, value: usize) -> (&[u64], &[u32]) {
        let range = self.starts[value] as usize..self.starts[value + 1] as usize;
        (&self.hashes[range.clone()], &self.photos[range])
    }
}

/// The pairs whose parts are near, with the first photo turned.
fn join(
    photos: &[[PerceptualHash; 8]],
    chosen: &[u32],
    index: &Index,
    (turn, radius): (usize, u32),
) -> Vec<NearHashes> {
    let Some(threshold) = threshold(radius, index.part) else { return Vec::new() };
    let masks: Vec<usize> = (0..VALUES).filter(|mask| mask.count_ones() <= threshold).collect();
    let turned = Index::new(photos, chosen, index.part, turn);
    let near_values = |value: usize| {
        let mut pairs = Vec::new();
        let of_value = turned.of_value(value);
        if of_value.0.is_empty() {
            return pairs;
        }
        for mask in &masks {
            compare(of_value, index.of_value(value ^ mask), (turn as u8, radius), &mut pairs);
        }
        pairs
    };
    (0..VALUES).into_par_iter().flat_map_iter(near_values).collect()
}

/// Compares each of the turned photos with the upright ones that come after it.
fn compare(
    (turned, firsts): (&[u64], &[u32]),
    (upright, seconds): (&[u64], &[u32]),
    (turn, radius): (u8, u32),
    pairs: &mut Vec<NearHashes>,
) {
    let mut from = 0;
    for (&hash, &first) in turned.iter().zip(firsts) {
        while seconds.get(from).is_some_and(|&second| second <= first) {
            from += 1;
        }
        // Hardly any hash is near, and without a branch for each the compiler can compare several at once.
        let near = |other: u64| (hash ^ other).count_ones() <= radius;
        if !upright[from..].iter().fold(false, |any, &other| any | near(other)) {
            continue;
        }
        for (&other, &second) in upright[from..].iter().zip(&seconds[from..]) {
            if near(other) {
                pairs.push(NearHashes { first, second, distance: (hash ^ other).count_ones(), turn });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use sciurus_data::Seed;

    /// Hashes around a few centres, so that there are many pairs at every distance.
    fn photos(count: usize) -> Vec<[PerceptualHash; 8]> {
        let mut rng = Seed(5).rng(&[]);
        let centres: Vec<u64> = (0..9).map(|_| rng.random()).collect();
        let hash = |rng: &mut sciurus_data::Rng| {
            let flips = rng.random_range(0..9);
            let centre = centres[rng.random_range(0..centres.len())];
            PerceptualHash((0..flips).fold(centre, |hash, _| hash ^ 1 << rng.random_range(0..64)))
        };
        (0..count).map(|_| std::array::from_fn(|_| hash(&mut rng))).collect()
    }

    #[test]
    fn no_pair_is_missed() {
        let mut photos = photos(150);
        photos[140] = photos[3];
        photos[149] = photos[3];
        for radius in [0, 1, 3, 8, 10, 16] {
            let mut expected = Vec::new();
            for first in 0..photos.len() {
                // The first photo of a hash stands for all of them.
                for second in first + 1..photos.len() {
                    let stands =
                        |photo: usize| !photos[..photo].iter().any(|before| before[0] == photos[photo][0]);
                    let same = photos[first][0] == photos[second][0];
                    let near = (0..8)
                        .map(|turn| (photos[first][turn].distance(photos[second][0]), turn as u8))
                        .min()
                        .unwrap();
                    if near.0 <= radius && stands(first) && (same || stands(second)) {
                        let (distance, turn) = near;
                        expected.push(NearHashes {
                            first: first as u32,
                            second: second as u32,
                            distance,
                            turn,
                        });
                    }
                }
            }
            assert!(radius < 3 || expected.len() > 50);
            assert_eq!(near_hashes(&photos, radius), expected, "radius {radius}");
        }
        assert!(near_hashes(&[], 8).is_empty());
    }
}
