//! What can be wrong with a line of a table.

use super::Column;
use crate::skip::one_line;
use std::path::PathBuf;

/// What is wrong with a line of a CSV file, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvProblem {
    /// A required column is missing.
    #[error(
        "the table has no column {column}; it has {}; set `{what}_column` to the column of {what}s{}", list(found),
        if found.len() == 1 { ", or `delimiter` to the character between columns" } else { "" }
    )]
    NoColumn {
        /// The column that was looked for.
        column: Column,
        /// What it should hold: `path`, `label`, `split` or `group`.
        what: &'static str,
        /// The columns the table has.
        found: Vec<String>,
    },
    /// The first line names a column twice.
    #[error("two columns are called `{}`; rename one of them", shown(column))]
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
    /// The split is not one of the three.
    #[error(
        "`{}` is not a split; write train, valid or test, or name another column as `split_column`",
        shown(word)
    )]
    UnknownSplit {
        /// What the field holds.
        word: String,
    },
    /// An image is listed twice.
    #[error("{} is already listed in line {first}; keep one of the two lines", path.display())]
    Duplicate {
        /// The image.
        path: PathBuf,
        /// The line that lists it first.
        first: u64,
    },
    /// The line is not valid CSV.
    #[error("the line cannot be read: {detail}; check for a missing quote or delimiter")]
    Malformed {
        /// What the CSV reader reported.
        detail: String,
    },
    /// The text is not in a known encoding.
    #[error(
        "the text is not UTF-8: {detail}; save the table as \"CSV UTF-8\", or convert it: iconv -f WINDOWS-1252 -t UTF-8 \
         OLD > NEW"
    )]
    Encoding {
        /// What it probably is.
        detail: String,
    },
    /// The line has bytes that never occur in text.
    #[error("the line is not text: it contains NUL bytes; save the table as UTF-8 text (CSV)")]
    NotText,
    /// The line is too long to hold a path and labels.
    #[error(
        "the line has {bytes} bytes, but at most {limit} are allowed; check for a missing quote or line ending"
    )]
    TooLong {
        /// Bytes in its fields.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More columns than a table of labels may have.
    #[error(
        "the line has {columns} columns, but at most {limit} are allowed; remove the columns you don't need"
    )]
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
    /// The table has no lines besides its header.
    #[error("the table lists no images; add a line with a path and a label for each image")]
    NoRows,
}

/// How many columns a message lists.
const NAMED: usize = 20;

fn list(found: &[String]) -> String {
    let names: Vec<_> = found.iter().take(NAMED).map(|name| format!("`{}`", shown(name))).collect();
    match found.len() {
        0 => "no columns".to_owned(),
        count if count > NAMED => format!("{} and {} more", names.join(", "), count - NAMED),
        _ => names.join(", "),
    }
}

/// Text of the table for a message: on one line, and cut off if it's long.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    one_line(&short) + if short.len() < text.len() { "…" } else { "" }
}
