//! What a single hostile file may cost, from its reading to all that is measured of it: 2 s of a core and 1 GB.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

#[path = "../../data/tests/support/mod.rs"]
mod support;

use image::ImageFormat;
use sciurus_data::{DecodeLimits, SkipReason};
use sciurus_photos::{KnownReports, inspect_pixels};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use support::hostile::{
    LARGEST, chunk, claiming, gif, jpeg_with, png, riff, segment, tiff, tiff_fields, webp, zlib_of_zeros,
};
use support::{encoded, picture};

/// What one file may take of a processor, in seconds.
const SECONDS: f64 = 2.0;

/// What the whole process may take of memory.
const PEAK_BYTES: f64 = 1e9;

/// The file that a child process looks at; its memory is measured, and its abort would be noticed.
const FILE: &str = "SCIURUS_TEST_COSTS";

/// What became of a file, as the child said.
#[derive(Debug)]
struct Cost {
    name: String,
    seconds: f64,
    peak: f64,
    /// `image`, or why not.
    said: String,
}

/// Looks at a file in a process of its own.
fn cost(name: &str, bytes: &[u8]) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), bytes).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(FILE, folder.path())
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{name}: {:?}\n{said}\n{complained}", child.status);
    let line = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
    let number = |key: &str| line(key).trim().parse::<f64>().unwrap();
    let (seconds, peak, said) = (number("seconds:"), number("peak:"), line("said: "));
    println!("{name}: {seconds:.2} s, {:.0} MB, {said}", peak / 1e6);
    Cost { name: name.to_owned(), seconds, peak, said }
}

/// Not a test of its own: what [`cost`] runs.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FILE) else { return };
    let limits = DecodeLimits::default();
    let found = inspect_pixels(Path::new(&folder), &["a".into()], &KnownReports::default(), &limits, |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let reason = found.skipped.first().map(|file| file.reason.clone());
    println!("\nseconds: {}", processor_seconds());
    println!("peak: {}", peak_bytes());
    println!("said: {}", reason.map_or("image".to_owned(), |reason| format!("{reason:?}")));
}

/// Seconds that all threads of this process have had of a processor; on other systems than Linux, none.
fn processor_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0.0 };
    // Fields 14 and 15, the second in parentheses, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// The most memory that this process ever held; on other systems than Linux, none.
fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).map_or(0.0, |kb| kb * 1024.0)
}

/// What is wrong with the costs of files that are to be refused (or, as some are harmless, read).
fn excess(costs: &[Cost]) -> Vec<String> {
    let much = |cost: &&Cost| cost.seconds >= SECONDS || cost.peak >= PEAK_BYTES;
    costs.iter().filter(much).map(|cost| format!("{cost:?}")).collect()
}

fn small_jpeg() -> Vec<u8> {
    encoded(&picture(40, 30, 0), ImageFormat::Jpeg)
}

#[test]
fn strips_cost_what_their_pixels_cost() {
    let zeros = |width: u64, height: u64| zlib_of_zeros(height * (width + 1));
    let strip = |width: u32, height: u32| png((width, height), 0, &zeros(width.into(), height.into()), &[]);
    let long = cost("png of 1 x 99,999,999", &strip(1, 99_999_999));
    assert!(long.said.starts_with("SideTooLong"), "{long:?}");
    assert_eq!(excess(&[long]), [""; 0]);
    for (width, height) in [(1, 65_535), (65_535, 1)] {
        let thin = cost("a line", &strip(width, height));
        assert_eq!(thin.said, "image");
        assert!(thin.seconds < 0.5 && thin.peak < 100e6, "{thin:?}");
    }
    for (width, height) in [(65_535, 1500), (1500, 65_535)] {
        let wide = cost("a strip", &strip(width, height));
        assert_eq!(wide.said, "image");
        assert!(wide.peak < PEAK_BYTES, "{wide:?}");
    }
}

