//! iNaturalist: animals, plants and fungi that people observed and others identified. In: the name of a taxon. Out: the
//! first photo of each observation.

use crate::allowed::Telling;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use sciurus_photos::text::web_address;
use url::Url;

/// Observations per page.
const PER_PAGE: u64 = 200;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::INaturalist,
    what: "observations of animals, plants and fungi; search by the taxon's scientific or common name",
    limits: "200 observations per page; 60 requests a minute, 10,000 a day; 5 GB of photos an hour, 24 GB a day",
    key: KeyNeed::None,
    licences: Telling::Always,
    training: "depends on each photo's licence; many are for non-commercial use",
};

#[derive(Debug)]
pub(crate) struct INaturalist {
    pub(crate) api: Api,
    pub(crate) base: Url,
}

impl ImageSource for INaturalist {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl INaturalist {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        let licences: Vec<String> = query.licences.creative_commons().into_iter().filter_map(code).collect();
        if licences.is_empty() {
            return Ok(Page::default());
        }
        // Numbered pages end after 10,000 observations; asking for ids above the last one doesn't.
        let ask = Ask::new(&self.base, "v1/observations")
            .with("taxon_name", &query.terms)
            .with("photos", true)
            .with("photo_license", licences.join(","))
            .with("quality_grade", "research")
            .with("order_by", "id")
            .with("order", "asc")
            .with("id_above", Cursor::number(cursor, 0))
            .with("per_page", PER_PAGE);
        let answer = self.api.json(&ask).await?;
        let observations: Vec<Fields<'_>> = Fields(&answer).list("results").collect();
        let last = observations.iter().filter_map(|observation| observation.number("id")).max();
        let more = last.filter(|_| observations.len() as u64 >= PER_PAGE);
        Ok(Page {
            next: more.map(|last| Cursor(last.to_string())),
            // Further photos of an observation show the same animal, which would count twice in training.
            items: observations.into_iter().filter_map(found).collect(),
        })
    }
}

/// iNaturalist's name of a licence; it has no public domain mark.
fn code(licence: Licence) -> Option<String> {
    match licence {
        Licence::Pdm => None,
        Licence::Cc0 => Some("cc0".to_owned()),
        licence => Some(format!("cc-{licence}")),
    }
}

fn found(observation: Fields<'_>) -> Option<FoundImage> {
    let photo = observation.list("photos").next()?;
    let square = photo.text("url")?;
    let sized = |size: &str| web_address(&square.replacen("/square.", &format!("/{size}."), 1));
    let mut image = FoundImage::new(SourceId::INaturalist, photo.text("id")?, sized("large")?);
    let licence = photo.text("license_code").map_or(Licence::AllRightsReserved, |code| Licence::read(&code));
    image = image.licensed(licence, None);
    image.thumb_url = sized("medium");
    image.landing_url = observation.url("uri").or_else(|| {
        let id = observation.text("id")?;
        format!("https://www.inaturalist.org/observations/{id}").parse().ok()
    });
    image.creator = observation.text("user/login");
    image.attribution = photo.text("attribution");
    let side = |name: &str| photo.pixels(&format!("original_dimensions/{name}"));
    (image.width, image.height) = (side("width"), side("height"));
    image.kind = ImageKind::Photo;
    Some(image)
}
