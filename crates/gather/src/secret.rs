//! Keys of services, which must never appear in an error, a log or debug output. In: environment variables, read once
//! at the edge. Out: [`Keys`] full of [`Secret`]s.

use std::fmt;

/// Text that is never shown: `Debug` and `Display` print three stars, and it doesn't implement serde.
///
/// ```
/// use sciurus_gather::Secret;
///
/// assert_eq!(format!("{0} {0:?}", Secret::new("abc123")), "*** ***");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, only for requests.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The keys that sources may need, each by the name of its environment variable.
///
/// | Variable | Source |
/// |---|---|
/// | `OPENVERSE_CLIENT_ID`, `OPENVERSE_CLIENT_SECRET` | Openverse, for higher limits |
/// | `FLICKR_API_KEY` | Flickr |
/// | `PEXELS_API_KEY` | Pexels |
/// | `PIXABAY_API_KEY` | Pixabay |
/// | `UNSPLASH_ACCESS_KEY` | Unsplash |
/// | `BRAVE_API_KEY` | Brave |
/// | `SERPAPI_API_KEY` | SerpApi |
/// | `BING_API_KEY`, `BING_ENDPOINT` | a service that speaks Bing's protocol |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<(String, Secret)>);

/// The variables that [`Keys::from_env`] reads.
pub const KEY_VARIABLES: [&str; 10] = [
    "OPENVERSE_CLIENT_ID",
    "OPENVERSE_CLIENT_SECRET",
    "FLICKR_API_KEY",
    "PEXELS_API_KEY",
    "PIXABAY_API_KEY",
    "UNSPLASH_ACCESS_KEY",
    "BRAVE_API_KEY",
    "SERPAPI_API_KEY",
    "BING_API_KEY",
    "BING_ENDPOINT",
];

impl Keys {
    /// The keys that are set in this process's environment; empty ones count as not set.
    #[must_use]
    pub fn from_env() -> Self {
        KEY_VARIABLES.iter().fold(Self::default(), |keys, &variable| {
            keys.with(variable, std::env::var(variable).unwrap_or_default())
        })
    }

    /// Adds a key; an empty one counts as not set.
    #[must_use]
    pub fn with(mut self, variable: impl Into<String>, key: impl Into<String>) -> Self {
        let key = key.into();
        if !key.trim().is_empty() {
            self.0.push((variable.into(), Secret::new(key.trim())));
        }
        self
    }

    /// The key with this name.
    #[must_use]
    pub fn get(&self, variable: &str) -> Option<&Secret> {
        self.0.iter().rev().find(|(name, _)| name == variable).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_never_shown() {
        let keys = Keys::default().with("FLICKR_API_KEY", " k3y ").with("PEXELS_API_KEY", " ");
        assert_eq!(keys.get("FLICKR_API_KEY").map(Secret::reveal), Some("k3y"));
        assert!(keys.get("PEXELS_API_KEY").is_none());
        assert!(!format!("{keys:?} {keys:#?}").contains("k3y"));
    }
}
