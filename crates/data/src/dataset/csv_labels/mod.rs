//! Labels from a table. In: a CSV file with a path and a label on each line, and perhaps a split and a group. Out: the
//! files it names, or the line that can't be used and how to fix it.

mod column;
mod problem;
mod table;

pub use column::Column;
pub use problem::CsvProblem;

use super::scan::{Listed, portable};
use crate::error::DataError;
use crate::option::BadOption;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use table::line_of;
pub(super) use table::{Roots, Table, delimiter};

/// A CSV file of paths and labels, and which of its columns are which.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `header` | first line | whether the first line names the columns | |
/// | `delimiter` | `,` | what separates two fields | one ASCII character |
/// | `path_column` | `path` (without a header: 0) | an image's path, relative to the data set's root | |
/// | `label_column` | `label` (without a header: 1) | its label | |
/// | `label_separator` | none: one label per image | what separates the labels of one image; makes the data set multi-label, where an image may have several labels or none | not a letter or digit |
/// | `split_column` | `split`, if there is one | `train`, `valid` (or `val`, `validation`) or `test` | |
/// | `group_column` | `group`, if there is one | images of one group stay in one split; empty: a group of its own | |
///
/// An image must be in the data set's folder or below it, whether its path is relative or absolute. One that is
/// elsewhere is skipped as [`SkipReason::OutsideFolder`]. A table may have at most 256 MiB, 1,500,000 lines of 64 KiB,
/// and 1000 columns.
///
/// With a separator the column of labels may also be called `labels`. Other columns are ignored. Fields may be quoted
/// from their first character on; whitespace around a field is ignored.
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
    /// What separates two fields.
    pub delimiter: char,
    /// The column of paths; `None`: `path`, or 0 without a header.
    pub path_column: Option<Column>,
    /// The column of labels; `None`: `label`, or 1 without a header.
    pub label_column: Option<Column>,
    /// What separates the labels of one image; `None`: each image has exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<char>,
    /// The column of splits; `None`: `split`, if there is one.
    pub split_column: Option<Column>,
    /// The column of groups; `None`: `group`, if there is one.
    pub group_column: Option<Column>,
}

/// Whether the first line of a table names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CsvHeader {
    /// The first line names the columns.
    FirstLine,
    /// The first line is already an image; columns go by number.
    Absent,
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

    /// What separates two fields: one ASCII character, such as `;` or a tab.
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

    /// Makes the data set multi-label: an image may have several labels or none, separated by this character. fastai's
    /// `label_delim`.
    ///
    /// ```
    /// use sciurus_data::{CsvLabels, Labeler};
    ///
    /// let labels = CsvLabels::new("pascal/train.csv").path_column("fname").label_separator(' ');
    /// assert!(Labeler::Csv(labels).is_multi_label());
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

/// Reads the table: every image it names, in the table's order.
pub(crate) fn read(labels: &CsvLabels, root: &Path) -> Result<Vec<Listed>, DataError> {
    if labels.label_separator.is_some_and(char::is_alphanumeric) {
        let value = format!("{:?}", labels.label_separator.unwrap_or_default());
        let advice = "choose a character that isn't part of any label, such as a space, ';' or '|'";
        return Err(DataError::Option(BadOption { option: "label_separator", value, advice }));
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
