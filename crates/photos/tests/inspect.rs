//! Looking at pixels from outside: facts of files, known reports, copies and what is said of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

#[path = "../../data/tests/support/mod.rs"]
mod support;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage, imageops};
use sciurus_data::{DataError, DecodeLimits, RgbImage, Split};
use sciurus_photos::{
    DuplicateOptions, FileFormat, InspectedFile, KeepReason, KnownReports, Photo, PixelInspection,
    PixelReport, QualityCheck, Sameness, find_duplicates, find_quality_issues, inspect_pixels, jpeg,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn inspect(root: &Path, known: &KnownReports) -> PixelInspection {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
    paths.sort();
    inspect_pixels(root, &paths, known, &DecodeLimits::default(), |_| ControlFlow::Continue(())).unwrap()
}

/// A picture with detail at every scale, unlike that of another seed.
fn picture(seed: f32) -> RgbImage {
    RgbImage::from_fn(240, 180, |x, y| {
        // A texture of single pixels, as fur has.
        let grain = ((7 * x + 13 * y) % 11) as f32 * 3.0;
        let (x, y) = (x as f32 / 240.0, y as f32 / 180.0);
        let wave = (9.0 * x * seed + seed).sin() + (17.0 * y * x + seed * 3.0).cos();
        let fine = (43.0 * (x + seed * y)).sin() + (31.0 * (y - x * x) + seed).cos();
        let level = |shift: f32| (128.0 + 22.0 * (wave + fine) + grain - 15.0 + shift) as u8;
        [level(20.0), level(0.0), level(-20.0)].into()
    })
}

fn report(bytes: &[u8]) -> PixelReport {
    PixelReport::of(bytes, &DecodeLimits::default()).unwrap()
}

#[test]
fn an_inspection_can_be_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, known, limits) = (["a.png".into()], KnownReports::default(), DecodeLimits::default());
    let stopped = inspect_pixels(folder.path(), &paths, &known, &limits, |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(DataError::Stopped)), "{stopped:?}");
}

#[test]
fn a_portable_pixmap_has_the_name_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = support::encoded(&picture(2.0), ImageFormat::Pnm);
    for name in ["a.ppm", "b.jpg"] {
        support::write(folder.path().join(name), &bytes);
    }
    let files = inspect(folder.path(), &KnownReports::default()).files;
    assert!(files.iter().all(|file| file.report.format == FileFormat::Pnm));
    let wrong: Vec<_> = files.iter().map(InspectedFile::wrong_extension).collect();
    assert_eq!(wrong, [None, Some("jpg".to_owned())]);
}

