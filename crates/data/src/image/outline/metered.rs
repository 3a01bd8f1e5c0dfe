//! A reader with a budget. In: a file's bytes. Out: a reader for a decoder, which may read the file a few times over
//! and then fails.
//!
//! A file can refer to the same part again and again, so a short file may be a very long one for its decoder.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

/// How many times over a decoder may read a file.
const TIMES: u64 = 4;

/// What it may read on top of that: strips of a TIFF are read ahead, and there are at most this many bytes of them.
const AHEAD: u64 = 512 << 20;

/// A reader that fails once its bytes were read too often.
#[derive(Debug)]
pub(crate) struct Metered<'a> {
    bytes: Cursor<&'a [u8]>,
    left: u64,
}

impl<'a> Metered<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Cursor::new(bytes), left: TIMES * bytes.len() as u64 + AHEAD }
    }

    fn check(&self) -> io::Result<()> {
        let again = || io::Error::other("parts of the file are read over and over");
        if self.left == 0 { Err(again()) } else { Ok(()) }
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let count = self.bytes.read(into)?;
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

impl BufRead for Metered<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.bytes.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.bytes.consume(count);
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_can_be_read_some_times_over() {
        let bytes = vec![7; 1 << 20];
        let mut reader = Metered::new(&bytes);
        let mut times = 0;
        let mut sink = vec![0; bytes.len()];
        while reader.seek(SeekFrom::Start(0)).and_then(|_| reader.read_exact(&mut sink)).is_ok() {
            times += 1;
            assert!(times < 1000);
        }
        assert_eq!(times, TIMES + (AHEAD >> 20));
    }
}
