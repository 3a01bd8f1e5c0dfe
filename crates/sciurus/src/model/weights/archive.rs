//! The directory of a zip archive as PyTorch writes it, with uncompressed members.
//!
//! In: a file. Out: where each member's bytes are. Nothing is ever unpacked: a compressed member is refused, so that no member
//! can be larger than the file. Sizes in the directory are checked against the file before anything of that size is read.

use std::collections::HashMap;

use flate2::Crc;

use crate::storage::regular::RegularFile;
use crate::storage::tensor_header::shortened;

/// Most bytes of a directory, and most members. A checkpoint has one member per tensor and a few more.
const MAX_DIRECTORY: u64 = 8 << 20;
const MAX_MEMBERS: u64 = 20_000;

/// Sizes of the zip records, without their variable parts.
const END: u64 = 22;
const END_64: u64 = 56;
const LOCATOR_64: u64 = 20;
const ENTRY: usize = 46;
const LOCAL: u64 = 30;
/// The longest comment at the end of an archive.
const MAX_COMMENT: u64 = u16::MAX as u64;

/// A member of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Where its local record begins.
    record: u64,
    /// Its bytes.
    pub(super) size: u64,
    /// CRC-32 of its bytes; 0 if the writer did not compute it.
    pub(super) crc: u32,
}

/// The members of an archive, and where they are.
#[derive(Debug)]
pub(super) struct Archive {
    members: HashMap<String, Member>,
    /// Where the directory begins and the members end.
    directory: u64,
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// There is no directory, it is damaged or above a limit, or a member is compressed or occurs twice.
    pub(super) fn open(file: &mut RegularFile) -> Result<Self, String> {
        let end = End::find(file)?;
        let directory = file.read_at(end.start, end.size).map_err(|error| error.to_string())?;
        let mut rest = directory.as_slice();
        let mut members = HashMap::new();
        for _ in 0..end.members {
            let (name, member) = entry(&mut rest, end.start)?;
            if members.insert(name.to_owned(), member).is_some() {
                return Err(format!("it has two members `{}`", shortened(name)));
            }
        }
        Ok(Self { members, directory: end.start })
    }

    /// The names of all members, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<Member> {
        self.members.get(name).copied()
    }

    /// Where a member's bytes begin. Checks that all of them are before the directory.
    ///
    /// # Errors
    /// They are not, or the local record belongs to another member.
    pub(super) fn start(&self, file: &mut RegularFile, name: &str, member: Member) -> Result<u64, String> {
        let damaged = || format!("member `{}` is not where the directory says", shortened(name));
        let record = file.read_at(member.record, LOCAL).map_err(|_| damaged())?;
        let [names, extra] = [26, 28].map(|at| u64::from(short(&record, at)));
        let stored = file.read_at(member.record + LOCAL, names).map_err(|_| damaged())?;
        let start = member.record + LOCAL + names + extra;
        let fits = start.checked_add(member.size).is_some_and(|end| end <= self.directory);
        let is_it = record.starts_with(b"PK\x03\x04") && short(&record, 8) == 0 && stored == name.as_bytes();
        if fits && is_it { Ok(start) } else { Err(damaged()) }
    }

    /// All bytes of a small member, at most `limit`.
    ///
    /// # Errors
    /// There is no such member, or it is larger or damaged.
    pub(super) fn read(&self, file: &mut RegularFile, name: &str, limit: u64) -> Result<Vec<u8>, String> {
        let member = self.member(name).ok_or_else(|| format!("it has no member `{}`", shortened(name)))?;
        if member.size > limit {
            return Err(format!(
                "its `{}` has {} MB, and at most {} MB are read: it may be hostile and is refused",
                shortened(name),
                member.size >> 20,
                limit >> 20
            ));
        }
        let start = self.start(file, name, member)?;
        let bytes = file.read_at(start, member.size).map_err(|error| error.to_string())?;
        match member.crc == 0 || checksum(&bytes) == member.crc {
            true => Ok(bytes),
            false => Err(format!("member `{}` is damaged: its checksum is wrong", shortened(name))),
        }
    }
}

/// CRC-32 as in zip archives.
fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What the end record of an archive says about its directory.
struct End {
    start: u64,
    size: u64,
    members: u64,
}

