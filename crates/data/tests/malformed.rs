//! Hostile and broken files: whatever they hold, decoding gives an image or a reason, soon and within its memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test stops at any problem")]

mod support;

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageBuffer, ImageFormat, Luma, Rgba, RgbaImage};
use rand::RngExt;
use sciurus_data::{DecodeLimits, RgbImage, Rng, Seed, SkipReason, decode};
use std::io::Cursor;
use std::process::Command;
use support::hostile::{chunk, zlib_of_zeros};
use support::{encoded, picture};

/// How many files are damaged at random, beside those that are made by hand.
const DAMAGED: usize = 300;

/// What one file may take of a processor, beside an honest picture with as many pixels as any of them has.
const TIMES: f64 = 3.0;

/// What all files together may take of memory at any moment.
const PEAK_BYTES: u64 = 1_000_000_000;

/// Set in the child process, whose memory is measured and whose abort would be noticed.
const CHILD: &str = "SCIURUS_TEST_MALFORMED";

#[test]
fn malformed_files_take_little_time_and_memory_and_never_end_the_process() {
    if std::env::var_os(CHILD).is_some() {
        decode_all();
        return;
    }
    let name = "malformed_files_take_little_time_and_memory_and_never_end_the_process";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    let last = said.lines().rev().take(8).collect::<Vec<_>>().join("\n");
    assert!(child.status.success(), "{:?} after:\n{last}\n{complained}", child.status);
    let number = |key: &str| -> Option<f64> {
        said.lines().find_map(|line| line.strip_prefix(key)).and_then(|rest| rest.trim().parse().ok())
    };
    let [files, slowest, honest] =
        ["files:", "slowest seconds:", "honest seconds:"].map(|key| number(key).unwrap());
    println!("{last}");
    assert!(files >= (DAMAGED + 15) as f64, "{files}");
    assert!(slowest < TIMES * honest, "{slowest} s, where {honest} s are honest:\n{last}");
    if let Some(peak) = number("peak bytes:") {
        assert!((peak as u64) < PEAK_BYTES, "{peak} bytes");
        assert!(peak as u64 > 1_000_000, "{peak} bytes are not a measurement");
    }
}

