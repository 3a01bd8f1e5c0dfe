//! Labels from a table. In: a CSV file with a path and a label in each line, perhaps a split and a group. Out: the files
//! it names, or the line that makes no sense and what to do about it.

use crate::corrections::{Correction, Corrections};
use crate::dataset::ImageDataset;
use crate::error::DataError;
use crate::item::{ContentHash, Split};
use crate::scan::{Listed, Tag, portable};
use crate::skip::SkipReason;
use csv::{ReaderBuilder, StringRecord, Trim};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// A CSV file of paths and labels, and which of its columns are which.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `header` | first line | whether the first line names the columns | |
/// | `delimiter` | `,` | what stands between two fields | one ASCII character |
/// | `path_column` | `path` (without a header: 0) | an image's path, relative to the data set's root | |
/// | `label_column` | `label` (without a header: 1) | its label | |
/// | `label_separator` | none: one label for each image | what stands between two labels of one image, which may then have any number of them, none too | not a letter or digit |
/// | `split_column` | `split`, if there is one | `train`, `valid` (or `val`, `validation`) or `test` | |
/// | `group_column` | `group`, if there is one | images of one group stay on one side of a split; empty: by itself | |
///
/// With a separator the column of labels may also be called `labels`. Other columns are ignored. Fields may be quoted, from their first character on; blanks around a field do not count.
///
/// ```
/// use sciurus_data::{CsvLabels, ImageDataset};
///
/// let labels = CsvLabels::new("squirrels/labels.csv").path_column("file").label_column("species");
/// let builder = ImageDataset::from_csv(labels).seed(42);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvLabels {
    /// The CSV file.
    pub path: PathBuf,
    /// Whether the first line names the columns.
    pub header: CsvHeader,
    /// What stands between two fields.
    pub delimiter: char,
    /// The column of paths; `None`: `path`, or 0 without a header.
    pub path_column: Option<Column>,
    /// The column of labels; `None`: `label`, or 1 without a header.
    pub label_column: Option<Column>,
    /// What stands between two labels of one image; `None`: each image has exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<char>,
    /// The column of splits; `None`: `split`, if there is one.
    pub split_column: Option<Column>,
    /// The column of groups; `None`: `group`, if there is one.
    pub group_column: Option<Column>,
}

/// Whether a table names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CsvHeader {
    /// The first line names the columns.
    FirstLine,
    /// The first line is an image; columns go by number.
    Absent,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// By its name in the first line.
    Name(String),
    /// By its place, counted from 0.
    Number(usize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Number(number) => write!(f, "number {number} (counted from 0)"),
        }
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Column {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl<P: Into<PathBuf>> From<P> for CsvLabels {
    fn from(path: P) -> Self {
        Self::new(path)
    }
}

impl CsvLabels {
    /// A CSV file with the columns `path` and `label`, and perhaps `split` and `group`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            header: CsvHeader::FirstLine,
            delimiter: ',',
            path_column: None,
            label_column: None,
            label_separator: None,
            split_column: None,
            group_column: None,
        }
    }

    /// Whether the first line names the columns.
    #[must_use]
    pub fn header(mut self, header: CsvHeader) -> Self {
        self.header = header;
        self
    }

    /// What stands between two fields: one ASCII character, such as `;` or a tabulator.
    #[must_use]
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The column of paths.
    #[must_use]
    pub fn path_column(mut self, column: impl Into<Column>) -> Self {
        self.path_column = Some(column.into());
        self
    }

    /// The column of labels.
    #[must_use]
    pub fn label_column(mut self, column: impl Into<Column>) -> Self {
        self.label_column = Some(column.into());
        self
    }

    /// Lets an image have any number of labels, none too, with this character between them: fastai's `label_delim`.
    ///
    /// ```
    /// use sciurus_data::{CsvLabels, Labeler};
    ///
    /// let labels = CsvLabels::new("pascal/train.csv").path_column("fname").label_separator(' ');
    /// assert!(Labeler::Csv(labels).any_number());
    /// ```
    #[must_use]
    pub fn label_separator(mut self, separator: char) -> Self {
        self.label_separator = Some(separator);
        self
    }

    /// The column of splits.
    #[must_use]
    pub fn split_column(mut self, column: impl Into<Column>) -> Self {
        self.split_column = Some(column.into());
        self
    }

    /// The column of groups.
    #[must_use]
    pub fn group_column(mut self, column: impl Into<Column>) -> Self {
        self.group_column = Some(column.into());
        self
    }
}

