//! How a worker's clock stands to ours, and how sure that is.
//!
//! We ask, it reads its clock, we hear: whatever the ways took, the reading lies between our two
//! moments. The quickest of some questions says it best, and half its time is the error. A clock
//! that runs faster shows between the beginning of a run and its end.

use serde::{Deserialize, Serialize};

/// How often a clock is asked for.
pub(super) const QUESTIONS: usize = 16;

/// How far a clock is ahead of ours.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Offset {
    /// Nanoseconds to add to our clock to get its reading.
    pub ns: i64,
    /// The truth is not farther off than this.
    pub error_ns: u64,
}

impl Offset {
    /// What a question tells that left at `asked` and was answered at `heard`, by our clock, with
    /// the reading `told`.
    pub(super) fn new(asked: u64, told: u64, heard: u64) -> Self {
        let middle = u64::midpoint(asked, heard);
        Self {
            ns: told.wrapping_sub(middle).cast_signed(),
            error_ns: heard.saturating_sub(asked).div_ceil(2),
        }
    }

    /// The surer of two.
    pub(super) fn surer(self, other: Self) -> Self {
        if other.error_ns < self.error_ns { other } else { self }
    }

    /// The reading of the clock at `ours` of our own.
    pub(super) fn reading(self, ours: u64) -> u64 {
        ours.wrapping_add_signed(self.ns)
    }

    /// The same offset with what was found `later`: what it has drifted meanwhile may have been off
    /// at any moment between.
    pub(super) fn through(self, later: Self) -> Self {
        let drift = self.ns.abs_diff(later.ns);
        Self { error_ns: self.error_ns.max(later.error_ns) + drift, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::base::Rng;

    #[test]
    fn the_truth_is_within_the_error_whatever_the_ways_take() {
        let mut rng = Rng::new(1);
        for _ in 0..1_000 {
            let ahead = rng.below(2_000_000).cast_signed() - 1_000_000;
            let (asked, way, back) = (5_000_000, rng.below(10_000), rng.below(10_000));
            let told = (asked + way).wrapping_add_signed(ahead);
            let offset = Offset::new(asked, told, asked + way + back);
            assert!(offset.ns.abs_diff(ahead) <= offset.error_ns, "{offset:?} and not {ahead}");
        }
    }

    #[test]
    fn the_quickest_question_counts_and_drift_adds_to_the_error() {
        let quick = Offset { ns: 5, error_ns: 2 };
        let slow = Offset { ns: 90, error_ns: 100 };
        assert_eq!((slow.surer(quick), quick.surer(slow)), (quick, quick));
        assert_eq!(quick.reading(10), 15);
        assert_eq!(quick.through(Offset { ns: 8, error_ns: 1 }), Offset { ns: 5, error_ns: 5 });
    }
}