#[test]
fn tables_of_a_jpeg_are_counted_before_they_are_read() {
    let quantization: Vec<u8> = [&[0][..], &[1; 64]].concat().repeat(1000);
    let huffman: Vec<u8> =
        [&[0, 0, 1, 5, 1, 1, 1, 1, 1, 1][..], &[0; 7], &(0..12).collect::<Vec<u8>>()].concat();
    let xmp = |place: u32| {
        let guid = [7; 32];
        let data: [&[u8]; 5] = [
            b"http://ns.adobe.com/xmp/extension/\0",
            &guid,
            &u32::MAX.to_be_bytes(),
            &place.to_be_bytes(),
            b"x",
        ];
        segment(0xe1, &data.concat())
    };
    let repeated = |segment: &[u8]| segment.repeat((LARGEST - 10_000) / segment.len());
    let kinds = [
        ("quantization tables", repeated(&segment(0xdb, &quantization))),
        ("small huffman tables", repeated(&segment(0xc4, &huffman))),
        ("large huffman tables", repeated(&segment(0xc4, &huffman.repeat(2000)))),
        ("restart intervals", repeated(&segment(0xdd, &[0, 1]))),
        ("arithmetic tables", repeated(&segment(0xcc, &[0, 1]))),
        ("comments", repeated(&segment(0xfe, &[b' '; 60_000]))),
        ("short comments", repeated(&segment(0xfe, &[]))),
        (
            "colour profiles",
            repeated(&segment(0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &[9; 60_000]].concat())),
        ),
        ("exif blocks", repeated(&segment(0xe1, &[&b"Exif\0\0II\x2a\0"[..], &[9; 60_000]].concat()))),
        ("pieces of a text", (0..100_000).flat_map(xmp).collect()),
        ("fill bytes", vec![0xff; LARGEST - 10_000]),
        ("zeros", vec![0; LARGEST - 10_000]),
        ("stuffed zeros", repeated(&[0xff, 0])),
        ("restart markers", repeated(&[0xff, 0xd0])),
    ];
    let mut costs = Vec::new();
    for (name, before) in kinds {
        costs.push(cost(name, &jpeg_with(&small_jpeg(), &before)));
        assert_ne!(costs.last().unwrap().said, "image", "{name}");
        // Before the last scan of a progressive photo.
        let progressive = include_bytes!("../../data/tests/fixtures/progressive.jpg");
        let last = progressive.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
        let bytes = [&progressive[..last], &before, &progressive[last..]].concat();
        costs.push(cost(&format!("{name}, later"), &bytes));
    }
    assert_eq!(excess(&costs), [""; 0]);
}

#[test]
fn scans_of_a_jpeg_are_counted_before_they_are_read() {
    let progressive = include_bytes!("../../data/tests/fixtures/progressive.jpg").to_vec();
    let scans = |jpeg: &[u8], scan: &[u8], count: usize| {
        let end = jpeg.len() - 2;
        [&jpeg[..end], &scan.repeat(count), &jpeg[end..]].concat()
    };
    let last = progressive.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
    let refinement = progressive[last..progressive.len() - 2].to_vec();
    // A first scan of high frequencies, in which no block has any: runs of 32,767 blocks.
    let runs = [segment(0xda, &[1, 1, 0, 1, 63, 0]), vec![0; 400]].concat();
    // As many bytes as a picture of this size has at the very least.
    let large = claiming(scans(&progressive, &[5; 60_000], 1), (9900, 9900));
    let costs = [
        cost("a hundred scans of 98 megapixels", &scans(&large, &refinement, 90)),
        cost("a hundred scans of runs", &scans(&large, &runs, 90)),
        cost("ten thousand scans", &scans(&progressive, &refinement, 10_000)),
        cost("baseline with thousand scans", &scans(&claiming(small_jpeg(), (9000, 9000)), &runs, 1000)),
        cost("progressive of 98 megapixels with rubbish", &scans(&large, &[5; 200_000], 1)),
    ];
    assert!(costs[..4].iter().all(|cost| cost.said != "image"), "{costs:?}");
    assert_eq!(excess(&costs[..4]), [""; 0]);
    assert!(costs[4].peak < PEAK_BYTES, "{costs:?}");
}

