//! The protocol of Bing Image Search v7, for anyone who still has a service that speaks it. In: words. Out: photos from
//! anywhere, with unknown licences.

use super::text_page;
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::SourceId;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Bing,
    what: "a service of your own that speaks the protocol of Bing Image Search v7 (Microsoft's ended in August 2025)",
    limits: "150 photos per page; otherwise depends on your service",
    key: KeyNeed::Required { variables: &["BING_API_KEY", "BING_ENDPOINT"] },
    licences: Telling::Never,
    training: "the rights of each photo are unknown; check its page",
};

#[derive(Debug)]
pub(crate) struct Bing {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Bing {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Bing {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let offset = Cursor::number(cursor, 0);
        let ask = Ask::new(&self.base, "v7.0/images/search")
            .header("ocp-apim-subscription-key", "", &self.key)
            .with("q", &query.terms)
            .with("count", 150)
            .with("offset", offset)
            .with("imageType", "Photo");
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let total = fields.number("totalEstimatedMatches").unwrap_or_default();
        let items: Vec<FoundImage> = fields.list("value").filter_map(found).collect();
        // At the end of the results, the offset it returns may stay the same.
        let next =
            fields.number("nextOffset").filter(|&next| next > offset && next < total && !items.is_empty());
        Ok(text_page(items, next))
    }
}

fn found(value: Fields<'_>) -> Option<FoundImage> {
    let id = value.text("imageId").unwrap_or_default();
    let mut image = FoundImage::new(SourceId::Bing, id, value.url("contentUrl")?);
    image.thumb_url = value.url("thumbnailUrl");
    image.landing_url = value.url("hostPageUrl");
    (image.width, image.height) = (value.pixels("width"), value.pixels("height"));
    image.kind = ImageKind::Photo;
    Some(image)
}