fn decode_all() {
    let (mut slowest, mut slowest_name) = (0.0, String::new());
    let (mut files, mut usable) = (0, 0);
    let mut check = |name: &str, bytes: &[u8]| {
        println!("file: {name}, {} bytes", bytes.len());
        let start = processor_seconds();
        let result = decode(bytes, &DecodeLimits::default());
        let seconds = processor_seconds() - start;
        println!(
            "  {seconds:.3} s, peak {} bytes: {:?}",
            peak_bytes().unwrap_or(0),
            result.as_ref().map(RgbImage::dimensions)
        );
        if seconds > slowest {
            (slowest, slowest_name) = (seconds, name.to_owned());
        }
        files += 1;
        usable += usize::from(result.is_ok());
        result.map(|image| image.dimensions())
    };
    for index in 0..DAMAGED {
        let (name, bytes) = damaged(index as u64);
        let _ = check(&name, &bytes);
    }
    let mut wrong = Vec::new();
    for (name, bytes, refused) in bombs() {
        let result = check(name, &bytes);
        match (refused, &result) {
            (Refused::No, Ok(_)) | (Refused::AnyWay, Err(_)) => {}
            (Refused::TooLarge, Err(SkipReason::TooManyPixels { .. } | SkipReason::TooMuchMemory { .. })) => {
            }
            _ => wrong.push(format!("{name}: {result:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    println!("usable all the same: {usable}");
    println!("files: {files}");
    println!("slowest: {slowest_name}");
    println!("slowest seconds: {slowest}");
    if let Some(peak) = peak_bytes() {
        println!("peak bytes: {peak}");
    }
    println!("honest seconds: {}", honest_seconds());
}

/// Seconds that the decoders beneath take for as many pixels, in the format that takes them longest: that says how fast this machine
/// is.
fn honest_seconds() -> f64 {
    let files = [
        png(9000, (8, 6, 4), &zlib_of_zeros(9000 * (9000 * 4 + 1)), None),
        encoded(&RgbImage::new(9000, 9000), ImageFormat::WebP),
    ];
    let of_file = |bytes: &Vec<u8>| {
        let start = processor_seconds();
        assert_eq!(image::load_from_memory(bytes).unwrap().width(), 9000);
        processor_seconds() - start
    };
    files.iter().map(of_file).fold(0.0, f64::max)
}

/// Seconds that this thread has had of a processor; on other systems than Linux, seconds of the clock.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = stat.and_then(|stat| stat.split_whitespace().next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(
        || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64(),
        |nanoseconds| nanoseconds / 1e9,
    )
}

/// The most memory that this process ever held; `None` on other systems than Linux.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn whole_files() -> Vec<(&'static str, Vec<u8>)> {
    let image = picture(70, 50, 3);
    let mut files: Vec<(&str, Vec<u8>)> = [
        ("jpeg", ImageFormat::Jpeg),
        ("png", ImageFormat::Png),
        ("webp", ImageFormat::WebP),
        ("bmp", ImageFormat::Bmp),
        ("tiff", ImageFormat::Tiff),
    ]
    .map(|(name, format)| (name, encoded(&image, format)))
    .to_vec();
    let mut gif = Vec::new();
    let frame =
        |red| Frame::new(RgbaImage::from_fn(40, 30, |x, y| Rgba([red, 6 * x as u8, 8 * y as u8, 255])));
    let mut encoder = GifEncoder::new(&mut gif);
    encoder.encode_frames([frame(0), frame(200)]).unwrap();
    drop(encoder);
    files.push(("gif", gif));
    let mut deep = Cursor::new(Vec::new());
    let pixel = |x, y| Rgba([x as u16 * 900, y as u16 * 900, 7, (x * y) as u16 * 9]);
    ImageBuffer::<Rgba<u16>, _>::from_fn(40, 40, pixel).write_to(&mut deep, ImageFormat::Png).unwrap();
    files.push(("deep png", deep.into_inner()));
    let mut grey = Cursor::new(Vec::new());
    ImageBuffer::<Luma<u16>, _>::from_fn(40, 40, |x, y| Luma([(x * y) as u16 * 40]))
        .write_to(&mut grey, ImageFormat::Tiff)
        .unwrap();
    files.push(("deep tiff", grey.into_inner()));
    files.push(("progressive jpeg", include_bytes!("fixtures/progressive.jpg").to_vec()));
    files.push(("cmyk jpeg", include_bytes!("fixtures/cmyk.jpg").to_vec()));
    files.push(("palette png", include_bytes!("fixtures/palette.png").to_vec()));
    files.push(("lossy webp", include_bytes!("fixtures/photo.webp").to_vec()));
    files
}

/// One file with one kind of damage; which, the index decides.
fn damaged(index: u64) -> (String, Vec<u8>) {
    let files = whole_files();
    let rng = &mut Seed(1).rng(&[index]);
    let (format, mut bytes) = files[index as usize % files.len()].clone();
    let kind = index as usize / files.len() % 6;
    let length = bytes.len();
    let damage = match kind {
        0 => {
            let from = if rng.random::<bool>() { 0 } else { length - 20 };
            bytes.truncate(rng.random_range(from..length));
            "cut anywhere or near its end"
        }
        1 => {
            bytes.truncate(rng.random_range(0..length.min(80)));
            "cut in its header"
        }
        2 => {
            for _ in 0..rng.random_range(1..12) {
                let at = rng.random_range(0..length);
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            "with turned bits"
        }
        3 | 4 => {
            // Sizes, lengths and offsets are near the beginning (TIFF: near the end).
            for _ in 0..if kind == 3 { 1 } else { 4 } {
                lie(&mut bytes, rng);
            }
            "with a lie in its header"
        }
        _ => {
            let (from, to) = (rng.random_range(0..length), rng.random_range(0..length));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, part);
            "with a part twice"
        }
    };
    if bytes.starts_with(b"\x89PNG") && rng.random::<bool>() {
        mend_checksums(&mut bytes);
    }
    (format!("{index}: {format} {damage}"), bytes)
}

/// Overwrites two or four bytes with a number of the kind that breaks parsers.
fn lie(bytes: &mut [u8], rng: &mut Rng) {
    let from = if bytes.starts_with(b"II") { bytes.len().saturating_sub(200) } else { 0 };
    let at = rng.random_range(from..bytes.len().min(from + 200) - 4);
    let number =
        [0, 1, 0xff, 0x7fff, 0xffff, 0x2710_2710, 0x7fff_ffff, 0x8000_0000, u32::MAX][rng.random_range(0..9)];
    match rng.random_range(0..4) {
        0 => bytes[at..at + 2].copy_from_slice(&(number as u16).to_be_bytes()),
        1 => bytes[at..at + 2].copy_from_slice(&(number as u16).to_le_bytes()),
        2 => bytes[at..at + 4].copy_from_slice(&number.to_be_bytes()),
        _ => bytes[at..at + 4].copy_from_slice(&number.to_le_bytes()),
    }
}

/// Gives every chunk of a PNG its right checksum, so that what it says is believed.
fn mend_checksums(png: &mut [u8]) {
    let mut at = 8;
    while let Some(&[a, b, c, d]) = png.get(at..at + 4) {
        let end = at + 8 + u32::from_be_bytes([a, b, c, d]) as usize;
        if png.len() < end + 4 {
            return;
        }
        let sum = crc(&png[at + 4..end]);
        png[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(
            sum ^ u32::from(byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 },
        )
    })
}

/// How a bomb is refused.
#[derive(Debug, Clone, Copy)]
enum Refused {
    No,
    AnyWay,
    TooLarge,
}

fn bombs() -> Vec<(&'static str, Vec<u8>, Refused)> {
    use Refused::{AnyWay, No, TooLarge};
    let (rgb, rgba, deep) = ((8, 2, 3), (8, 6, 4), (16, 6, 8));
    let zeros = |side: u64, bytes: u64| zlib_of_zeros(side * (side * bytes + 1));
    let jpeg = |side| claiming(encoded(&picture(40, 30, 0), ImageFormat::Jpeg), side);
    let progressive = |side| claiming(include_bytes!("fixtures/progressive.jpg").to_vec(), side);
    vec![
        ("png of 60000 x 60000", png(60_000, rgb, &zeros(100, 3), None), TooLarge),
        ("png of 2^31 - 1 squared", png(i32::MAX as u32, deep, &zeros(100, 8), None), TooLarge),
        ("png of 9000 x 9000 with nothing", png(9000, rgb, &[], None), AnyWay),
        ("png of 9000 x 9000 with 100 rows", png(9000, rgba, &zeros(100, 360), None), AnyWay),
        ("png of 9000 x 9000 zeros", png(9000, rgb, &zeros(9000, 3), None), No),
        ("png of 9000 x 9000 clear zeros", png(9000, rgba, &zeros(9000, 4), None), No),
        ("png of 9900 x 9900 deep zeros", png(9900, deep, &zeros(9900, 8), None), TooLarge),
        (
            "png with a colour profile of 2 GB",
            png(30, rgb, &zeros(30, 3), Some(zlib_of_zeros(2_000_000_000))),
            No,
        ),
        ("gif of 65535 x 65535", gif(65_535), TooLarge),
        ("gif of 9000 x 9000", gif(9000), AnyWay),
        ("bmp of 9000 x 9000", bmp(9000), AnyWay),
        ("bmp of 2^31 - 1 squared", bmp(i32::MAX), AnyWay),
        ("jpeg of 65000 x 65000", jpeg(65_000), TooLarge),
        ("jpeg of 9000 x 9000", jpeg(9000), AnyWay),
        ("white jpeg", encoded(&RgbImage::from_pixel(2000, 2000, [255; 3].into()), ImageFormat::Jpeg), No),
        ("progressive jpeg of 9000 x 9000", progressive(9000), AnyWay),
        ("jpeg of a thousand scans", many_scans(1000, 3000), AnyWay),
        ("webp of 16383 x 16383", webp(16_382 << 14 | 16_382), TooLarge),
        ("webp of 9000 x 9000", webp(8999 << 14 | 8999), No),
        ("tiff of 60000 x 60000", tiff(60_000), TooLarge),
        ("tiff of 9000 x 9000", tiff(9000), AnyWay),
    ]
}

/// A PNG that claims to be a square. Depth in bits, colour type, bytes per pixel; the pixels' zlib stream; a profile's.
fn png(side: u32, (depth, colour, _): (u8, u8, u64), pixels: &[u8], profile: Option<Vec<u8>>) -> Vec<u8> {
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    let profile = profile.map(|stream| chunk(b"iCCP", &[b"p\0\0", &stream[..]].concat()));
    let parts =
        [chunk(b"IHDR", &header), profile.unwrap_or_default(), chunk(b"IDAT", pixels), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

fn gif(side: u16) -> Vec<u8> {
    let side = [side.to_le_bytes(), side.to_le_bytes()].concat();
    let colours = [0x80, 0, 0, 0, 0, 0, 255, 255, 255];
    [b"GIF89a", &side[..], &colours, b",\0\0\0\0", &side, &[0, 2, 2, 0x4c, 1, 0, 0x3b]].concat()
}

fn bmp(side: i32) -> Vec<u8> {
    let side = [side.to_le_bytes(), side.to_le_bytes()].concat();
    let head = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
    [&head[..], &side, b"\x01\0\x18\0", &[0; 24], &[9; 16]].concat()
}

fn webp(size: u32) -> Vec<u8> {
    let stream = [&[0x2f][..], &size.to_le_bytes(), &[0x88; 11]].concat();
    let chunk = [b"WEBPVP8L", &(stream.len() as u32).to_le_bytes()[..], &stream].concat();
    [b"RIFF", &(chunk.len() as u32).to_le_bytes()[..], &chunk].concat()
}

/// A TIFF of one strip, which claims to hold the whole picture.
fn tiff(side: u32) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let entries = [
        entry(256, 4, side),
        entry(257, 4, side),
        entry(258, 3, 8),
        entry(259, 3, 1),
        entry(262, 3, 1),
        entry(273, 4, 8),
        entry(277, 3, 1),
        entry(278, 4, side),
        entry(279, 4, u32::MAX),
    ];
    [&b"II\x2a\0\x08\0\0\0"[..], &(entries.len() as u16).to_le_bytes(), &entries.concat(), &[0; 4]].concat()
}

/// Overwrites the height and width in a JPEG's frame header.
fn claiming(mut jpeg: Vec<u8>, side: u16) -> Vec<u8> {
    let is_frame = |marker: &[u8]| marker[0] == 0xff && matches!(marker[1], 0xc0 | 0xc2);
    let frame = jpeg.windows(2).position(is_frame).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
    jpeg
}

/// A progressive JPEG whose last scan comes again and again, each a pass over a large picture.
fn many_scans(scans: usize, side: u16) -> Vec<u8> {
    let jpeg = claiming(include_bytes!("fixtures/progressive.jpg").to_vec(), side);
    let last = jpeg.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
    let end = jpeg.len() - 2;
    [&jpeg[..end], &jpeg[last..end].repeat(scans), &jpeg[end..]].concat()
}
