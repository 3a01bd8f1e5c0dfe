//! Copies of photos: which there are, which one to keep, and what harm they do. In: [`PixelReport`]s, with what the
//! caller knows about each photo. Out: [`Duplicates`]: pairs with their evidence, and [`DuplicateGroup`]s.

mod aligned;
mod hamming;
mod keep;
pub(crate) mod phash;
mod seen;

pub use aligned::{Alignment, Window};
pub use hamming::{NearHashes, near_hashes};
pub use keep::KeepReason;
pub use phash::{NotAPerceptualHash, PerceptualHash, Turn};
pub use seen::SeenPhotos;

use crate::pixels::PixelReport;
use aligned::Aligned;
use keep::choose;
use rayon::prelude::*;
use sciurus_data::{ContentHash, Split};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// A photo, and what is known about it besides its pixels.
#[derive(Debug, Clone, Copy)]
pub struct Photo<'r> {
    /// What its pixels show.
    pub report: &'r PixelReport,
    /// When the file was last changed, in seconds since 1970.
    pub modified: Option<u64>,
    /// Whether its name is a symbolic link.
    pub is_link: bool,
    /// Its class.
    pub class: Option<usize>,
    /// The split it belongs to.
    pub split: Option<Split>,
    /// How good its licence is, smaller is better; `None` if unknown.
    pub licence: Option<u32>,
}

impl<'r> Photo<'r> {
    /// A photo about which nothing else is known.
    #[must_use]
    pub fn new(report: &'r PixelReport) -> Self {
        Self { report, modified: None, is_link: false, class: None, split: None, licence: None }
    }
}

/// Options of [`find_duplicates`].
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `radius` | 8 | bits in which perceptual hashes of near copies may differ | 0..=16 |
/// | `correlation` | 0.87 | smallest correlation of near copies' thumbnails, laid on each other: of planted copies the least alike reach 0.91, of different photos the most alike 0.84 | 0..=1 |
/// | `window_limit` | 5000 | up to this many different photos, each is also searched for in windows of all others, which finds crops and captions; the time grows with the square | any |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DuplicateOptions {
    /// Bits in which perceptual hashes of near copies may differ, 0..=16.
    pub radius: u32,
    /// Smallest correlation of near copies' thumbnails, 0..=1.
    pub correlation: f32,
    /// Up to this many photos with different pixels, each is searched for in windows of all others.
    pub window_limit: usize,
}

impl Default for DuplicateOptions {
    fn default() -> Self {
        Self { radius: 8, correlation: 0.87, window_limit: 5000 }
    }
}

/// In what two photos are the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sameness {
    /// Their files have the same bytes.
    Bytes,
    /// Their pixels are equal; the files differ.
    Pixels,
    /// They show the same picture.
    Near(Alignment),
}

impl fmt::Display for Sameness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("the same file"),
            Self::Pixels => f.write_str("the same pixels in another file"),
            Self::Near(alignment) => alignment.fmt(f),
        }
    }
}

/// Two photos that are copies; indices into the photos given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DuplicatePair {
    /// The smaller index.
    pub first: usize,
    /// The greater index.
    pub second: usize,
    /// In what they are the same.
    pub sameness: Sameness,
}

/// Photos that are copies of each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// Indices of the photos, ascending; at least two.
    pub members: Vec<usize>,
    /// Whether all of them have equal pixels.
    pub exact: bool,
    /// The member to keep.
    pub keep: usize,
    /// Why that one.
    pub reason: KeepReason,
    /// Whether members belong to different classes: one label is wrong.
    pub across_classes: bool,
    /// Whether members are in different splits: the model is then validated on what it has memorised.
    pub across_splits: bool,
}

/// All copies among some photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    /// The pairs that were found, ascending. Of three equal files, the second and third are each paired with the first.
    pub pairs: Vec<DuplicatePair>,
    /// The groups they form, ordered by their first member.
    pub groups: Vec<DuplicateGroup>,
    /// Whether crops and captions were searched for among all photos. With more than [`DuplicateOptions::window_limit`]
    /// photos, only pairs suggested by hashes or by the caller are compared.
    pub windows_searched: bool,
}

