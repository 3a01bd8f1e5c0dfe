//! Labels from a table. In: a CSV file with a path and a label on each line, and perhaps a split and a group. Out: the
//! files it names, or the line that can't be used and how to fix it.

mod column;
mod encoding;
mod line;
mod paths;
mod problem;
mod recognise;
mod table;

pub use column::Column;
pub use problem::CsvProblem;
pub use recognise::Recognised;

use super::scan::{Listed, portable};
use crate::error::DataError;
use crate::option::BadOption;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
pub(super) use table::Table;
use table::line_of;

/// A CSV file of paths and labels, and which of its columns are which.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `header` | recognised | whether the first line names the columns | |
/// | `delimiter` | recognised: `,`, `;`, tab or `\|` | what separates two fields | one ASCII character |
/// | `path_column` | recognised | an image's path, relative to the data set's root | |
/// | `label_column` | recognised | its label | |
/// | `label_separator` | none: one label per image | what separates the labels of one image; makes the data set multi-label, where an image may have several labels or none | not a letter or digit |
/// | `split_column` | recognised, if there is one | `train`, `valid` or `test`, as the names of split folders are spelled; a column called `is_valid` or `is_test` says true or false | |
/// | `group_column` | `group`, if there is one | images of one group stay in one split; empty: a group of its own | |
///
/// What is recognised: a first line without names has a path whose file is there. A column of paths is called `path`,
/// `file`, `filename`, `fname`, `image`, `image_id` or so, or holds names of files that are there; one of labels is called
/// `label`, `labels`, `class`, `category`, `species`, `tags` or so, or is the only other column; one of splits is called
/// `split`, `set`, `subset`, `is_valid` or so. A path whose file isn't there is tried with `/` for `\`, and with the endings
/// of photos. [`Note::Table`](crate::Note::Table) says how a table was read if it wasn't as `path,label`.
///
/// An image must be in the data set's folder or below it, whether its path is relative or absolute. One that is
/// elsewhere is skipped as [`SkipReason::OutsideFolder`]. A table may have at most 256 MiB, 1,500,000 lines of 64 KiB,
/// and 1000 columns.
///
/// A table is text in UTF-8, or in UTF-16 with a byte order mark. Other columns are ignored. Fields may be quoted from their
/// first character on; whitespace around a field is ignored.
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
    /// Whether the first line names the columns; `None`: it is recognised.
    #[serde(default)]
    pub header: Option<CsvHeader>,
    /// What separates two fields; `None`: it is recognised.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// The column of paths; `None`: it is recognised.
    pub path_column: Option<Column>,
    /// The column of labels; `None`: it is recognised.
    pub label_column: Option<Column>,
    /// What separates the labels of one image; `None`: each image has exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<char>,
    /// The column of splits; `None`: it is recognised, if there is one.
    pub split_column: Option<Column>,
    /// The column of groups; `None`: `group`, if there is one.
    pub group_column: Option<Column>,
}

/// Whether the first line of a table names its columns.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
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
    /// A CSV file whose form is recognised.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            header: None,
            delimiter: None,
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
        self.header = Some(header);
        self
    }

    /// What separates two fields: one ASCII character, such as `;` or a tab.
    #[must_use]
    pub fn delimiter(mut self, delimiter: char) -> Self {
        self.delimiter = Some(delimiter);
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

/// Reads the table: every image it names, in the table's order, and how it was read.
pub(crate) fn read(labels: &CsvLabels, root: &Path) -> Result<(Vec<Listed>, Option<Recognised>), DataError> {
    if let Some(separator) = labels.label_separator.filter(|separator| separator.is_alphanumeric()) {
        let advice = "choose a character that isn't part of any label, such as a space, ';' or '|'";
        let value = format!("'{separator}'");
        return Err(DataError::Option(BadOption { option: "label_separator", value, advice }));
    }
    let mut table = Table::open(labels, root)?;
    let (mut listed, mut lines) = (Vec::new(), HashMap::new());
    while let Some(record) = table.next()? {
        let line = line_of(&record);
        let file = table.row(&record).map_err(|problem| table.wrong(line, problem))?;
        if let Some(first) = lines.insert(portable(&file.path), line) {
            return Err(table.wrong(line, CsvProblem::Duplicate { path: file.path, first }));
        }
        listed.push(file);
    }
    Ok((listed, table.recognised()))
}
