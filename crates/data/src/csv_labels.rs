//! Labels from a table. In: a CSV file with a path and a label in each line, perhaps a split and a group. Out: the files
//! it names, or the line that makes no sense and what to do about it.

mod table;

use crate::corrections::{Correction, Corrections};
use crate::dataset::ImageDataset;
use crate::decode::read_file;
use crate::error::DataError;
use crate::item::ContentHash;
use crate::scan::{Listed, portable};
use crate::skip::{SkipReason, one_line};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use table::{Roots, Table, delimiter, line_of};

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
/// An image lies in the data set's folder or below it, whether its path is relative to it or absolute; one that lies elsewhere is
/// skipped as [`SkipReason::OutsideFolder`]. The table may have 256 MiB, 1,500,000 lines of 64 kiB, and 1000 columns.
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
    #[error("the column `{}` is there twice; rename one of the two", shown(column))]
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
    #[error("`{}` is no split; write train, valid or test", shown(word))]
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
    /// The line holds what no text holds.
    #[error("the line is not text: it holds NUL bytes; save the table as UTF-8 text (CSV)")]
    NotText,
    /// A line that is too long for one of paths and labels.
    #[error(
        "the line has {bytes} bytes where {limit} are allowed; see whether a quote or a line end is missing there"
    )]
    TooLong {
        /// Bytes in its fields.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More columns than a table of labels has.
    #[error("the line has {columns} columns where {limit} are allowed; leave out those that nobody needs")]
    TooManyColumns {
        /// How many there are.
        columns: usize,
        /// The limit.
        limit: usize,
    },
    /// More lines than a table may have.
    #[error("the table has more than {limit} lines; split it into several data sets")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// There is nothing but the first line.
    #[error("there are no images; add a line with a path and a label for each")]
    NoRows,
}

/// How many columns a message names.
const NAMED: usize = 20;

fn list(found: &[String]) -> String {
    let names: Vec<_> = found.iter().take(NAMED).map(|name| format!("`{}`", shown(name))).collect();
    match found.len() {
        0 => "no columns".to_owned(),
        count if count > NAMED => format!("{} and {} more", names.join(", "), count - NAMED),
        _ => names.join(", "),
    }
}

/// A text of the table for a message: on one line, and its beginning alone if it is long.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    one_line(&short) + if short.len() < text.len() { "…" } else { "" }
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
        // What lies outside the folder is nobody's to decide about.
        let inside = dataset.skipped.iter().filter(|file| file.reason != SkipReason::OutsideFolder);
        let skipped = inside.filter_map(|file| {
            let bytes = read_file(&dataset.root.join(&file.path), &dataset.limits).ok()?;
            Some((&*file.path, ContentHash::of(&bytes)))
        });
        let items = dataset.items.iter().map(|item| (&*item.path, item.content));
        let contents: HashMap<&Path, ContentHash> = items.chain(skipped).collect();
        let mut changed = 0;
        let mut table = Table::open(self)?;
        let mut writer =
            csv::WriterBuilder::new().delimiter(delimiter(self)?).flexible(true).from_writer(Vec::new());
        let failed = |error: csv::Error| DataError::CsvUnreadable {
            path: self.path.clone(),
            source: std::io::Error::other(error.to_string()),
        };
        if let Some(names) = &table.names {
            writer.write_record(names).map_err(failed)?;
        }
        let (columns, roots) = (table.columns, Roots::of(&dataset.root));
        while let Some(record) = table.next()? {
            let path = roots.tidy(Path::new(record.get(columns.path).unwrap_or_default()));
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

/// Reads the table: every image that it names, in its order.
pub(crate) fn read(labels: &CsvLabels, root: &Path) -> Result<Vec<Listed>, DataError> {
    if labels.label_separator.is_some_and(char::is_alphanumeric) {
        let value = format!("{:?}", labels.label_separator.unwrap_or_default());
        let advice = "choose a character that is no part of a label, such as a blank, ';' or '|'";
        return Err(DataError::Option { option: "label_separator", value, advice });
    }
    let (mut table, roots) = (Table::open(labels)?, Roots::of(root));
    let (mut listed, mut lines) = (Vec::new(), HashMap::new());
    while let Some(record) = table.next()? {
        let line = line_of(&record);
        let file = table.columns.row(&record, &roots).map_err(|problem| table.wrong(line, problem))?;
        if let Some(first) = lines.insert(portable(&file.path), line) {
            return Err(table.wrong(line, CsvProblem::Duplicate { path: file.path, first }));
        }
        listed.push(file);
    }
    Ok(listed)
}
