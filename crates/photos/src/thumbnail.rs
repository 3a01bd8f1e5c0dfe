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
        serializer.serialize_str(&BASE64_STANDARD_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Thumbnail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom("a thumbnail is 1024 bytes in base64");
        let bytes = BASE64_STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(|_| wrong())?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}
