//! Under which licences photos are, as far as the ledger beside them tells. In: the `ledger.jsonl` that gathering leaves in a
//! folder. Out: counts by licence, for those who must give credit.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use sciurus_data::ContentHash;
use sciurus_data::fs::read_regular;

use super::LEDGER_FILE;

/// Bytes of a ledger: some hundred for each photo.
const MOST_BYTES: u64 = 256 << 20;

/// What photos count as that the ledger does not know.
const UNKNOWN: &str = "unknown";

/// What is read of a ledger's entry.
#[derive(Debug, Deserialize)]
struct Entry {
    hash: ContentHash,
    licence: String,
}

/// How many of some photos are under each licence, such as `by-sa`, by the ledger in `folder`; photos that it does not know
/// count as `unknown`. Empty where there is no ledger: then nothing is known of licences at all. Lines that cannot be read
/// are passed over.
#[must_use]
pub fn licences<'h>(
    folder: &Path,
    contents: impl IntoIterator<Item = &'h ContentHash>,
) -> BTreeMap<String, usize> {
    let bytes = read_regular(&folder.join(LEDGER_FILE), MOST_BYTES);
    let Some(text) = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return BTreeMap::new();
    };
    let entries = text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let mut known: HashMap<ContentHash, String> = HashMap::new();
    for entry in entries {
        // Where the same photo was gathered twice, the first counts.
        known.entry(entry.hash).or_insert(entry.licence);
    }
    let mut counts = BTreeMap::new();
    for content in contents {
        let licence = known.get(content).map_or(UNKNOWN, String::as_str);
        *counts.entry(licence.to_owned()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_counted_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let photos = [b"one", b"two", b"six"].map(|bytes| ContentHash::of(bytes));
        assert!(licences(folder.path(), &photos).is_empty());
        let line = |hash: &ContentHash, licence: &str| {
            format!("{}\n", serde_json::json!({"hash": hash, "licence": licence, "file": "red/1.jpg"}))
        };
        let ledger = line(&photos[0], "by") + &line(&photos[1], "by") + "{\"hash\": \"cut sh";
        std::fs::write(folder.path().join(LEDGER_FILE), ledger).unwrap();
        let counts = licences(folder.path(), &photos);
        assert_eq!(counts, BTreeMap::from([("by".to_owned(), 2), ("unknown".to_owned(), 1)]));
    }
}
