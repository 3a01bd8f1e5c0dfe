//! A table, read line by line, whatever its file holds. In: an untrusted CSV file. Out: its columns, and each line as a
//! path with its labels; or what is wrong with the file or a line.

use super::super::scan::{Listed, Tag};
use super::encoding::text;
use super::line::check_line;
use super::paths::{Paths, leads_out};
use super::recognise::{Form, Recognised};
use super::{CsvHeader, CsvLabels, CsvProblem};
use crate::error::DataError;
use crate::image::read_patiently;
use crate::option::BadOption;
use crate::skip::SkipReason;
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use std::collections::BTreeSet;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

/// Largest table in bytes.
const MOST_BYTES: u64 = 256 << 20;

/// Most lines of a table.
const MOST_LINES: usize = 1_500_000;

/// A table, read line by line.
pub(crate) struct Table<'a> {
    labels: &'a CsvLabels,
    reader: Reader<Cursor<String>>,
    /// The names of the columns, if the first line names them.
    pub(crate) names: Option<StringRecord>,
    pub(crate) form: Form,
    paths: Paths,
    /// The first line with an image.
    first: Option<StringRecord>,
    lines: usize,
}

impl<'a> Table<'a> {
    /// Reads the file and its first lines. Its paths are relative to `root`.
    pub(crate) fn open(labels: &'a CsvLabels, root: &Path) -> Result<Self, DataError> {
        let text = text(bytes(&labels.path)?).map_err(|(line, problem)| wrong(labels, line, problem))?;
        let ends = |end: u8| text.bytes().filter(|&byte| byte == end).count();
        if ends(b'\n').max(ends(b'\r')) > MOST_LINES {
            let problem = CsvProblem::TooManyLines { limit: MOST_LINES };
            return Err(wrong(labels, MOST_LINES as u64 + 1, problem));
        }
        check_delimiter(labels)?;
        let paths = Paths::new(root);
        let form = Form::recognise(labels, &text, &paths).map_err(|problem| wrong(labels, 1, problem))?;
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(form.delimiter)
            .trim(Trim::All)
            .from_reader(Cursor::new(text));
        let none = || wrong(labels, 1, CsvProblem::NoRows);
        let first = next(labels, &mut reader)?.ok_or_else(none)?;
        let (names, first) = match form.header {
            CsvHeader::FirstLine => (Some(first), next(labels, &mut reader)?.ok_or_else(none)?),
            CsvHeader::Absent => (None, first),
        };
        Ok(Self { labels, reader, names, form, paths, first: Some(first), lines: 0 })
    }

    /// The file that a line names.
    pub(crate) fn path(&self, record: &StringRecord) -> PathBuf {
        self.paths.find(record.get(self.form.path).unwrap_or_default())
    }

    /// A line as an image.
    pub(super) fn row(&self, record: &StringRecord) -> Result<Listed, CsvProblem> {
        let field = |place: usize| record.get(place).unwrap_or_default();
        let filled = |place, what| match field(place) {
            "" => Err(CsvProblem::Empty { what }),
            text => Ok(text),
        };
        let path = self.paths.find(filled(self.form.path, "path")?);
        let labels = match self.labels.label_separator {
            None => vec![filled(self.form.label, "label")?.to_owned()],
            Some(separator) => several(field(self.form.label), separator),
        };
        let split = self.form.split.map(|(place, flag)| {
            let unknown = || CsvProblem::UnknownSplit { word: field(place).to_owned() };
            flag.split(field(place)).ok_or_else(unknown)
        });
        let split = split.transpose()?;
        let group = self.form.group.map(field).filter(|group| !group.is_empty()).map(str::to_owned);
        let problem = leads_out(&path).then_some(SkipReason::OutsideFolder);
        Ok(Listed { path, tag: Tag { labels, split, group }, problem })
    }

    /// How the table was read, once all of it was.
    pub(super) fn recognised(&self) -> Option<Recognised> {
        Recognised::new(self.labels, &self.form, self.names.as_ref(), &self.paths)
    }

    /// What separates its fields.
    pub(crate) fn delimiter(&self) -> u8 {
        self.form.delimiter
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Option<StringRecord>, DataError> {
        let record = match self.first.take() {
            Some(first) => Some(first),
            None => next(self.labels, &mut self.reader)?,
        };
        self.lines += 1;
        match record {
            Some(record) if self.lines > MOST_LINES => {
                Err(self.wrong(line_of(&record), CsvProblem::TooManyLines { limit: MOST_LINES }))
            }
            record => Ok(record),
        }
    }

    pub(crate) fn wrong(&self, line: u64, problem: CsvProblem) -> DataError {
        wrong(self.labels, line, problem)
    }
}

fn wrong(labels: &CsvLabels, line: u64, problem: CsvProblem) -> DataError {
    DataError::Csv { path: labels.path.clone(), line, problem }
}

/// The bytes of the file.
fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |source: io::Error| DataError::CsvUnreadable { path: path.to_owned(), source };
    read_patiently(path, MOST_BYTES).map_err(|reason| match reason {
        SkipReason::NotFound => unreadable(io::ErrorKind::NotFound.into()),
        SkipReason::PermissionDenied => unreadable(io::ErrorKind::PermissionDenied.into()),
        SkipReason::Unreadable { detail } => unreadable(io::Error::other(detail)),
        reason if reason.is_machine_fault() => DataError::Machine { path: path.to_owned(), reason },
        reason => DataError::TableRefused { path: path.to_owned(), reason },
    })
}

/// The next line, if it could be one of paths and labels.
fn next(labels: &CsvLabels, reader: &mut Reader<Cursor<String>>) -> Result<Option<StringRecord>, DataError> {
    let mut record = StringRecord::new();
    let there = reader.read_record(&mut record).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        wrong(labels, line, CsvProblem::Malformed { detail: detail(&error) })
    })?;
    check_line(&record).map_err(|problem| wrong(labels, line_of(&record), problem))?;
    Ok(there.then_some(record))
}

fn check_delimiter(labels: &CsvLabels) -> Result<(), DataError> {
    let value = |delimiter: char| format!("'{}'", delimiter.escape_debug());
    match labels.delimiter {
        Some(delimiter) if !delimiter.is_ascii() => Err(DataError::Option(BadOption {
            option: "delimiter",
            value: value(delimiter),
            advice: "choose one ASCII character, such as a comma",
        })),
        _ => Ok(()),
    }
}

pub(crate) fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn detail(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, but the lines before it have {expected_len}")
        }
        _ => error.to_string(),
    }
}

/// The labels in a field, sorted, without repetitions.
fn several(field: &str, separator: char) -> Vec<String> {
    let labels = field.split(separator).map(str::trim).filter(|label| !label.is_empty());
    labels.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}
