//! What there is to know of a source before it is used.

use crate::allowed::Telling;
use sciurus_photos::SourceId;
use serde::Serialize;

/// What there is to know of a source before it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// Its name.
    pub id: SourceId,
    /// What it is, in one sentence.
    pub what: &'static str,
    /// How much it gives, and how fast.
    pub limits: &'static str,
    /// What it needs a key for.
    pub key: KeyNeed,
    /// Whether it tells the licence of its photos.
    pub licences: Telling,
    /// What its terms say about training models.
    pub training: &'static str,
}

/// Whether a source needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyNeed {
    /// It needs none.
    None,
    /// It gives more with one.
    Optional {
        /// The environment variables that hold it.
        variables: &'static [&'static str],
    },
    /// It gives nothing without.
    Required {
        /// The environment variables that hold it.
        variables: &'static [&'static str],
    },
}
