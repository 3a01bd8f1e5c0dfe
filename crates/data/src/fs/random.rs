//! Unpredictable numbers, from the operating system.

/// An unpredictable number.
pub(super) fn random_number() -> u64 {
    u64::from_le_bytes(random())
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // Every system we build for has a source of randomness; should one fail, fall back to the clock and the process
        // id.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&clock.as_nanos().to_le_bytes()).update(&std::process::id().to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
    }
    bytes
}
