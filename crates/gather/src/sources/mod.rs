//! The known sources, one file each. In: names, keys and addresses of services. Out: [`ImageSource`]s, and a catalogue
//! of all.

mod archive;
mod bing;
mod brave;
mod commons;
mod flickr;
mod folder;
mod gbif;
mod inaturalist;
mod local;
mod markup;
mod members;
mod openverse;
mod pexels;
mod pixabay;
mod references;
mod saved_page;
mod serpapi;
mod tar_file;
mod unsplash;
mod urls;
mod zip_file;

use crate::error::GatherError;
use crate::event::{Control, Events, GatherEvent};
use crate::secret::{Keys, Secret};
use crate::source::{Cursor, FoundImage, ImageKind, ImageSource, KeyNeed, Page, SourceInfo};
use crate::web::{Api, ApiContext, WebOptions};
pub(crate) use archive::Opened;
pub(crate) use saved_page::images;
use sciurus_data::BadOption;
use sciurus_data::Seed;
use sciurus_photos::SourceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A source to use: a service, or something on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceSpec {
    /// A service, by name.
    Service(SourceId),
    /// A file or folder on this machine, and what kind of source it is.
    Local(SourceId, PathBuf),
}

impl SourceSpec {
    /// The default sources: the services that need no key and state licences.
    pub const DEFAULT: [Self; 4] = [
        Self::Service(SourceId::Openverse),
        Self::Service(SourceId::Commons),
        Self::Service(SourceId::INaturalist),
        Self::Service(SourceId::Gbif),
    ];

    /// Its name.
    #[must_use]
    pub fn id(&self) -> SourceId {
        match self {
            Self::Service(id) | Self::Local(id, _) => *id,
        }
    }

    /// Opens the source, for programs that search without gathering. Searching needs tokio.
    ///
    /// # Errors
    /// It needs a key that isn't set, or the network options can't be used.
    pub fn open(
        &self,
        keys: &Keys,
        endpoints: &Endpoints,
        web: &WebOptions,
    ) -> Result<Arc<dyn ImageSource>, GatherError> {
        let events = Events::new(|_: &GatherEvent| Control::Continue);
        source(self, keys, endpoints, &ApiContext::new(&Arc::new(web.clone()), Seed(0), &events)?)
    }

    /// The source at a path: a folder, or by its extension an archive, a saved page or a list.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        if path.is_dir() {
            return Some(Self::Local(SourceId::Folder, path.to_owned()));
        }
        let ending = path.extension()?.to_string_lossy().to_lowercase();
        let id = match ending.as_str() {
            "zip" | "tar" | "tgz" | "gz" => SourceId::Archive,
            "html" | "htm" => SourceId::Page,
            "txt" | "csv" | "tsv" => SourceId::Urls,
            _ => return None,
        };
        Some(Self::Local(id, path.to_owned()))
    }
}

/// A service's name, or a path.
impl FromStr for SourceSpec {
    type Err = GatherError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<SourceId>() {
            Ok(id)
                if !matches!(id, SourceId::Urls | SourceId::Page | SourceId::Folder | SourceId::Archive) =>
            {
                Ok(Self::Service(id))
            }
            Ok(id) => Err(no_place(id)),
            Err(error) => Self::at(Path::new(text)).ok_or(error.into()),
        }
    }
}

/// The addresses of services that aren't at their usual place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints(BTreeMap<SourceId, Url>);

impl Endpoints {
    /// Adds the address of a service.
    #[must_use]
    pub fn with(mut self, source: SourceId, base: Url) -> Self {
        self.0.insert(source, base);
        self
    }

    fn base(&self, source: SourceId, keys: &Keys) -> Option<Url> {
        let usual = match source {
            SourceId::Openverse => "https://api.openverse.org/",
            SourceId::Commons => "https://commons.wikimedia.org/",
            SourceId::INaturalist => "https://api.inaturalist.org/",
            SourceId::Gbif => "https://api.gbif.org/",
            SourceId::Flickr => "https://api.flickr.com/",
            SourceId::Pexels => "https://api.pexels.com/",
            SourceId::Pixabay => "https://pixabay.com/",
            SourceId::Unsplash => "https://api.unsplash.com/",
            SourceId::Brave => "https://api.search.brave.com/",
            SourceId::SerpApi => "https://serpapi.com/",
            SourceId::Bing => keys.get("BING_ENDPOINT").map_or("", Secret::reveal),
            SourceId::Urls | SourceId::Page | SourceId::Folder | SourceId::Archive => "",
        };
        self.0.get(&source).cloned().or_else(|| Url::parse(usual).ok())
    }
}

/// One line of the catalogue: a source, and whether it can be used now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// What it is.
    #[serde(flatten)]
    pub info: SourceInfo,
    /// Whether all keys it needs or accepts are set; `None` if it accepts none.
    pub key_set: Option<bool>,
    /// Whether it's used by default.
    pub default: bool,
}

