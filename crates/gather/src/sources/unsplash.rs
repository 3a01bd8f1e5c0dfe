//! Unsplash: stock photos. In: words. Out: photos under the Unsplash licence. Each photo that is kept is reported to
//! the service, as its terms ask.

use super::text_page;
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
    Thanking,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use url::Url;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Unsplash,
    what: "stock photos",
    limits: "30 photos per page; 50 requests an hour for demo keys, where each photo kept counts as one",
    key: KeyNeed::Required { variables: &["UNSPLASH_ACCESS_KEY"] },
    licences: Telling::Always,
    training: "the API's terms forbid data sets for machine learning; Unsplash offers its own data sets",
};

#[derive(Debug)]
pub(crate) struct Unsplash {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Unsplash {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }

    fn kept<'s>(&'s self, image: &'s FoundImage) -> Option<Thanking<'s>> {
        let place = image.ping.as_ref()?;
        Some(Box::pin(async move {
            // The key goes only to the service, whatever host the response named.
            let ask = Ask::new(&self.base, place.path().trim_start_matches('/'));
            let query = place.query_pairs().into_owned();
            let ask = query.fold(ask, |ask, (name, value)| ask.with(&name, value));
            // If the report fails, it makes no difference to the user.
            let _ = self.api.json(&ask.header("authorization", "Client-ID ", &self.key)).await;
        }))
    }
}

impl Unsplash {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 1);
        let ask = Ask::new(&self.base, "search/photos")
            .header("authorization", "Client-ID ", &self.key)
            .with("query", &query.terms)
            .with("per_page", 30)
            .with("page", number);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let pages = fields.number("total_pages").unwrap_or_default();
        let items = fields.list("results").filter_map(found).collect();
        Ok(text_page(items, (number < pages).then_some(number + 1)))
    }
}

fn found(result: Fields<'_>) -> Option<FoundImage> {
    let url = result.url("urls/regular").or_else(|| result.url("urls/raw"))?;
    let mut image =
        FoundImage::new(SourceId::Unsplash, result.text("id")?, url).licensed(Licence::Unsplash, None);
    image.thumb_url = result.url("urls/thumb");
    image.landing_url = result.url("links/html");
    image.creator = result.text("user/name");
    image.attribution = image.creator.as_ref().map(|creator| format!("Photo by {creator} on Unsplash"));
    (image.width, image.height) = (result.pixels("width"), result.pixels("height"));
    image.kind = ImageKind::Photo;
    image.ping = result.url("links/download_location");
    Some(image)
}
