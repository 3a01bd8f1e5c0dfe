//! Why a photo that was found is rejected. In: what downloading and checking it found. Out: a [`Rejection`], plain data
//! to count and show.

use crate::web::FetchFault;
use sciurus_data::SkipReason;
use sciurus_photos::Licence;
use sciurus_photos::Sameness;
use serde::{Deserialize, Serialize};

/// Why a photo is rejected. `Display` is meant for the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejection {
    /// Its licence isn't allowed.
    #[error("its licence ({licence}) is not allowed")]
    Licence {
        /// The licence.
        licence: Licence,
    },
    /// The same address was found before for this class.
    #[error("found before")]
    FoundBefore,
    /// It could not be downloaded.
    #[error("{fault}")]
    NotFetched {
        /// Why not.
        fault: FetchFault,
    },
    /// What was downloaded isn't a usable image.
    #[error("{skip}")]
    Unusable {
        /// Why not.
        skip: SkipReason,
    },
    /// It is too small.
    #[error("{width} x {height} pixels; the shorter side needs at least {least}")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What the shorter side needs at least.
        least: u32,
    },
    /// It's a copy of a photo that is kept.
    #[error("a copy of {of}: {sameness}")]
    Duplicate {
        /// The file that is kept, relative to the folder.
        of: String,
        /// In what they are the same.
        sameness: Sameness,
    },
}

impl Rejection {
    /// A few words that rejections are counted by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Licence { .. } => "licence not allowed",
            Self::FoundBefore => "found before",
            Self::TooSmall { .. } => "too small",
            Self::Duplicate { sameness: Sameness::Bytes | Sameness::Pixels, .. } => "exact duplicate",
            Self::Duplicate { .. } => "near duplicate",
            Self::Unusable { skip: SkipReason::WebPage } => "web page, not an image",
            Self::Unusable { skip: SkipReason::Truncated } => "cut short",
            Self::Unusable { .. } => "not a usable image",
            Self::NotFetched { fault } => match fault {
                FetchFault::CutShort => "cut short",
                FetchFault::TimedOut { .. } => "too slow",
                FetchFault::TooManyBytes { .. } => "too many bytes",
                FetchFault::TooManyRedirects { .. } => "too many redirects",
                FetchFault::Robots => "forbidden by robots.txt",
                FetchFault::PrivateHost { .. } => "private address",
                FetchFault::Status { status: 404 | 410 } => "gone",
                FetchFault::Status { .. } => "refused by its host",
                FetchFault::Unreachable { .. } | FetchFault::HostDown { .. } => "host down",
                FetchFault::BadAddress | FetchFault::Unreadable { .. } => "no usable address",
            },
        }
    }

    /// Whether trying again later may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::NotFetched { fault } if fault.is_passing())
    }
}
