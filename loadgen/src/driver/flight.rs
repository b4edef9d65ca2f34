//! How many echoes are in flight, summed up over time.
//!
//! By Little's law their mean number is their rate times their mean time, whatever the
//! distributions. The one is counted here, message by message; the other follows from the
//! histograms. If they differ, one of the two is wrong.

use std::mem;

/// Echoes in flight.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flight {
    count: u64,
    /// Since when they are so many.
    since_ns: u64,
    /// The sum of all counts, each for as long as it lasted.
    area_ns: u64,
}

impl Flight {
    /// One more is sent at `now_ns`.
    pub fn enter(&mut self, now_ns: u64) {
        self.pass(now_ns);
        self.count += 1;
    }

    /// One has come back at `now_ns`.
    pub fn leave(&mut self, now_ns: u64) {
        self.pass(now_ns);
        self.count = self.count.saturating_sub(1);
    }

    /// What has been summed up until now.
    pub fn take(&mut self) -> u64 {
        mem::take(&mut self.area_ns)
    }

    /// Begins anew: what is in flight is of no interest any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn pass(&mut self, now_ns: u64) {
        let lasted = now_ns.saturating_sub(self.since_ns);
        self.area_ns = self.area_ns.saturating_add(self.count.saturating_mul(lasted));
        self.since_ns = self.since_ns.max(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_sum_of_all_times() {
        let mut flight = Flight::default();
        flight.enter(1_000);
        flight.enter(1_010);
        flight.leave(1_030);
        assert_eq!(flight.take(), 10 + 2 * 20);
        flight.leave(1_070);
        assert_eq!(flight.take(), 40);
        flight.enter(2_000);
        flight.clear();
        flight.enter(9_000);
        assert_eq!(flight.take(), 0);
    }
}
