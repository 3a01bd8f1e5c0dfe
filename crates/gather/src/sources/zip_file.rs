//! A zip file. In: an untrusted file. Out: its photos, from the list at its end, which is read once; and the bytes of
//! one of them.
//!
//! The list is parsed here because it's the part that lies: it may claim billions of members, or gigabytes of notes
//! about them, or that thousands of members share the same bytes. All its claims are first checked against the size of
//! the file.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.6.

use super::local;
use super::members::Members;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::io::{Read, Seek, SeekFrom};
use std::sync::LazyLock;

/// Most bytes of the list of members.
const MAX_DIRECTORY: u64 = 64 << 20;
/// Sizes in bytes of the records with a fixed length.
const END: usize = 22;
const LOCATOR: usize = 20;
const END_64: usize = 56;
const ENTRY: usize = 46;
const LOCAL: usize = 30;
/// Most bytes of the comment at the end of the file.
const COMMENT: usize = 0xffff;

const DAMAGED: &str = "not a zip file, or a damaged one";

/// Where a member is, and how it's packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zipped {
    at: u64,
    stored: u64,
    size: u64,
    method: u16,
    checksum: u32,
    is_encrypted: bool,
}

impl Zipped {
    /// The packed bytes from the file. If the member claims to be larger than the limit, nothing is read.
    pub(super) fn packed(&self, file: &mut (impl Read + Seek), limit: u64) -> Result<Vec<u8>, String> {
        // Packing makes nothing much longer.
        if self.size > limit || self.stored > limit + limit / 8 + 1024 {
            return Err(local::larger(limit));
        }
        if self.is_encrypted {
            return Err("it is encrypted; unpack the archive yourself".to_owned());
        }
        let header: [u8; LOCAL] = at(file, self.at)?;
        let header = Part(&header);
        if !header.0.starts_with(b"PK\x03\x04") {
            return Err(DAMAGED.to_owned());
        }
        let text = i64::from(header.u16(26)) + i64::from(header.u16(28));
        file.seek(SeekFrom::Current(text)).map_err(|error| error.to_string())?;
        let packed = local::capped(file.take(self.stored), self.stored)?;
        if packed.len() as u64 == self.stored { Ok(packed) } else { Err(DAMAGED.to_owned()) }
    }

    /// Unpacks the bytes. Stops at the limit, whatever the list claims.
    pub(super) fn unpacked(&self, packed: Vec<u8>, limit: u64) -> Result<Vec<u8>, String> {
        let bytes = match self.method {
            0 => packed,
            8 => local::capped(DeflateDecoder::new(packed.as_slice()), limit)?,
            method => {
                return Err(format!(
                    "packed by method {method}, which is not supported; unpack the archive yourself"
                ));
            }
        };
        let is_whole = bytes.len() as u64 == self.size && checksum(&bytes) == self.checksum;
        if is_whole {
            Ok(bytes)
        } else {
            Err("its bytes do not match the archive's list; download it again".to_owned())
        }
    }
}

/// The photos of a file with this many bytes.
pub(super) fn members(file: &mut (impl Read + Seek), size: u64) -> Result<Members<Zipped>, String> {
    let directory = directory(file, size)?;
    if directory.size > MAX_DIRECTORY {
        return Err(format!(
            "its list of members is larger than {MAX_DIRECTORY} bytes; unpack it yourself if you trust it"
        ));
    }
    file.seek(SeekFrom::Start(directory.at)).map_err(|error| error.to_string())?;
    let list = local::capped(file.take(directory.size), directory.size)?;
    let (mut members, mut spans) = (Members::none(), Vec::new());
    let mut rest = Part(&list);
    while !rest.0.is_empty() {
        members.count()?;
        let entry = Entry::first(rest).ok_or(DAMAGED)?;
        rest = Part(rest.0.get(entry.length..).unwrap_or_default());
        let member = entry.member(directory.shift).ok_or(DAMAGED)?;
        let least = (LOCAL + entry.raw_name.len()) as u64;
        let end = member.at.checked_add(least).and_then(|end| end.checked_add(member.stored));
        spans.push((member.at, end.ok_or(DAMAGED)?));
        let name = entry.name();
        if Members::<Zipped>::wants(&name) {
            members.add(&name, member)?;
        }
    }
    apart(spans, directory.at)?;
    Ok(members)
}

