//! Decoding of every form of picture that people have, whole and damaged.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::codecs::gif::GifEncoder;
use image::{Frame, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, Rgba, RgbaImage};
use sciurus_data::{DecodeLimits, RgbImage, SkipReason, decode, decode_file, decode_small};
use std::io::Cursor;
use support::{encoded, picture};

fn decoded(bytes: &[u8]) -> RgbImage {
    decode(bytes, &DecodeLimits::default()).unwrap()
}

fn refused(bytes: &[u8]) -> SkipReason {
    decode(bytes, &DecodeLimits::default()).unwrap_err()
}

fn png<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>) -> Vec<u8>
where
    P: image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
{
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn fixtures_look_as_pillow_shows_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let expected: serde_json::Value = serde_json::from_str(include_str!("fixtures/expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 7);
    for (name, expected) in expected {
        let image = decode_file(folder.join(name), &DecodeLimits::default()).unwrap();
        assert_eq!(image.dimensions(), (48, 32), "{name}");
        let pixels: Vec<[u32; 5]> = serde_json::from_value(expected["pixels"].clone()).unwrap();
        for [x, y, want @ ..] in pixels {
            let got = image.get_pixel(x, y).0;
            let off = got.into_iter().zip(want).map(|(got, want)| u32::from(got).abs_diff(want)).max();
            assert!(off <= Some(3), "{name} at ({x}, {y}): {got:?} is not {want:?}");
        }
    }
}

#[test]
fn lossless_formats_are_exact() {
    let image = picture(37, 23, 1);
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        assert_eq!(decoded(&encoded(&image, format)), image, "{format:?}");
    }
}

#[test]
fn sixteen_bits_and_grey_become_eight_bit_rgb() {
    let deep =
        ImageBuffer::<Rgb<u16>, _>::from_fn(9, 9, |x, y| Rgb([x as u16 * 7000, y as u16 * 7000, 65535]));
    assert_eq!(decoded(&png(&deep)).get_pixel(8, 2).0, [218, 54, 255]);
    let grey = GrayImage::from_fn(5, 5, |x, _| Luma([x as u8 * 60]));
    assert_eq!(decoded(&png(&grey)).get_pixel(3, 0).0, [180; 3]);
}

#[test]
fn transparency_is_blended_over_white() {
    let image = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 51, 255][x as usize]]));
    let image = decoded(&png(&image));
    assert_eq!(image.get_pixel(0, 0).0, [255, 255, 255]);
    assert_eq!(image.get_pixel(1, 0).0, [244, 204, 224]);
    assert_eq!(image.get_pixel(2, 0).0, [200, 0, 100]);
}

#[test]
fn an_animation_gives_its_first_frame() {
    let mut bytes = Vec::new();
    let frame = |colour: [u8; 4]| Frame::new(RgbaImage::from_pixel(8, 6, Rgba(colour)));
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.encode_frames([frame([255, 0, 0, 255]), frame([0, 0, 255, 255])]).unwrap();
    drop(encoder);
    let image = decoded(&bytes);
    assert_eq!((image.dimensions(), image.get_pixel(4, 3).0), ((8, 6), [255, 0, 0]));
}

/// A JPEG with an EXIF block that holds nothing but an orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn all_eight_exif_orientations_come_out_upright() {
    // Four corners of four brightnesses: top left 0, top right 80, bottom left 160, bottom right 240.
    let stored = RgbImage::from_fn(32, 16, |x, y| Rgb([80 * u8::from(x >= 16) + 160 * u8::from(y >= 8); 3]));
    let jpeg = encoded(&stored, ImageFormat::Jpeg);
    let upright = [
        [0, 80, 160, 240],
        [80, 0, 240, 160],
        [240, 160, 80, 0],
        [160, 240, 0, 80],
        [0, 160, 80, 240],
        [160, 0, 240, 80],
        [240, 80, 160, 0],
        [80, 240, 0, 160],
    ];
    for (orientation, want) in (1..).zip(upright) {
        let image = decoded(&with_orientation(&jpeg, orientation));
        let (width, height) = image.dimensions();
        assert_eq!((width, height), if orientation < 5 { (32, 16) } else { (16, 32) });
        let corners = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)];
        for ((x, y), want) in corners.into_iter().zip(want) {
            let got = image.get_pixel(x, y).0[0];
            assert!(got.abs_diff(want) < 8, "orientation {orientation} at ({x}, {y}): {got}, not {want}");
        }
    }
    // Nonsense in the tag must not cost the photo.
    assert_eq!(decoded(&with_orientation(&jpeg, 99)).dimensions(), (32, 16));
}

