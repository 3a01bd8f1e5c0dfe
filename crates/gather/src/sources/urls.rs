//! A list of addresses: a text file with one per line, or a table with a header. In: the file. Out: one page of photos
//! to download. Its addresses are treated like those of any remote list.

use super::local;
use crate::allowed::Telling;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use sciurus_photos::text::{WORDS, plain, web_address};
use std::path::PathBuf;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Urls,
    what: "a text file with one address per line, or a CSV file with a column url and, if you have them, class, \
           licence, licence_url, landing_url, creator, attribution, id",
    limits: "32 MiB, 200,000 addresses",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "as stated in the table; otherwise unknown",
};

/// Largest list in bytes.
const MAX_BYTES: u64 = 32 << 20;
/// Most lines, cells and addresses of a list: more than anybody's list has, and few enough to keep in memory.
const MAX_LINES: usize = 1_000_000;
const MAX_CELLS: usize = 4_000_000;
const MAX_ADDRESSES: usize = 200_000;

#[derive(Debug)]
pub(crate) struct Urls {
    pub(crate) path: PathBuf,
}

impl ImageSource for Urls {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move { self.page(query) })
    }
}

impl Urls {
    fn page(&self, query: &Query) -> Result<Page, SourceDown> {
        let items = || {
            let bytes = local::read(&self.path, MAX_BYTES)?;
            few(bytes.iter().filter(|&&byte| matches!(byte, b'\n' | b'\r')).count(), MAX_LINES, "lines")?;
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}');
            let header = text.lines().next().unwrap_or_default().to_lowercase();
            let is_table = header.split([',', ';', '\t']).any(|name| is_url(name.trim_matches([' ', '"'])));
            if is_table { table(text, query) } else { lines(text) }
        };
        Ok(Page { items: items().map_err(|detail| local::down(&self.path, detail))?, next: None })
    }
}

/// Refuses too many of something.
fn few(count: usize, limit: usize, what: &str) -> Result<(), String> {
    if count <= limit {
        Ok(())
    } else {
        Err(format!("more than {limit} {what}; split the list into several"))
    }
}

fn table(text: &str, query: &Query) -> Result<Vec<FoundImage>, String> {
    let first = text.lines().next().unwrap_or_default();
    let separator = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|&mark| first.matches(char::from(mark)).count())
        .unwrap_or(b',');
    few(text.bytes().filter(|&byte| byte == separator).count(), MAX_CELLS, "cells")?;
    let mut reader = csv::ReaderBuilder::new();
    reader.delimiter(separator).flexible(true).trim(csv::Trim::All);
    let mut reader = reader.from_reader(text.as_bytes());
    let wrong = |error: csv::Error| error.to_string();
    let columns = Columns::named(reader.headers().map_err(wrong)?);
    let mut items = Vec::new();
    for row in reader.records() {
        let row = row.map_err(wrong)?;
        if columns.class(&row).is_none_or(|class| class == query.class) {
            items.extend(columns.image(&row));
            few(items.len(), MAX_ADDRESSES, "addresses")?;
        }
    }
    Ok(items)
}

fn is_url(name: &str) -> bool {
    matches!(name, "url" | "image_url")
}

/// The position of each column, looked up once for all rows.
#[derive(Debug, Default)]
struct Columns {
    url: Option<usize>,
    class: Option<usize>,
    id: Option<usize>,
    licence: Option<usize>,
    licence_url: Option<usize>,
    landing_url: Option<usize>,
    creator: Option<usize>,
    attribution: Option<usize>,
}

impl Columns {
    fn named(names: &csv::StringRecord) -> Self {
        let mut columns = Self::default();
        for (place, name) in names.iter().enumerate() {
            let column = match name.to_lowercase().as_str() {
                "url" | "image_url" => &mut columns.url,
                "class" | "label" => &mut columns.class,
                "id" | "source_id" => &mut columns.id,
                "licence" | "license" => &mut columns.licence,
                "licence_url" | "license_url" => &mut columns.licence_url,
                "landing_url" => &mut columns.landing_url,
                "creator" => &mut columns.creator,
                "attribution" => &mut columns.attribution,
                _ => continue,
            };
            // Of two columns with the same name the first counts.
            column.get_or_insert(place);
        }
        columns
    }

    fn class<'r>(&self, row: &'r csv::StringRecord) -> Option<&'r str> {
        cell(row, self.class)
    }

    fn image(&self, row: &csv::StringRecord) -> Option<FoundImage> {
        let words = |column| cell(row, column).map(|words| plain(words, WORDS));
        let url = web_address(cell(row, self.url)?)?;
        let mut image = FoundImage::new(SourceId::Urls, words(self.id).unwrap_or_default(), url);
        let licence = Licence::read(&words(self.licence).unwrap_or_default());
        image = image.licensed(licence, words(self.licence_url));
        image.landing_url = cell(row, self.landing_url).and_then(web_address);
        image.creator = words(self.creator);
        image.attribution = words(self.attribution);
        Some(image)
    }
}

fn cell(row: &csv::StringRecord, column: Option<usize>) -> Option<&str> {
    row.get(column?).filter(|cell| !cell.is_empty())
}

/// One address per line; other lines are comments.
fn lines(text: &str) -> Result<Vec<FoundImage>, String> {
    let mut items = Vec::new();
    for url in text.lines().filter_map(web_address) {
        items.push(FoundImage::new(SourceId::Urls, "", url));
        few(items.len(), MAX_ADDRESSES, "addresses")?;
    }
    Ok(items)
}
