//! Finds copies while photos arrive one at a time. In: [`PixelReport`]s of photos that are kept, then of the next one.
//! Out: which of the kept photos it's a copy of, by the same rules as [`find_duplicates`](crate::find_duplicates).

use crate::duplicates::aligned::Alignment;
use crate::duplicates::phash::PerceptualHash;
use crate::duplicates::picture::Picture;
use crate::duplicates::{DuplicateOptions, Sameness};
use crate::pixels::PixelReport;
use rayon::prelude::*;
use sciurus_data::ContentHash;
use std::collections::HashMap;

/// The photos so far, which can be asked whether the next one is a copy.
///
/// The time per photo grows only with the number of photos seen; [`find_duplicates`](crate::find_duplicates) would
/// compare all of them again. Beyond [`DuplicateOptions::window_limit`] photos, later ones are compared by their hashes
/// alone.
///
/// ```
/// use sciurus_data::{DecodeLimits, RgbImage};
/// use sciurus_photos::{DuplicateOptions, PixelReport, SeenPhotos, jpeg};
///
/// let picture = RgbImage::from_fn(120, 90, |x, y| [(2 * x) as u8, (x * y / 50) as u8, (2 * y) as u8].into());
/// let report = |quality| {
///     PixelReport::of(&jpeg(&picture, quality).unwrap_or_default(), &DecodeLimits::default())
/// };
/// let mut seen = SeenPhotos::new(DuplicateOptions::default());
/// assert!(seen.copy_of(&report(95)?).is_none());
/// seen.push(&report(95)?);
/// assert_eq!(seen.copy_of(&report(60)?).map(|(photo, _)| photo), Some(0));
/// # Ok::<(), sciurus_data::SkipReason>(())
/// ```
#[derive(Debug)]
pub struct SeenPhotos {
    options: DuplicateOptions,
    photos: Vec<Seen>,
    /// The first photo with these pixels, and the content of its file.
    pixels: HashMap<ContentHash, (usize, ContentHash)>,
}

#[derive(Debug)]
struct Seen {
    hash: PerceptualHash,
    picture: Picture,
}

impl SeenPhotos {
    /// No photos yet.
    #[must_use]
    pub fn new(options: DuplicateOptions) -> Self {
        Self { options, photos: Vec::new(), pixels: HashMap::new() }
    }

    /// Adds a photo; its index is the number of photos before it.
    pub fn push(&mut self, report: &PixelReport) {
        let place = self.photos.len();
        self.pixels.entry(report.pixels).or_insert((place, report.content));
        self.photos.push(Seen { hash: report.hashes[0], picture: Picture::new(report) });
    }

    /// The index of the photo that this one is a copy of, and in what they are the same: the first one with equal
    /// pixels, else the most alike.
    #[must_use]
    pub fn copy_of(&self, report: &PixelReport) -> Option<(usize, Sameness)> {
        if let Some(&(place, content)) = self.pixels.get(&report.pixels) {
            let same_bytes = content == report.content;
            return Some((place, if same_bytes { Sameness::Bytes } else { Sameness::Pixels }));
        }
        let next = Picture::new(report);
        let is_compared = |(place, seen): &(usize, &Seen)| {
            let is_near = |hash: &PerceptualHash| hash.distance(seen.hash) <= self.options.radius;
            *place < self.options.window_limit || report.hashes.iter().any(is_near)
        };
        let copy = |(place, seen): (usize, &Seen)| {
            Some((place, seen.picture.copy(&next, self.options.correlation)?))
        };
        let found = self.photos.par_iter().enumerate().filter(is_compared).filter_map(copy);
        let order = |a: &(usize, Alignment), b: &(usize, Alignment)| {
            a.1.correlation.total_cmp(&b.1.correlation).then(b.0.cmp(&a.0))
        };
        found.max_by(order).map(|(place, alignment)| (place, Sameness::Near(alignment)))
    }
}
