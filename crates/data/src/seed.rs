//! The one source of randomness. In: a number that a run records. Out: independent random streams, one per purpose,
//! epoch and item, so results never depend on the order in which threads work.

use rand::SeedableRng;
use serde::{Deserialize, Serialize};

/// The random number generator used everywhere: ChaCha with 8 rounds, the same on every platform.
pub type Rng = rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for: the first word of every stream.
pub(crate) mod purpose {
    pub(crate) const SPLIT: u64 = 1;
    pub(crate) const SHUFFLE: u64 = 2;
    pub(crate) const AUGMENT: u64 = 3;
    pub(crate) const ONCE: u64 = 4;
    pub(crate) const TEST: u64 = 5;
    pub(crate) const FOLD: u64 = 6;
    pub(crate) const MIX: u64 = 7;
}

/// A seed, recorded with every run: the same seed, data and binary give the same result.
///
/// ```
/// use rand::RngExt;
/// use sciurus_data::Seed;
///
/// let (epoch, item) = (3, 17);
/// let first: f32 = Seed(42).rng(&[epoch, item]).random();
/// let again: f32 = Seed(42).rng(&[epoch, item]).random();
/// assert_eq!(first, again);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of one stream. Streams with different words are independent: the words are hashed (BLAKE3)
    /// together with the seed, so neighbouring epochs and items have nothing in common.
    #[must_use]
    pub fn rng(self, stream: &[u64]) -> Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        for word in stream {
            hasher.update(&word.to_le_bytes());
        }
        Rng::from_seed(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn streams_differ_by_seed_word_and_length() {
        let draw = |seed: u64, stream: &[u64]| Seed(seed).rng(stream).random::<u64>();
        let draws =
            [draw(1, &[]), draw(1, &[0]), draw(1, &[0, 0]), draw(1, &[1]), draw(2, &[]), draw(2, &[0])];
        for (i, a) in draws.iter().enumerate() {
            assert!(draws[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(draw(7, &[1, 2]), draw(7, &[1, 2]));
    }
}
