//! Bytes as a saved web page: addresses on the web, each once, or an error.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use sciurus_gather::fuzzing::page;

fuzz_target!(|bytes: &[u8]| {
    let urls = page(bytes).unwrap_or_default();
    assert!(urls.iter().all(|url| matches!(url.scheme(), "http" | "https") && url.has_host()));
    assert_eq!(urls.iter().collect::<HashSet<_>>().len(), urls.len());
});
