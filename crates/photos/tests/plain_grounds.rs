//! One thing on a plain ground: different things are no copies, however alike their photos are as wholes; copies are found.

#![allow(clippy::unwrap_used, reason = "a test stops at any problem")]

use image::imageops::{self, FilterType};
use rand::RngExt;
use sciurus_data::{DecodeLimits, RgbImage, Rng, Seed};
use sciurus_photos::{DuplicateOptions, Photo, PixelReport, find_duplicates, jpeg};

/// Things that are drawn.
const THINGS: usize = 36;

/// A round thing with a rim and some spots, each in a colour of its own, near the middle of a softly lit sheet.
fn thing(rng: &mut Rng) -> RgbImage {
    let (width, height) = (256.0, 192.0);
    let mut colour = || [rng.random_range(10..240), rng.random_range(10..240), rng.random_range(10..240)];
    let (face, rim) = (colour(), colour());
    let colours: [[i32; 3]; 4] = std::array::from_fn(|_| colour());
    let (x0, y0) = (width * rng.random_range(0.46..0.54), height * rng.random_range(0.46..0.54));
    let (radius, inner) = (rng.random_range(32.0..42.0_f32), rng.random_range(0.7..0.9));
    let place = |rng: &mut Rng| rng.random_range(-0.6..0.6) * radius;
    let spots = colours.map(|colour| ([place(rng), place(rng), rng.random_range(4.0..9.0)], colour));
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let (u, v) = (x - x0, y - y0);
        let light = (205.0 + 30.0 * x / width + 8.0 * y / height) as i32;
        let from_centre = u.hypot(v);
        let mut seen = [light; 3];
        if from_centre < radius {
            seen = if from_centre > inner * radius { rim } else { face };
        }
        for ([a, b, size], colour) in &spots {
            if (u - a).hypot(v - b) < *size {
                seen = *colour;
            }
        }
        let noise = rng.random_range(-4..=4);
        seen.map(|value| (value + noise).clamp(0, 255) as u8).into()
    })
}

fn report(image: &RgbImage, quality: u8) -> PixelReport {
    PixelReport::of(&jpeg(image, quality).unwrap(), &DecodeLimits::default()).unwrap()
}

fn pairs(reports: &[PixelReport], options: &DuplicateOptions) -> Vec<(usize, usize)> {
    pairs_of(reports, options, &[])
}

fn pairs_of(
    reports: &[PixelReport],
    options: &DuplicateOptions,
    suggested: &[(usize, usize)],
) -> Vec<(usize, usize)> {
    let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    let found = find_duplicates(&photos, options, suggested);
    found.pairs.iter().map(|pair| (pair.first, pair.second)).collect()
}

/// A photo as it was, and how it was changed.
type Change = fn(&RgbImage, &mut Rng) -> RgbImage;

/// The kinds of copies that people make, as `JPEG` files of quality 75.
const KINDS: [(&str, Change); 5] = [
    ("compressed", |image, _| image.clone()),
    ("resized", |image, rng| {
        let factor = 2.0_f64.powf(rng.random_range(-1.0..1.0));
        let [width, height] =
            [image.width(), image.height()].map(|side| (f64::from(side) * factor).round() as u32);
        imageops::resize(image, width, height, FilterType::CatmullRom)
    }),
    ("cropped", |image, rng| {
        let (width, height) = image.dimensions();
        let mut cut = |side: u32| (f64::from(side) * rng.random_range(0.03..0.12)) as u32;
        let (left, top, right, bottom) = (cut(width), cut(height), cut(width), cut(height));
        imageops::crop_imm(image, left, top, width - left - right, height - top - bottom).to_image()
    }),
    ("mirrored", |image, _| imageops::flip_horizontal(image)),
    ("brighter or darker", |image, rng| {
        let factor = if rng.random() { rng.random_range(0.6..0.9) } else { rng.random_range(1.1..1.5) };
        let mut changed = image.clone();
        changed.iter_mut().for_each(|value| *value = (f64::from(*value) * factor).min(255.0) as u8);
        changed
    }),
];

