//! A web page that was saved. In: the HTML file. Out: one page of the photos that its `img` tags name, relative to its own
//! address.

use super::local;
use crate::licence::Telling;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceId, SourceInfo,
};
use scraper::{ElementRef, Html, Selector};
use std::path::PathBuf;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Page,
    what: "a web page that you saved; its pictures are fetched",
    limits: "32 MiB",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "the rights of each photo are unknown: ask its page",
};

const MAX_BYTES: u64 = 32 << 20;

#[derive(Debug)]
pub(crate) struct SavedPage {
    pub(crate) path: PathBuf,
}

impl ImageSource for SavedPage {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, _query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move {
            let html =
                local::read(&self.path, MAX_BYTES).map_err(|detail| local::down(&self.path, detail))?;
            let items = images(&String::from_utf8_lossy(&html));
            if items.is_empty() {
                let detail =
                    "no picture with a full address; save the page with its <base> or canonical link";
                return Err::<Page, SourceDown>(local::down(&self.path, detail.to_owned()));
            }
            Ok(Page { items, next: None })
        })
    }
}

/// The pictures of a page in its order, each once.
fn images(html: &str) -> Vec<FoundImage> {
    let page = Html::parse_document(html);
    let base = base(&page, html);
    let Ok(pictures) = Selector::parse("img, source") else { return Vec::new() };
    let mut found: Vec<FoundImage> = Vec::new();
    for picture in page.select(&pictures) {
        let Some(url) = address(picture).and_then(|address| absolute(&address, base.as_ref())) else {
            continue;
        };
        if found.iter().all(|image| image.image_url != url) {
            let mut image = FoundImage::new(SourceId::Page, "", url);
            image.landing_url.clone_from(&base);
            found.push(image);
        }
    }
    found
}

/// What the page says its address is: a base, a canonical link, or the comment that browsers leave.
fn base(page: &Html, html: &str) -> Option<Url> {
    let attribute = |selector: &str, name: &str| {
        let selector = Selector::parse(selector).ok()?;
        Url::parse(page.select(&selector).next()?.attr(name)?).ok()
    };
    let comment = || {
        let (_, after) = html.split_once("saved from url=(")?;
        let (_, after) = after.split_once(')')?;
        Url::parse(after.split([' ', '\n', '-']).next()?).ok()
    };
    attribute("base[href]", "href").or_else(|| attribute("link[rel=canonical]", "href")).or_else(comment)
}

/// The largest of a set of sizes, else the one address; lazy pages keep it in another attribute.
fn address(picture: ElementRef<'_>) -> Option<String> {
    let set = picture.attr("srcset").or_else(|| picture.attr("data-srcset")).unwrap_or_default();
    let size = |candidate: &str| -> Option<(f64, String)> {
        let mut parts = candidate.split_whitespace();
        let address = parts.next()?.to_owned();
        let size = parts.next().and_then(|size| size.trim_end_matches(['w', 'x']).parse().ok());
        Some((size.unwrap_or(1.0), address))
    };
    let largest = set.split(", ").filter_map(size).max_by(|a, b| a.0.total_cmp(&b.0));
    let plain = || picture.attr("data-src").or_else(|| picture.attr("src")).map(str::to_owned);
    largest.map(|(_, address)| address).or_else(plain)
}

fn absolute(address: &str, base: Option<&Url>) -> Option<Url> {
    let url = match base {
        Some(base) => base.join(address).ok()?,
        None => Url::parse(address).ok()?,
    };
    matches!(url.scheme(), "http" | "https").then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_where_pages_hide_them() {
        let html = r#"<base href="https://a.example/b/"><img src="1.jpg?w=3&amp;h=4"><img src="data:image/png;base64,AA">
            <img data-src="/2.jpg" src="blank.gif"><img srcset="s.jpg 320w, l.jpg 1024w"><img src="1.jpg?w=3&h=4">"#;
        let found: Vec<String> = images(html).into_iter().map(|image| image.image_url.into()).collect();
        let expected =
            ["https://a.example/b/1.jpg?w=3&h=4", "https://a.example/2.jpg", "https://a.example/b/l.jpg"];
        assert_eq!(found, expected);
        let saved = "<!-- saved from url=(0023)https://a.example/x/y --><img src='z.png'>";
        assert_eq!(images(saved)[0].image_url.as_str(), "https://a.example/x/z.png");
        assert!(images("<img src='z.png'><img src='file:///etc/passwd'>").is_empty());
    }
}
