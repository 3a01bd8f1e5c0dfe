//! A list of addresses: a text with one in each line, or a table with a header. In: the file. Out: one page of photos to
//! fetch. The file's addresses are treated like those of any remote list.

use super::local;
use crate::licence::{Licence, Telling};
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceId, SourceInfo,
};
use std::path::PathBuf;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Urls,
    what: "a text file with one address in each line, or a CSV file with a column url and, if you have them, class, \
           licence, licence_url, landing_url, creator, attribution, id",
    limits: "64 MiB",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "as the table says; unknown where it does not",
};

/// Largest list that is read.
const MAX_BYTES: u64 = 64 << 20;

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
        let bytes = local::read(&self.path, MAX_BYTES).map_err(|detail| local::down(&self.path, detail))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let header = text.lines().next().unwrap_or_default().to_lowercase();
        let is_table = header.split([',', ';', '\t']).any(|name| is_url(name.trim_matches([' ', '"'])));
        let items = if is_table { self.table(text, query)? } else { lines(text) };
        Ok(Page { items, next: None })
    }

    fn table(&self, text: &str, query: &Query) -> Result<Vec<FoundImage>, SourceDown> {
        let first = text.lines().next().unwrap_or_default();
        let separator =
            [b',', b';', b'\t'].into_iter().max_by_key(|&mark| first.matches(char::from(mark)).count());
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(separator.unwrap_or(b',')).flexible(true).trim(csv::Trim::All);
        let mut reader = reader.from_reader(text.as_bytes());
        let wrong = |error: csv::Error| local::down(&self.path, error.to_string());
        let names: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_lowercase).collect();
        let mut items = Vec::new();
        for row in reader.records() {
            let row = row.map_err(wrong)?;
            let cell = |wanted: &[&str]| {
                let column = names.iter().position(|name| wanted.contains(&name.as_str()))?;
                row.get(column).filter(|cell| !cell.is_empty()).map(str::to_owned)
            };
            let of_class = cell(&["class", "label"]).is_none_or(|class| class == query.class);
            items.extend(of_class.then(|| item(cell)).flatten());
        }
        Ok(items)
    }
}

fn is_url(name: &str) -> bool {
    matches!(name, "url" | "image_url")
}

fn item(cell: impl Fn(&[&str]) -> Option<String>) -> Option<FoundImage> {
    let url = Url::parse(&cell(&["url", "image_url"])?).ok()?;
    let mut image = FoundImage::new(SourceId::Urls, cell(&["id", "source_id"]).unwrap_or_default(), url);
    let licence = Licence::read(&cell(&["licence", "license"]).unwrap_or_default());
    image = image.licensed(licence, cell(&["licence_url", "license_url"]));
    image.landing_url = cell(&["landing_url"]).and_then(|url| url.parse().ok());
    image.creator = cell(&["creator"]);
    image.attribution = cell(&["attribution"]);
    Some(image)
}

/// Lines that are no address are comments.
fn lines(text: &str) -> Vec<FoundImage> {
    let urls = text.lines().filter_map(|line| Url::parse(line.trim()).ok()).filter(Url::has_host);
    urls.map(|url| FoundImage::new(SourceId::Urls, "", url)).collect()
}
