//! A tar file, also gzipped. In: an untrusted file. Out: where its photos are, found in one pass. A gzipped file can
//! only be read from the beginning, so its photos are unpacked to an unnamed file of ours.
//!
//! Headers are read one by one, and what they claim is checked before it's read: a member may claim that its name is
//! gigabytes long.

use super::local;
use super::members::Members;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use tar::{EntryType, Header, PaxExtensions};

/// Most bytes of one header that describes another, such as a long name, and of all of them.
const LONGEST_EXTENSION: u64 = 1 << 20;
const MAX_EXTENSIONS: u64 = 256 << 20;
/// Most properties of a member that are read.
const MOST_PAIRS: usize = 1000;
/// Most bytes that come out of a gzipped file. Photos are already compressed, so hardly more should come out than went
/// in. Text and bitmaps may give more, hence the factor; small files may give any ratio.
const MAX_UNPACKED: u64 = 64 << 30;
const MOST_TIMES: u64 = 20;
const ALWAYS_UNPACKED: u64 = 256 << 20;

const BLOCK: u64 = 512;
const CUT_SHORT: &str = "the archive is cut short; download it again";

/// Where a member is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    at: u64,
    size: u64,
}

impl Span {
    pub(super) fn bytes(self, file: &mut (impl Read + Seek), limit: u64) -> Result<Vec<u8>, String> {
        if self.size > limit {
            return Err(local::larger(limit));
        }
        file.seek(SeekFrom::Start(self.at)).map_err(|error| error.to_string())?;
        let bytes = local::capped(file.take(self.size), limit)?;
        if bytes.len() as u64 == self.size { Ok(bytes) } else { Err(CUT_SHORT.to_owned()) }
    }
}

/// The photos of a file with this many bytes, and the file to read them from. Of a gzipped file, photos larger than
/// `file_bytes` aren't unpacked.
pub(super) fn members(
    (mut file, size): (File, u64),
    file_bytes: u64,
) -> Result<(File, Members<Span>), String> {
    let mut magic = [0; 2];
    let begins = file.read_exact(&mut magic).and_then(|()| file.rewind());
    begins.map_err(|_| CUT_SHORT.to_owned())?;
    let mut stream = if magic == [0x1f, 0x8b] {
        let kept = tempfile::tempfile().map_err(|error| no_room(&error))?;
        Stream::Unpacked { gzip: Box::new(Gzip::new(file)), kept, kept_bytes: 0, file_bytes }
    } else {
        Stream::Plain { file: BufReader::new(file), at: 0, size }
    };
    let members = listed(&mut stream)?;
    let file = match stream {
        Stream::Plain { file, .. } => file.into_inner(),
        Stream::Unpacked { kept, .. } => kept,
    };
    Ok((file, members))
}

fn listed(stream: &mut Stream) -> Result<Members<Span>, String> {
    let mut members = Members::none();
    let (mut told, mut extensions) = (Told::default(), 0_u64);
    while let Some(header) = stream.header()? {
        let size = header.entry_size().map_err(|error| error.to_string())?;
        let kind = header.entry_type();
        if is_extension(kind) {
            extensions = size.saturating_add(extensions + BLOCK);
            let text = stream.extension(size, extensions)?;
            told.take(kind, &text);
            continue;
        }
        members.count()?;
        let (name, size) = told.member(&header, size);
        if kind.is_gnu_sparse() {
            stream.skip_map(&header)?;
        }
        if kind.is_file() && Members::<Span>::wants(&name) {
            let at = stream.keep(size)?;
            members.add(&name, Span { at, size })?;
        } else {
            stream.skip(size)?;
        }
        stream.skip(padding(size))?;
    }
    Ok(members)
}