/// What is wrong with a line of a CSV file, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvProblem {
    /// A column that is needed is not there.
    #[error("there is no column {column}; it has {}; name the column of the {what}s", list(found))]
    NoColumn {
        /// The column that was looked for.
        column: Column,
        /// What it would hold: `path`, `label`, `split` or `group`.
        what: &'static str,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// The first line names a column twice.
    #[error("the column `{column}` is there twice; rename one of the two")]
    ColumnTwice {
        /// Its name.
        column: String,
    },
    /// A path or a label is missing.
    #[error("the {what} is empty; fill it in or remove the line")]
    Empty {
        /// `path` or `label`.
        what: &'static str,
    },
    /// The split is none that we know.
    #[error("`{word}` is no split; write train, valid or test")]
    UnknownSplit {
        /// What stands there.
        word: String,
    },
    /// An image stands in two lines.
    #[error("{} already stands in line {first}; keep one of the two lines", path.display())]
    Duplicate {
        /// The image.
        path: PathBuf,
        /// The line where it stands first.
        first: u64,
    },
    /// The line is no CSV.
    #[error("the line cannot be read: {detail}; see whether a quote or a delimiter is missing there")]
    Malformed {
        /// What the reader said.
        detail: String,
    },
    /// There is nothing but the first line.
    #[error("there are no images; add a line with a path and a label for each")]
    NoRows,
}

fn list(found: &[String]) -> String {
    match found {
        [] => "no columns".to_owned(),
        found => found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

impl CsvLabels {
    /// The bytes of the same table with corrected labels and without the lines of images that are left out, and how many lines
    /// that changed. Lines of images that are not in the data set stay as they are, unless they are left out because they
    /// cannot be read.
    ///
    /// # Errors
    ///
    /// When the table cannot be read, or is not the one of the data set any more.
    pub fn corrected(
        &self,
        dataset: &ImageDataset,
        corrections: &Corrections,
    ) -> Result<(Vec<u8>, usize), DataError> {
        let skipped =
            dataset.skipped.iter().filter(|file| !matches!(file.reason, SkipReason::TooManyBytes { .. }));
        let skipped = skipped.filter_map(|file| {
            let bytes = std::fs::read(dataset.root.join(&file.path)).ok()?;
            Some((&*file.path, ContentHash::of(&bytes)))
        });
        let items = dataset.items.iter().map(|item| (&*item.path, item.content));
        let contents: HashMap<&Path, ContentHash> = items.chain(skipped).collect();
        let mut changed = 0;
        let Table { names, columns, records } = Table::read(self)?;
        let mut writer =
            csv::WriterBuilder::new().delimiter(delimiter(self)?).flexible(true).from_writer(Vec::new());
        let failed = |error: csv::Error| DataError::CsvUnreadable {
            path: self.path.clone(),
            source: std::io::Error::other(error.to_string()),
        };
        if let Some(names) = &names {
            writer.write_record(names).map_err(failed)?;
        }
        for record in &records {
            let path = tidy(Path::new(record.get(columns.path).unwrap_or_default()), &dataset.root);
            let correction = contents.get(&*path).and_then(|content| corrections.find(&path, content));
            let label = match correction {
                Some(Correction::LeaveOut) => {
                    changed += 1;
                    continue;
                }
                Some(Correction::Relabel(label)) => Some(label.as_str()),
                Some(Correction::Keep) | None => None,
            };
            changed += usize::from(label.is_some_and(|label| record.get(columns.label) != Some(label)));
            let fields = record.iter().enumerate();
            let fields =
                fields.map(|(place, field)| label.filter(|_| place == columns.label).unwrap_or(field));
            writer.write_record(fields).map_err(failed)?;
        }
        let bytes = writer.into_inner().map_err(|error| failed(csv::Error::from(error.into_error())))?;
        Ok((bytes, changed))
    }
}

/// A table as it lies on the disk.
struct Table {
    /// The names of the columns, if the first line has them.
    names: Option<StringRecord>,
    columns: Columns,
    records: Vec<StringRecord>,
}

impl Table {
    fn read(labels: &CsvLabels) -> Result<Self, DataError> {
        let wrong = |line: u64, problem| DataError::Csv { path: labels.path.clone(), line, problem };
        let file = File::open(&labels.path)
            .map_err(|source| DataError::CsvUnreadable { path: labels.path.clone(), source })?;
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter(labels)?)
            .trim(Trim::All)
            .from_reader(file);
        let malformed = |error: csv::Error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, CsvProblem::Malformed { detail: detail(&error) })
        };
        let mut records =
            reader.records().collect::<Result<Vec<StringRecord>, csv::Error>>().map_err(malformed)?;
        let named = labels.header == CsvHeader::FirstLine;
        let first = records.first().ok_or(wrong(1, CsvProblem::NoRows))?;
        let columns = Columns::find(labels, first).map_err(|problem| wrong(line_of(first), problem))?;
        let names = named.then(|| records.remove(0));
        if records.is_empty() {
            return Err(wrong(1, CsvProblem::NoRows));
        }
        Ok(Self { names, columns, records })
    }
}