/// Refuses members that share bytes, since a few bytes could then unpack to very many, and members that overlap the
/// list.
fn apart(mut spans: Vec<(u64, u64)>, list_at: u64) -> Result<(), String> {
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err("its members overlap; unpack it yourself if you trust it".to_owned());
    }
    let is_before = spans.last().is_none_or(|last| last.1 <= list_at);
    if is_before { Ok(()) } else { Err(DAMAGED.to_owned()) }
}

/// Where the list of members is, and how far everything is behind the position the archive states, as when it follows a
/// self-extracting program.
struct Directory {
    at: u64,
    size: u64,
    shift: u64,
}

/// Finds the end record in the last bytes; a comment may follow it.
fn directory(file: &mut (impl Read + Seek), size: u64) -> Result<Directory, String> {
    let tail = size.min((END + COMMENT) as u64);
    file.seek(SeekFrom::Start(size - tail)).map_err(|error| error.to_string())?;
    let tail_bytes = local::capped(file.take(tail), tail)?;
    for place in (0..=tail_bytes.len().saturating_sub(END)).rev() {
        let end = Part(&tail_bytes[place..]);
        if !end.0.starts_with(b"PK\x05\x06") || end.0.len() < END {
            continue;
        }
        let comment = usize::from(end.u16(20));
        if END + comment <= end.0.len()
            && let Some(directory) = named(file, end, size - tail + place as u64)?
        {
            return Ok(directory);
        }
    }
    Err(DAMAGED.to_owned())
}

/// The list that an end record at a position refers to, if there is one.
fn named(file: &mut (impl Read + Seek), end: Part<'_>, place: u64) -> Result<Option<Directory>, String> {
    let (mut size, mut stated, mut before) = (u64::from(end.u32(12)), u64::from(end.u32(16)), place);
    let is_64 = end.u16(10) == u16::MAX || end.u32(12) == u32::MAX || end.u32(16) == u32::MAX;
    if is_64 && let Some((at, record)) = end_64(file, place)? {
        (size, stated, before) = (Part(&record).u64(40), Part(&record).u64(48), at);
    }
    // The list ends where the record begins; some programs leave room for a signature in between.
    let behind = before.checked_sub(size).map(|at| (at, at.checked_sub(stated)));
    let there = stated.checked_add(size).filter(|&end| end <= before).map(|_| (stated, Some(0)));
    for (at, shift) in behind.into_iter().chain(there) {
        let begins = size == 0 || starts(file, at, b"PK\x01\x02")?;
        if let (true, Some(shift)) = (begins, shift) {
            return Ok(Some(Directory { at, size, shift }));
        }
    }
    Ok(None)
}

/// The zip64 end record of an archive with large numbers, with its position.
fn end_64(file: &mut (impl Read + Seek), place: u64) -> Result<Option<(u64, [u8; END_64])>, String> {
    let Some(locator_at) = place.checked_sub(LOCATOR as u64) else { return Ok(None) };
    let locator: [u8; LOCATOR] = at(file, locator_at)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let last = locator_at.checked_sub(END_64 as u64);
    let places = [Some(Part(&locator).u64(8)).filter(|&at| Some(at) <= last), last];
    for place in places.into_iter().flatten() {
        let record: [u8; END_64] = at(file, place)?;
        if record.starts_with(b"PK\x06\x06") {
            return Ok(Some((place, record)));
        }
    }
    Ok(None)
}

