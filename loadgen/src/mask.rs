//! Masking keys that nobody can predict (RFC 6455 §5.3 and §10.3).
//!
//! A key that an attacker can foresee lets the payload be chosen so that the masked bytes look like
//! a request to some proxy on the way. So each frame takes four fresh bytes of the same generator
//! that TLS trusts; they are drawn a page at a time, because a draw has a price of its own.

use corecast::ws::MaskKey;
use rustls::crypto::{SecureRandom, aws_lc_rs};

/// How many bytes are drawn at once: 1,024 keys.
const POOL_LEN: usize = 4096;

/// A supply of secret random bytes.
#[derive(Debug)]
pub struct Masks {
    source: &'static dyn SecureRandom,
    pool: Box<[u8]>,
    used: usize,
}

impl Masks {
    /// A supply that draws from the system's generator as TLS does.
    pub fn new() -> Self {
        let source = aws_lc_rs::default_provider().secure_random;
        Self { source, pool: vec![0; POOL_LEN].into(), used: POOL_LEN }
    }

    /// The key of the next frame.
    pub fn next(&mut self) -> MaskKey {
        MaskKey(self.draw())
    }

    /// Fresh bytes, each given out once.
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
        let mut masks = Masks::new();
        let mut seen: Vec<[u8; 16]> = (0..1_000).map(|_| masks.draw()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn draws_of_any_length_share_the_pool() {
        let mut masks = Masks::new();
        for _ in 0..POOL_LEN {
            let _: [u8; 3] = masks.draw();
            masks.next();
        }
        assert!(masks.used <= POOL_LEN);
    }
}
