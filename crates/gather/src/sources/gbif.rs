//! GBIF: occurrences of species from museums and observers. In: a scientific or common name. Out: photos of occurrences
//! of that taxon.

use crate::allowed::Telling;
use crate::source::{
    Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, Query, Searching, SourceDown, SourceInfo,
};
use crate::web::{Api, Ask, Fields};
use md5::{Digest, Md5};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use sciurus_photos::text::web_address;
use url::Url;

/// Occurrences per page, and how deep pages go.
const PER_PAGE: u64 = 300;
const DEEPEST: u64 = 100_000;

pub(crate) const INFO: SourceInfo = SourceInfo {
    id: SourceId::Gbif,
    what: "occurrences of species from museums and observers; search by the species' name",
    limits: "300 occurrences per page, 100,000 deep",
    key: KeyNeed::None,
    licences: Telling::Always,
    training: "depends on each photo's licence, which may differ from its record's",
};

#[derive(Debug)]
pub(crate) struct Gbif {
    pub(crate) api: Api,
    pub(crate) base: Url,
}

impl ImageSource for Gbif {
    fn info(&self) -> SourceInfo {
        INFO
    }

    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s> {
        Box::pin(self.page(query, cursor))
    }
}

impl Gbif {
    async fn page(&self, query: &Query, cursor: Option<&Cursor>) -> Result<Page, SourceDown> {
        // A cursor is taxon:offset, so the name is looked up only once.
        let known = cursor.and_then(|cursor| cursor.0.split_once(':'));
        let (taxon, offset) = match known {
            Some((taxon, offset)) => (Some(taxon.to_owned()), offset.parse().unwrap_or_default()),
            None => (self.taxon(&query.terms).await?, 0_u64),
        };
        let Some(taxon) = taxon else { return Ok(Page::default()) };
        let ask = Ask::new(&self.base, "v1/occurrence/search")
            .with("mediaType", "StillImage")
            .with("taxonKey", &taxon)
            .with("limit", PER_PAGE)
            .with("offset", offset);
        let answer = self.api.json(&ask).await?;
        let fields = Fields(&answer);
        let after = offset.saturating_add(PER_PAGE);
        let more = answer.get("endOfRecords").and_then(serde_json::Value::as_bool) == Some(false);
        Ok(Page {
            items: fields.list("results").filter_map(|record| found(record, &self.base)).collect(),
            next: (more && after < DEEPEST).then(|| Cursor(format!("{taxon}:{after}"))),
        })
    }

    /// The key of a taxon, by its scientific name or else by a common one.
    async fn taxon(&self, name: &str) -> Result<Option<String>, SourceDown> {
        let answer = self.api.json(&Ask::new(&self.base, "v1/species/match").with("name", name)).await?;
        let matched = Fields(&answer);
        if matched.text("matchType").is_some_and(|kind| kind != "NONE" && kind != "HIGHERRANK") {
            return Ok(matched.text("usageKey"));
        }
        let ask = Ask::new(&self.base, "v1/species/search")
            .with("q", name)
            .with("qField", "VERNACULAR")
            .with("rank", "SPECIES")
            .with("limit", 20);
        let answer = self.api.json(&ask).await?;
        // Checklists other than GBIF's own backbone have their own keys, so take the backbone's.
        Ok(Fields(&answer).list("results").find_map(|taxon| taxon.text("nubKey")))
    }
}

/// The first photo of an occurrence; the others show the same specimen.
fn found(record: Fields<'_>, base: &Url) -> Option<FoundImage> {
    let media = record.list("media").find(|media| media.url("identifier").is_some())?;
    let (key, identifier) = (record.text("key")?, media.text("identifier")?);
    // iNaturalist's observations come at full size, but a smaller copy is available.
    let sized = identifier.replacen("/original.", "/large.", usize::from(identifier.contains("inaturalist")));
    let mut image = FoundImage::new(SourceId::Gbif, key.as_str(), web_address(&sized)?);
    let licence = media.text("license").unwrap_or_default();
    // If the licence is an address, keep the address too.
    image = image.licensed(Licence::read(&licence), Some(licence.clone()));
    let digest: String = Md5::digest(&identifier).iter().map(|byte| format!("{byte:02x}")).collect();
    image.thumb_url = base.join(&format!("v1/image/cache/200x/occurrence/{key}/media/{digest}")).ok();
    image.landing_url = format!("https://www.gbif.org/occurrence/{key}").parse().ok();
    image.creator = media.text("creator").or_else(|| media.text("rightsHolder"));
    let observed = record.text("basisOfRecord").is_some_and(|basis| basis.ends_with("OBSERVATION"));
    image.kind = if observed { ImageKind::Photo } else { ImageKind::Unknown };
    Some(image)
}
