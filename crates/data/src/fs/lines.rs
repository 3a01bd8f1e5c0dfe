//! Append-only files of JSON lines: journals and logs. In: entries, or a file that may have been cut off when a process
//! was killed. Out: a line on disk for each acknowledged entry; the entries of a file that is ours.
//!
//! The first line says what the file is. Every line ends in a seal over itself and the line before it, so a line that
//! somebody added, changed, moved or removed is noticed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use super::random::random_number;
use super::seal::{is_seal, seal};
use super::{FileError, InsidePath, Lock, Root};

/// Most bytes of a line: more than a batch of a million moves needs.
const LONGEST_LINE: u64 = 256 << 20;
/// Most bytes of a file to be adopted, since all of it is read at once.
const LARGEST_FOREIGN: u64 = 256 << 20;
/// Most bytes of the first line, which says what the file is.
const LONGEST_HEAD: u64 = 200;

/// What a file of lines holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineFormat {
    /// Its name in the first line, such as `moves`.
    pub name: &'static str,
    /// What people call it, such as `log of moves`.
    pub what: &'static str,
    /// What its writer does, for messages, such as `moving files`.
    pub doing: &'static str,
}

/// The file, open for appending. There's no other writer while this is alive.
#[derive(Debug)]
pub struct Lines {
    place: PathBuf,
    file: File,
    /// The seal of the last line.
    last: String,
    _lock: Lock,
}

impl Lines {
    /// Opens a file, or creates one, and returns its entries. If a killed process left half a line at the end, it's cut
    /// off: it was never acknowledged.
    ///
    /// # Errors
    /// Somebody else is writing to it, it's another kind of file, it isn't ours, or it can't be written.
    pub fn open<T: DeserializeOwned>(
        root: &Root,
        path: &InsidePath,
        format: LineFormat,
    ) -> Result<(Self, Vec<T>), FileError> {
        let place = root.place(path);
        let failed = |source| FileError::write(&place, source);
        let lock = lock(root, path, format)?;
        if root.is_free(path).map_err(failed)? {
            let head = head(format);
            root.write(path, |file| writeln!(file, "{head}"))?;
        }
        let file = root.appender(path).map_err(failed)?;
        let read = parse(&file, &place, format)?;
        file.set_len(read.whole).map_err(failed)?;
        Ok((Self { place, file, last: read.last, _lock: lock }, read.entries))
    }

    /// The entries of a file, without writing to it; safe while somebody else writes. `None` if there's no file.
    ///
    /// # Errors
    /// It's another kind of file, it isn't ours, or it can't be read.
    pub fn read<T: DeserializeOwned>(
        root: &Root,
        path: &InsidePath,
        format: LineFormat,
    ) -> Result<Option<Vec<T>>, FileError> {
        let place = root.place(path);
        match root.reader(path) {
            Ok(file) => Ok(Some(parse(&file, &place, format)?.entries)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError::read(&place, source)),
        }
    }

    /// Adopts a file that somebody else or an older version wrote, because the user trusts it. Every line must be a
    /// valid entry. Returns how many there are. A file that is already ours stays as it is and gives 0, as does one
    /// that doesn't exist.
    ///
    /// # Errors
    /// It contains something else, is too large, or can't be written.
    pub fn adopt<T: DeserializeOwned>(
        root: &Root,
        path: &InsidePath,
        format: LineFormat,
    ) -> Result<usize, FileError> {
        match Self::read::<T>(root, path, format) {
            Ok(_) => return Ok(0),
            Err(FileError::Foreign { .. } | FileError::NotOurs { .. }) => {}
            Err(error) => return Err(error),
        }
        let place = root.place(path);
        let _lock = lock(root, path, format)?;
        let bytes = root.read(path, LARGEST_FOREIGN).map_err(|source| FileError::read(&place, source))?;
        let bodies = bodies::<T>(&bytes, &place, format)?;
        let head = head(format);
        let mut last = split(head.as_bytes()).map_or_else(String::new, |(_, seal)| seal.to_owned());
        root.write(path, |file| {
            writeln!(file, "{head}")?;
            bodies.iter().try_for_each(|body| {
                let line = line_after(&mut last, body);
                file.write_all(line.as_bytes())
            })
        })?;
        Ok(bodies.len())
    }

    /// Adds an entry. When this returns, the entry is on disk.
    ///
    /// # Errors
    /// The file can't be written; it then ends as it did before.
    pub fn append(&mut self, entry: &impl Serialize) -> Result<(), FileError> {
        self.add(entry, File::sync_data)
    }