#[test]
fn facts_of_files_become_issues_with_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| support::write(folder.path().join(name), &bytes);
    let photo = picture(1.0);
    let clear = RgbaImage::from_fn(240, 180, |x, y| {
        let [r, g, b] = photo.get_pixel(x, y).0;
        Rgba([r, g, b, if x < 9 { 0 } else { 255 }])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgba8(clear).write_to(&mut png, ImageFormat::Png).unwrap();
    write("a.jpg", jpeg(&photo, 90).unwrap());
    write("b.JPG", png.into_inner());
    write("c.jpeg", turned(&jpeg(&photo, 91).unwrap()));
    write("d.jpg", b"<html>".to_vec());
    write("e.png", support::encoded(&imageops::blur(&photo, 6.0), ImageFormat::Png));
    let found = inspect(folder.path(), &KnownReports::default());
    assert_eq!(found.skipped.len(), 1);
    let issues = find_quality_issues(&found.files);
    let checks = |file: usize| issues[file].iter().map(|issue| issue.check).collect::<Vec<_>>();
    assert_eq!(checks(0), []);
    assert_eq!(checks(1), [QualityCheck::WrongExtension, QualityCheck::Transparent]);
    assert_eq!(issues[1][0].evidence, "its name ends in .jpg, but it is a PNG file");
    assert!(checks(2).contains(&QualityCheck::Turned), "{:?}", issues[2]);
    assert!(checks(3).contains(&QualityCheck::Unsharp), "{:?}", issues[3]);
    let report = &found.files[2].report;
    assert_eq!((report.width, report.height, report.format), (180, 240, FileFormat::Jpeg));
    assert_eq!(report.taken.as_deref(), Some("2019-05-04T12:30:07"));
}

/// A JPEG with an EXIF block put behind its first marker: turned to the right, and a time.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    tiff.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
    tiff.extend(b"\x32\x01\x02\0\x14\0\0\0\x26\0\0\0");
    tiff.extend([0; 4]);
    tiff.extend(b"2019:05:04 12:30:07\0");
    let length = (tiff.len() + 8) as u16;
    [&jpeg[..2], b"\xff\xe1", &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[test]
fn a_report_travels_through_json_and_is_used_in_place_of_a_decode() {
    let folder = tempfile::tempdir().unwrap();
    support::write(folder.path().join("a.jpg"), &jpeg(&picture(1.0), 90).unwrap());
    let found = inspect(folder.path(), &KnownReports::default());
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<PixelInspection>(&json).unwrap(), found);

    let mut told = found.files[0].report.clone();
    told.measures.sharpness = 7.5;
    let cache = tempfile::tempdir().unwrap();
    KnownReports::in_folder(cache.path()).keep(&told);
    let known = KnownReports::in_folder(cache.path());
    assert_eq!(inspect(folder.path(), &known).files[0].report, told);
    assert_eq!(known.fault(), None);
}

#[test]
fn copies_form_groups_that_say_which_to_keep_and_what_they_harm() {
    let (photo, other) = (picture(1.0), picture(2.3));
    let large = imageops::resize(&photo, 480, 360, imageops::FilterType::CatmullRom);
    let part = imageops::crop_imm(&photo, 20, 14, 200, 152).to_image();
    let file = |image: &RgbImage| jpeg(image, 88).unwrap();
    let files = [
        file(&photo),
        file(&other),
        file(&imageops::flip_horizontal(&large)),
        file(&other),
        file(&imageops::rotate90(&part)),
        support::encoded(&picture(5.1), ImageFormat::Png),
        support::encoded(&picture(5.1), ImageFormat::Bmp),
    ];
    let reports: Vec<PixelReport> = files.iter().map(|file| report(file)).collect();
    let mut photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    (photos[0].class, photos[2].class) = (Some(0), Some(1));
    (photos[1].split, photos[3].split) = (Some(Split::Train), Some(Split::Valid));
    (photos[5].modified, photos[6].modified) = (Some(20), Some(10));
    let found = find_duplicates(&photos, &DuplicateOptions::default(), &[]);
    let groups: Vec<_> = found.groups.iter().map(|group| group.members.clone()).collect();
    assert_eq!(groups, [vec![0, 2, 4], vec![1, 3], vec![5, 6]], "{:#?}", found.pairs);
    let [near, same, pixels] = &found.groups[..] else { panic!("{groups:?}") };
    assert_eq!((near.keep, near.reason, near.exact), (2, KeepReason::Largest, false));
    assert!(near.across_classes && !near.across_splits && found.windows_searched);
    assert_eq!((same.keep, same.reason, same.exact), (1, KeepReason::First, true));
    assert!(same.across_splits && !same.across_classes);
    assert_eq!((pixels.keep, pixels.reason), (6, KeepReason::OldestFile));
    let sameness = |first, second| {
        found.pairs.iter().find(|pair| (pair.first, pair.second) == (first, second)).unwrap().sameness
    };
    assert_eq!((sameness(1, 3), sameness(5, 6)), (Sameness::Bytes, Sameness::Pixels));

    photos[4].licence = Some(0);
    let found = find_duplicates(&photos, &DuplicateOptions::default(), &[]);
    assert_eq!((found.groups[0].keep, found.groups[0].reason), (4, KeepReason::BestLicence));
}

#[test]
fn beyond_the_limit_crops_are_found_where_the_caller_suggests_them() {
    let photo = picture(1.0);
    let part = imageops::crop_imm(&photo, 26, 20, 190, 142).to_image();
    let reports = [&photo, &picture(2.3), &part].map(|image| report(&jpeg(image, 90).unwrap()));
    let photos: Vec<Photo<'_>> = reports.iter().map(Photo::new).collect();
    let options = DuplicateOptions { window_limit: 0, radius: 4, ..DuplicateOptions::default() };
    let found = |suggested: &[(usize, usize)]| {
        let found = find_duplicates(&photos, &options, suggested);
        assert!(!found.windows_searched);
        found.pairs.iter().map(|pair| (pair.first, pair.second)).collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), []);
    assert_eq!(found(&[(2, 0), (1, 0), (0, 0), (9, 1)]), [(0, 2)]);
}