#[test]
fn nonsense_behind_a_good_beginning_is_refused_soon() {
    let starts: [(&str, Vec<u8>); 7] = [
        ("jpeg", b"\xff\xd8\xff\xe0".to_vec()),
        ("png", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("gif", b"GIF89a".to_vec()),
        ("webp", b"RIFF\xff\xff\xff\x0fWEBPVP8 ".to_vec()),
        ("bmp", b"BM".to_vec()),
        ("tiff", b"II\x2a\0\x08\0\0\0".to_vec()),
        ("tiff, the other way", b"MM\0\x2a\0\0\0\x08".to_vec()),
    ];
    let noise = |place: usize| (place as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3];
    let noise: Vec<u8> = (0..1 << 16).map(noise).collect();
    let mut costs = Vec::new();
    for (name, start) in &starts {
        for (what, filling) in [("noise", &noise[..]), ("zeros", &[0; 4096]), ("ones", &[1; 4096])] {
            let mut bytes = [start.clone(), filling.repeat(LARGEST / filling.len())].concat();
            bytes.truncate(LARGEST);
            costs.push(cost(&format!("{name} of {what}"), &bytes));
        }
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
        let format = match *name {
            "jpeg" => ImageFormat::Jpeg,
            "png" => ImageFormat::Png,
            "webp" => ImageFormat::WebP,
            "bmp" => ImageFormat::Bmp,
            _ => continue,
        };
        let head = cut(encoded(&picture(600, 400, 0), format));
        costs.push(cost(&format!("half a {name} and noise"), &[head, noise.repeat(4000)].concat()));
    }
    assert!(costs.iter().filter(|cost| !cost.name.starts_with("half")).all(|cost| cost.said != "image"));
    assert_eq!(excess(&costs), [""; 0]);
}

#[test]
fn what_stands_beside_the_pixels_is_bounded() {
    let pixels = zlib_of_zeros(30 * 31);
    let png = |before: &[Vec<u8>]| png((30, 30), 0, &pixels, before);
    let bomb = zlib_of_zeros(1_500_000_000);
    let texts = |kind: &[u8], start: &[u8]| chunk(kind, &[start, &bomb].concat());
    let large = vec![b'x'; 200 << 20];
    let exif = [b"II\x2a\0\x08\0\0\0".to_vec(), large.clone()].concat();
    let lossless = riff(b"VP8L", &[&[0x2f][..], &(29_u32 << 14 | 29).to_le_bytes(), &[0x88; 11]].concat());
    let blocks = |start: &[u8]| [start, &[&[255][..], &[7; 255]].concat().repeat(900_000), &[0]].concat();
    let costs = [
        cost("png with a profile", &png(&[texts(b"iCCP", b"p\0\0")])),
        cost("png with packed texts", &png(&vec![texts(b"zTXt", b"k\0\0"); 6])),
        cost("png with packed unicode", &png(&vec![texts(b"iTXt", b"k\0\x01\0\0\0"); 6])),
        cost("png with a long text", &png(&[chunk(b"tEXt", &[b"k\0", &large[..]].concat())])),
        cost("png with a long exif block", &png(&[chunk(b"eXIf", &exif)])),
        cost("png with a private chunk", &png(&[chunk(b"prVt", &large)])),
        cost("png of many chunks", &png(&[chunk(b"tEXt", b"k\0").repeat(15 << 20)])),
        cost("png of many empty pieces", &png(&[chunk(b"IDAT", b"").repeat(20 << 20)])),
        cost("webp with a long exif block", &webp(8, 30, &[lossless.clone(), riff(b"EXIF", &exif)])),
        cost("webp with a profile", &webp(32, 30, &[riff(b"ICCP", &large), lossless.clone()])),
        cost("webp of many chunks", &webp(8, 30, &[riff(b"junk", b"").repeat(30 << 20), lossless])),
        cost("gif with comments", &gif((30, 30), &blocks(b"!\xfe"), 1)),
        cost("gif with a text", &gif((30, 30), &blocks(b"!\xff\x0bXMP DataXMP"), 1)),
        cost("gif with a profile", &gif((30, 30), &blocks(b"!\xff\x0bICCRGBG1012"), 1)),
        cost("gif of short comments", &gif((30, 30), &b"!\xfe\0".repeat(80 << 20), 1)),
        cost(
            "gif of short blocks",
            &gif((30, 30), &[b"!\xfe", &b"\x01a".repeat(120 << 20)[..], b"\0"].concat(), 1),
        ),
    ];
    assert_eq!(excess(&costs), [""; 0]);
}

#[test]
fn absurd_shapes_are_bounded() {
    let frame = |side: u32| {
        let place =
            [&[0; 6][..], &(side - 1).to_le_bytes()[..3], &(side - 1).to_le_bytes()[..3], &[1, 0, 0, 0]];
        let size = (side - 1) << 14 | (side - 1);
        let picture = riff(b"VP8L", &[&[0x2f][..], &size.to_le_bytes(), &[0x88; 11]].concat());
        riff(b"ANMF", &[place.concat(), picture].concat())
    };
    let animation =
        |side: u32, frames: usize| webp(2, side, &[riff(b"ANIM", &[0; 6]), frame(side).repeat(frames)]);
    let fields = |size, compression, more: &[support::hostile::Field]| {
        let mut fields = tiff_fields(size, compression, 1);
        fields.extend(more);
        fields.sort_unstable();
        fields
    };
    let bytes = zlib_of_zeros(60_000_000);
    let many = vec![8_u32; 1 << 20].into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    let places = |at: u32, count: u32, tag: u16| {
        [(tag, 4, count, at), (tag + if tag == 273 { 6 } else { 1 }, 4, count, at)]
    };
    let strips = places(8, 1 << 20, 273);
    let tables =
        jpeg_with(&small_jpeg(), &segment(0xdb, &[&[0][..], &[1; 64]].concat().repeat(1000)).repeat(3900));
    let one = |length: usize| [(273, 4, 1, 8), (278, 4, 1, 1 << 30), (279, 4, 1, length as u32)];
    let tile = |(width, height), length: usize| {
        [(322, 4, 1, width), (323, 4, 1, height), (324, 4, 1, 8), (325, 4, 1, length as u32)]
    };
    let costs = [
        cost("gif of 6,553 x 1,525 and many frames", &gif((6553, 1525), &[], 1 << 20)),
        cost("gif of 65,535 x 65,535", &gif((65_535, 65_535), &[], 1)),
        cost("webp of many frames", &animation(4, 1 << 20)),
        cost("webp of large frames", &animation(9000, 20)),
        cost("tiff of a million strips", &tiff(&fields((1, 1 << 20), 8, &strips), &many)),
        cost(
            "tiff of a row in many strips",
            &tiff(&fields((9000, 9000), 8, &[strips[0], strips[1], (278, 3, 1, 1)]), &many),
        ),
        cost(
            "tiff of one tile of 2^30",
            &tiff(&fields((90, 90), 8, &tile((1 << 30, 1 << 4), bytes.len())), &bytes),
        ),
        cost("tiff of jpeg tables", &tiff(&fields((40, 30), 7, &one(tables.len())), &tables)),
        cost(
            "tiff of a large jpeg",
            &tiff(&fields((40, 30), 7, &one(700)), &claiming(small_jpeg(), (65_000, 65_000))),
        ),
        cost("tiff of many fields", &tiff(&vec![(256, 4, 1, 1); 65_535], &[])),
        cost(
            "tiff of 65,535 x 100 zeros",
            &tiff(&fields((65_535, 100), 8, &one(1 << 20)), &zlib_of_zeros(6_553_500)),
        ),
        cost("tiff that is its own successor", &tiff(&fields((9, 9), 1, &one(81)), &[8; 100])),
    ];
    assert_eq!(excess(&costs), [""; 0]);
}

#[test]
fn large_photos_and_those_with_a_video_behind_them_are_still_read() {
    let photo = encoded(&picture(10_000, 10_000, 3), ImageFormat::Jpeg);
    let large = cost("jpeg of 100 megapixels", &photo);
    assert_eq!(large.said, "image");
    assert!(large.peak < PEAK_BYTES, "{large:?}");
    let video = [&small_jpeg()[..], b"\0\0\0\x18ftypmp42", &vec![7; 100 << 20]].concat();
    assert_eq!(cost("motion photo", &video).said, "image");
    let preview = segment(0xe2, &[9; 65_000]).repeat(200);
    assert_eq!(cost("photo with 13 MB of previews", &jpeg_with(&small_jpeg(), &preview)).said, "image");
    let reason = sciurus_data::decode(&small_jpeg()[..300], &DecodeLimits::default()).unwrap_err();
    assert_eq!(reason, SkipReason::Truncated);
}
