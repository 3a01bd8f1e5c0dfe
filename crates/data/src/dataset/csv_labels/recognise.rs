//! What a table is like, as far as nobody says: its delimiter, whether its first line names the columns, and which columns hold
//! what. In: the options, the first lines of the table, and the folder. Out: a [`Form`], and what of it to tell the user.

use super::column::Column;
use super::line::check_line;
use super::paths::Paths;
use super::{CsvHeader, CsvLabels, CsvProblem};
use crate::dataset::item::Split;
use crate::dataset::split_word::split_word;
use crate::skip::one_line;
use csv::{ReaderBuilder, StringRecord, Trim};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Lines that are looked at.
const LINES: usize = 100;
/// Bytes that are looked at.
const BYTES: usize = 1 << 20;

/// Delimiters that are tried, the most usual first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What columns of paths are called, without case and punctuation, the most certain first; and so on.
const PATHS: [&str; 21] = [
    "path",
    "filepath",
    "imagepath",
    "imgpath",
    "photopath",
    "file",
    "filename",
    "fname",
    "imagefile",
    "imagefilename",
    "imagename",
    "imgname",
    "image",
    "images",
    "img",
    "photo",
    "picture",
    "imageid",
    "imgid",
    "name",
    "id",
];
const LABELS: [&str; 16] = [
    "label",
    "labels",
    "classname",
    "labelname",
    "classlabel",
    "class",
    "classes",
    "category",
    "categories",
    "species",
    "breed",
    "target",
    "targets",
    "tag",
    "tags",
    "y",
];
const SPLITS: [&str; 11] = [
    "split",
    "splits",
    "isvalid",
    "isval",
    "isvalidation",
    "istest",
    "set",
    "subset",
    "partition",
    "phase",
    "usage",
];
const GROUPS: [&str; 2] = ["group", "groupid"];

/// How a table is read.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    pub(super) delimiter: u8,
    pub(super) header: CsvHeader,
    pub(crate) path: usize,
    pub(crate) label: usize,
    pub(super) split: Option<(usize, Flag)>,
    pub(super) group: Option<usize>,
    /// What separates labels of one image, by the looks of them, though nobody asked for several.
    several: Option<char>,
}

/// What the words of a split column mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// They name a split.
    Word,
    /// They say whether the image is in this split.
    Is(Split),
}

impl Flag {
    /// By the name of the column: fastai's tables have `is_valid`.
    fn of(name: &str) -> Self {
        match key(name).strip_prefix("is").and_then(split_word) {
            Some((split, rest)) if rest.is_empty() => Self::Is(split),
            _ => Self::Word,
        }
    }

    /// The split that a field says.
    pub(super) fn split(self, field: &str) -> Option<Split> {
        let word = field.to_lowercase();
        let otherwise = |split| if split == Split::Train { Split::Valid } else { Split::Train };
        match (self, word.as_str()) {
            (Self::Is(split), "true" | "1" | "1.0" | "yes" | "y" | "t") => Some(split),
            (Self::Is(split), "false" | "0" | "0.0" | "no" | "n" | "f" | "") => Some(otherwise(split)),
            _ => split_word(&word).filter(|(_, rest)| rest.is_empty()).map(|(split, _)| split),
        }
    }
}

impl Form {
    /// Looks at the beginning of a table.
    pub(super) fn recognise(labels: &CsvLabels, text: &str, paths: &Paths) -> Result<Self, CsvProblem> {
        let (delimiter, rows) = match labels.delimiter {
            Some(delimiter) => {
                // `Table::open` has checked that it is one byte.
                let delimiter = delimiter as u8;
                (delimiter, rows(text, delimiter))
            }
            None => delimited(text),
        };
        let Some(first) = rows.first() else { return Err(CsvProblem::NoRows) };
        check_line(first)?;
        let header = labels.header.unwrap_or_else(|| header(labels, first, paths));
        let names: Vec<&str> = match header {
            CsvHeader::FirstLine => first.iter().collect(),
            CsvHeader::Absent => Vec::new(),
        };
        let data = match header {
            CsvHeader::FirstLine => &rows[1..],
            CsvHeader::Absent => &rows[..],
        };
        let table = Columns { names, width: first.len(), data };
        let path = match table.place(&labels.path_column, "path")? {
            Some(place) => place,
            None => table.path(paths)?.ok_or_else(|| table.missing("path"))?,
        };
        let label = match table.place(&labels.label_column, "label")? {
            Some(place) => place,
            None => table.label(path)?.ok_or_else(|| table.missing("label"))?,
        };
        let split = match table.place(&labels.split_column, "split")? {
            Some(place) => Some((place, table.flag(place))),
            None => table.split()?,
        };
        let group = match table.place(&labels.group_column, "group")? {
            Some(place) => Some(place),
            None => table.named(&GROUPS)?,
        };
        let several = labels.label_separator.is_none().then(|| table.separator(label)).flatten();
        Ok(Self { delimiter, header, path, label, split, group, several })
    }
}