    /// Adds an entry that survives a kill, but perhaps not a power cut.
    ///
    /// # Errors
    /// As for [`Lines::append`].
    pub fn append_lightly(&mut self, entry: &impl Serialize) -> Result<(), FileError> {
        self.add(entry, |_| Ok(()))
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    fn add(
        &mut self,
        entry: &impl Serialize,
        keep: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let failed = |source| FileError::write(&self.place, source);
        let body = serde_json::to_string(entry).map_err(|error| failed(error.into()))?;
        let mut last = self.last.clone();
        let line = line_after(&mut last, &body);
        let length = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(line.as_bytes()).and_then(|()| keep(&self.file));
        written.map_err(|source| {
            // Cut off what was written, or the next line would be glued to half a line.
            let _ = self.file.set_len(length);
            failed(source)
        })?;
        self.last = last;
        Ok(())
    }
}

/// What was read from a file.
struct Past<T> {
    entries: Vec<T>,
    /// Bytes up to the end of the last whole line.
    whole: u64,
    last: String,
}

/// Reads a file line by line, and stops at the first line that isn't ours, before much is read.
fn parse<T: DeserializeOwned>(file: &File, place: &Path, format: LineFormat) -> Result<Past<T>, FileError> {
    let mut reader = BufReader::new(file);
    let mut read = Past { entries: Vec::new(), whole: 0, last: String::new() };
    let mut line = Vec::new();
    for number in 1_usize.. {
        line.clear();
        let limit = if number == 1 { LONGEST_HEAD } else { LONGEST_LINE };
        reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(|source| FileError::read(place, source))?;
        let Some(text) = line.strip_suffix(b"\n") else {
            // A kill can cut off the last line, but not the first, which is written whole: without it, the file isn't
            // ours.
            let is_cut = number > 1 && (line.len() as u64) < limit;
            if is_cut {
                break;
            }
            return Err(not_one(place, format));
        };
        if number == 1 && !is_head(text, format) {
            return Err(not_one(place, format));
        }
        let (open, found) = split(text).ok_or_else(|| foreign(place, number))?;
        if !is_seal(found, &read.last, open.as_bytes()) {
            return Err(foreign(place, number));
        }
        if number > 1 {
            read.entries.push(entry(text, number, place)?);
        }
        found.clone_into(&mut read.last);
        read.whole += line.len() as u64;
    }
    Ok(read)
}

/// The entries of a file that somebody else wrote, as text without their seals.
fn bodies<T: DeserializeOwned>(
    bytes: &[u8],
    place: &Path,
    format: LineFormat,
) -> Result<Vec<String>, FileError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut bodies = Vec::new();
    for (number, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() || (number == 0 && is_head(line, format)) {
            continue;
        }
        if serde_json::from_slice::<T>(line).is_err() {
            return Err(not_one(place, format));
        }
        let body = split(line).map(|(open, _)| format!("{open}}}"));
        bodies.push(body.unwrap_or_else(|| String::from_utf8_lossy(line).into_owned()));
    }
    // No line shows that it's this kind of file.
    if bodies.is_empty() { Err(not_one(place, format)) } else { Ok(bodies) }
}

fn lock(root: &Root, path: &InsidePath, format: LineFormat) -> Result<Lock, FileError> {
    let name = path.name().to_string_lossy();
    let name = format!(".{}.lock", name.trim_start_matches('.'));
    let lock = path.with_name(name).map_err(|_| not_one(&root.place(path), format))?;
    Lock::take(root, &lock, format.doing)
}

/// The first line. Its random id keeps lines of one file from being moved into another.
fn head(format: LineFormat) -> String {
    let body = format!("{}1,\"id\":\"{:016x}\"}}", opening(format), random_number());
    line_after(&mut String::new(), &body).trim_end().to_owned()
}

fn opening(format: LineFormat) -> String {
    format!("{{\"sciurus\":\"{}\",\"format\":", format.name)
}

fn is_head(line: &[u8], format: LineFormat) -> bool {
    line.starts_with(opening(format).as_bytes())
}

const BEFORE_SEAL: &str = ",\"seal\":\"";
const AFTER_SEAL: &str = "\"}";

/// The line for an entry (a JSON object) that follows a line with this seal; the new line's seal replaces it.
fn line_after(last: &mut String, body: &str) -> String {
    let open = body.strip_suffix('}').unwrap_or(body);
    *last = seal(last, open.as_bytes());
    format!("{open}{BEFORE_SEAL}{last}{AFTER_SEAL}\n")
}

/// The sealed part of a line, an object without its closing brace, and the seal.
fn split(line: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(line).ok()?.strip_suffix(AFTER_SEAL)?.rsplit_once(BEFORE_SEAL)
}

fn entry<T: DeserializeOwned>(body: &[u8], number: usize, place: &Path) -> Result<T, FileError> {
    serde_json::from_slice(body).map_err(|error| FileError::NotOurs {
        path: place.to_owned(),
        found: format!("cannot be understood in line {number} ({error})"),
    })
}

fn not_one(place: &Path, format: LineFormat) -> FileError {
    let found = format!("is not a {} that Sciurus wrote", format.what);
    FileError::NotOurs { path: place.to_owned(), found }
}

