//! Counts photos by licence. In: the `ledger.jsonl` that gathering leaves in a folder. Out: counts by licence, for
//! anyone who must give credit.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;

use sciurus_data::ContentHash;
use sciurus_data::fs::read_regular;

use super::LEDGER_FILE;

/// Largest ledger in bytes; an entry has a few hundred.
const MOST_BYTES: u64 = 256 << 20;

/// What photos that aren't in the ledger count as.
const UNKNOWN: &str = "unknown";

/// The fields of a ledger entry that are read.
#[derive(Debug, Deserialize)]
struct Entry {
    hash: ContentHash,
    licence: String,
}

/// How many of some photos are under each licence, such as `by-sa`, according to the ledger in `folder`. Photos that
/// aren't in it count as `unknown`. Empty if there is no ledger, since then nothing is known about licences at all.
/// Lines that can't be read are skipped.
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
        // If the same photo was gathered twice, the first entry counts.
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