impl End {
    fn find(file: &mut RegularFile) -> Result<Self, String> {
        let len = file.len();
        let tail_len = len.min(END + MAX_COMMENT);
        let tail = file.read_at(len - tail_len, tail_len).map_err(|error| error.to_string())?;
        // The last end record whose comment ends exactly with the file.
        let at = (0..=tail.len().saturating_sub(END as usize))
            .rev()
            .find(|at| is_end(&tail[*at..]))
            .ok_or("it has no zip directory: it is truncated or damaged")?;
        let record = &tail[at..];
        let mut end = Self {
            start: u64::from(word(record, 16)),
            size: u64::from(word(record, 12)),
            members: u64::from(short(record, 10)),
        };
        let position = len - tail_len + at as u64;
        let is_saturated = end.start == u64::from(u32::MAX) || end.size == u64::from(u32::MAX);
        if is_saturated || end.members == u64::from(u16::MAX) {
            end = Self::of_large(file, position)?;
        }
        if end.members > MAX_MEMBERS || end.size > MAX_DIRECTORY {
            return Err(format!(
                "it claims {} members, and at most {MAX_MEMBERS} are read: it may be hostile and is refused",
                end.members
            ));
        }
        match end.start.checked_add(end.size).is_some_and(|last| last <= position) {
            true => Ok(end),
            false => Err("its zip directory lies beyond its end: it is damaged".to_owned()),
        }
    }

    /// The zip64 record, for archives with more members or bytes than the usual record can count.
    fn of_large(file: &mut RegularFile, end: u64) -> Result<Self, String> {
        let damaged = |_| "its zip directory is damaged".to_owned();
        let locator = end.checked_sub(LOCATOR_64).unwrap_or(end);
        let locator = file.read_at(locator, LOCATOR_64).map_err(damaged)?;
        let record = file.read_at(long(&locator, 8), END_64).map_err(damaged)?;
        match locator.starts_with(b"PK\x06\x07") && record.starts_with(b"PK\x06\x06") {
            true => {
                Ok(Self { start: long(&record, 48), size: long(&record, 40), members: long(&record, 32) })
            }
            false => Err("its zip directory is damaged".to_owned()),
        }
    }
}

fn is_end(tail: &[u8]) -> bool {
    tail.starts_with(b"PK\x05\x06")
        && tail.len() >= END as usize
        && tail.len() == END as usize + usize::from(short(tail, 20))
}

/// Reads the next entry of the directory.
fn entry<'a>(rest: &mut &'a [u8], directory: u64) -> Result<(&'a str, Member), String> {
    let damaged = || "its zip directory is damaged".to_owned();
    let (record, variable) = rest.split_at_checked(ENTRY).ok_or_else(damaged)?;
    let [names, extra, comment] = [28, 30, 32].map(|at| usize::from(short(record, at)));
    let (name, variable) = variable.split_at_checked(names).ok_or_else(damaged)?;
    let (extra, variable) = variable.split_at_checked(extra).ok_or_else(damaged)?;
    let (_, next) = variable.split_at_checked(comment).ok_or_else(damaged)?;
    *rest = next;
    let name = std::str::from_utf8(name).map_err(|_| damaged())?;
    let [size, packed, record_start] = large_sizes([24, 20, 42].map(|at| word(record, at)), extra);
    let is_encrypted = short(record, 8) & 1 != 0;
    if is_encrypted || short(record, 10) != 0 {
        return Err(format!(
            "member `{}` is compressed or encrypted, which PyTorch never does; load it in PyTorch and save it again",
            shortened(name)
        ));
    }
    if !record.starts_with(b"PK\x01\x02") || packed != size || record_start > directory || size > directory {
        return Err(format!("member `{}` is not what the directory says: it is damaged", shortened(name)));
    }
    Ok((name, Member { record: record_start, size, crc: word(record, 16) }))
}

/// Resolves zip64 sizes: numbers that are too large for their 32 bits are in the extra field with id 1, in the same order.
fn large_sizes(sizes: [u32; 3], mut extra: &[u8]) -> [u64; 3] {
    let mut large: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let Some((field, rest)) = rest.split_at_checked(usize::from(short(head, 2))) else { break };
        if short(head, 0) == 1 {
            large = field;
        }
        extra = rest;
    }
    sizes.map(|size| match (size, large.split_first_chunk()) {
        (u32::MAX, Some((number, rest))) => {
            large = rest;
            u64::from_le_bytes(*number)
        }
        (size, _) => u64::from(size),
    })
}

fn short(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |number| u16::from_le_bytes(*number))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |number| u32::from_le_bytes(*number))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
}
