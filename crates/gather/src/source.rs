//! Where photos are searched for. In: a [`Query`]. Out: [`Page`]s of [`FoundImage`]s, or why a source gives none.

use crate::allowed::Licences;
pub use crate::source_info::{KeyNeed, SourceInfo};
use sciurus_photos::Licence;
use sciurus_photos::SourceId;
use sciurus_photos::text::{DETAIL, WORDS, plain, web_address};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use url::Url;

/// A place where photos are found. Implement it to add one.
///
/// Two methods are required: what it is, and one page of what it finds. The others have defaults for services on the web.
pub trait ImageSource: Send + Sync + fmt::Debug {
    /// What it is.
    fn info(&self) -> SourceInfo;

    /// One page of what it finds, from the beginning or from where a page before said that it goes on.
    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s>;

    /// The bytes of a photo that lies on this machine; `None` for what is fetched from the web.
    fn open<'s>(&'s self, _image: &'s FoundImage) -> Option<Opening<'s>> {
        None
    }

    /// Told of each photo that was kept, where a service's terms ask to be.
    fn kept<'s>(&'s self, _image: &'s FoundImage) -> Option<Thanking<'s>> {
        None
    }
}

/// A search under way.
pub type Searching<'s> = Pin<Box<dyn Future<Output = Result<Page, SourceDown>> + Send + 's>>;
/// A file being read.
pub type Opening<'s> = Pin<Box<dyn Future<Output = Result<Vec<u8>, crate::FetchFault>> + Send + 's>>;
/// A service being told that a photo is used.
pub type Thanking<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Name of the class that the photos are for.
    pub class: String,
    /// Words to search for.
    pub terms: String,
    /// Licences that will be kept, so that a source need not tell of others.
    pub licences: Licences,
}

/// Where a source goes on; means something to that source alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    /// The number that a cursor of pages or places is, or where counting begins. One so large that counting on from it would
    /// end comes from no source.
    pub(crate) fn number(cursor: Option<&Self>, first: u64) -> u64 {
        let number = cursor.and_then(|cursor| cursor.0.parse().ok());
        number.filter(|&number: &u64| number < 1 << 48).unwrap_or(first)
    }
}

/// One page of what a source finds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// Photos, the best first.
    pub items: Vec<FoundImage>,
    /// Where it goes on; `None` at the end, or at the source's limit.
    pub next: Option<Cursor>,
}

/// A photo that a source found, before anybody has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundImage {
    /// The file to fetch.
    pub image_url: Url,
    /// A small copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb_url: Option<Url>,
    /// The page that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing_url: Option<Url>,
    /// Its licence.
    pub licence: Licence,
    /// The text of the licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_url: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// A sentence that gives credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// Width in pixels of the largest version that the source knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height in pixels of that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// The source that found it.
    pub source: SourceId,
    /// Its name there; unique within the source where there is one.
    pub source_id: String,
    /// What the source says it is.
    #[serde(default)]
    pub kind: ImageKind,
    /// An address that the source's terms ask to be called when the photo is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<Url>,
}

impl FoundImage {
    /// A photo of which nothing else is known yet.
    #[must_use]
    pub fn new(source: SourceId, source_id: impl Into<String>, image_url: Url) -> Self {
        Self {
            image_url,
            thumb_url: None,
            landing_url: None,
            licence: Licence::Unknown,
            licence_url: None,
            creator: None,
            attribution: None,
            width: None,
            height: None,
            source,
            source_id: source_id.into(),
            kind: ImageKind::Unknown,
            ping: None,
        }
    }

    /// The licence, with its address where the source gives none on the web.
    pub(crate) fn licensed(mut self, licence: Licence, url: Option<String>) -> Self {
        self.licence = licence;
        let given = url.filter(|url| web_address(url).is_some());
        self.licence_url = given.or_else(|| licence.url().map(str::to_owned));
        self
    }
}

/// What a source says that an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageKind {
    /// A photo.
    Photo,
    /// It does not say.
    #[default]
    Unknown,
    /// A drawing, painting or other artwork.
    Drawing,
}

/// Why a source gives nothing (more). `Display` is meant for the user, and never contains a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceDown {
    /// There was no connection.
    #[error("no connection: {}", plain(detail, DETAIL))]
    Unreachable {
        /// What the network said.
        detail: String,
    },
    /// It took too long to answer.
    #[error("no answer within {seconds} seconds")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// It wants to be asked less often.
    #[error("its limit of requests is used up{}", wait(*seconds))]
    RateLimited {
        /// How long it wants to be left alone, as far as it says.
        seconds: u64,
    },
    /// It refuses the key, or refuses without one.
    #[error("it refuses ({status}): {}; check the key and its plan", plain(detail, DETAIL))]
    Forbidden {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It answers with an error.
    #[error("it answers {status}: {}", plain(detail, DETAIL))]
    Status {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It says that the question is wrong.
    #[error("it refuses the question: {}", plain(detail, DETAIL))]
    Refused {
        /// What it said.
        detail: String,
    },
    /// Its answer is no JSON.
    #[error("its answer is no JSON; it begins with `{}`", plain(begins, DETAIL))]
    NotJson {
        /// The beginning.
        begins: String,
    },
    /// Its answer is larger than allowed.
    #[error("its answer is larger than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// Its answer has more parts than allowed, each of which takes memory.
    #[error("its answer has more than {limit} parts")]
    TooManyParts {
        /// The limit.
        limit: usize,
    },
    /// Too many of its photos failed one after the other.
    #[error("{failures} of its photos in a row did not arrive")]
    PhotosFail {
        /// How many.
        failures: u32,
    },
    /// A file or folder on this machine cannot be used.
    #[error("{}: {}", plain(path, WORDS), plain(detail, DETAIL))]
    Local {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

fn wait(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!("; it wants to be left alone for {seconds} seconds") }
}

impl SourceDown {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::RateLimited { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }
}
