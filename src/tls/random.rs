//! Random bytes that nobody can predict, for what a client must not let be foreseen: the masking
//! keys of its frames (RFC 6455 §5.3 and §10.3) and the nonce of its handshake.
//!
//! They come from the same generator that TLS trusts and are drawn a page at a time, because a draw
//! has a price of its own and each frame takes four.

use rustls::crypto::{SecureRandom, aws_lc_rs};

/// How many bytes are drawn at once: 1,024 masking keys.
const POOL_LEN: usize = 4096;

/// A supply of secret random bytes.
#[derive(Debug)]
pub struct Random {
    source: &'static dyn SecureRandom,
    pool: Box<[u8]>,
    used: usize,
}

impl Random {
    /// A supply that draws from the system's generator as TLS does.
    #[allow(clippy::new_without_default)] // what is secret is asked for by name
    pub fn new() -> Self {
        let source = aws_lc_rs::default_provider().secure_random;
        Self { source, pool: vec![0; POOL_LEN].into(), used: POOL_LEN }
    }

    /// Fresh bytes, each given out once.
    ///
    /// # Panics
    ///
    /// If the system gives no randomness; then there is no TLS either.
    pub fn draw<const LEN: usize>(&mut self) -> [u8; LEN] {
        const { assert!(LEN <= POOL_LEN) };
        if self.pool.len() - self.used < LEN {
            self.source.fill(&mut self.pool).expect("the system gives randomness, as TLS needs it");
            self.used = 0;
        }
        let fresh = self.pool.get(self.used..).and_then(<[u8]>::first_chunk);
        self.used += LEN;
        *fresh.expect("a pool with fewer bytes has just been filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_are_given_out_twice() {
        let mut random = Random::new();
        let mut seen: Vec<[u8; 16]> = (0..1_000).map(|_| random.draw()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn draws_of_any_length_share_the_pool() {
        let mut random = Random::new();
        for _ in 0..POOL_LEN {
            let _: [u8; 3] = random.draw();
            let _: [u8; 4] = random.draw();
        }
        assert!(random.used <= POOL_LEN);
    }
}
