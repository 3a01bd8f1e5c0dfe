//! Flickr. In: words. Out: photos under the licences that were asked for.

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

const PER_PAGE: u64 = 500;
/// Beyond this many photos, pages repeat themselves.
const DEEPEST: u64 = 4000;

/// Flickr's numbers of licences, with their versions.
const LICENCES: [(u64, Licence, &str); 16] = [
    (1, Licence::ByNcSa, "2.0"),
    (2, Licence::ByNc, "2.0"),
    (3, Licence::ByNcNd, "2.0"),
    (4, Licence::By, "2.0"),
    (5, Licence::BySa, "2.0"),
    (6, Licence::ByNd, "2.0"),
    (7, Licence::Pdm, ""),
    (8, Licence::Pdm, ""),
    (9, Licence::Cc0, ""),
    (10, Licence::Pdm, ""),
    (11, Licence::By, "4.0"),
    (12, Licence::BySa, "4.0"),
    (13, Licence::ByNd, "4.0"),
    (14, Licence::ByNc, "4.0"),
    (15, Licence::ByNcSa, "4.0"),
    (16, Licence::ByNcNd, "4.0"),
];

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Flickr,
    what: "photos of Flickr's members; Openverse also has those under open licences",
    limits: "500 photos per page, the first 4,000 of a search; 3,600 requests an hour",
    key: KeyNeed::Required { variables: &["FLICKR_API_KEY"] },
    licences: Telling::Always,
    training: "depends on each photo's licence; the key is for non-commercial use unless agreed otherwise",
};

#[derive(Debug)]
pub(crate) struct Flickr {
    pub(crate) api: Api,
    pub(crate) base: Url,
    pub(crate) key: Secret,
}

impl ImageSource for Flickr {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Flickr {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let number = Cursor::number(cursor, 1);
        let allowed = query.licences.creative_commons();
        let wanted = LICENCES.iter().filter(|known| allowed.contains(&known.1));
        let wanted: Vec<String> = wanted.map(|known| known.0.to_string()).collect();
        if wanted.is_empty() {
            return Ok(Page::default());
        }
        let ask = Ask::new(&self.base, "services/rest/")
            .with("method", "flickr.photos.search")
            .key("api_key", &self.key)
            .with("text", &query.terms)
            .with("license", wanted.join(","))
            .with("content_type", 1)
            .with("extras", "license,owner_name,url_o,url_l,url_z,url_n")
            .with("per_page", PER_PAGE)
            .with("page", number)
            .with("format", "json")
            .with("nojsoncallback", 1);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        if fields.text("stat").as_deref() == Some("fail") {
            return Err(SourceDown::Refused { detail: fields.detail("message").unwrap_or_default() });
        }
        let pages = fields.number("photos/pages").unwrap_or(1).min(DEEPEST / PER_PAGE);
        let items = fields.list("photos/photo").filter_map(found).collect();
        Ok(text_page(items, (number < pages).then_some(number + 1)))
    }
}

fn found(photo: Fields<'_>) -> Option<FoundImage> {
    let size = ["l", "z", "o"].into_iter().find(|size| photo.url(&format!("url_{size}")).is_some())?;
    let (id, owner) = (photo.text("id")?, photo.text("owner").unwrap_or_default());
    let mut image = FoundImage::new(SourceId::Flickr, id.as_str(), photo.url(&format!("url_{size}"))?);
    let number = photo.number("license");
    let known = LICENCES.iter().find(|known| Some(known.0) == number);
    let (licence, version) = known.map_or((Licence::AllRightsReserved, ""), |known| (known.1, known.2));
    let address =
        (!version.is_empty()).then(|| format!("https://creativecommons.org/licenses/{licence}/{version}/"));
    image = image.licensed(licence, address);
    image.thumb_url = photo.url("url_n");
    image.landing_url = format!("https://www.flickr.com/photos/{owner}/{id}").parse().ok();
    image.creator = photo.text("ownername");
    let side =
        |name: &str| photo.pixels(&format!("{name}_o")).or_else(|| photo.pixels(&format!("{name}_{size}")));
    (image.width, image.height) = (side("width"), side("height"));
    image.kind = ImageKind::Photo;
    Some(image)
}
