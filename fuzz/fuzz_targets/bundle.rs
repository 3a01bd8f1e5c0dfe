//! Bytes as a `model.sciurus`: a model, or an error that names the file.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sciurus::ModelBundle;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    file.write_all(bytes).unwrap();
    match ModelBundle::load(file.path()) {
        Ok(bundle) => assert!(bundle.manifest.temperature.0 > 0.0),
        Err(error) => assert!(error.to_string().contains(&*file.path().to_string_lossy())),
    }
});