fn is_extension(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

/// What the headers before a member say about it.
#[derive(Debug, Default)]
struct Told {
    name: Option<String>,
    pax_name: Option<String>,
    size: Option<u64>,
}

impl Told {
    fn take(&mut self, kind: EntryType, text: &[u8]) {
        if kind.is_gnu_longname() {
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            self.name = Some(String::from_utf8_lossy(&text[..end]).into_owned());
        } else if kind.is_pax_local_extensions() {
            // Stop at the first invalid line, since nothing after it can be trusted, or after more than anybody writes.
            for pair in PaxExtensions::new(text).map_while(Result::ok).take(MOST_PAIRS) {
                match pair.key() {
                    Ok("path") => {
                        self.pax_name = Some(String::from_utf8_lossy(pair.value_bytes()).into_owned());
                    }
                    Ok("size") => self.size = pair.value().ok().and_then(|size| size.parse().ok()),
                    _ => {}
                }
            }
        }
    }

    /// Name and size of the member that these headers describe. They are forgotten afterwards.
    fn member(&mut self, header: &Header, size: u64) -> (String, u64) {
        let told = std::mem::take(self);
        let name = told.pax_name.or(told.name);
        let own = || String::from_utf8_lossy(&header.path_bytes()).into_owned();
        (name.unwrap_or_else(own), told.size.unwrap_or(size))
    }
}

/// Bytes up to the next whole block.
fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

/// The bytes of the archive, from its beginning to its end.
enum Stream {
    Plain { file: BufReader<File>, at: u64, size: u64 },
    Unpacked { gzip: Box<Gzip>, kept: File, kept_bytes: u64, file_bytes: u64 },
}

impl Stream {
    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>, String> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        let block = self.read(BLOCK)?;
        if block.is_empty() || block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if block.len() != bytes.len() {
            return Err(CUT_SHORT.to_owned());
        }
        bytes.copy_from_slice(&block);
        // The checksum is computed as if its own field were eight spaces.
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum();
        let claimed = header.cksum().map_err(|_| "not a tar file".to_owned())?;
        if sum + 8 * 32 == claimed {
            Ok(Some(header))
        } else {
            Err("not a tar file, or a damaged one".to_owned())
        }
    }

    /// What a header says about the next one, if it isn't too long. `all`: bytes of such headers so far, including this
    /// one.
    fn extension(&mut self, size: u64, all: u64) -> Result<Vec<u8>, String> {
        if size > LONGEST_EXTENSION || all > MAX_EXTENSIONS {
            return Err(format!(
                "more than {LONGEST_EXTENSION} bytes about one member, or {MAX_EXTENSIONS} about all; unpack it yourself if \
                 you trust it"
            ));
        }
        let text = self.read(size)?;
        self.skip(padding(size))?;
        if text.len() as u64 == size { Ok(text) } else { Err(CUT_SHORT.to_owned()) }
    }

    /// Skips the map that follows the header of a sparse file.
    fn skip_map(&mut self, header: &Header) -> Result<(), String> {
        let mut goes_on = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        // Holes take no space, so only a malicious archive has a million of them.
        for _ in 0..10_000 {
            if !goes_on {
                return Ok(());
            }
            let block = self.read(BLOCK)?;
            goes_on = *block.get(504).ok_or(CUT_SHORT)? == 1;
        }
        Err("a file with more holes than any real file has; unpack it yourself if you trust it".to_owned())
    }

    /// Reads this many bytes, which must be few.
    fn read(&mut self, bytes: u64) -> Result<Vec<u8>, String> {
        let read = match self {
            Self::Plain { file, .. } => local::capped(file.by_ref().take(bytes), bytes)?,
            Self::Unpacked { gzip, .. } => local::capped(gzip.by_ref().take(bytes), bytes)?,
        };
        if let Self::Plain { at, .. } = self {
            *at += read.len() as u64;
        }
        Ok(read)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), String> {
        match self {
            Self::Plain { file, at, size } => {
                let behind = at.checked_add(bytes).filter(|behind| behind <= size).ok_or(CUT_SHORT)?;
                let step = i64::try_from(bytes).map_err(|_| CUT_SHORT)?;
                file.seek_relative(step).map_err(|error| error.to_string())?;
                *at = behind;
            }
            Self::Unpacked { gzip, .. } => passed(gzip, bytes, &mut std::io::sink())?,
        }
        Ok(())
    }

    /// Passes over a member that will be needed later, and returns where it is.
    fn keep(&mut self, size: u64) -> Result<u64, String> {
        match self {
            Self::Plain { at, .. } => {
                let begin = *at;
                self.skip(size)?;
                Ok(begin)
            }
            Self::Unpacked { gzip, kept, kept_bytes, file_bytes } if size <= *file_bytes => {
                let begin = *kept_bytes;
                passed(gzip, size, kept)?;
                *kept_bytes += size;
                Ok(begin)
            }
            Self::Unpacked { .. } => self.skip(size).map(|()| 0),
        }
    }
}

/// Copies this many bytes to a writer.
fn passed(gzip: &mut Gzip, bytes: u64, to: &mut impl Write) -> Result<(), String> {
    let mut buffer = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = gzip.read(&mut buffer[..most]).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(CUT_SHORT.to_owned());
        }
        to.write_all(&buffer[..read]).map_err(|error| no_room(&error))?;
        left -= read as u64;
    }
    Ok(())
}

fn no_room(error: &std::io::Error) -> String {
    format!("cannot unpack its photos to the folder for temporary files ({error}); unpack it yourself")
}

/// What comes out of a gzipped file, as long as it's in proportion to what went in.
struct Gzip {
    decoder: MultiGzDecoder<BufReader<Counted>>,
    unpacked: u64,
}

impl Gzip {
    fn new(file: File) -> Self {
        let counted = Counted { file, read: 0 };
        Self { decoder: MultiGzDecoder::new(BufReader::with_capacity(64 << 10, counted)), unpacked: 0 }
    }
}

impl Read for Gzip {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.decoder.read(into)?;
        self.unpacked += read as u64;
        let packed = self.decoder.get_ref().get_ref().read;
        if self.unpacked > MAX_UNPACKED.min(ALWAYS_UNPACKED + MOST_TIMES * packed) {
            let what = "it unpacks to far more than photos do; unpack it yourself if you trust it";
            return Err(std::io::Error::other(what));
        }
        Ok(read)
    }
}

/// A file, and how much of it has been read.
struct Counted {
    file: File,
    read: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.read += read as u64;
        Ok(read)
    }
}
