//! Copies of photos: which there are, which one to keep, and what harm they do. In: [`PixelReport`]s, with what the
//! caller knows about each photo. Out: [`Duplicates`]: pairs with their evidence, and [`DuplicateGroup`]s.

mod aligned;
mod hamming;
mod keep;
pub(crate) mod phash;
mod picture;
mod same_thing;
mod seen;

pub use aligned::{Alignment, Window};
pub use hamming::{NearHashes, near_hashes};
pub use keep::KeepReason;
pub use phash::{NotAPerceptualHash, PerceptualHash, Turn};
pub use seen::SeenPhotos;

use crate::pixels::PixelReport;
use keep::choose;
use picture::Picture;
use rayon::prelude::*;
use sciurus_data::{ContentHash, Split};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// So many of the photos with near hashes are compared with each photo, the nearest first.
const NEAREST: usize = 10;

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

/// Photos that are copies of one of them, which is kept.
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
/// Up to [`DuplicateOptions::window_limit`] photos, each is searched for in windows of all others. Among more, pairs with
/// near perceptual hashes and `suggested` pairs (for example of near embeddings) are compared. The photos of each pair are
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
    let near = match windows_searched {
        true => among_all(photos, &firsts, options.correlation),
        false => among(&candidates(photos, &firsts, options, suggested), photos, options.correlation),
    };
    let pair =
        |(first, second, alignment)| DuplicatePair { first, second, sameness: Sameness::Near(alignment) };
    pairs.extend(near.into_iter().map(pair));
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

/// Two photos, the smaller index first, and how they lie on each other.
type Near = (usize, usize, Alignment);

/// The near copies among all pairs of these photos.
fn among_all(photos: &[Photo<'_>], firsts: &[usize], least: f32) -> Vec<Near> {
    let pictures: Vec<Picture> = firsts.par_iter().map(|&photo| Picture::new(photos[photo].report)).collect();
    let look = |a: usize| {
        let copy = |b: usize| Some((firsts[a], firsts[b], pictures[a].copy(&pictures[b], least)?));
        (a + 1..firsts.len()).filter_map(copy).collect::<Vec<Near>>()
    };
    (0..firsts.len()).into_par_iter().flat_map_iter(look).collect()
}

/// Two photos, the smaller index first, and whether one may be a part of the other.
type Candidate = (usize, usize, bool);

/// The near copies among some pairs, which are in order.
fn among(candidates: &[Candidate], photos: &[Photo<'_>], least: f32) -> Vec<Near> {
    let of_first: Vec<&[Candidate]> = candidates.chunk_by(|a, b| a.0 == b.0).collect();
    let look = |pairs: &&[Candidate]| {
        let first = Picture::new(photos[pairs[0].0].report);
        let copy = |&(a, b, in_parts): &Candidate| {
            let second = Picture::new(photos[b].report);
            let found =
                if in_parts { first.copy(&second, least) } else { first.copy_of_whole(&second, least) };
            Some((a, b, found?))
        };
        pairs.iter().filter_map(copy).collect::<Vec<Near>>()
    };
    of_first.par_iter().flat_map_iter(look).collect()
}

/// The pairs that near hashes or the caller suggest, in order, among photos that differ in their pixels. A photo and a part of
/// it have other hashes, so only the caller's pairs are compared part by part.
fn candidates(
    photos: &[Photo<'_>],
    firsts: &[usize],
    options: &DuplicateOptions,
    suggested: &[(usize, usize)],
) -> Vec<Candidate> {
    let first_of: HashMap<ContentHash, usize> =
        firsts.iter().map(|&photo| (photos[photo].report.pixels, photo)).collect();
    // Exact copies stand for their first; indices out of range are dropped.
    let first = |photo: usize| first_of.get(&photos.get(photo)?.report.pixels).copied();
    let suggested = suggested.iter().filter_map(|&(a, b)| Some((first(a)?, first(b)?, true)));
    let hashes: Vec<[PerceptualHash; 8]> = firsts.iter().map(|&photo| photos[photo].report.hashes).collect();
    let near = nearest(near_hashes(&hashes, options.radius), firsts.len());
    let near = near.iter().map(|pair| (firsts[pair.first as usize], firsts[pair.second as usize], false));
    let all = suggested.chain(near).filter(|(a, b, _)| a != b);
    let mut pairs: Vec<Candidate> = all.map(|(a, b, in_parts)| (a.min(b), a.max(b), in_parts)).collect();
    pairs.sort_unstable_by_key(|&(a, b, in_parts)| (a, b, !in_parts));
    pairs.dedup_by_key(|&mut (a, b, _)| (a, b));
    pairs
}

/// Of each photo's near hashes only the nearest few: photos of things on a plain ground are near to hundreds of others.
fn nearest(mut pairs: Vec<NearHashes>, photos: usize) -> Vec<NearHashes> {
    pairs.sort_unstable_by_key(|pair| (pair.distance, pair.first, pair.second));
    let mut kept = vec![0; photos];
    pairs.retain(|pair| {
        let ends = [pair.first as usize, pair.second as usize];
        let is_near = ends.iter().any(|&end| kept[end] < NEAREST);
        ends.iter().for_each(|&end| kept[end] += usize::from(is_near));
        is_near
    });
    pairs
}

/// The groups that pairs form: a photo to keep, and all that are copies of just this one. Groups are no chains: of three photos of
/// which only the first and second and the second and third are alike, the outer two are never in one group unless the second is
/// kept.
fn groups(photos: &[Photo<'_>], pairs: &[DuplicatePair]) -> Vec<DuplicateGroup> {
    // Photos with equal pixels stand together, under the first of them.
    let exact = |pair: &&DuplicatePair| !matches!(pair.sameness, Sameness::Near(_));
    let first: HashMap<usize, usize> =
        pairs.iter().filter(exact).map(|pair| (pair.second, pair.first)).collect();
    let of = |photo: usize| first.get(&photo).copied().unwrap_or(photo);
    let mut equal: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut alike: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for pair in pairs {
        for photo in [pair.first, pair.second] {
            equal.entry(of(photo)).or_default().extend([of(photo), photo]);
        }
        let (a, b) = (of(pair.first), of(pair.second));
        alike.entry(a).or_default().insert(b);
        alike.entry(b).or_default().insert(a);
    }
    let mut groups = Vec::new();
    let mut open: BTreeSet<usize> = equal.keys().copied().collect();
    while let Some(&start) = open.first() {
        let linked = linked(start, &open, &alike);
        let all =
            |of: &BTreeSet<usize>| of.iter().flat_map(|one| &equal[one]).copied().collect::<Vec<usize>>();
        let centre = of(choose(photos, &all(&linked)).0);
        let mut members: BTreeSet<usize> = linked.intersection(&alike[&centre]).copied().collect();
        members.insert(centre);
        open.retain(|one| !members.contains(one));
        let members = all(&members);
        if members.len() > 1 {
            groups.push(group(photos, members));
        }
    }
    groups.sort_by_key(|group| group.members[0]);
    groups
}

/// All that are linked to one of these, directly or through others of them.
fn linked(start: usize, open: &BTreeSet<usize>, alike: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::from([start]), vec![start]);
    while let Some(one) = next.pop() {
        for &other in alike[&one].intersection(open) {
            if found.insert(other) {
                next.push(other);
            }
        }
    }
    found
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