/// Finds exact and near copies, in any orientation.
///
/// Near copies are found by their perceptual hashes; crops and captions by searching for each photo in windows of all
/// others. `suggested` pairs (for example of near embeddings) are compared too. The thumbnails of each pair are then
/// laid on each other, and only those that show the same picture count. The result does not depend on the number of
/// threads.
///
/// ```
/// use sciurus_data::{DecodeLimits, RgbImage};
/// use sciurus_photos::{DuplicateOptions, Photo, PixelReport, find_duplicates, jpeg};
///
/// let picture = |seed: u32| RgbImage::from_fn(120, 90, |x, y| {
///     let wave = |a: u32, b: u32| (120.0 + 110.0 * ((x * a + y * b) as f32 / 40.0).sin()) as u8;
///     [wave(seed, 3), wave(2, seed + 1), wave(1, 1)].into()
/// });
/// let reports: Vec<PixelReport> = [(2, 95), (5, 95), (2, 60)].iter()
///     .filter_map(|&(seed, quality)| jpeg(&picture(seed), quality))
///     .filter_map(|file| PixelReport::of(&file, &DecodeLimits::default()).ok())
///     .collect();
/// let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
/// let found = find_duplicates(&photos, &DuplicateOptions::default(), &[]);
/// assert_eq!(found.groups.len(), 1);
/// assert_eq!(found.groups[0].members, [0, 2]);
/// ```
#[must_use]
pub fn find_duplicates(
    photos: &[Photo<'_>],
    options: &DuplicateOptions,
    suggested: &[(usize, usize)],
) -> Duplicates {
    let (firsts, mut pairs) = exact_pairs(photos);
    let windows_searched = firsts.len() <= options.window_limit;
    let pictures = Pictures::new(photos, &firsts);
    let suggested = pictures.suggested(suggested);
    let mut near = pictures.by_hash(options);
    near.extend(pictures.aligned(&suggested));
    if windows_searched {
        near.extend(pictures.by_windows());
    }
    near.retain(|((first, second), alignment)| {
        alignment.correlation >= options.correlation
            && pictures.align(*first).confirms(&pictures.align(*second), alignment)
    });
    pairs.extend(best_of_each(near).into_iter().map(|((first, second), alignment)| DuplicatePair {
        first: firsts[first],
        second: firsts[second],
        sameness: Sameness::Near(alignment),
    }));
    pairs.sort_by_key(|pair| (pair.first, pair.second));
    let groups = groups(photos, &pairs);
    Duplicates { pairs, groups, windows_searched }
}

/// The first photo of each set of equal pixels; and all others, each paired with its first.
fn exact_pairs(photos: &[Photo<'_>]) -> (Vec<usize>, Vec<DuplicatePair>) {
    let mut seen: HashMap<ContentHash, usize> = HashMap::with_capacity(photos.len());
    let (mut firsts, mut pairs) = (Vec::new(), Vec::new());
    for (second, photo) in photos.iter().enumerate() {
        let first = *seen.entry(photo.report.pixels).or_insert(second);
        if first == second {
            firsts.push(second);
            continue;
        }
        let same_bytes = photos[first].report.content == photo.report.content;
        let sameness = if same_bytes { Sameness::Bytes } else { Sameness::Pixels };
        pairs.push(DuplicatePair { first, second, sameness });
    }
    (firsts, pairs)
}

/// Pairs of pictures, the smaller index first, with how they lie on each other.
type Found = Vec<((usize, usize), Alignment)>;

/// Photos that differ in their pixels.
#[derive(Debug)]
struct Pictures<'p> {
    photos: Vec<&'p PixelReport>,
    /// The index in `photos` of each photo and of its exact copies.
    place_of: HashMap<ContentHash, usize>,
    all: &'p [Photo<'p>],
}