/// All sources: what each is, its limits, whether its key is set, and what its terms say about training.
#[must_use]
pub fn catalogue(keys: &Keys) -> Vec<CatalogueEntry> {
    let entry = |id: SourceId| {
        let info = info(id);
        let key_set = match info.key {
            KeyNeed::None => None,
            KeyNeed::Optional { variables } | KeyNeed::Required { variables } => {
                Some(variables.iter().all(|variable| keys.get(variable).is_some()))
            }
        };
        let default = SourceSpec::DEFAULT.iter().any(|spec| spec.id() == id);
        CatalogueEntry { info, key_set, default }
    };
    SourceId::ALL.into_iter().map(entry).collect()
}

fn info(id: SourceId) -> SourceInfo {
    match id {
        SourceId::Openverse => openverse::INFO,
        SourceId::Commons => commons::INFO,
        SourceId::INaturalist => inaturalist::INFO,
        SourceId::Gbif => gbif::INFO,
        SourceId::Flickr => flickr::INFO,
        SourceId::Pexels => pexels::INFO,
        SourceId::Pixabay => pixabay::INFO,
        SourceId::Unsplash => unsplash::INFO,
        SourceId::Brave => brave::INFO,
        SourceId::SerpApi => serpapi::INFO,
        SourceId::Bing => bing::INFO,
        SourceId::Urls => urls::INFO,
        SourceId::Page => saved_page::INFO,
        SourceId::Folder => folder::INFO,
        SourceId::Archive => archive::INFO,
    }
}

/// Opens a source.
pub(crate) fn source(
    spec: &SourceSpec,
    keys: &Keys,
    endpoints: &Endpoints,
    way: &ApiContext,
) -> Result<Arc<dyn ImageSource>, GatherError> {
    let (id, place) = match spec {
        SourceSpec::Local(id, path) => (*id, Some(path.clone())),
        SourceSpec::Service(id) => (*id, None),
    };
    let path = || place.clone().ok_or_else(|| no_place(id));
    let file_bytes = way.options.file_bytes;
    let key = || required(id, keys);
    let base = || endpoints.base(id, keys).ok_or_else(|| no_endpoint(id));
    // Average milliseconds between two requests, by the limits of each service.
    let api = |milliseconds| Api::new(id, Duration::from_millis(milliseconds), way);
    Ok(match id {
        SourceId::Openverse => {
            let pair = keys.get("OPENVERSE_CLIENT_ID").zip(keys.get("OPENVERSE_CLIENT_SECRET"));
            let client = pair.map(|(id, secret)| (id.clone(), secret.clone()));
            Arc::new(openverse::Openverse {
                api: api(1000),
                base: base()?,
                client,
                token: Default::default(),
            })
        }
        SourceId::Commons => Arc::new(commons::Commons { api: api(500), base: base()? }),
        SourceId::INaturalist => Arc::new(inaturalist::INaturalist { api: api(1000), base: base()? }),
        SourceId::Gbif => Arc::new(gbif::Gbif { api: api(500), base: base()? }),
        SourceId::Flickr => Arc::new(flickr::Flickr { api: api(1000), base: base()?, key: key()? }),
        SourceId::Pexels => Arc::new(pexels::Pexels { api: api(1000), base: base()?, key: key()? }),
        SourceId::Pixabay => Arc::new(pixabay::Pixabay { api: api(600), base: base()?, key: key()? }),
        SourceId::Unsplash => Arc::new(unsplash::Unsplash { api: api(1000), base: base()?, key: key()? }),
        SourceId::Brave => Arc::new(brave::Brave { api: api(1000), base: base()?, key: key()? }),
        SourceId::SerpApi => Arc::new(serpapi::SerpApi { api: api(1000), base: base()?, key: key()? }),
        SourceId::Bing => Arc::new(bing::Bing { api: api(350), base: base()?, key: key()? }),
        SourceId::Urls => Arc::new(urls::Urls { path: path()? }),
        SourceId::Page => Arc::new(saved_page::SavedPage { path: path()? }),
        SourceId::Folder => Arc::new(folder::Folder { path: path()?, file_bytes }),
        SourceId::Archive => {
            Arc::new(archive::Archive { path: path()?, file_bytes, opened: Default::default() })
        }
    })
}

/// A source on this machine is a file or folder, not a name.
fn no_place(id: SourceId) -> GatherError {
    BadOption::new("source", id, "give the path of the file or folder instead").into()
}

/// The first key that a source needs.
fn required(id: SourceId, keys: &Keys) -> Result<Secret, GatherError> {
    let KeyNeed::Required { variables: [variable, ..] } = info(id).key else { return Ok(Secret::new("")) };
    let missing = || GatherError::KeyMissing { source_name: id.to_string(), variable };
    keys.get(variable).cloned().ok_or_else(missing)
}

fn no_endpoint(id: SourceId) -> GatherError {
    GatherError::KeyMissing { source_name: id.to_string(), variable: "BING_ENDPOINT" }
}

/// A page that continues at a number.
fn text_page(items: Vec<FoundImage>, next: Option<u64>) -> Page {
    Page { items, next: next.map(|number| Cursor(number.to_string())) }
}

/// What a source's word for the kind of an image means.
fn picked(word: Option<&str>, photo: &str, drawings: &[&str]) -> ImageKind {
    match word {
        Some(word) if word.starts_with(photo) => ImageKind::Photo,
        Some(word) if drawings.iter().any(|drawing| word.starts_with(drawing)) => ImageKind::Drawing,
        _ => ImageKind::Unknown,
    }
}
