//! Pexels: stock photos. In: words. Out: photos under the Pexels licence.

use super::text_page;
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Pexels,
    what: "stock photos",
    limits: "80 photos per page; 200 requests an hour, 20,000 a month",
    key: KeyNeed::Required { variables: &["PEXELS_API_KEY"] },
    licences: Telling::Always,
    training: "credit is required, and the terms restrict machine learning: read them first",
};

#[derive(Debug)]
pub(crate) struct Pexels {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Pexels {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Pexels {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 1);
        let ask = Ask::new(&self.base, "v1/search")
            .header("authorization", "", &self.key)
            .with("query", &query.terms)
            .with("per_page", 80)
            .with("page", number);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let items = fields.list("photos").filter_map(found).collect();
        // The address of the next page isn't followed; it only shows that there is one.
        Ok(text_page(items, fields.text("next_page").map(|_| number + 1)))
    }
}

fn found(photo: Fields<'_>) -> Option<FoundImage> {
    let url = photo.url("src/large").or_else(|| photo.url("src/original"))?;
    let mut image = FoundImage::new(SourceId::Pexels, photo.text("id")?, url).licensed(Licence::Pexels, None);
    image.thumb_url = photo.url("src/medium");
    image.landing_url = photo.url("url");
    image.creator = photo.text("photographer");
    image.attribution = image.creator.as_ref().map(|creator| format!("Photo by {creator} on Pexels"));
    (image.width, image.height) = (photo.pixels("width"), photo.pixels("height"));
    image.kind = ImageKind::Photo;
    Some(image)
}
