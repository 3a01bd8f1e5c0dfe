//! A table, read line by line, whatever its file holds. In: an untrusted CSV file. Out: its columns, and each line as a
//! path with its labels; or what is wrong with the file or a line.

use super::super::item::Split;
use super::super::scan::{Listed, Tag};
use super::{Column, CsvHeader, CsvLabels, CsvProblem};
use crate::error::DataError;
use crate::image::read_patiently;
use crate::option::BadOption;
use crate::skip::SkipReason;
use csv::{Reader, ReaderBuilder, StringRecord, Trim};
use std::collections::BTreeSet;
use std::io::{self, Cursor};
use std::path::{self, Component, Path, PathBuf};

/// Largest table in bytes.
const MOST_BYTES: u64 = 256 << 20;

/// Most lines of a table.
const MOST_LINES: usize = 1_500_000;

/// Most bytes of a line: longer than any path that a system can open.
const MOST_LINE_BYTES: usize = 1 << 16;

/// Most columns of a table.
const MOST_COLUMNS: usize = 1000;

/// A table, read line by line.
pub(crate) struct Table<'a> {
    labels: &'a CsvLabels,
    reader: Reader<Cursor<Vec<u8>>>,
    /// The names of the columns, if the first line names them.
    pub(crate) names: Option<StringRecord>,
    pub(crate) columns: Columns,
    /// The first line with an image.
    first: Option<StringRecord>,
    lines: usize,
}

impl<'a> Table<'a> {
    /// Reads the file and its first lines.
    pub(crate) fn open(labels: &'a CsvLabels) -> Result<Self, DataError> {
        let bytes = bytes(&labels.path)?;
        let ends = |end: u8| bytes.iter().filter(|&&byte| byte == end).count();
        if ends(b'\n').max(ends(b'\r')) > MOST_LINES {
            let problem = CsvProblem::TooManyLines { limit: MOST_LINES };
            return Err(wrong(labels, MOST_LINES as u64 + 1, problem));
        }
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter(labels)?)
            .trim(Trim::All)
            .from_reader(Cursor::new(bytes));
        let none = || wrong(labels, 1, CsvProblem::NoRows);
        let first = next(labels, &mut reader)?.ok_or_else(none)?;
        let columns =
            Columns::find(labels, &first).map_err(|problem| wrong(labels, line_of(&first), problem))?;
        let (names, first) = match labels.header {
            CsvHeader::FirstLine => (Some(first), next(labels, &mut reader)?.ok_or_else(none)?),
            CsvHeader::Absent => (None, first),
        };
        Ok(Self { labels, reader, names, columns, first: Some(first), lines: 0 })
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
fn next(labels: &CsvLabels, reader: &mut Reader<Cursor<Vec<u8>>>) -> Result<Option<StringRecord>, DataError> {
    let mut record = StringRecord::new();
    let there = reader.read_record(&mut record).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        wrong(labels, line, CsvProblem::Malformed { detail: detail(&error) })
    })?;
    let (text, columns) = (record.as_slice(), record.len());
    let problem = if columns > MOST_COLUMNS {
        CsvProblem::TooManyColumns { columns, limit: MOST_COLUMNS }
    } else if text.len() > MOST_LINE_BYTES {
        CsvProblem::TooLong { bytes: text.len(), limit: MOST_LINE_BYTES }
    } else if text.contains('\0') {
        CsvProblem::NotText
    } else {
        return Ok(there.then_some(record));
    };
    Err(wrong(labels, line_of(&record), problem))
}

pub(crate) fn delimiter(labels: &CsvLabels) -> Result<u8, DataError> {
    u8::try_from(labels.delimiter).ok().filter(u8::is_ascii).ok_or(DataError::Option(BadOption {
        option: "delimiter",
        value: format!("{:?}", labels.delimiter),
        advice: "choose one ASCII character, such as a comma",
    }))
}

