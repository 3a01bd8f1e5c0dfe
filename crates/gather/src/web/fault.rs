//! Why a photo did not arrive.

use sciurus_photos::text::{DETAIL, plain};
use serde::{Deserialize, Serialize};

/// Why a photo did not arrive. `Display` is meant for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FetchFault {
    /// No address that can be fetched.
    #[error("no address of a photo on the web")]
    BadAddress,
    /// The host is not in the public internet.
    #[error("{} is not in the public internet; allow it by name if it is yours", plain(host, DETAIL))]
    PrivateHost {
        /// The host.
        host: String,
    },
    /// The host's robots.txt forbids it.
    #[error("the host's robots.txt forbids it")]
    Robots,
    /// There was no connection.
    #[error("no connection: {}", plain(detail, DETAIL))]
    Unreachable {
        /// What the network said.
        detail: String,
    },
    /// It took too long.
    #[error("not there after {seconds} seconds")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// The host answers with something else than a photo.
    #[error("the host answers {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// One address leads to another, again and again.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: u32,
    },
    /// The file is larger than allowed; reading stopped there.
    #[error("larger than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// The connection ended before the file did.
    #[error("the file arrives cut short")]
    CutShort,
    /// Too many photos of this host failed one after the other.
    #[error("given up on its host, which failed {failures} times in a row")]
    HostDown {
        /// How many.
        failures: u32,
    },
    /// A local file that cannot be read.
    #[error("cannot be read: {}", plain(detail, DETAIL))]
    Unreadable {
        /// What the operating system said.
        detail: String,
    },
}
