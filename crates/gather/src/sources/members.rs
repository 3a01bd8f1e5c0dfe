//! The photos of an archive by name. In: an untrusted list of members. Out: names that can be asked for, each with its
//! position; bounded in number and in bytes.

use super::local;
use sciurus_photos::text::{WORDS, plain};
use std::collections::BTreeMap;

/// Most members of an archive that are read.
const MAX_MEMBERS: usize = 200_000;
/// Most bytes of a name, as on common systems, and of the names of all photos.
const LONGEST_NAME: usize = 4096;
const MAX_NAMES: usize = 16 << 20;

/// Photos by name, each with its position. Of two members with the same name the last counts, as when unpacking.
#[derive(Debug)]
pub(super) struct Members<P> {
    places: BTreeMap<String, P>,
    seen: usize,
    name_bytes: usize,
}

impl<P> Members<P> {
    pub(super) fn none() -> Self {
        Self { places: BTreeMap::new(), seen: 0, name_bytes: 0 }
    }

    /// Counts a member of any kind.
    pub(super) fn count(&mut self) -> Result<(), String> {
        self.seen += 1;
        if self.seen > MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} members; unpack it yourself if you trust it"));
        }
        Ok(())
    }

    /// Whether a member with this name is a photo.
    pub(super) fn wants(name: &str) -> bool {
        name.len() <= LONGEST_NAME && local::is_picture(name)
    }

    /// Adds a photo.
    pub(super) fn add(&mut self, name: &str, place: P) -> Result<(), String> {
        self.name_bytes += name.len();
        if self.name_bytes > MAX_NAMES {
            return Err(format!("names of more than {MAX_NAMES} bytes; unpack it yourself if you trust it"));
        }
        self.places.insert(plain(name, WORDS), place);
        Ok(())
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(super) fn place(&self, name: &str) -> Result<&P, String> {
        self.places.get(name).ok_or_else(|| "no such member".to_owned())
    }
}
