//! Wikimedia Commons: freely licensed files of Wikipedia. In: words. Out: photos at a moderate size, and their makers'
//! names without HTML.

use super::{markup, text_page};
use crate::allowed::Telling;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use sciurus_photos::text::WORDS;
use url::Url;

/// Width of the scaled copy: one of the widths that Wikimedia has ready.
const WIDTH: u32 = 960;
/// How deep a search goes.
const DEEPEST: u64 = 10_000;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Commons,
    what: "freely licensed files of Wikipedia and its sister projects",
    limits: "50 photos per page, one request at a time; asks for your contact in the User-Agent",
    key: KeyNeed::None,
    licences: Telling::Always,
    training: "depends on each photo's licence",
};

#[derive(Debug)]
pub(crate) struct Commons {
    pub(crate) api: Api,
    pub(crate) base: Url,
}

impl ImageSource for Commons {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Commons {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let ask = Ask::new(&self.base, "w/api.php")
            .with("action", "query")
            .with("format", "json")
            .with("generator", "search")
            .with("gsrnamespace", 6)
            .with("gsrsearch", format!("filetype:bitmap {}", query.terms))
            .with("gsrlimit", 50)
            .with("gsroffset", Cursor::number(cursor, 0))
            .with("prop", "imageinfo")
            .with("iiprop", "url|size|mime|extmetadata")
            .with("iiurlwidth", WIDTH);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        if let Some(detail) = fields.detail("error/info") {
            return Err(SourceDown::Refused { detail });
        }
        // Pages come as an object keyed by page id; their rank is in a field.
        let mut pages: Vec<Fields<'_>> = fields.values("query/pages").collect();
        pages.sort_by_key(|page| (page.number("index"), page.number("pageid")));
        let next = fields.number("continue/gsroffset").filter(|&offset| offset < DEEPEST);
        Ok(text_page(pages.into_iter().filter_map(found).collect(), next))
    }
}

fn found(page: Fields<'_>) -> Option<FoundImage> {
    let field = |name: &str| page.text(&format!("imageinfo/0/{name}"));
    let meta =
        |name: &str| field(&format!("extmetadata/{name}/value")).map(|html| markup::text(&html, WORDS));
    let original = page.url("imageinfo/0/url")?;
    let scaled = page.url("imageinfo/0/thumburl");
    let mut image =
        FoundImage::new(SourceId::Commons, page.text("pageid")?, scaled.clone().unwrap_or(original));
    let licence = meta("LicenseShortName").unwrap_or_default();
    image = image.licensed(Licence::read(&licence), meta("LicenseUrl"));
    image.thumb_url = scaled;
    image.landing_url = page.url("imageinfo/0/descriptionurl");
    image.creator = meta("Artist").filter(|artist| !artist.is_empty());
    let by = image.creator.as_deref().unwrap_or("unknown");
    image.attribution = Some(format!("{by}, {licence}, via Wikimedia Commons"));
    (image.width, image.height) = (page.pixels("imageinfo/0/width"), page.pixels("imageinfo/0/height"));
    image.kind = kind(&meta("Categories").unwrap_or_default());
    Some(image)
}

/// Commons marks artworks only by categories.
fn kind(categories: &str) -> ImageKind {
    let categories = categories.to_lowercase();
    let art =
        ["drawing", "illustration", "painting", "engraving", "lithograph", "clip art", "logo", "maps of"];
    let drawn = art.iter().any(|word| categories.contains(word));
    if drawn { ImageKind::Drawing } else { ImageKind::Unknown }
}
