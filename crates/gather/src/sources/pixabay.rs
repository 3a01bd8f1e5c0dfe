//! Pixabay: stock photos. In: words. Out: photos under the Pixabay licence.

use super::text_page;
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use url::Url;

const PER_PAGE: u64 = 200;
/// Most photos of a search.
const DEEPEST: u64 = 500;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Pixabay,
    what: "stock photos and drawings",
    limits: "200 photos per page, 500 per search; 100 requests a minute",
    key: KeyNeed::Required { variables: &["PIXABAY_API_KEY"] },
    licences: Telling::Always,
    training: "the terms forbid mass downloads: take only a few",
};

#[derive(Debug)]
pub(crate) struct Pixabay {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Pixabay {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Pixabay {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 1);
        let ask = Ask::new(&self.base, "api/")
            .key("key", &self.key)
            .with("q", &query.terms)
            .with("per_page", PER_PAGE)
            .with("page", number);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let total = fields.number("totalHits").unwrap_or_default().min(DEEPEST);
        let items = fields.list("hits").filter_map(found).collect();
        Ok(text_page(items, (number * PER_PAGE < total).then_some(number + 1)))
    }
}

fn found(hit: Fields<'_>) -> Option<FoundImage> {
    let url = hit.url("largeImageURL").or_else(|| hit.url("webformatURL"))?;
    let mut image = FoundImage::new(SourceId::Pixabay, hit.text("id")?, url).licensed(Licence::Pixabay, None);
    image.thumb_url = hit.url("previewURL");
    image.landing_url = hit.url("pageURL");
    image.creator = hit.text("user");
    image.attribution = image.creator.as_ref().map(|creator| format!("Image by {creator} on Pixabay"));
    (image.width, image.height) = (hit.pixels("imageWidth"), hit.pixels("imageHeight"));
    image.kind = super::picked(hit.text("type").as_deref(), "photo", &["illustration", "vector"]);
    Some(image)
}
