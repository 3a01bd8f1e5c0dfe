//! A photo's grey values at 32 × 32 pixels: enough to tell whether two photos are the same picture. In: a photo. Out:
//! plain data, one kilobyte per photo.

use crate::duplicates::phash::SIDE;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// 32 × 32 grey values, row by row: the whole photo, squeezed to a square. In JSON it's base64 text.
#[derive(Clone, PartialEq, Eq)]
pub struct Thumbnail(pub [u8; SIDE * SIDE]);

impl fmt::Debug for Thumbnail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thumbnail(32 x 32)")
    }
}

impl Serialize for Thumbnail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_bytes(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Thumbnail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_bytes(deserializer).map(Self)
    }
}

/// A picture's bytes, as text where people may read it.
pub(crate) fn write_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match serializer.is_human_readable() {
        true => serializer.serialize_str(&BASE64_STANDARD_NO_PAD.encode(bytes)),
        false => serializer.serialize_bytes(bytes),
    }
}

/// As many bytes as the picture has.
pub(crate) fn read_bytes<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let wrong = || de::Error::custom("this is not base64 of as many bytes as the picture has");
    let bytes = match deserializer.is_human_readable() {
        true => BASE64_STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(|_| wrong())?,
        false => Vec::deserialize(deserializer)?,
    };
    bytes.try_into().map_err(|_| wrong())
}
