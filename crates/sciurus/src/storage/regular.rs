//! Opens files of unknown origin safely: nothing blocks, and nothing grows without limit.
//!
//! In: a path, and the largest size that is accepted. Out: a [`RegularFile`], which is read in parts. Folders, pipes, devices and
//! links to them are refused. This is checked before opening, and again on the opened file, which may have been swapped.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use sciurus_data::fs::open_regular;

use crate::Error;

/// A regular file open for reading, with the size it had when it was opened; or its bytes in memory.
#[derive(Debug)]
pub(crate) struct RegularFile {
    source: Source,
    len: u64,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Cursor<Vec<u8>>),
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Bytes(bytes) => bytes.read(into),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Bytes(bytes) => bytes.seek(to),
        }
    }
}

impl RegularFile {
    /// Opens a file of at most `limit` bytes, without reading it.
    ///
    /// # Errors
    /// It cannot be opened, is not a regular file, or is larger.
    pub(crate) fn open(path: &Path, limit: u64) -> Result<Self, Error> {
        let (file, len) = open_regular(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => Error::NotAFile { path: path.to_owned() },
            _ => Error::io(path, source),
        })?;
        if len > limit {
            return Err(Error::TooLarge { path: path.to_owned(), bytes: len, limit });
        }
        Ok(Self { source: Source::File(file), len })
    }

    /// A file that is in memory already.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { source: Source::Bytes(Cursor::new(bytes)), len }
    }

    /// Its size in bytes when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads exactly these bytes.
    ///
    /// # Errors
    /// The file ends before them, or they cannot be read.
    pub(crate) fn read_at(&mut self, start: u64, count: u64) -> io::Result<Vec<u8>> {
        let end = start.checked_add(count).filter(|end| *end <= self.len);
        let (Some(_), Ok(count)) = (end, usize::try_from(count)) else {
            let reason = format!("{count} bytes at {start} are needed, but the file has only {}", self.len);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        };
        let mut bytes = vec![0; count];
        self.source.seek(SeekFrom::Start(start))?;
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the file from the start, up to the size it had when it was opened.
    pub(crate) fn rewound(&mut self) -> io::Result<impl Read> {
        self.source.seek(SeekFrom::Start(0))?;
        Ok((&mut self.source).take(self.len))
    }
}
