//! The nouns of a data set: an image with its label and split, and the vocabulary of labels. In: what the scan found.
//! Out: plain serde data that every later stage reads.

use super::target::Target;
use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The index of an item in its data set's list of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u32);

impl ItemId {
    /// The index as a `usize`, for lookups.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which part of the data an item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The model is trained on these.
    Train,
    /// The model is validated on these after every epoch.
    Valid,
    /// The model is tested on these once, at the very end.
    Test,
}

impl Split {
    /// All splits, in order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        })
    }
}

/// The labels of a data set, sorted and unique. A label's position is its class. A saved list that is out of order is
/// refused: sorting it would give classes other labels.
///
/// ```
/// use sciurus_data::Vocab;
///
/// let vocab = Vocab::new(["red", "grey", "red"].map(String::from));
/// assert_eq!(vocab.labels(), ["grey", "red"]);
/// assert_eq!(vocab.class("red"), Some(1));
/// assert_eq!(vocab.label(0), "grey");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Vocab(Vec<String>);

impl Vocab {
    /// Sorts the labels (by Unicode code point, as Python does) and removes repetitions.
    pub fn new(labels: impl IntoIterator<Item = String>) -> Self {
        Self(labels.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// The label of a class, or `"?"` for a class outside the vocabulary.
    #[must_use]
    pub fn label(&self, class: usize) -> &str {
        self.0.get(class).map_or("?", String::as_str)
    }

    /// The class of a label.
    #[must_use]
    pub fn class(&self, label: &str) -> Option<usize> {
        self.0.binary_search_by(|known| known.as_str().cmp(label)).ok()
    }

    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no classes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All labels, sorted.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.0
    }
}

/// A list of labels that isn't sorted, or that has a label twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the labels of a vocabulary must be sorted, without repetitions, but `{0}` comes before `{1}`; restore the list as it \
     was saved: a label's position is its class"
)]
pub struct NotAVocab(String, String);

impl TryFrom<Vec<String>> for Vocab {
    type Error = NotAVocab;

    fn try_from(labels: Vec<String>) -> Result<Self, Self::Error> {
        match labels.windows(2).find(|pair| pair[0] >= pair[1]) {
            Some(pair) => Err(NotAVocab(pair[0].clone(), pair[1].clone())),
            None => Ok(Self(labels)),
        }
    }
}

impl From<Vocab> for Vec<String> {
    fn from(vocab: Vocab) -> Self {
        vocab.0
    }
}

/// One image of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageItem {
    /// Its index in the data set's list of items.
    pub id: ItemId,
    /// Path relative to the data set's root.
    pub path: PathBuf,
    /// Its class (the index of its label in the vocabulary), or the classes of all its labels. In JSON `class`.
    #[serde(rename = "class")]
    pub target: Target,
    /// The part of the data it belongs to.
    pub split: Split,
    /// The group it belongs to, such as the animal or the camera. A group is never in two splits. An item without one
    /// counts as a group of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Fingerprint of the file's bytes.
    pub content: ContentHash,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Width in pixels as a viewer shows it, after the EXIF rotation.
    pub width: u32,
    /// Height in pixels as a viewer shows it, after the EXIF rotation.
    pub height: u32,
}

/// Fingerprint of a file's bytes: the first 16 bytes of its BLAKE3 hash, written in hexadecimal.
///
/// ```
/// use sciurus_data::ContentHash;
///
/// let hash = ContentHash::of(b"squirrel");
/// assert_eq!(hash.to_string().len(), 32);
/// assert_eq!(hash.to_string().parse(), Ok(hash));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl ContentHash {
    /// The fingerprint of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// The fingerprint of bytes in several pieces, as if they were concatenated.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        Self::short(&hasher.finalize())
    }

    pub(super) fn short(hash: &blake3::Hash) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        Self(short)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Text that is not 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a content hash is 32 hexadecimal digits, not `{0}`")]
pub struct NotAContentHash(String);

impl FromStr for ContentHash {
    type Err = NotAContentHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAContentHash(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| wrong())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Two of these labels that look the same on a screen: they differ in spaces around them, or in how accents are encoded.
pub(super) fn looking_alike<'a>(labels: impl Iterator<Item = &'a str>) -> Option<[String; 2]> {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    let mut seen = HashMap::new();
    for label in labels {
        let plain = normalizer.normalize(label.trim()).into_owned();
        match seen.insert(plain, label) {
            Some(other) if other != label => return Some([other.to_owned(), label.to_owned()]),
            _ => {}
        }
    }
    None
}

/// Two of these labels that differ in upper and lower case only.
pub(super) fn case_only(labels: &[String]) -> Option<[String; 2]> {
    let mut seen = HashMap::new();
    labels.iter().find_map(|label| {
        let other = seen.insert(label.to_lowercase(), label)?;
        Some([other.clone(), label.clone()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nouns_travel_through_json() {
        let item = ImageItem {
            id: ItemId(3),
            path: "red/a.jpg".into(),
            target: Target::Single(1),
            split: Split::Valid,
            group: None,
            content: ContentHash::of(b"a"),
            bytes: 1,
            width: 20,
            height: 10,
        };
        let text = serde_json::to_string(&item).unwrap();
        assert!(
            [r#""split":"valid""#, r#""id":3"#, r#""class":1,"#].iter().all(|part| text.contains(part)),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<ImageItem>(&text).unwrap(), item);

        let text = r#"["Red","grey","red","é"]"#;
        let vocab: Vocab = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&vocab).unwrap(), text);
        assert_eq!((vocab.class("blue"), vocab.label(9)), (None, "?"));
    }

    #[test]
    fn a_vocabulary_is_read_back_in_its_order_or_not_at_all() {
        for (text, pair) in [
            (r#"["red","grey"]"#, "`red` comes before `grey`"),
            (r#"["grey","red","red"]"#, "`red` comes before `red`"),
        ] {
            let error = serde_json::from_str::<Vocab>(text).unwrap_err().to_string();
            assert!(error.contains(pair), "{error}");
        }
        for labels in [&[][..], &["red"], &["grey", "red"]] {
            let labels: Vec<String> = labels.iter().copied().map(String::from).collect();
            assert_eq!(Vocab::try_from(labels.clone()), Ok(Vocab::new(labels)));
        }
    }

    #[test]
    fn a_content_hash_refuses_anything_but_hex() {
        for text in ["", "xyz", "+0000000000000000000000000000000", &"é".repeat(16)] {
            assert!(text.parse::<ContentHash>().is_err(), "{text}");
        }
    }
}