#[test]
fn different_things_on_one_ground_are_no_copies_and_copies_are_found() {
    let rng = &mut Seed(17).rng(&[]);
    let things: Vec<RgbImage> = (0..THINGS).map(|_| thing(rng)).collect();
    let originals: Vec<PixelReport> = things.iter().map(|thing| report(thing, 92)).collect();
    assert_eq!(pairs(&originals, &DuplicateOptions::default()), []);

    // Each copy beside the photo that it was made from, and beside another one.
    let suggested: Vec<(usize, usize)> = (0..THINGS)
        .flat_map(|place| [(place, THINGS + place), (place, THINGS + (place + 1) % THINGS)])
        .collect();
    let only_these = DuplicateOptions { window_limit: 0, radius: 0, ..DuplicateOptions::default() };
    for (kind, change) in KINDS {
        let mut reports = originals.clone();
        reports.extend(things.iter().map(|thing| report(&change(thing, rng), 75)));
        let found = pairs_of(&reports, &only_these, &suggested);
        let is_planted = |(a, b): &(usize, usize)| b - a == THINGS;
        assert!(found.iter().all(is_planted), "{kind}: {found:?}");
        assert!(found.len() * 100 >= THINGS * 95, "{kind}: {} of {THINGS}", found.len());

        // If one photo is a copy of another, the other is a copy of the one: whichever comes first.
        reports.reverse();
        let last = reports.len() - 1;
        let turn = |pairs: &[(usize, usize)]| {
            let mut turned: Vec<(usize, usize)> = pairs.iter().map(|&(a, b)| (last - b, last - a)).collect();
            turned.sort_unstable();
            turned
        };
        assert_eq!(turn(&pairs_of(&reports, &only_these, &turn(&suggested))), found, "{kind}");
    }
}

#[test]
fn near_hashes_alone_make_no_copies() {
    let rng = &mut Seed(18).rng(&[]);
    let reports: Vec<PixelReport> = (0..THINGS).map(|_| report(&thing(rng), 92)).collect();
    let by_hash = DuplicateOptions { window_limit: 0, ..DuplicateOptions::default() };
    assert_eq!(pairs(&reports, &by_hash), []);
}

/// Two pictures mixed, so much of the second: the nearer the shares of two mixtures, the more alike they are.
fn mixture([one, other]: [&RgbImage; 2], share: f32) -> RgbImage {
    RgbImage::from_fn(one.width(), one.height(), |x, y| {
        let (a, b) = (one.get_pixel(x, y).0, other.get_pixel(x, y).0);
        std::array::from_fn(|at| (f32::from(a[at]) * (1.0 - share) + f32::from(b[at]) * share) as u8).into()
    })
}

#[test]
fn groups_are_no_chains() {
    let rng = &mut Seed(19).rng(&[]);
    let ends = [thing(rng), thing(rng)];
    let shares = (0..24).map(|step| step as f32 / 23.0);
    let reports: Vec<PixelReport> =
        shares.map(|share| report(&mixture([&ends[0], &ends[1]], share), 92)).collect();
    let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    let found = find_duplicates(&photos, &DuplicateOptions::default(), &[]);
    let is_pair =
        |a: usize, b: usize| found.pairs.iter().any(|pair| (pair.first, pair.second) == (a.min(b), a.max(b)));
    // The first leads to the last, step by step, although they are different things.
    assert!((1..24).all(|step| is_pair(step - 1, step)) && !is_pair(0, 23));
    assert!(found.groups.len() > 1, "{:?}", found.groups);
    for group in &found.groups {
        let others = group.members.iter().filter(|&&member| member != group.keep);
        assert!(others.clone().count() > 0);
        assert!(others.into_iter().all(|&member| is_pair(group.keep, member)), "{group:?}");
    }
    let mut grouped: Vec<usize> = found.groups.iter().flat_map(|group| group.members.clone()).collect();
    let count = grouped.len();
    grouped.sort_unstable();
    grouped.dedup();
    assert_eq!(grouped.len(), count, "a photo is in two groups");
}