impl<'p> Pictures<'p> {
    fn new(all: &'p [Photo<'p>], firsts: &[usize]) -> Self {
        let photos: Vec<&PixelReport> = firsts.iter().map(|&photo| all[photo].report).collect();
        let place_of = photos.iter().enumerate().map(|(place, report)| (report.pixels, place)).collect();
        Self { photos, place_of, all }
    }

    fn align(&self, place: usize) -> Aligned {
        Aligned::new(&self.photos[place].thumbnail)
    }

    /// The caller's pairs as indices into `photos`; exact copies and indices out of range are dropped.
    fn suggested(&self, pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let place = |index: usize| self.place_of.get(&self.all.get(index)?.report.pixels).copied();
        let pair = |&(a, b): &(usize, usize)| {
            let (a, b) = (place(a)?, place(b)?);
            (a != b).then_some((a.min(b), a.max(b)))
        };
        pairs.iter().filter_map(pair).collect()
    }

    /// Pairs with near hashes, compared as wholes.
    fn by_hash(&self, options: &DuplicateOptions) -> Found {
        let hashes: Vec<[PerceptualHash; 8]> = self.photos.iter().map(|report| report.hashes).collect();
        let near = near_hashes(&hashes, options.radius);
        let look = |pair: &NearHashes| {
            let (first, second) = (pair.first as usize, pair.second as usize);
            ((first, second), self.align(first).wholes_and_strips(&self.align(second)))
        };
        near.par_iter().map(look).collect()
    }

    /// Pairs, compared in every way.
    fn aligned(&self, pairs: &[(usize, usize)]) -> Found {
        let look = |&(a, b): &(usize, usize)| {
            let (first, second) = (self.align(a), self.align(b));
            let inside = first.within(&first.windows(), &second);
            let outside = second.within(&second.windows(), &first).map(swapped);
            let wholes = Some(first.wholes_and_strips(&second));
            [inside, outside, wholes]
                .into_iter()
                .flatten()
                .map(|alignment| ((a, b), alignment))
                .collect::<Vec<_>>()
        };
        pairs.par_iter().flat_map_iter(look).collect()
    }

    /// Every picture, searched for in windows of every other.
    fn by_windows(&self) -> Found {
        let all: Vec<Aligned> =
            (0..self.photos.len()).into_par_iter().map(|place| self.align(place)).collect();
        let look = |(a, first): (usize, &Aligned)| {
            let (windows, mut found) = (first.windows(), Vec::new());
            for (b, second) in all.iter().enumerate().filter(|&(b, _)| a != b) {
                if a < b {
                    found.push(((a, b), first.wholes_and_strips(second)));
                }
                if let Some(alignment) = first.within(&windows, second) {
                    let alignment = if a < b { alignment } else { swapped(alignment) };
                    found.push(((a.min(b), a.max(b)), alignment));
                }
            }
            // Hardly any of these pairs are copies, and keeping all of them would fill the memory.
            found.retain(|(_, alignment)| alignment.correlation > 0.5);
            found
        };
        all.par_iter().enumerate().flat_map_iter(look).collect()
    }
}

/// The same alignment with first and second swapped.
pub(crate) fn swapped(alignment: Alignment) -> Alignment {
    let Alignment { first, second, turn, correlation } = alignment;
    // The inverse of a turn that transposes swaps its two mirrorings.
    let turn = match turn.transposed {
        true => Turn { transposed: true, mirrored: turn.flipped, flipped: turn.mirrored },
        false => turn,
    };
    Alignment { first: second, second: first, turn, correlation }
}

/// The best alignment of each pair.
fn best_of_each(found: Found) -> BTreeMap<(usize, usize), Alignment> {
    let mut best: BTreeMap<(usize, usize), Alignment> = BTreeMap::new();
    for (pair, alignment) in found {
        let known = best.entry(pair).or_insert(alignment);
        if alignment.correlation > known.correlation {
            *known = alignment;
        }
    }
    best
}

fn groups(photos: &[Photo<'_>], pairs: &[DuplicatePair]) -> Vec<DuplicateGroup> {
    let mut leader: Vec<usize> = (0..photos.len()).collect();
    for pair in pairs {
        let (first, second) = (find(&mut leader, pair.first), find(&mut leader, pair.second));
        leader[first.max(second)] = first.min(second);
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for photo in pairs.iter().flat_map(|pair| [pair.first, pair.second]) {
        let group = find(&mut leader, photo);
        members.entry(group).or_default().push(photo);
    }
    members.into_values().map(|members| group(photos, members)).collect()
}

/// The first member of a photo's group. Shortens the path to it on the way.
fn find(leader: &mut [usize], mut photo: usize) -> usize {
    while leader[photo] != photo {
        leader[photo] = leader[leader[photo]];
        photo = leader[photo];
    }
    photo
}

fn group(photos: &[Photo<'_>], mut members: Vec<usize>) -> DuplicateGroup {
    members.sort_unstable();
    members.dedup();
    let (keep, reason) = choose(photos, &members);
    let pixels = photos[members[0]].report.pixels;
    DuplicateGroup {
        exact: members.iter().all(|&member| photos[member].report.pixels == pixels),
        keep,
        reason,
        across_classes: differ(members.iter().filter_map(|&member| photos[member].class)),
        across_splits: differ(members.iter().filter_map(|&member| photos[member].split)),
        members,
    }
}

/// Whether two known values differ.
fn differ<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_some_and(|first| values.any(|value| value != first))
}