/// The first lines, with this delimiter. Lines that can't be read are told when the table is.
fn rows(text: &str, delimiter: u8) -> Vec<StringRecord> {
    let end = text.floor_char_boundary(BYTES);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(Trim::All)
        .from_reader(&text.as_bytes()[..end]);
    reader.records().take(LINES).map_while(Result::ok).collect()
}

/// The delimiter with which all lines have the same number of fields, and more than one; among several the one that gives columns
/// known names.
fn delimited(text: &str) -> (u8, Vec<StringRecord>) {
    let fits = |rows: &[StringRecord]| match rows {
        [first, rest @ ..] => first.len() > 1 && rest.iter().all(|row| row.len() == first.len()),
        [] => false,
    };
    let tried: Vec<_> = DELIMITERS.iter().map(|&delimiter| (delimiter, rows(text, delimiter))).collect();
    let fitting = || tried.iter().filter(|(_, rows)| fits(rows));
    let has_names = |rows: &[StringRecord]| rows[0].iter().any(|name| PATHS.contains(&key(name).as_str()));
    let known = fitting().find(|(_, rows)| has_names(rows)).or_else(|| fitting().next());
    // With no such delimiter: a line with a missing field is a fault to name, not a reason to read the table in another way.
    let wide = || tried.iter().find(|(_, rows)| rows.first().is_some_and(|first| first.len() > 1));
    known.or_else(wide).unwrap_or(&tried[0]).clone()
}

/// Without names the first line is already an image, and its file is there. A column called `image` is not, even beside a file
/// `image.jpg`, if another one is called like labels.
fn header(labels: &CsvLabels, first: &StringRecord, paths: &Paths) -> CsvHeader {
    let has = |known: &[&str]| first.iter().any(|name| known.contains(&key(name).as_str()));
    if has(&PATHS) && has(&LABELS) {
        return CsvHeader::FirstLine;
    }
    let is_file = match &labels.path_column {
        Some(Column::Number(place)) => first.get(*place).is_some_and(|field| paths.has(field)),
        Some(Column::Name(_)) => false,
        None => first.iter().any(|field| paths.has(field)),
    };
    if is_file { CsvHeader::Absent } else { CsvHeader::FirstLine }
}

/// A name without case and punctuation.
fn key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The columns of a table.
struct Columns<'a> {
    /// Their names, if they have some.
    names: Vec<&'a str>,
    width: usize,
    /// Lines after them.
    data: &'a [StringRecord],
}

