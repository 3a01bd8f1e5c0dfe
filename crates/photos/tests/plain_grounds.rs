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
    let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    find_duplicates(&photos, options, &[]).pairs.iter().map(|pair| (pair.first, pair.second)).collect()
}

/// A copy of each kind in turn: compressed, smaller, cropped, mirrored, brighter.
fn copy(image: &RgbImage, kind: usize, rng: &mut Rng) -> RgbImage {
    let (width, height) = image.dimensions();
    let mut cut = |side: u32| (f64::from(side) * rng.random_range(0.03..0.12)) as u32;
    match kind {
        0 => image.clone(),
        1 => imageops::resize(image, width * 2 / 3, height * 2 / 3, FilterType::CatmullRom),
        2 => {
            let (left, top, right, bottom) = (cut(width), cut(height), cut(width), cut(height));
            imageops::crop_imm(image, left, top, width - left - right, height - top - bottom).to_image()
        }
        3 => imageops::flip_horizontal(image),
        _ => {
            let mut darker = image.clone();
            darker.iter_mut().for_each(|value| *value = (f32::from(*value) * 0.8) as u8);
            darker
        }
    }
}

#[test]
fn different_things_on_one_ground_are_no_copies_and_copies_are_found() {
    let rng = &mut Seed(17).rng(&[]);
    let things: Vec<RgbImage> = (0..THINGS).map(|_| thing(rng)).collect();
    let mut reports: Vec<PixelReport> = things.iter().map(|thing| report(thing, 92)).collect();
    assert_eq!(pairs(&reports, &DuplicateOptions::default()), []);

    // Copies of all, in the same order.
    for (place, thing) in things.iter().enumerate() {
        reports.push(report(&copy(thing, place % 5, rng), 75));
    }
    let found = pairs(&reports, &DuplicateOptions::default());
    let is_planted = |(a, b): &(usize, usize)| b - a == THINGS;
    assert!(found.iter().all(is_planted), "{found:?}");
    assert!(found.len() * 100 >= THINGS * 95, "{} of {THINGS}", found.len());

    // The order of photos makes no difference.
    reports.reverse();
    let last = reports.len() - 1;
    let mut turned: Vec<(usize, usize)> =
        pairs(&reports, &DuplicateOptions::default()).iter().map(|&(a, b)| (last - b, last - a)).collect();
    turned.sort_unstable();
    let missed = found.iter().filter(|pair| !turned.contains(pair)).count();
    assert!(missed + turned.len() - (found.len() - missed) <= 1, "{found:?} {turned:?}");
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
