//! What can be wrong with a line of a table.

use super::Column;
use crate::skip::one_line;
use std::path::PathBuf;

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
