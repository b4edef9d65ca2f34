//! What decides: a seed, or the bytes that a fuzzer chose.

use std::collections::VecDeque;

use corecast::base::Rng;

/// The next decision, and the one after it.
pub struct Dice {
    /// What has been decided already, by whoever chose the bytes.
    told: VecDeque<u8>,
    is_told: bool,
    rng: Rng,
}

impl Dice {
    /// Decisions that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { told: VecDeque::new(), is_told: false, rng: Rng::new(seed) }
    }

    /// Decisions that stand in `bytes`; those behind its end are always the same.
    pub fn told(bytes: &[u8]) -> Self {
        Self { told: bytes.iter().copied().collect(), is_told: true, rng: Rng::new(0) }
    }

    /// Whether all that was told has been decided.
    pub fn is_over(&self) -> bool {
        self.is_told && self.told.is_empty()
    }

    /// A number below `bound`, 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if self.told.is_empty() {
            return self.rng.below(bound);
        }
        // No more bytes than matter, so that a fuzzer has few to guess.
        let bytes = match bound {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let told = self.told.drain(..bytes.min(self.told.len()));
        let number = told.fold(0, |sum, byte| sum << 8 | u64::from(byte));
        number.checked_rem(bound).unwrap_or_default()
    }

    /// Whether an event happens that has `chances` in `of`.
    pub fn one_of(&mut self, chances: u64, of: u64) -> bool {
        self.below(of) < chances
    }

    /// One of `choices`.
    pub fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[super::plan::usize_of(self.below(choices.len() as u64))]
    }
}
