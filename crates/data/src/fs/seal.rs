//! Recognising what this user's Sciurus on this machine wrote. In: bytes. Out: a seal that nothing else can make.
//!
//! A downloaded folder may bring its own log of moves, decisions or run, made to get files moved. So what we write
//! carries a keyed BLAKE3 hash; the key is 32 random bytes in the user's data folder. If that can't be written, the key
//! is derived from the machine's id, which the folder's author doesn't know either.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::private::private_part;
use super::random::random;
use super::{InsidePath, Root};

/// The key of this user and machine.
static KEY: OnceLock<[u8; 32]> = OnceLock::new();

/// Bytes of a seal: half a BLAKE3 hash, too many to guess.
const SEAL_BYTES: usize = 16;
/// How a sealed JSON object ends, before and after the seal.
const BEFORE: &str = ",\n  \"seal\": \"";
const AFTER: &str = "\"\n}\n";

/// A JSON object, pretty-printed as by `serde_json`, with a seal as its last entry. Other readers just see one more
/// key.
#[must_use]
pub fn sealed(json: &str) -> String {
    let body = json.trim_end().strip_suffix('}').unwrap_or(json).trim_end();
    // An empty object would need no comma here, but none of ours is empty.
    format!("{body}{BEFORE}{}{AFTER}", seal("", body.as_bytes()))
}

/// Whether [`sealed`] wrote this on this machine for this user, and nobody changed it since.
#[must_use]
pub fn is_sealed(json: &str) -> bool {
    let parts = json.strip_suffix(AFTER).and_then(|rest| rest.rsplit_once(BEFORE));
    parts.is_some_and(|(body, found)| is_seal(found, "", body.as_bytes()))
}

/// The seal of bytes that come after something with the seal `before`.
pub(super) fn seal(before: &str, bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key());
    hasher.update(before.as_bytes());
    hasher.update(b"\n");
    hasher.update(bytes);
    hasher.finalize().to_hex()[..2 * SEAL_BYTES].to_owned()
}

/// Whether a seal is ours.
pub(super) fn is_seal(found: &str, before: &str, bytes: &[u8]) -> bool {
    seal(before, bytes) == found
}

fn key() -> &'static [u8; 32] {
    KEY.get_or_init(|| {
        let kept = dirs::data_local_dir().and_then(|folder| kept_key(&folder.join("sciurus")));
        // Other users of the machine could derive its key too, so it counts only where no secret one can be kept. Without
        // either, what we write now will be foreign to the next process: that's safe, and its error says what to do.
        kept.or_else(machine_key).unwrap_or_else(random)
    })
}

/// The key in a folder; created if there's none.
fn kept_key(folder: &Path) -> Option<[u8; 32]> {
    let name = InsidePath::ours("state-key");
    let read = || {
        let bytes = Root::open(folder).ok()?.read(&name, 32).ok()?;
        <[u8; 32]>::try_from(bytes).ok()
    };
    read().or_else(|| {
        make_key(folder, &name).ok()?;
        // Read it back: if another process was faster, its key is the one that counts.
        read()
    })
}

/// Makes a key, unless there is one: it gets its name only when it's whole, and if the name is taken, another process's key is
/// there.
fn make_key(folder: &Path, name: &InsidePath) -> Result<(), Box<dyn std::error::Error>> {
    let root = Root::create(folder)?;
    let part = private_part(&root, name, &random::<32>())?;
    let named = root.move_new(&part, name);
    if named.is_err() {
        let _ = root.remove_file(&part);
    }
    Ok(named?)
}

/// A key from the machine id that systemd assigns once, and the user's home folder. Not a secret of the user, but
/// unknown to anyone who made a folder elsewhere.
fn machine_key() -> Option<[u8; 32]> {
    let paths = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let number = paths.iter().find_map(|path| super::read_regular(path.as_ref(), 64).ok())?;
    let number = number.trim_ascii();
    let is_one = number.len() == 32 && number.iter().any(|byte| *byte != b'0');
    let home = dirs::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    let context = "sciurus 2026-11-28 state of a machine without a writable home";
    is_one.then(|| {
        blake3::Hasher::new_derive_key(context)
            .update(number)
            .update(home.as_os_str().as_encoded_bytes())
            .finalize()
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_object_has_no_seal_of_ours() {
        let json = serde_json::to_string_pretty(&serde_json::json!({"a": 1, "b": [true]})).unwrap();
        let text = sealed(&json);
        assert!(is_sealed(&text) && !is_sealed(&json));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["b"][0], true);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(String::from_utf8(bytes).is_ok_and(|changed| !is_sealed(&changed)), "{at}");
        }
        // Sealed again after another program read and wrote it.
        assert!(is_sealed(&sealed(&text)));
    }

    #[test]
    fn the_first_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/er");
        let key = kept_key(&place).unwrap();
        assert_eq!(kept_key(&place), Some(key));
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
    }
}
