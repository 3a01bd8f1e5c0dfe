//! Ledger files: append-only lines of JSON. In: values, or a file that a crash may have cut off. Out: a line for each
//! value; the values of complete lines.

use super::LedgerError;
use sciurus_data::fs::{InsidePath, Root};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Write};

/// Largest ledger in bytes: more than half a million photos need.
const LARGEST: u64 = 256 << 20;

/// What to do with a last line that was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Leave it in the file.
    Leave,
    /// Cut it off, so that the next line begins where it began.
    Mend,
}

/// One line, with its line ending.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    // Can't fail: our records are maps with string keys, which is all that JSON requires.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Adds a line with a single write.
pub(crate) fn append(root: &Root, path: &InsidePath, value: &impl Serialize) -> Result<(), LedgerError> {
    let write = || root.appender(path)?.write_all(&line(value));
    write().map_err(|source| LedgerError::io("write", &root.place(path), source))
}

/// The values of a file; `None` if there is no file. A last line without a line ending counts if it's a whole value.
pub(crate) fn read<T: DeserializeOwned>(
    root: &Root,
    path: &InsidePath,
    tail: Tail,
) -> Result<Option<Vec<T>>, LedgerError> {
    let place = root.place(path);
    let bytes = match root.read(path, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LedgerError::io("read", &place, source)),
    };
    let (mut values, mut whole) = (Vec::new(), 0);
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let ended = line.ends_with(b"\n");
        if line.trim_ascii().is_empty() {
            whole += line.len();
            continue;
        }
        // A crash cuts off a line of ours. A file without any line of ours is somebody else's, and isn't touched.
        let may_be_cut = !values.is_empty() || tail == Tail::Leave;
        match serde_json::from_slice(line) {
            Ok(value) => values.push(value),
            Err(_) if !ended && may_be_cut => break,
            Err(source) => return Err(LedgerError::Line { path: place, line: number + 1, source }),
        }
        whole += line.len();
    }
    if tail == Tail::Mend {
        mend(root, path, &bytes, whole).map_err(|source| LedgerError::io("write", &place, source))?;
    }
    Ok(Some(values))
}

fn mend(root: &Root, path: &InsidePath, bytes: &[u8], whole: usize) -> io::Result<()> {
    if whole < bytes.len() {
        root.appender(path)?.set_len(whole as u64)?;
    } else if bytes.last().is_some_and(|&last| last != b'\n') {
        root.appender(path)?.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (root, name) = (Root::open(folder.path()).unwrap(), InsidePath::new("lines").unwrap());
        let path = folder.path().join("lines");
        let all: Vec<String> = ["one", "two two", "three"].map(str::to_owned).into();
        let bytes: Vec<u8> = all.iter().flat_map(line).collect();
        let first = line(&"one").len() - 1;
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let kept: Vec<String> = match read(&root, &name, Tail::Mend) {
                Ok(kept) => kept.unwrap(),
                Err(error) => {
                    // No line shows that this is a ledger.
                    assert!((1..first).contains(&cut), "{cut} {error}");
                    assert_eq!(fs::read(&path).unwrap(), &bytes[..cut]);
                    continue;
                }
            };
            assert!(all.starts_with(&kept), "{cut}");
            append(&root, &name, &"next").unwrap();
            let again: Vec<String> = read(&root, &name, Tail::Leave).unwrap().unwrap();
            assert_eq!(again.len(), kept.len() + 1, "{cut}");
            assert_eq!(again.last().unwrap(), "next");
        }
        fs::write(&path, "\"a\"\nnonsense\n\"b\"\n").unwrap();
        let error = read::<String>(&root, &name, Tail::Mend).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
