//! A saved web page. In: the HTML file. Out: one page of the photos in its `img` tags, relative to its own address.

use super::local;
use super::markup::{Piece, Pieces, Tag};
use crate::allowed::Telling;
use crate::source::{Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceInfo};
use sciurus_photos::SourceId;
use sciurus_photos::text::{LONGEST_ADDRESS, is_web, web_address};
use std::collections::HashSet;
use std::path::PathBuf;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Page,
    what: "a web page that you saved; its images are downloaded",
    limits: "32 MiB, 10,000 images",
    key: KeyNeed::None,
    licences: Telling::Never,
    training: "the rights of each photo are unknown; check its page",
};

const MAX_BYTES: u64 = 32 << 20;
/// Most images of a page: more than any page shows, and few enough to keep in memory.
const MAX_PICTURES: usize = 10_000;

#[derive(Debug)]
pub(crate) struct SavedPage {
    pub(crate) path: PathBuf,
}

impl ImageSource for SavedPage {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, _query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(async move { self.page().map_err(|detail| local::down(&self.path, detail)) })
    }
}

impl SavedPage {
    fn page(&self) -> Result<Page, String> {
        let items = images(&String::from_utf8_lossy(&local::read(&self.path, MAX_BYTES)?))?;
        if items.is_empty() {
            return Err(
                "no image has a full address; save the page with its <base> or canonical link".to_owned()
            );
        }
        Ok(Page { items, next: None })
    }
}

/// The images of a page in order, without repetitions.
pub(crate) fn images(html: &str) -> Result<Vec<FoundImage>, String> {
    let mut page = Named::default();
    for piece in Pieces::of(html) {
        if let Piece::Tag(tag) = piece {
            page.take(&tag);
        }
        if page.pictures.len() > MAX_PICTURES {
            return Err(format!("more than {MAX_PICTURES} images; put them into a list instead"));
        }
    }
    let base = page.base(html);
    let urls = page.pictures.iter().filter_map(|address| absolute(address, base.as_ref()));
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    for url in urls.filter(|url| seen.insert(url.clone())) {
        let mut image = FoundImage::new(SourceId::Page, "", url);
        image.landing_url.clone_from(&base);
        found.push(image);
    }
    Ok(found)
}

/// What a page refers to.
#[derive(Debug, Default)]
struct Named {
    /// Addresses of images, as written.
    pictures: Vec<String>,
    /// The first `base`, and the first canonical link.
    base: Option<String>,
    canonical: Option<String>,
}

impl Named {
    fn take(&mut self, tag: &Tag<'_>) {
        // Browsers treat `image` as `img`.
        if ["img", "source", "image"].iter().any(|name| tag.is(name)) {
            let address = address(tag).filter(|address| address.len() <= LONGEST_ADDRESS);
            // Small images written into the page itself have no address to download.
            self.pictures.extend(address.filter(|address| !address.starts_with("data:")));
        } else if tag.is("base") && self.base.is_none() {
            self.base = tag.attribute("href");
        } else if tag.is("link") && self.canonical.is_none() {
            let is_canonical = tag.attribute("rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"));
            self.canonical = is_canonical.then(|| tag.attribute("href")).flatten();
        }
    }

    /// The page's own address: from its base, its canonical link, or the comment that browsers leave.
    fn base(&self, html: &str) -> Option<Url> {
        let named = |address: &Option<String>| web_address(address.as_deref()?);
        let comment = || {
            let (_, after) = html.split_once("saved from url=(")?;
            let (_, after) = after.split_once(')')?;
            web_address(after.split_whitespace().next()?.trim_end_matches("-->"))
        };
        named(&self.base).or_else(|| named(&self.canonical)).or_else(comment)
    }
}

/// The largest of a set of sizes, or else the one address. Lazy-loading pages have it in another attribute.
fn address(picture: &Tag<'_>) -> Option<String> {
    let attribute = |name| picture.attribute(name);
    let set = attribute("srcset").or_else(|| attribute("data-srcset")).unwrap_or_default();
    let size = |candidate: &str| -> Option<(f64, String)> {
        let mut parts = candidate.split_whitespace();
        let address = parts.next()?.to_owned();
        let size = parts.next().and_then(|size| size.trim_end_matches(['w', 'x']).parse().ok());
        Some((size.unwrap_or(1.0), address))
    };
    let largest = set.split(", ").filter_map(size).max_by(|a, b| a.0.total_cmp(&b.0));
    let plain = || attribute("data-src").or_else(|| attribute("src"));
    largest.map(|(_, address)| address).or_else(plain)
}

fn absolute(address: &str, base: Option<&Url>) -> Option<Url> {
    let url = match base {
        Some(base) => base.join(address).ok()?,
        None => Url::parse(address).ok()?,
    };
    (is_web(&url) && url.as_str().len() <= LONGEST_ADDRESS).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_where_pages_hide_them() {
        let html = r#"<base href="https://a.example/b/"><img src="1.jpg?w=3&amp;h=4"><img src="data:image/png;base64,AA">
            <img data-src="/2.jpg" src="blank.gif"><img srcset="s.jpg 320w, l.jpg 1024w"><img src="1.jpg?w=3&h=4">"#;
        let images = |html| images(html).unwrap();
        let found: Vec<String> = images(html).into_iter().map(|image| image.image_url.into()).collect();
        let expected =
            ["https://a.example/b/1.jpg?w=3&h=4", "https://a.example/2.jpg", "https://a.example/b/l.jpg"];
        assert_eq!(found, expected);
        let saved = "<!-- saved from url=(0023)https://a.example/x/y --><img src='z.png'>";
        assert_eq!(images(saved)[0].image_url.as_str(), "https://a.example/x/z.png");
        let canonical = "<LINK HREF='https://a-b.example/x/' REL=Canonical><base><picture><source srcset='a.webp'><img src=a.png>";
        let found: Vec<String> = images(canonical).into_iter().map(|image| image.image_url.into()).collect();
        assert_eq!(found, ["https://a-b.example/x/a.webp", "https://a-b.example/x/a.png"]);
        assert!(images("<img src='z.png'><img src='file:///etc/passwd'>").is_empty());
    }
}
