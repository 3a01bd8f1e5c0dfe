//! Facts about a source, before it's used. In: nothing. Out: [`SourceInfo`], plain data.

use crate::allowed::Telling;
use sciurus_photos::SourceId;
use serde::Serialize;

/// Facts about a source, before it's used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// Its name.
    pub id: SourceId,
    /// What it is, in one sentence.
    pub what: &'static str,
    /// How much it returns, and how fast.
    pub limits: &'static str,
    /// Whether it needs a key.
    pub key: KeyNeed,
    /// Whether it states the licence of its photos.
    pub licences: Telling,
    /// What its terms say about training models.
    pub training: &'static str,
}

/// Whether a source needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyNeed {
    /// It needs no key.
    None,
    /// It returns more with a key.
    Optional {
        /// The environment variables that hold it.
        variables: &'static [&'static str],
    },
    /// It returns nothing without a key.
    Required {
        /// The environment variables that hold it.
        variables: &'static [&'static str],
    },
}
