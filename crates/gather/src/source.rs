//! Where photos are searched for. In: a [`Query`]. Out: [`Page`]s of [`FoundImage`]s, or why a source returns none.

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

/// A source of photos. Implement it to add your own.
///
/// Two methods are required: what it is, and one page of what it finds. The defaults of the others suit web services.
pub trait ImageSource: Send + Sync + fmt::Debug {
    /// What it is.
    fn info(&self) -> SourceInfo;

    /// One page of results: the first, or the one at a cursor from an earlier page.
    fn search<'s>(&'s self, query: &'s Query, cursor: Option<&'s Cursor>) -> Searching<'s>;

    /// The bytes of a photo on this machine; `None` if it must be downloaded.
    fn open<'s>(&'s self, _image: &'s FoundImage) -> Option<Opening<'s>> {
        None
    }

    /// Called for each photo that was kept, for services whose terms ask for that.
    fn kept<'s>(&'s self, _image: &'s FoundImage) -> Option<Thanking<'s>> {
        None
    }
}

/// A search in progress.
pub type Searching<'s> = Pin<Box<dyn Future<Output = Result<Page, SourceDown>> + Send + 's>>;
/// A file being read.
pub type Opening<'s> = Pin<Box<dyn Future<Output = Result<Vec<u8>, crate::FetchFault>> + Send + 's>>;
/// A service being told that a photo is used.
pub type Thanking<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// What to search for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Name of the class the photos are for.
    pub class: String,
    /// Words to search for.
    pub terms: String,
    /// The licences that are allowed, so that a source can leave out the others.
    pub licences: Licences,
}

/// Where a source continues. Only that source knows what it means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    /// The number in a cursor that counts pages or positions, or `first` if there is none. Numbers so large that
    /// counting on would overflow can't come from a source, and are ignored.
    pub(crate) fn number(cursor: Option<&Self>, first: u64) -> u64 {
        let number = cursor.and_then(|cursor| cursor.0.parse().ok());
        number.filter(|&number: &u64| number < 1 << 48).unwrap_or(first)
    }
}

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// Photos, best first.
    pub items: Vec<FoundImage>,
    /// Where the source continues; `None` at the end, or at the source's limit.
    pub next: Option<Cursor>,
}

/// A photo that a source found, not downloaded yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundImage {
    /// The file to download.
    pub image_url: Url,
    /// A small copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb_url: Option<Url>,
    /// The web page that shows it.
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
    /// Its id at the source; unique within the source if it has one.
    pub source_id: String,
    /// What kind of image it is, according to the source.
    #[serde(default)]
    pub kind: ImageKind,
    /// An address that must be called when the photo is kept, according to the source's terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping: Option<Url>,
}

impl FoundImage {
    /// A photo about which nothing else is known yet.
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

    /// Sets the licence, with the address of its text where the source gives none.
    pub(crate) fn licensed(mut self, licence: Licence, url: Option<String>) -> Self {
        self.licence = licence;
        let given = url.filter(|url| web_address(url).is_some());
        self.licence_url = given.or_else(|| licence.url().map(str::to_owned));
        self
    }
}

/// What kind of image it is, according to its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageKind {
    /// A photo.
    Photo,
    /// Unknown: the source doesn't say.
    #[default]
    Unknown,
    /// A drawing, painting or other artwork.
    Drawing,
}

/// Why a source returns nothing (more). `Display` is meant for the user, and never contains a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceDown {
    /// There was no connection.
    #[error("no connection: {}", plain(detail, DETAIL))]
    Unreachable {
        /// The cause.
        detail: String,
    },
    /// It took too long to respond.
    #[error("no response within {seconds} seconds")]
    TimedOut {
        /// How long we waited.
        seconds: u64,
    },
    /// It asks for fewer requests.
    #[error("its request limit is used up{}", wait(*seconds))]
    RateLimited {
        /// How long it asks to wait; 0 if it doesn't say.
        seconds: u64,
    },
    /// It rejects the key, or requests without a key.
    #[error("it refused the request ({status}): {}; check the key and its plan", plain(detail, DETAIL))]
    Forbidden {
        /// The HTTP status.
        status: u16,
        /// Its message.
        detail: String,
    },
    /// It responds with an error.
    #[error("it responded with error {status}: {}", plain(detail, DETAIL))]
    Status {
        /// The HTTP status.
        status: u16,
        /// Its message.
        detail: String,
    },
    /// It says that the query is invalid.
    #[error("it rejected the query: {}", plain(detail, DETAIL))]
    Refused {
        /// Its message.
        detail: String,
    },
    /// Its response is not JSON.
    #[error("its response is not JSON; it begins with `{}`", plain(begins, DETAIL))]
    NotJson {
        /// The beginning.
        begins: String,
    },
    /// Its response is larger than allowed.
    #[error("its response is larger than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// Its response has more parts than allowed; each of them takes memory.
    #[error("its response has more than {limit} parts")]
    TooManyParts {
        /// The limit.
        limit: usize,
    },
    /// Too many of its photos failed in a row.
    #[error("{failures} of its photos in a row could not be downloaded")]
    PhotosFail {
        /// How many.
        failures: u32,
    },
    /// A file or folder on this machine can't be used.
    #[error("{}: {}", plain(path, WORDS), plain(detail, DETAIL))]
    Local {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

fn wait(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!("; it asks to wait for {seconds} seconds") }
}

impl SourceDown {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::RateLimited { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }
}
