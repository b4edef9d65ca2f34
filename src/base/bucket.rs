//! How often something may happen: a bucket of tokens that fills up again as time passes.

use std::time::{Duration, Instant};

/// What a full bucket holds: as much as flows in during this time.
const DEPTH: Duration = Duration::from_secs(1);

/// A bucket of tokens, kept as the one moment at which it will be full (the generic cell rate
/// algorithm of ATM, I.371): so it needs no timer, and one that has been left alone is full.
///
/// It holds what flows in during one second. The rate is an argument, in tokens a second, so that
/// very many buckets need not all keep it. A moment is known to the nanosecond, so what is taken
/// one at a time is counted exactly up to some ten thousand a second, and what is taken at once
/// always.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A bucket that is full at `now`.
    pub const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes `amount` tokens, if there are so many. Returns whether there were.
    pub fn try_take(&mut self, amount: u64, rate: u64, now: Instant) -> bool {
        let mut after = *self;
        after.take(amount, rate, now);
        let is_enough = after.is_paid(now);
        if is_enough {
            *self = after;
        }
        is_enough
    }

    /// Takes `amount` tokens whether they are there or not: what is missing is owed.
    pub fn take(&mut self, amount: u64, rate: u64, now: Instant) {
        let nanos = u128::from(amount) * DEPTH.as_nanos() / u128::from(rate.max(1));
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let from = self.full_at.max(now);
        // Further than a clock reaches is never.
        self.full_at = from.checked_add(time).unwrap_or(from);
    }

    /// Whether no token is owed.
    pub fn is_paid(&self, now: Instant) -> bool {
        self.full_at.saturating_duration_since(now) <= DEPTH
    }

    /// How long it takes until no token is owed.
    pub fn owed(&self, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now).saturating_sub(DEPTH)
    }

    /// Whether it is as good as one that has never been used.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::real_now;
    use super::*;

    #[test]
    fn a_second_holds_what_the_rate_says_and_not_one_more() {
        for rate in [1, 2, 3, 7, 50, 1_000] {
            let now = real_now();
            let mut bucket = Bucket::full(now);
            for taken in 0..rate {
                assert!(bucket.try_take(1, rate, now), "{taken} of {rate}");
            }
            assert!(!bucket.try_take(1, rate, now), "{rate}");
        }
    }

    #[test]
    fn what_is_taken_at_once_is_counted_exactly_at_any_rate() {
        for rate in [3, 65_536, 999_999, 1u64 << 30] {
            let now = real_now();
            let mut bucket = Bucket::full(now);
            assert!(!bucket.try_take(rate + rate.div_ceil(1_000_000), rate, now), "{rate}");
            assert!(bucket.try_take(rate, rate, now), "{rate}");
        }
    }

    #[test]
    fn tokens_come_back_one_at_a_time() {
        let mut now = real_now();
        let mut bucket = Bucket::full(now);
        bucket.take(4, 4, now);
        for _ in 0..10 {
            assert!(!bucket.try_take(1, 4, now));
            now += Duration::from_millis(250);
            assert!(bucket.try_take(1, 4, now));
        }
    }

    #[test]
    fn what_is_taken_beyond_the_end_is_owed() {
        let now = real_now();
        let mut bucket = Bucket::full(now);
        bucket.take(10, 10, now);
        assert!(bucket.is_paid(now));
        bucket.take(5, 10, now);
        assert!(!bucket.is_paid(now));
        assert_eq!(bucket.owed(now), Duration::from_millis(500));
        assert!(bucket.is_paid(now + Duration::from_millis(500)));
        assert!(!bucket.is_full(now + Duration::from_millis(1_499)));
        assert!(bucket.is_full(now + Duration::from_millis(1_500)));
    }

    #[test]
    fn no_amount_is_too_large() {
        let now = real_now();
        let mut bucket = Bucket::full(now);
        for _ in 0..1_000 {
            bucket.take(u64::MAX, 1, now);
        }
        assert!(!bucket.is_paid(now));
    }
}
