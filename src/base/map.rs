//! Hash maps whose order repeats from run to run, so that a simulated history can be replayed.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A hash map hashed with a [`Seed`].
#[allow(clippy::disallowed_types)]
pub type Map<K, V> = std::collections::HashMap<K, V, Seed>;

/// A hash set hashed with a [`Seed`].
#[allow(clippy::disallowed_types)]
pub type Set<K> = std::collections::HashSet<K, Seed>;

/// What a map's hashes depend on beside the key.
///
/// A map whose keys come from peers gets a seed that they cannot know; else they could choose keys
/// that all fall into one bucket. The default seed is for keys that are our own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seed(pub u64);

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        // SipHash's key is fixed here, and the secret is the first word hashed: what follows
        // starts from a state that nobody outside knows.
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_repeat_for_a_seed_and_differ_between_seeds() {
        assert_eq!(Seed(7).hash_one("topic"), Seed(7).hash_one("topic"));
        assert_ne!(Seed(7).hash_one("topic"), Seed(8).hash_one("topic"));
    }
}
