//! Why a photo could not be downloaded. In: errors of the network and responses of hosts. Out: [`FetchFault`], plain
//! data.

use sciurus_photos::text::{DETAIL, plain};
use serde::{Deserialize, Serialize};

/// Why a photo could not be downloaded. `Display` is meant for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FetchFault {
    /// The address can't be downloaded from.
    #[error("not the address of a photo on the web")]
    BadAddress,
    /// The host is not on the public internet.
    #[error("{} is not on the public internet; if it is yours, allow it by name", plain(host, DETAIL))]
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
        /// The cause.
        detail: String,
    },
    /// It took too long.
    #[error("not complete after {seconds} seconds")]
    TimedOut {
        /// How long we waited.
        seconds: u64,
    },
    /// The host responded with something other than a photo.
    #[error("the host responded with status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// One redirect led to the next, too many times.
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
    #[error("the file was cut short on the way")]
    CutShort,
    /// Too many photos of this host failed in a row.
    #[error("its host was given up after {failures} failures in a row")]
    HostDown {
        /// How many.
        failures: u32,
    },
    /// A local file that can't be read.
    #[error("cannot be read: {}", plain(detail, DETAIL))]
    Unreadable {
        /// The operating system's error.
        detail: String,
    },
}
