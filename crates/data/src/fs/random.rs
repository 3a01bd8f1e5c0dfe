//! Numbers that nobody can guess, from the system.

/// A number that nobody can guess.
pub(super) fn random_number() -> u64 {
    u64::from_le_bytes(random())
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // No system that we build for lacks randomness; if one does, its clock and this process must do.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&clock.as_nanos().to_le_bytes()).update(&std::process::id().to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
    }
    bytes
}
