//! Bytes as a zip, tar or tar.gz file: photos under names that hide nothing and within limits, or an error.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sciurus_gather::fuzzing::archive;

const FILE_BYTES: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    file.write_all(bytes).unwrap();
    for (name, photo) in archive(file.path(), FILE_BYTES).unwrap_or_default() {
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(photo.is_none_or(|photo| photo.len() as u64 <= FILE_BYTES), "{name:?}");
    }
});
