//! SerpApi, which reads the pages of other search engines. In: words. Out: photos from anywhere, with unknown licences.

use super::text_page;
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::SourceId;
use url::Url;

/// Most pages of Google's image results; there are hardly ever more.
const PAGES: u64 = 10;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::SerpApi,
    what: "Google's image results, through a reseller",
    limits: "100 photos per page; 250 requests a month are free",
    key: KeyNeed::Required { variables: &["SERPAPI_API_KEY"] },
    licences: Telling::Never,
    training: "the rights of each photo are unknown; check its page",
};

#[derive(Debug)]
pub(crate) struct SerpApi {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for SerpApi {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl SerpApi {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 0);
        let ask = Ask::new(&self.base, "search.json")
            .with("engine", "google_images")
            .with("q", &query.terms)
            .with("ijn", number)
            .key("api_key", &self.key);
        let answer = self.api.json(&ask).await?;
        let items: Vec<FoundImage> = Fields(&answer).list("images_results").filter_map(found).collect();
        let more = !items.is_empty() && number + 1 < PAGES;
        Ok(text_page(items, more.then_some(number + 1)))
    }
}

fn found(result: Fields<'_>) -> Option<FoundImage> {
    let mut image = FoundImage::new(SourceId::SerpApi, "", result.url("original")?);
    image.thumb_url = result.url("thumbnail");
    image.landing_url = result.url("link");
    image.creator = result.text("source");
    (image.width, image.height) = (result.pixels("original_width"), result.pixels("original_height"));
    Some(image)
}