/// `BYTES` bytes at a position.
fn at<const BYTES: usize>(file: &mut (impl Read + Seek), place: u64) -> Result<[u8; BYTES], String> {
    let mut bytes = [0; BYTES];
    let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|_| DAMAGED.to_owned())?;
    Ok(bytes)
}

fn starts(file: &mut (impl Read + Seek), place: u64, mark: &[u8; 4]) -> Result<bool, String> {
    file.seek(SeekFrom::Start(place)).map_err(|error| error.to_string())?;
    Ok(local::capped(file.take(4), 4)? == mark)
}

/// One line of the list.
struct Entry<'d> {
    fixed: Part<'d>,
    raw_name: &'d [u8],
    extra: &'d [u8],
    /// Bytes of the whole line.
    length: usize,
}

impl<'d> Entry<'d> {
    fn first(list: Part<'d>) -> Option<Self> {
        let fixed = Part(list.0.get(..ENTRY)?);
        if !fixed.0.starts_with(b"PK\x01\x02") {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|place| usize::from(fixed.u16(place)));
        let raw_name = list.0.get(ENTRY..ENTRY + name)?;
        let length = ENTRY + name + extra + comment;
        let extra = list.0.get(ENTRY + name..ENTRY + name + extra)?;
        (length <= list.0.len()).then_some(Self { fixed, raw_name, extra, length })
    }

    fn member(&self, shift: u64) -> Option<Zipped> {
        // Numbers too large for their fields are in an extra field, in this order.
        let mut large = Part(self.extra(0x0001).unwrap_or_default());
        let mut number = |place: usize| match self.fixed.u32(place) {
            u32::MAX if large.0.len() >= 8 => {
                let number = large.u64(0);
                large = Part(&large.0[8..]);
                number
            }
            number => u64::from(number),
        };
        let (size, stored, at) = (number(24), number(20), number(42));
        Some(Zipped {
            at: at.checked_add(shift)?,
            stored,
            size,
            method: self.fixed.u16(10),
            checksum: self.fixed.u32(16),
            is_encrypted: self.fixed.u16(8) & 1 == 1,
        })
    }

    /// The content of an extra field.
    fn extra(&self, wanted: u16) -> Option<&'d [u8]> {
        let mut rest = Part(self.extra);
        while rest.0.len() >= 4 {
            let content = rest.0.get(4..4 + usize::from(rest.u16(2)))?;
            if rest.u16(0) == wanted {
                return Some(content);
            }
            rest = Part(&rest.0[4 + content.len()..]);
        }
        None
    }

    /// Its name: in Unicode if the archive says so or it can be read that way, else in the IBM PC's code page 437.
    fn name(&self) -> String {
        // A separate Unicode name, with the checksum of the name it belongs to.
        let unicode = self.extra(0x7075).filter(|field| Part(field).u32(1) == checksum(self.raw_name));
        let name = unicode.and_then(|field| field.get(5..)).unwrap_or(self.raw_name);
        let of_pc = |&byte: &u8| match usize::from(byte).checked_sub(0x80) {
            None => char::from(byte),
            Some(place) => CODE_PAGE_437.get(place).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        };
        str::from_utf8(name).map_or_else(|_| name.iter().map(of_pc).collect(), str::to_owned)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut checksum = Crc::new();
    checksum.update(bytes);
    checksum.sum()
}

/// The upper half of code page 437.
static CODE_PAGE_437: LazyLock<Vec<char>> = LazyLock::new(|| {
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
                             └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}"
        .chars()
        .collect()
});

/// Bytes with numbers in them; everything beyond the end reads as zero.
#[derive(Clone, Copy)]
struct Part<'d>(&'d [u8]);

impl Part<'_> {
    fn number<const BYTES: usize>(self, at: usize) -> [u8; BYTES] {
        let found = self.0.get(at..at + BYTES).and_then(|bytes| bytes.try_into().ok());
        found.unwrap_or([0; BYTES])
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.number(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.number(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.number(at))
    }
}
