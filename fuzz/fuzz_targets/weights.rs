//! Bytes as a weight file (PyTorch checkpoint or safetensors): tensors of the sizes their shapes say, or an error.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use sciurus::model::weights::read;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    file.write_all(bytes).unwrap();
    if let Ok(state) = read(file.path()) {
        for tensor in state.values() {
            assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>());
        }
    }
});
