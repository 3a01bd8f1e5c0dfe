//! Files of JSON lines that grow at their end. In: values, or a file that a crash may have cut. Out: a line for each value;
//! the values of whole lines.

use crate::error::GatherError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What becomes of a last line that was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// It stays in the file.
    Leave,
    /// It is cut off, so that the next line begins where it began.
    Mend,
}

/// One line, with its end.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    // Our records are maps with texts as keys, which is all that JSON asks for.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Adds a line with a single write.
pub(crate) fn append(path: &Path, value: &impl Serialize) -> Result<(), GatherError> {
    let write = || OpenOptions::new().create(true).append(true).open(path)?.write_all(&line(value));
    write().map_err(|source| GatherError::io("write", path, source))
}

/// The values of a file. A last line without an end counts if it is whole.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, tail: Tail) -> Result<Vec<T>, GatherError> {
    let bytes = fs::read(path).map_err(|source| GatherError::io("read", path, source))?;
    let (mut values, mut whole) = (Vec::new(), 0);
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let ended = line.ends_with(b"\n");
        if line.trim_ascii().is_empty() {
            whole += line.len();
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(value) => values.push(value),
            Err(_) if !ended => break,
            Err(source) => {
                return Err(GatherError::LedgerLine { path: path.to_owned(), line: number + 1, source });
            }
        }
        whole += line.len();
    }
    if tail == Tail::Mend {
        mend(path, &bytes, whole).map_err(|source| GatherError::io("write", path, source))?;
    }
    Ok(values)
}

fn mend(path: &Path, bytes: &[u8], whole: usize) -> std::io::Result<()> {
    if whole < bytes.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    } else if bytes.last().is_some_and(|&last| last != b'\n') {
        OpenOptions::new().append(true).open(path)?.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let all: Vec<String> = ["one", "two two", "three"].map(str::to_owned).into();
        let bytes: Vec<u8> = all.iter().flat_map(line).collect();
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let kept: Vec<String> = read(&path, Tail::Mend).unwrap();
            assert!(all.starts_with(&kept), "{cut}");
            append(&path, &"next").unwrap();
            let again: Vec<String> = read(&path, Tail::Leave).unwrap();
            assert_eq!(again.len(), kept.len() + 1, "{cut}");
            assert_eq!(again.last().unwrap(), "next");
        }
        fs::write(&path, "\"a\"\nnonsense\n\"b\"\n").unwrap();
        let error = read::<String>(&path, Tail::Mend).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
