//! The first directory of a TIFF, which says how its image is cut into strips or tiles. In: bytes. Out: whether that is
//! within what a photo needs, and the size that the file claims.
//!
//! Sources: TIFF 6.0, sections 2 and 15; Adobe Photoshop TIFF Technical Notes (JPEG).

use super::jpeg::Jpeg;
use super::too_costly;
use crate::skip::SkipReason;

/// Most fields of a directory; a camera writes about fifty.
const MOST_FIELDS: usize = 4096;

/// Bytes of a field: tag, type, number of values, and the values or their offset.
const FIELD: usize = 12;

/// Most strips or tiles. Each is a stream of its own, and starting one costs more than a row of pixels.
const MOST_PARTS: u64 = 1 << 16;

/// Most values per pixel: four colours and some more.
const MOST_SAMPLES: u64 = 16;

/// Most bytes of the tables that all JPEG strips share, since they're read again for each strip.
const MOST_TABLES: u64 = 1 << 13;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTES: u16 = 279;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTES: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;

/// None, CCITT fax, LZW, JPEG, deflate, PackBits.
const USUAL_COMPRESSIONS: [u64; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 32946, 32773];

/// The compression that makes each strip or tile a JPEG of its own.
const AS_JPEG: u64 = 7;

/// Checks the first directory. What can't be followed is left to the decoder, which can't follow it either.
pub(super) fn check(bytes: &[u8]) -> Result<Option<(u32, u32)>, SkipReason> {
    let Some(directory) = Directory::find(bytes)? else { return Ok(None) };
    let one = |tag| directory.values(tag).next();
    let (Some(width), Some(height)) = (one(WIDTH), one(HEIGHT)) else { return Ok(None) };
    let samples = one(SAMPLES).unwrap_or(1);
    if samples > MOST_SAMPLES {
        return Err(too_costly(format!("it claims {samples} values per pixel")));
    }
    let rows = one(ROWS_PER_STRIP).unwrap_or(height).min(height);
    let part = (one(TILE_WIDTH).unwrap_or(width), one(TILE_HEIGHT).unwrap_or(rows));
    let parts = [STRIP_OFFSETS, TILE_OFFSETS].map(|tag| directory.count(tag)).into_iter().max().unwrap_or(0);
    let area = |(width, height): (u64, u64)| width.saturating_mul(height);
    // Tiles may reach beyond the edges, and an image stored in planes has as many times more parts as it has values per
    // pixel.
    let most = area((width, height)).saturating_mul(4 * samples).saturating_add(1 << 20);
    if parts > MOST_PARTS || area(part).saturating_mul(parts) > most {
        return Err(too_costly(format!("it is cut into {parts} parts of {} x {} pixels", part.0, part.1)));
    }
    if one(COMPRESSION) == Some(AS_JPEG) {
        check_jpegs(&directory, part)?;
    }
    Ok(u32::try_from(width).ok().zip(u32::try_from(height).ok()))
}

/// What kind of TIFF it is that a decoder doesn't read, in words.
pub(crate) fn kind(bytes: &[u8]) -> String {
    let Some(directory) = Directory::find(bytes).ok().flatten() else { return "this TIFF".to_owned() };
    let one = |tag| directory.values(tag).next();
    let kind = match (one(PHOTOMETRIC), one(SAMPLE_FORMAT), one(BITS), one(COMPRESSION)) {
        (_, _, _, Some(other)) if !USUAL_COMPRESSIONS.contains(&other) => format!("with compression {other}"),
        (Some(3), ..) => "whose colours come from a palette".to_owned(),
        (Some(6), ..) => "in YCbCr without JPEG".to_owned(),
        (Some(8), ..) => "in CIE L*a*b*".to_owned(),
        (_, Some(3), ..) => "of floating-point numbers".to_owned(),
        (_, Some(2), ..) => "of signed numbers".to_owned(),
        (_, _, Some(bits), _) => {
            format!("with {bits} bits per value and {} values per pixel", one(SAMPLES).unwrap_or(1))
        }
        _ => "of this kind".to_owned(),
    };
    format!("a TIFF {kind}")
}

/// Checks strips or tiles that are JPEGs of their own.
fn check_jpegs(directory: &Directory<'_>, (width, height): (u64, u64)) -> Result<(), SkipReason> {
    if directory.count(JPEG_TABLES) > MOST_TABLES {
        return Err(too_costly(format!("its tables have more than {MOST_TABLES} bytes")));
    }
    let of = |strip, tile| directory.values(strip).chain(directory.values(tile));
    let mut left = directory.bytes.len();
    for (offset, length) in of(STRIP_OFFSETS, TILE_OFFSETS).zip(of(STRIP_BYTES, TILE_BYTES)) {
        let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(directory.bytes.len());
        let part = &directory.bytes[place(offset)..place(offset.saturating_add(length))];
        left = left.checked_sub(part.len()).ok_or_else(|| too_costly("its parts overlap"))?;
        let jpeg = Jpeg::walk(part)?;
        match jpeg.check() {
            // Decoders cope with a strip that is cut short.
            Ok(()) | Err(SkipReason::Truncated) => {}
            Err(reason) => return Err(reason),
        }
        let fits = |(own_width, own_height): (u32, u32)| {
            u64::from(own_width) <= width.next_multiple_of(16)
                && u64::from(own_height) <= height.next_multiple_of(16)
        };
        if !jpeg.size().is_none_or(fits) {
            return Err(too_costly("one of its parts is larger than its image"));
        }
    }
    Ok(())
}