pub(crate) fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn detail(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, but the lines before it have {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// The positions of the columns in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) path: usize,
    pub(crate) label: usize,
    separator: Option<char>,
    split: Option<usize>,
    group: Option<usize>,
}

impl Columns {
    fn find(labels: &CsvLabels, first: &StringRecord) -> Result<Self, CsvProblem> {
        let named = labels.header == CsvHeader::FirstLine;
        let place = |column: &Column, what| {
            let names =
                || first.iter().enumerate().filter(|(_, name)| named && *column == Column::from(*name));
            let place = match column {
                Column::Name(_) => names().next().map(|(place, _)| place),
                Column::Number(number) => Some(*number).filter(|number| *number < first.len()),
            };
            if let (Column::Name(name), 2..) = (column, names().count()) {
                return Err(CsvProblem::ColumnTwice { column: name.clone() });
            }
            let found = || match named {
                true => first.iter().map(str::to_owned).collect(),
                false => (0..first.len()).map(|number| number.to_string()).collect(),
            };
            place.ok_or_else(|| CsvProblem::NoColumn { column: column.clone(), what, found: found() })
        };
        let needed = |asked: &Option<Column>, what: &'static str, number: usize| {
            let usual = || if named { Column::from(what) } else { Column::Number(number) };
            place(&asked.clone().unwrap_or_else(usual), what)
        };
        let optional = |asked: &Option<Column>, what: &'static str| match asked {
            Some(column) => place(column, what).map(Some),
            None => match place(&Column::from(what), what) {
                Err(CsvProblem::NoColumn { .. }) => Ok(None),
                found => found.map(Some),
            },
        };
        let label = needed(&labels.label_column, "label", 1);
        let several = named && labels.label_separator.is_some() && labels.label_column.is_none();
        let labels_column = || place(&Column::from("labels"), "label").ok().filter(|_| several);
        Ok(Self {
            path: needed(&labels.path_column, "path", 0)?,
            label: label.or_else(|missing| labels_column().ok_or(missing))?,
            separator: labels.label_separator,
            split: optional(&labels.split_column, "split")?,
            group: optional(&labels.group_column, "group")?,
        })
    }

    pub(crate) fn row(&self, record: &StringRecord, roots: &Roots) -> Result<Listed, CsvProblem> {
        let field = |place: usize| record.get(place).unwrap_or_default();
        let filled = |place, what| match field(place) {
            "" => Err(CsvProblem::Empty { what }),
            text => Ok(text),
        };
        let path = roots.tidy(Path::new(filled(self.path, "path")?));
        let labels = match self.separator {
            None => vec![filled(self.label, "label")?.to_owned()],
            Some(separator) => several(field(self.label), separator),
        };
        let split = self.split.map(|place| split(field(place))).transpose()?;
        let group = self.group.map(field).filter(|group| !group.is_empty()).map(str::to_owned);
        let problem = leads_out(&path).then_some(SkipReason::OutsideFolder);
        Ok(Listed { path, tag: Tag { labels, split, group }, problem })
    }
}

/// The labels in a field, sorted, without repetitions.
fn several(field: &str, separator: char) -> Vec<String> {
    let labels = field.split(separator).map(str::trim).filter(|label| !label.is_empty());
    labels.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What paths in a table may start with: the data set's folder, as given, absolute, and with links resolved.
pub(crate) struct Roots(Vec<PathBuf>);

impl Roots {
    pub(crate) fn of(root: &Path) -> Self {
        let whole = [path::absolute(root).ok(), root.canonicalize().ok()];
        Self([root.to_owned()].into_iter().chain(whole.into_iter().flatten()).collect())
    }

    /// A file's one path: without `.` and `folder/..`, and relative to the root if it's below it.
    pub(crate) fn tidy(&self, path: &Path) -> PathBuf {
        let below = self.0.iter().find_map(|root| path.strip_prefix(root).ok());
        let mut tidy = PathBuf::new();
        for part in below.unwrap_or(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if self.can_be_left(&tidy) => {
                    tidy.pop();
                }
                part => tidy.push(part),
            }
        }
        tidy
    }

    /// Whether the last part of a path and a `..` after it cancel out. They don't if the last part is a link: `..` then
    /// leads elsewhere.
    fn can_be_left(&self, path: &Path) -> bool {
        let is_link = |root: &Path| root.join(path).symlink_metadata().is_ok_and(|data| data.is_symlink());
        matches!(path.components().next_back(), Some(Component::Normal(_)))
            && !self.0.first().is_some_and(|root| is_link(root))
    }
}

/// Whether a path may lead out of the folder it starts from: it's absolute, or still goes up after it was tidied.
fn leads_out(path: &Path) -> bool {
    !path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn split(word: &str) -> Result<Split, CsvProblem> {
    match word.to_lowercase().as_str() {
        "train" => Ok(Split::Train),
        "valid" | "val" | "validation" => Ok(Split::Valid),
        "test" => Ok(Split::Test),
        _ => Err(CsvProblem::UnknownSplit { word: word.to_owned() }),
    }
}