impl Columns<'_> {
    /// Where the column is that was asked for.
    fn place(&self, asked: &Option<Column>, what: &'static str) -> Result<Option<usize>, CsvProblem> {
        let Some(column) = asked else { return Ok(None) };
        let place = match column {
            Column::Number(number) => Some(*number).filter(|number| *number < self.width),
            Column::Name(name) => self.only(|known| known == name)?,
        };
        place.map(Some).ok_or_else(|| self.no_column(column.clone(), what))
    }

    /// The column with the first of these names that is there.
    fn named(&self, known: &[&str]) -> Result<Option<usize>, CsvProblem> {
        for known in known {
            if let Some(place) = self.only(|name| key(name) == *known)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn only(&self, is: impl Fn(&str) -> bool) -> Result<Option<usize>, CsvProblem> {
        let mut places = (0..self.names.len()).filter(|&place| is(self.names[place]));
        match (places.next(), places.next()) {
            (Some(place), Some(_)) => Err(CsvProblem::ColumnTwice { column: self.names[place].to_owned() }),
            (place, _) => Ok(place),
        }
    }

    /// The column of paths: by its name, or because its first fields are names of files.
    fn path(&self, paths: &Paths) -> Result<Option<usize>, CsvProblem> {
        let named = self.named(&PATHS)?;
        let leads = |place: &usize| {
            self.data.iter().take(3).any(|row| row.get(*place).is_some_and(|field| paths.has(field)))
        };
        let by_files = || (0..self.width).find(leads);
        Ok(match (named, self.names.is_empty()) {
            // `id` may number the lines, and the column beside it have the files.
            (Some(place), _) => Some(Some(place).filter(leads).or_else(by_files).unwrap_or(place)),
            (None, true) => Some(by_files().unwrap_or(0)),
            (None, false) => by_files(),
        })
    }

    /// The column of labels: by its name, or because there is only one besides the paths.
    fn label(&self, path: usize) -> Result<Option<usize>, CsvProblem> {
        let named = self.named(&LABELS)?.filter(|place| *place != path);
        let beside = || (0..self.width).find(|place| *place != path);
        Ok(match (named, self.names.is_empty() || self.width == 2) {
            (None, true) => beside(),
            (named, _) => named,
        })
    }

    /// A split column that was not asked for counts if it has nothing but splits; but `split` is always meant.
    fn split(&self) -> Result<Option<(usize, Flag)>, CsvProblem> {
        for known in SPLITS {
            let Some(place) = self.named(&[known])? else { continue };
            let flag = self.flag(place);
            let fits = |row: &StringRecord| row.get(place).is_some_and(|field| flag.split(field).is_some());
            if known == "split" || self.data.iter().all(fits) {
                return Ok(Some((place, flag)));
            }
        }
        Ok(None)
    }

    fn flag(&self, place: usize) -> Flag {
        self.names.get(place).map_or(Flag::Word, |name| Flag::of(name))
    }

    /// A character that seems to separate several labels of one image: the column's name is a plural, and a field has it.
    fn separator(&self, label: usize) -> Option<char> {
        let is_plural =
            self.names.get(label).is_some_and(|name| ["labels", "tags"].contains(&key(name).as_str()));
        let fields = || self.data.iter().filter_map(|row| row.get(label));
        let is_there = |separator: &char| fields().any(|field| field.contains(*separator));
        [';', '|', ',', ' '].into_iter().find(is_there).filter(|_| is_plural)
    }

    fn missing(&self, what: &'static str) -> CsvProblem {
        self.no_column(Column::from(what), what)
    }

    fn no_column(&self, column: Column, what: &'static str) -> CsvProblem {
        let found = match self.names.is_empty() {
            true => (0..self.width).map(|number| number.to_string()).collect(),
            false => self.names.iter().map(|&name| name.to_owned()).collect(),
        };
        CsvProblem::NoColumn { column, what, found }
    }
}

/// How a table was read. `Display` is one sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recognised {
    /// The table.
    pub table: PathBuf,
    /// What separates two fields.
    pub delimiter: char,
    /// Whether the first line names the columns.
    pub header: CsvHeader,
    /// The column of paths.
    pub path: Column,
    /// The column of labels.
    pub label: Column,
    /// The column of splits.
    pub split: Option<Column>,
    /// The column of groups.
    pub group: Option<Column>,
    /// The ending that was added to paths.
    pub suffix: Option<String>,
    /// Whether `\` in paths was read as `/`.
    pub backslashes: bool,
    /// What seems to separate several labels of an image, in labels that were read as one.
    pub several: Option<char>,
}

impl Recognised {
    /// How a table of this form was read; `None` if it is as the documentation says that tables are.
    pub(super) fn new(
        labels: &CsvLabels,
        form: &Form,
        names: Option<&StringRecord>,
        paths: &Paths,
    ) -> Option<Self> {
        let column = |place: usize| match names.and_then(|names| names.get(place)) {
            Some(name) => Column::from(name),
            None => Column::Number(place),
        };
        let recognised = Self {
            table: labels.path.clone(),
            delimiter: char::from(form.delimiter),
            header: form.header,
            path: column(form.path),
            label: column(form.label),
            split: form.split.map(|(place, _)| column(place)),
            group: form.group.map(column),
            suffix: paths.suffix().map(str::to_owned),
            backslashes: paths.backslashes(),
            several: form.several,
        };
        let usual = Self {
            table: labels.path.clone(),
            delimiter: ',',
            header: CsvHeader::FirstLine,
            path: "path".into(),
            label: "label".into(),
            split: recognised.split.as_ref().map(|_| "split".into()),
            group: recognised.group.as_ref().map(|_| "group".into()),
            suffix: None,
            backslashes: false,
            several: None,
        };
        (recognised != usual).then_some(recognised)
    }
}

impl fmt::Display for Recognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", one_line(&self.table.to_string_lossy()))?;
        if self.header == CsvHeader::Absent {
            f.write_str("no line of names; ")?;
        }
        let delimiter = match self.delimiter {
            '\t' => "tabs".to_owned(),
            other => format!("`{other}`"),
        };
        write!(
            f,
            "read with {delimiter} between fields, paths from column {}, labels from {}",
            self.path, self.label
        )?;
        if let Some(split) = &self.split {
            write!(f, ", splits from {split}")?;
        }
        if let Some(group) = &self.group {
            write!(f, ", groups from {group}")?;
        }
        if self.backslashes {
            f.write_str("; `\\` in paths stands for `/`")?;
        }
        if let Some(suffix) = &self.suffix {
            write!(f, "; the paths lack their ending, `.{suffix}`")?;
        }
        if let Some(several) = self.several {
            write!(
                f,
                "; each photo has one label: if it may have several, set `label_separator` to '{several}'"
            )?;
        }
        Ok(())
    }
}
