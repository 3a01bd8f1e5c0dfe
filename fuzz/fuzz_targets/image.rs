//! Bytes as a photo: decoded within limits, or refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sciurus_data::{DecodeLimits, decode};

fuzz_target!(|bytes: &[u8]| {
    let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
    if let Ok(image) = decode(bytes, &limits) {
        assert!(u64::from(image.width()) * u64::from(image.height()) <= limits.max_pixels);
    }
});
