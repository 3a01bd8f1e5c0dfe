//! Brave's image search. In: words. Out: one page of photos from anywhere, with unknown licences.

use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::SourceId;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Brave,
    what: "Brave's image search, the closest to the old Bing API",
    limits: "100 photos per search, no further pages; request limits depend on the plan",
    key: KeyNeed::Required { variables: &["BRAVE_API_KEY"] },
    licences: Telling::Never,
    training: "the rights of each photo are unknown; check its page",
};

#[derive(Debug)]
pub(crate) struct Brave {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Brave {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, _cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query))
    }
}

impl Brave {
    async fn page(&self, query: &Query) -> Result<Page, SourceDown> {
        let ask = Ask::new(&self.base, "res/v1/images/search")
            .header("x-subscription-token", "", &self.key)
            .with("q", &query.terms)
            .with("count", 100);
        let answer = self.api.json(&ask).await?;
        Ok(Page { items: Fields(&answer).list("results").filter_map(found).collect(), next: None })
    }
}

fn found(result: Fields<'_>) -> Option<FoundImage> {
    // It has no ids, so the address serves as one.
    let url = result.url("properties/url")?;
    let mut image = FoundImage::new(SourceId::Brave, "", url);
    image.thumb_url = result.url("thumbnail/src");
    image.landing_url = result.url("url");
    image.creator = result.text("source");
    (image.width, image.height) = (result.pixels("properties/width"), result.pixels("properties/height"));
    Some(image)
}