#[test]
fn a_file_cut_anywhere_is_refused_and_junk_behind_its_end_is_harmless() {
    let image = picture(120, 90, 3);
    let progressive = include_bytes!("fixtures/progressive.jpg");
    let formats =
        [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif];
    let mut files: Vec<Vec<u8>> = formats.iter().map(|&format| encoded(&image, format)).collect();
    files.push(progressive.to_vec());
    for bytes in files {
        let whole = decoded(&bytes);
        for part in 1..=20 {
            // The last bytes of a PNG or GIF are a trailer behind the picture.
            let cut = (bytes.len() - 14) * part / 20;
            let refusal = decode(&bytes[..cut], &DecodeLimits::default());
            assert!(refusal.is_err(), "{:?} cut at {cut} of {}", image::guess_format(&bytes), bytes.len());
        }
        assert_eq!(decoded(&[&bytes[..], b"<!-- junk -->"].concat()), whole);
    }
    let jpeg = encoded(&image, ImageFormat::Jpeg);
    let png = encoded(&image, ImageFormat::Png);
    for bytes in [&jpeg[..jpeg.len() / 2], &jpeg[..jpeg.len() - 1], &png[..png.len() / 2]] {
        assert_eq!(refused(bytes), SkipReason::Truncated);
    }
}

#[test]
fn files_that_are_no_images_say_what_they_are() {
    assert_eq!(refused(b""), SkipReason::Empty);
    assert_eq!(refused(b"<html><body>Not found</body></html>"), SkipReason::WebPage);
    assert_eq!(refused(b"https://example.org/a.jpg\n"), SkipReason::Text);
    assert_eq!(refused(&[9, 0, 200, 1]), SkipReason::UnknownFormat);
}

/// Overwrites the height and width in a JPEG's frame header.
fn claiming(mut jpeg: Vec<u8>, size: u16) -> Vec<u8> {
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&size.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&size.to_be_bytes());
    jpeg
}

#[test]
fn a_header_that_lies_about_its_size_costs_nothing() {
    let bomb = claiming(encoded(&picture(40, 30, 0), ImageFormat::Jpeg), 60_000);
    let limit = DecodeLimits::default().max_pixels;
    assert_eq!(refused(&bomb), SkipReason::TooManyPixels { width: 60_000, height: 60_000, limit });

    let (image, limits) = (encoded(&picture(40, 30, 0), ImageFormat::Png), DecodeLimits::default());
    let few_pixels = DecodeLimits { max_pixels: 40 * 30 - 1, ..limits };
    assert!(matches!(decode(&image, &few_pixels), Err(SkipReason::TooManyPixels { .. })));
    let little_memory = DecodeLimits { max_memory_bytes: 3000, ..limits };
    assert_eq!(decode(&image, &little_memory), Err(SkipReason::TooMuchMemory { limit: 3000 }));
    assert!(decode(&image, &DecodeLimits { max_pixels: 40 * 30, ..limits }).is_ok());
}

#[test]
fn files_have_limits_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    support::write(path.clone(), &encoded(&picture(40, 30, 0), ImageFormat::Png));
    let limits = DecodeLimits { max_file_bytes: 100, ..DecodeLimits::default() };
    assert!(matches!(decode_file(&path, &limits), Err(SkipReason::TooManyBytes { limit: 100, .. })));
    assert_eq!(decode_file(folder.path(), &limits), Err(SkipReason::NotAFile));
    assert_eq!(decode_file(folder.path().join("b"), &limits), Err(SkipReason::NotFound));
}

#[test]
fn no_damage_makes_decoding_panic_or_hang() {
    let image = picture(64, 48, 2);
    for format in [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ] {
        let bytes = encoded(&image, format);
        let limits = DecodeLimits { max_pixels: 1_000_000, ..DecodeLimits::default() };
        for at in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5a;
            let _ = decode(&damaged, &limits);
        }
    }
}

#[test]
fn portable_pixmaps_are_read_and_texts_that_begin_like_them_are_not() {
    let image = picture(12, 9, 3);
    assert_eq!(decoded(&encoded(&image, ImageFormat::Pnm)), image);
    assert_eq!(decoded(b"P2\n# made by hand\n2 1\n255\n0 200\n").as_raw(), &[0, 0, 0, 200, 200, 200]);
    for text in ["P3 is the third point of the plan", "P2", "P5\n", "P1,red\nP2,grey\n"] {
        assert!(matches!(refused(text.as_bytes()), SkipReason::Text), "{text}");
    }
}

