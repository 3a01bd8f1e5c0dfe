//! Names of sources, as in the ledger and on the command line. In: a name. Out: a [`SourceId`], or what can be chosen.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The source of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceId {
    /// Openverse, which indexes Flickr, museums and others.
    Openverse,
    /// Wikimedia Commons.
    Commons,
    /// Observations of iNaturalist.
    INaturalist,
    /// Occurrences of the Global Biodiversity Information Facility.
    Gbif,
    /// Flickr.
    Flickr,
    /// Pexels.
    Pexels,
    /// Pixabay.
    Pixabay,
    /// Unsplash.
    Unsplash,
    /// Brave's image search.
    Brave,
    /// SerpApi, which reads other search engines.
    SerpApi,
    /// A service that speaks the protocol of Bing Image Search v7.
    Bing,
    /// A text file or table of addresses.
    Urls,
    /// A web page that was saved.
    Page,
    /// A folder.
    Folder,
    /// A zip or tar file.
    Archive,
}

impl SourceId {
    /// All of them: those without a key, those with a key, those on this machine.
    pub const ALL: [Self; 15] = [
        Self::Openverse,
        Self::Commons,
        Self::INaturalist,
        Self::Gbif,
        Self::Flickr,
        Self::Pexels,
        Self::Pixabay,
        Self::Unsplash,
        Self::Brave,
        Self::SerpApi,
        Self::Bing,
        Self::Urls,
        Self::Page,
        Self::Folder,
        Self::Archive,
    ];

    /// Its name, as on the command line and in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openverse => "openverse",
            Self::Commons => "commons",
            Self::INaturalist => "inaturalist",
            Self::Gbif => "gbif",
            Self::Flickr => "flickr",
            Self::Pexels => "pexels",
            Self::Pixabay => "pixabay",
            Self::Unsplash => "unsplash",
            Self::Brave => "brave",
            Self::SerpApi => "serpapi",
            Self::Bing => "bing",
            Self::Urls => "urls",
            Self::Page => "page",
            Self::Folder => "folder",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SourceId {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_lowercase();
        let wrong = || NotASource(text.to_owned());
        Self::ALL.into_iter().find(|id| id.name() == name).ok_or_else(wrong)
    }
}

/// Text that is not the name of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no source `{0}`; choose openverse, commons, inaturalist, gbif, flickr, pexels, pixabay, unsplash, brave, \
     serpapi or bing, or pass a folder, a zip or tar file, a saved web page, or a text or CSV file of addresses"
)]
pub struct NotASource(String);
