//! Which weights a model started from, as its file tells.

use serde::{Deserialize, Serialize};

/// Which weights a model started from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsRecord {
    /// Name of the file, or `random`.
    pub name: String,
    /// SHA-256 of the file, lower-case hex; `None` for random weights.
    pub sha256: Option<String>,
    /// Licence of the weights (SPDX, or as written in the file); `None` for random weights, or if it is not known.
    #[serde(default)]
    pub licence: Option<String>,
}
