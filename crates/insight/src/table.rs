//! Aligned text tables, in any script. In: cells. Out: lines for a terminal.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Two spaces between columns.
const GAP: &str = "  ";

/// How a cell is aligned in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of cells; the first row is the header.
#[derive(Debug)]
pub(crate) struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

/// Three decimals; a dash for NaN.
pub(crate) fn share(value: f64) -> String {
    if value.is_nan() { "–".to_string() } else { format!("{value:.3}") }
}

impl Table {
    /// A table with one column per heading.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let (header, align) = columns.into_iter().map(|(heading, align)| (plain(heading), align)).unzip();
        Self { align, rows: vec![header] }
    }

    /// Adds a row, with as many cells as there are columns.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(plain).collect());
    }
}

impl fmt::Display for Table {
    /// Lines without trailing spaces, and no line break after the last one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).zip(&self.align);
            let cells: Vec<String> = cells.map(|((cell, &width), &align)| pad(cell, width, align)).collect();
            cells.join(GAP).trim_end().to_string()
        };
        f.write_str(&self.rows.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

/// Cuts `text` to at most `width` terminal columns, with an ellipsis for what is cut off.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut short = String::new();
    for letter in text.chars() {
        if short.width() + letter.width().unwrap_or(0) >= width {
            break;
        }
        short.push(letter);
    }
    short + "…"
}

/// Rust's format widths count characters; a terminal needs display columns, two for a Chinese character.
fn pad(cell: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Left => format!("{cell}{blanks}"),
        Align::Right => format!("{blanks}{cell}"),
    }
}

/// Labels and paths come from folder names, which may contain line breaks and terminal commands: those become `�`.
fn plain(cell: impl Into<String>) -> String {
    cell.into().replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_and_control_characters_keep_the_columns() {
        let mut table = Table::new([("label", Align::Left), ("count", Align::Right)]);
        table.row(["松鼠", "1"]);
        table.row(["a\n\u{1b}[31mb", "20"]);
        assert_eq!(table.to_string(), "label     count\n松鼠          1\na��[31mb     20");
    }

    #[test]
    fn shorten_counts_terminal_columns() {
        assert_eq!(shorten("squirrel", 8), "squirrel");
        assert_eq!(shorten("squirrel", 5), "squi…");
        assert_eq!(shorten("松鼠松鼠", 5), "松鼠…");
        assert_eq!(shorten("松鼠松鼠", 4), "松…");
    }
}
