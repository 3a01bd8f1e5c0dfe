//! Openverse: openly licensed photos from Flickr, museums and others. In: words. Out: photos with full details of their
//! licences.

use super::{picked, text_page};
use crate::allowed::Telling;
use crate::secret::Secret;
use crate::source::{
    Cursor, FoundImage, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use tokio::sync::OnceCell;
use url::Url;

/// Most pages for anonymous users.
const PAGES: u64 = 20;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Openverse,
    what: "openly licensed photos from Flickr, museums and others",
    limits: "20 photos per page, 20 pages deep; 20 requests a minute and 200 a day, more with a client id",
    key: KeyNeed::Optional { variables: &["OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"] },
    licences: Telling::Always,
    training: "depends on each photo's licence; the catalogue itself may not be scraped",
};

#[derive(Debug)]
pub(crate) struct Openverse {
    pub(crate) api: Api,
    pub(crate) base: Url,
    /// Id and secret of a registered client.
    pub(crate) client: Option<(Secret, Secret)>,
    pub(crate) token: OnceCell<Secret>,
}

impl ImageSource for Openverse {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Openverse {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 1);
        let licences: Vec<&str> = query.licences.creative_commons().into_iter().map(Licence::name).collect();
        if licences.is_empty() {
            return Ok(Page::default());
        }
        let mut ask = Ask::new(&self.base, "v1/images/")
            .with("q", &query.terms)
            .with("page", number)
            .with("page_size", 20)
            .with("license", licences.join(","));
        if let Some(token) = self.token().await? {
            ask = ask.header("authorization", "Bearer ", token);
        }
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let pages = fields.number("page_count").unwrap_or(PAGES).min(PAGES);
        let items: Vec<FoundImage> = fields.list("results").filter_map(found).collect();
        Ok(text_page(items, (number < pages).then_some(number + 1)))
    }

    async fn token(&self) -> Result<Option<&Secret>, SourceDown> {
        let Some((id, secret)) = &self.client else { return Ok(None) };
        let ask = || async {
            let form = vec![
                ("grant_type", Secret::new("client_credentials")),
                ("client_id", id.clone()),
                ("client_secret", secret.clone()),
            ];
            let answer = self.api.json(&Ask::new(&self.base, "v1/auth_tokens/token/").form(form)).await?;
            let token = Fields(&answer).text("access_token").map(Secret::new);
            token.ok_or_else(|| SourceDown::Refused {
                detail: "it returned no token for the client id".into(),
            })
        };
        self.token.get_or_try_init(ask).await.map(Some)
    }
}

fn found(result: Fields<'_>) -> Option<FoundImage> {
    let mut image = FoundImage::new(SourceId::Openverse, result.text("id")?, result.url("url")?)
        .licensed(Licence::read(&result.text("license").unwrap_or_default()), result.text("license_url"));
    image.thumb_url = result.url("thumbnail");
    image.landing_url = result.url("foreign_landing_url");
    image.creator = result.text("creator");
    image.attribution = result.text("attribution");
    (image.width, image.height) = (result.pixels("width"), result.pixels("height"));
    image.kind =
        picked(result.text("category").as_deref(), "photograph", &["illustration", "digitized_artwork"]);
    Some(image)
}