/// The fields of a directory as they are in the file, and the file's byte order.
struct Directory<'a> {
    bytes: &'a [u8],
    order: Order,
    fields: &'a [u8],
}

impl<'a> Directory<'a> {
    fn find(bytes: &'a [u8]) -> Result<Option<Self>, SkipReason> {
        let order = if bytes.first() == Some(&b'I') { Order::Lowest } else { Order::Highest };
        let at = bytes.get(4..8).map(|place| order.number(place) as usize);
        let Some((count, fields)) = at.and_then(|at| bytes.get(at..)?.split_at_checked(2)) else {
            return Ok(None);
        };
        let count = order.number(count) as usize;
        if count > MOST_FIELDS {
            return Err(too_costly(format!("its directory has {count} fields")));
        }
        Ok(Some(Self { bytes, order, fields: &fields[..(count * FIELD).min(fields.len())] }))
    }

    /// Bytes per value of a field, the number of values, and the four bytes that hold them or their offset.
    fn field(&self, tag: u16) -> Option<(usize, u64, &'a [u8])> {
        let is_it = |field: &&[u8]| self.order.number(&field[..2]) == u64::from(tag);
        let field = self.fields.chunks_exact(FIELD).rfind(is_it)?;
        let size = match self.order.number(&field[2..4]) {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            16..=18 => 8,
            _ => return None,
        };
        Some((size, self.order.number(&field[4..8]), &field[8..]))
    }

    fn count(&self, tag: u16) -> u64 {
        self.field(tag).map_or(0, |(_, count, _)| count)
    }

    /// The values of a field that are in the file, at most as many as an image may have parts.
    fn values(&self, tag: u16) -> impl Iterator<Item = u64> + use<'a> {
        let order = self.order;
        let values = self.field(tag).and_then(|(size, count, inside)| {
            let length = count.min(MOST_PARTS) as usize * size;
            let fits = count * size as u64 <= inside.len() as u64;
            let bytes = if fits { inside } else { self.bytes.get(order.number(inside) as usize..)? };
            Some(bytes[..length.min(bytes.len())].chunks_exact(size))
        });
        values.into_iter().flatten().map(move |value| order.number(value))
    }
}

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy)]
enum Order {
    Lowest,
    Highest,
}

impl Order {
    /// An integer of up to eight bytes.
    fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        match self {
            Self::Lowest => bytes.iter().rev().fold(0, add),
            Self::Highest => bytes.iter().fold(0, add),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF with these fields (tag, type, number of values, value).
    fn tiff(fields: &[(u16, u16, u32, u32)]) -> Vec<u8> {
        let field = |&(tag, kind, count, value): &(u16, u16, u32, u32)| {
            let words = [tag, kind].map(u16::to_le_bytes).concat();
            [words, [count, value].map(u32::to_le_bytes).concat()].concat()
        };
        let fields: Vec<u8> = fields.iter().flat_map(field).collect();
        let count = (fields.len() / 12) as u16;
        [&b"II\x2a\0\x08\0\0\0"[..], &count.to_le_bytes(), &fields, &[0; 4]].concat()
    }

    #[test]
    fn sizes_are_read_and_absurd_parts_refused() {
        let size = [(WIDTH, 3, 1, 300), (HEIGHT, 4, 1, 200)];
        assert_eq!(check(&tiff(&size)), Ok(Some((300, 200))));
        let with = |fields: &[(u16, u16, u32, u32)]| check(&tiff(&[&size[..], fields].concat()));
        assert!(with(&[(ROWS_PER_STRIP, 3, 1, 10), (STRIP_OFFSETS, 4, 20, 8)]).is_ok());
        assert!(with(&[(STRIP_OFFSETS, 4, 1 << 20, 8)]).is_err());
        let wide = [(TILE_WIDTH, 4, 1, 1 << 30), (TILE_HEIGHT, 4, 1, 16), (TILE_OFFSETS, 4, 1, 8)];
        assert!(with(&wide).is_err());
        assert!(with(&[(SAMPLES, 3, 1, 65_000)]).is_err());
        assert_eq!(check(b"II\x2a\0\xff\xff\xff\xff"), Ok(None));
        for cut in 0..40 {
            let _ = check(&tiff(&size)[..cut.min(tiff(&size).len())]);
        }
    }
}