#[test]
fn kinds_of_tiff_that_are_not_read_are_named() {
    let tiff = encoded(&picture(8, 8, 1), ImageFormat::Tiff);
    let field = tiff.windows(4).position(|field| field == [6, 1, 3, 0]).unwrap();
    for (photometric, words) in [(3, "whose colours come from a palette"), (6, "in YCbCr"), (8, "CIE L*a*b*")]
    {
        let mut changed = tiff.clone();
        changed[field + 8] = photometric;
        let told = refused(&changed).to_string();
        assert!(told.starts_with("a TIFF") && told.contains(words), "{told}");
        assert!(told.ends_with("cannot be read; save the photo as JPEG or PNG"), "{told}");
    }
}

/// Cameras and programs that recover files leave zeros where the end marker was.
#[test]
fn a_jpeg_without_its_end_marker_is_whole_if_its_pixels_are() {
    let whole = encoded(&picture(70, 50, 4), ImageFormat::Jpeg);
    let pixels = decoded(&whole);
    let data = &whole[..whole.len() - 2];
    for zeros in [0, 1, 512] {
        let ended_in_zeros = [data, &vec![0; zeros]].concat();
        assert_eq!(decoded(&ended_in_zeros), pixels, "{zeros}");
    }
    for cut in [3, 20, data.len() / 3] {
        for zeros in [0, 512] {
            let short = [&data[..data.len() - cut], &vec![0; zeros]].concat();
            assert_eq!(refused(&short), SkipReason::Truncated, "{cut} {zeros}");
        }
    }
}

#[test]
fn a_jpeg_with_too_many_pixels_is_read_at_a_part_of_its_size() {
    // Soft, so that its pixels are close to those of the whole picture made smaller.
    let image = RgbImage::from_fn(161, 120, |x, y| Rgb([(x + y / 2) as u8, (200 - x) as u8, (y * 2) as u8]));
    let jpeg = encoded(&image, ImageFormat::Jpeg);
    let limited = |max_pixels| DecodeLimits { max_pixels, ..DecodeLimits::default() };
    assert_eq!(decode(&jpeg, &limited(161 * 120)).unwrap().dimensions(), (161, 120));
    let small = decode(&jpeg, &limited(161 * 120 - 1)).unwrap();
    assert_eq!(small.dimensions(), (81, 60));
    let (got, want) = (small.get_pixel(40, 30).0, image.get_pixel(80, 60).0);
    assert!(got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 6), "{got:?} {want:?}");
    assert_eq!(decode(&jpeg, &limited(161 * 120 / 4 + 1)).unwrap().dimensions(), (41, 30));
    let refused = decode(&jpeg, &limited(161 * 120 / 5)).unwrap_err();
    assert!(matches!(refused, SkipReason::TooManyPixels { width: 161, height: 120, .. }), "{refused}");
    let mut grey = Cursor::new(Vec::new());
    image::imageops::grayscale(&image).write_to(&mut grey, ImageFormat::Jpeg).unwrap();
    assert_eq!(decode(grey.get_ref(), &limited(10_000)).unwrap().dimensions(), (81, 60));
    // The same in a format that can't be read in part.
    assert!(matches!(
        decode(&encoded(&image, ImageFormat::Png), &limited(10_000)),
        Err(SkipReason::TooManyPixels { .. })
    ));
}

#[test]
fn a_small_picture_of_a_large_jpeg_is_computed_from_a_part_of_it() {
    // Soft, so that its pixels are close to those of the whole picture made smaller.
    let image =
        RgbImage::from_fn(640, 480, |x, y| Rgb([(x / 4 + y / 8) as u8, (200 - x / 4) as u8, (y / 2) as u8]));
    let small = |image: &[u8], side| decode_small(image, &DecodeLimits::default(), side).unwrap();
    let jpeg = encoded(&image, ImageFormat::Jpeg);
    for (side, dimensions) in [(40, (80, 60)), (41, (160, 120)), (160, (320, 240)), (161, (640, 480))] {
        let small = small(&jpeg, side);
        assert_eq!(small.dimensions(), dimensions);
        let by = 640 / dimensions.0;
        let (got, want) = (small.get_pixel(30, 20).0, image.get_pixel(30 * by, 20 * by).0);
        assert!(got.iter().zip(want).all(|(got, want)| got.abs_diff(want) <= 6), "{side}: {got:?} {want:?}");
    }
    assert_eq!(small(&with_orientation(&jpeg, 6), 40).dimensions(), (60, 80));
    // What can't be read in part is read whole, and what is no whole photo not at all.
    assert_eq!(small(&encoded(&image, ImageFormat::Png), 40).dimensions(), (640, 480));
    let cmyk = std::fs::read("tests/fixtures/cmyk.jpg").unwrap();
    assert_eq!(small(&cmyk, 1), decoded(&cmyk));
    let cut = decode_small(&jpeg[..jpeg.len() / 2], &DecodeLimits::default(), 40);
    assert_eq!(cut, Err(SkipReason::Truncated));
}
