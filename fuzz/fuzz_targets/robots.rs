//! Bytes as a robots.txt, the first line being the path that is asked for: an answer, the same each time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_gather::fuzzing::robots;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (path, text) = bytes.split_at(end);
    let path = String::from_utf8_lossy(path);
    let Ok(url) = format!("https://a.example/{path}").parse() else { return };
    let answer = robots(text, &url);
    assert_eq!(robots(text, &url), answer);
    assert!(answer.1.is_none_or(|seconds| (0.0..=30.0).contains(&seconds)));
});
