//! Bytes as a `model.sciurus`: a model, with the features of the photos that it knows, or an error that names the file.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sciurus::{KnownPhotos, ModelBundle};
use serde_json::Value;

/// Most bytes of tensors that a header alone gets. The smallest network has 3 MB.
const MOST: u64 = 8 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    // Tensors are longer than anything that a fuzzer writes. So a header may come alone, and gets zeros for its tensors.
    if bytes.starts_with(b"{") {
        let length = bytes.len() as u64;
        file.write_all(&length.to_le_bytes()).unwrap();
        file.write_all(bytes).unwrap();
        file.as_file().set_len(8 + length + tensors(bytes).min(MOST)).unwrap();
    } else {
        file.write_all(bytes).unwrap();
    }
    match ModelBundle::load(file.path()) {
        Ok(bundle) => {
            assert!(bundle.manifest.temperature.0 > 0.0);
            assert_eq!(bundle.known.is_some(), bundle.manifest.rejection.is_some());
            if let Some(KnownPhotos { features, .. }) = bundle.known {
                assert_eq!(features.width, bundle.manifest.arch.channels());
                assert_eq!(features.values.len() % features.width, 0);
            }
        }
        Err(error) => assert!(error.to_string().contains(&*file.path().to_string_lossy())),
    }
});

/// Where the last tensor of a header ends.
fn tensors(header: &[u8]) -> u64 {
    let header: Value = serde_json::from_slice(header).unwrap_or_default();
    let ends =
        header.as_object().into_iter().flatten().filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
    ends.max().unwrap_or(0)
}
