//! Files that are made to cost much: bombs, endless tables, absurd shapes. Each is a few lines, so that a test says what
//! it holds.

/// A quarter of a gigabyte: the largest file that is read at all.
pub(crate) const LARGEST: usize = 256 << 20;

/// A PNG of this size with 8 bits and the given colour type, its pixels a zlib stream, `before` standing before them.
pub(crate) fn png((width, height): (u32, u32), colour: u8, pixels: &[u8], before: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
    let parts = [chunk(b"IHDR", &header), before.concat(), chunk(b"IDAT", pixels), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), parts.concat()].concat()
}

/// A chunk of a PNG, with its checksum.
pub(crate) fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let sum = crc(crc(u32::MAX, kind), data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &(!sum).to_be_bytes()].concat()
}

fn crc(sum: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    let table: [u32; 256] = std::array::from_fn(|byte| (0..8).fold(byte as u32, |sum, _| step(sum)));
    bytes.iter().fold(sum, |sum, &byte| sum >> 8 ^ table[((sum ^ u32::from(byte)) & 255) as usize])
}

/// A zlib stream of nothing but zeros, a hundredth and less of what comes out.
pub(crate) fn zlib_of_zeros(count: u64) -> Vec<u8> {
    let (mut bytes, mut waiting, mut bits) = (vec![0x78, 0x01], 0_u64, 0);
    let mut put = |value: u64, length: u32| {
        waiting |= value << bits;
        bits += length;
        while bits >= 8 {
            bytes.push(waiting as u8);
            waiting >>= 8;
            bits -= 8;
        }
    };
    // One last block with fixed codes: a zero (00110000), then copies of 258 bytes from one byte back (11000101, 00000).
    put(0b011, 3);
    put(0b0000_1100, 8);
    let mut left = count.saturating_sub(1);
    while left >= 258 {
        put(0b1010_0011, 8);
        put(0, 5);
        left -= 258;
    }
    (0..left).for_each(|_| put(0b0000_1100, 8));
    put(0, 7);
    put(0, 7);
    // Adler-32 of zeros: the sum of bytes stays 1, the sum of sums is their number.
    bytes.extend([((count % 65_521) as u32) << 16 | 1].map(u32::to_be_bytes).concat());
    bytes
}

/// A segment of a JPEG.
pub(crate) fn segment(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[0xff, kind][..], &((data.len() + 2) as u16).to_be_bytes(), data].concat()
}

/// A JPEG with something behind its start-of-image marker.
pub(crate) fn jpeg_with(jpeg: &[u8], before: &[u8]) -> Vec<u8> {
    [&jpeg[..2], before, &jpeg[2..]].concat()
}

/// Overwrites the width and height in a JPEG's frame header.
pub(crate) fn claiming(mut jpeg: Vec<u8>, (width, height): (u16, u16)) -> Vec<u8> {
    let is_frame = |marker: &[u8]| marker[0] == 0xff && matches!(marker[1], 0xc0 | 0xc2);
    let frame = jpeg.windows(2).position(is_frame).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

/// A field of a TIFF's directory: tag, kind of value, number of values, the value or its place.
pub(crate) type Field = (u16, u16, u32, u32);

/// A TIFF with these fields, its directory at the end, and `data` from byte 8 on.
pub(crate) fn tiff(fields: &[Field], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&b"II\x2a\0"[..], &(8 + data.len() as u32).to_le_bytes(), data].concat();
    bytes.extend((fields.len() as u16).to_le_bytes());
    for &(tag, kind, count, value) in fields {
        bytes.extend([tag, kind].map(u16::to_le_bytes).concat());
        bytes.extend([count, value].map(u32::to_le_bytes).concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// The fields of a picture with 8 bits per value, but for those that say where it lies.
pub(crate) fn tiff_fields((width, height): (u32, u32), compression: u32, samples: u32) -> Vec<Field> {
    let interpretation = if samples == 1 { 1 } else { 2 };
    vec![
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, interpretation),
        (277, 3, 1, samples),
    ]
}

/// A WebP of these chunks behind the extended header.
pub(crate) fn webp(flags: u8, side: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let side = &(side - 1).to_le_bytes()[..3];
    let header = riff(b"VP8X", &[&[flags, 0, 0, 0][..], side, side].concat());
    let body = [b"WEBP".to_vec(), header, chunks.concat()].concat();
    [b"RIFF".to_vec(), (body.len() as u32).to_le_bytes().to_vec(), body].concat()
}

/// A chunk of a WebP.
pub(crate) fn riff(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let fill: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
    [kind, &(data.len() as u32).to_le_bytes(), data, fill].concat()
}

/// A GIF with a screen of this size, `before` standing before its frames.
pub(crate) fn gif((width, height): (u16, u16), before: &[u8], frames: usize) -> Vec<u8> {
    let colours = [0x80, 0, 0, 0, 0, 0, 255, 255, 255];
    let frame = [b",\0\0\0\0".as_slice(), &[1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0]].concat();
    let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
    [b"GIF89a", &size[..], &colours, before, &frame.repeat(frames), b";"].concat()
}