fn delimiter(labels: &CsvLabels) -> Result<u8, DataError> {
    u8::try_from(labels.delimiter).ok().filter(u8::is_ascii).ok_or(DataError::Option {
        option: "delimiter",
        value: format!("{:?}", labels.delimiter),
        advice: "choose one ASCII character, such as a comma",
    })
}

/// Reads the table: every image that it names, in its order.
pub(crate) fn read(labels: &CsvLabels, root: &Path) -> Result<Vec<Listed>, DataError> {
    let wrong = |line: u64, problem| DataError::Csv { path: labels.path.clone(), line, problem };
    if labels.label_separator.is_some_and(char::is_alphanumeric) {
        let value = format!("{:?}", labels.label_separator.unwrap_or_default());
        let advice = "choose a character that is no part of a label, such as a blank, ';' or '|'";
        return Err(DataError::Option { option: "label_separator", value, advice });
    }
    let Table { columns, records, .. } = Table::read(labels)?;
    let (mut listed, mut lines) = (Vec::new(), HashMap::new());
    for record in records {
        let line = line_of(&record);
        let file = columns.row(&record, root).map_err(|problem| wrong(line, problem))?;
        if let Some(first) = lines.insert(portable(&file.path), line) {
            return Err(wrong(line, CsvProblem::Duplicate { path: file.path, first }));
        }
        listed.push(file);
    }
    Ok(listed)
}

fn line_of(record: &StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

fn detail(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields where the lines before it have {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

/// The places of the columns in a record.
#[derive(Debug)]
struct Columns {
    path: usize,
    label: usize,
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

    fn row(&self, record: &StringRecord, root: &Path) -> Result<Listed, CsvProblem> {
        let field = |place: usize| record.get(place).unwrap_or_default();
        let filled = |place, what| match field(place) {
            "" => Err(CsvProblem::Empty { what }),
            text => Ok(text),
        };
        let path = tidy(Path::new(filled(self.path, "path")?), root);
        let labels = match self.separator {
            None => vec![filled(self.label, "label")?.to_owned()],
            Some(separator) => several(field(self.label), separator),
        };
        let split = self.split.map(|place| split(field(place))).transpose()?;
        let group = self.group.map(field).filter(|group| !group.is_empty()).map(str::to_owned);
        Ok(Listed { path, tag: Tag { labels, split, group }, problem: None })
    }
}

/// The labels in a field, sorted, each once.
fn several(field: &str, separator: char) -> Vec<String> {
    let labels = field.split(separator).map(str::trim).filter(|label| !label.is_empty());
    labels.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The same file always has the same path: without `.`, and relative to the root if it lies below it.
fn tidy(path: &Path, root: &Path) -> PathBuf {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().filter(|part| *part != Component::CurDir).collect()
}

fn split(word: &str) -> Result<Split, CsvProblem> {
    match word.to_lowercase().as_str() {
        "train" => Ok(Split::Train),
        "valid" | "val" | "validation" => Ok(Split::Valid),
        "test" => Ok(Split::Test),
        _ => Err(CsvProblem::UnknownSplit { word: word.to_owned() }),
    }
}