fn foreign(place: &Path, number: usize) -> FileError {
    let reason = match number {
        1 => "it was not written by your Sciurus on this machine".to_owned(),
        _ => format!("line {number} was changed after it was written, by somebody or by damage"),
    };
    FileError::Foreign { path: place.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NUMBERS: LineFormat = LineFormat { name: "numbers", what: "list of numbers", doing: "counting" };
    const OTHERS: LineFormat = LineFormat { name: "others", what: "other list", doing: "counting" };

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Number {
        number: usize,
    }

    fn place() -> (tempfile::TempDir, Root, InsidePath) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root, InsidePath::new("state/numbers.jsonl").unwrap())
    }

    fn filled(root: &Root, path: &InsidePath) -> Vec<u8> {
        root.create_folder(&path.folder().unwrap()).unwrap();
        let (mut lines, none) = Lines::open::<Number>(root, path, NUMBERS).unwrap();
        assert_eq!(none, []);
        (0..3).for_each(|number| lines.append(&Number { number }).unwrap());
        fs::read(lines.place()).unwrap()
    }

    fn read(root: &Root, path: &InsidePath) -> Result<Option<Vec<Number>>, FileError> {
        Lines::read(root, path, NUMBERS)
    }

    #[test]
    fn whole_lines_are_kept_wherever_the_file_was_cut() {
        let (_folder, root, path) = place();
        assert_eq!(read(&root, &path).unwrap(), None);
        let bytes = filled(&root, &path);
        let head = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in 0..=bytes.len() {
            fs::write(root.place(&path), &bytes[..cut]).unwrap();
            let kept = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            if cut < head {
                assert!(matches!(read(&root, &path), Err(FileError::NotOurs { .. })), "{cut}");
                continue;
            }
            assert_eq!(read(&root, &path).unwrap().unwrap().len(), kept - 1);
            let (mut lines, entries) = Lines::open::<Number>(&root, &path, NUMBERS).unwrap();
            assert_eq!(entries.len(), kept - 1);
            lines.append(&Number { number: 7 }).unwrap();
            assert_eq!(read(&root, &path).unwrap().unwrap().last(), Some(&Number { number: 7 }));
        }
    }

    #[test]
    fn what_somebody_else_wrote_or_changed_is_not_believed_until_it_is_adopted() {
        let (_folder, root, path) = place();
        let bytes = filled(&root, &path);
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let changed = [
            text.replace("\"number\":1", "\"number\":9"),
            [lines[0], lines[2], lines[3], ""].join("\n"),
            [lines[0], lines[2], lines[1], lines[3], ""].join("\n"),
            [lines[0], lines[1], "{\"number\":4}", ""].join("\n"),
            text.replace("\"id\":\"", "\"id\":\"0"),
        ];
        for (case, changed) in changed.iter().enumerate() {
            fs::write(root.place(&path), changed).unwrap();
            assert!(matches!(read(&root, &path), Err(FileError::Foreign { .. })), "{case}");
            let opened = Lines::open::<Number>(&root, &path, NUMBERS);
            assert!(matches!(opened, Err(FileError::Foreign { .. })), "{case}");
            assert_eq!(&fs::read_to_string(root.place(&path)).unwrap(), changed);
            assert!(Lines::adopt::<Number>(&root, &path, NUMBERS).unwrap() > 0);
            assert_eq!(read(&root, &path).unwrap().unwrap().len(), changed.lines().count() - 1, "{case}");
            assert_eq!(Lines::adopt::<Number>(&root, &path, NUMBERS).unwrap(), 0);
        }
    }

    #[test]
    fn a_file_of_another_kind_stays_as_it_is() {
        let (_folder, root, path) = place();
        filled(&root, &path);
        assert!(matches!(Lines::open::<Number>(&root, &path, OTHERS), Err(FileError::NotOurs { .. })));
        for notes in ["notes\nwithout an end", "", "{\"number\":", "{}\n"] {
            fs::write(root.place(&path), notes).unwrap();
            for result in [
                read(&root, &path).map(drop),
                Lines::open::<Number>(&root, &path, NUMBERS).map(drop),
                Lines::adopt::<Number>(&root, &path, NUMBERS).map(drop),
            ] {
                let error = result.unwrap_err();
                assert!(matches!(error, FileError::NotOurs { .. }), "{notes:?} {error}");
            }
            assert_eq!(fs::read_to_string(root.place(&path)).unwrap(), notes);
        }
        // A file without a first line, as the first version wrote them, is adopted only when the user says so.
        fs::write(root.place(&path), "{\"number\":5}\n{\"number\":6}\n{\"num").unwrap();
        assert_eq!(Lines::adopt::<Number>(&root, &path, NUMBERS).unwrap(), 2);
        assert_eq!(read(&root, &path).unwrap().unwrap(), [Number { number: 5 }, Number { number: 6 }]);
    }

    #[test]
    fn there_is_one_writer_and_any_number_of_readers() {
        let (_folder, root, path) = place();
        root.create_folder(&path.folder().unwrap()).unwrap();
        let (mut lines, _) = Lines::open::<Number>(&root, &path, NUMBERS).unwrap();
        lines.append(&Number { number: 1 }).unwrap();
        assert!(matches!(Lines::open::<Number>(&root, &path, NUMBERS), Err(FileError::Busy { .. })));
        assert_eq!(read(&root, &path).unwrap().unwrap().len(), 1);
        drop(lines);
        Lines::open::<Number>(&root, &path, NUMBERS).unwrap();
    }
}
