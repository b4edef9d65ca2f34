//! The clock that everything is timed with: how fine it is, what a reading costs, and whether it
//! ever goes back, on one core or from one core to another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use corecast::reactor::affinity;
use serde::Serialize;

use crate::{run, units};

/// How many readings are taken on each core.
const READINGS: u32 = 200_000;

/// Two readings go into every message that is timed: dearer ones would be a cost of their own.
const COST_MAX_NS: u64 = 1_000;

/// A clock that is coarser cannot tell what a fast echo took.
const RESOLUTION_MAX_NS: u64 = 10_000;

/// What the clock is like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Clock {
    /// The smallest step between two readings.
    pub resolution_ns: u64,
    /// What one reading takes.
    pub cost_ns: u64,
    /// The longest time between two readings: somebody else had the core.
    pub longest_step_ns: u64,
    /// How often a reading was before an earlier one, also of another core.
    pub steps_back: u64,
    /// How many readings there were.
    pub readings: u64,
    /// On how many cores.
    pub cores: u64,
}

impl Clock {
    /// Reads the clock on every core at once, each comparing with what the others have read.
    pub fn measure() -> Self {
        let epoch = run::clock();
        let latest = AtomicU64::new(0);
        let cores = affinity::cores();
        let found = thread::scope(|scope| {
            let readers = cores.iter().map(|core| {
                let latest = &latest;
                scope.spawn(move || {
                    // A core that cannot be had is read from another one, which does no harm.
                    let _ = core.pin();
                    Self::on_this_core(epoch, latest)
                })
            });
            let readers: Vec<_> = readers.collect();
            let found = readers.into_iter().filter_map(|reader| reader.join().ok());
            found.reduce(Self::joined)
        });
        found.unwrap_or_else(|| Self::on_this_core(epoch, &latest))
    }

    /// Reads it on the core of this thread.
    ///
    /// What `latest` holds was read before we look at it, on this core or another: so a reading
    /// that we take afterwards must not be smaller. The release of whoever wrote it pairs with our
    /// acquire.
    fn on_this_core(epoch: Instant, latest: &AtomicU64) -> Self {
        let ns = |moment: Instant| units::ns(moment.saturating_duration_since(epoch));
        let mut clock = Self { resolution_ns: u64::MAX, cores: 1, ..Self::default() };
        let first = ns(run::clock());
        let mut last = first;
        for _ in 0..READINGS {
            let known = latest.load(Ordering::Acquire);
            let now = ns(run::clock());
            clock.note(known.max(last), last, now);
            latest.fetch_max(now, Ordering::AcqRel);
            last = now;
        }
        clock.cost_ns = Self::cost();
        clock
    }

    fn note(&mut self, known: u64, last: u64, now: u64) {
        self.readings += 1;
        self.steps_back += u64::from(now < known);
        if let Some(step @ 1..) = now.checked_sub(last) {
            self.resolution_ns = self.resolution_ns.min(step);
            self.longest_step_ns = self.longest_step_ns.max(step);
        }
    }

    /// What a reading takes, of many taken one after the other: the least of some rounds, since
    /// others may have had the core in between.
    fn cost() -> u64 {
        const ROUND: u32 = 1_000;
        let round = || {
            let begin = run::clock();
            let end = (0..ROUND).fold(begin, |_, _| run::clock());
            units::ns(end.saturating_duration_since(begin)) / u64::from(ROUND)
        };
        (0..20).map(|_| round()).min().unwrap_or(0)
    }

    fn joined(self, other: Self) -> Self {
        Self {
            resolution_ns: self.resolution_ns.min(other.resolution_ns),
            cost_ns: self.cost_ns.max(other.cost_ns),
            longest_step_ns: self.longest_step_ns.max(other.longest_step_ns),
            steps_back: self.steps_back + other.steps_back,
            readings: self.readings + other.readings,
            cores: self.cores + other.cores,
        }
    }

    /// Why nothing can be timed with it, if so.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.steps_back > 0 {
            let back = units::count(self.steps_back);
            complaints.push(format!("the clock went back {back} times"));
        }
        for (what, ns, max) in [
            ("a reading of the clock takes", self.cost_ns, COST_MAX_NS),
            ("the clock counts in steps of", self.resolution_ns, RESOLUTION_MAX_NS),
        ] {
            if ns > max {
                let (ns, max) = (units::time(ns), units::time(max));
                complaints.push(format!("{what} {ns}, above {max}"));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_seen_on_one_core_and_between_two() {
        let mut clock = Clock { resolution_ns: u64::MAX, ..Clock::default() };
        for (known, last, now) in [(0, 0, 10), (10, 10, 13), (13, 13, 13), (90, 13, 40)] {
            clock.note(known, last, now);
        }
        assert_eq!((clock.steps_back, clock.readings), (1, 4), "another core had read 90");
        assert_eq!((clock.resolution_ns, clock.longest_step_ns), (3, 27));
        clock.note(40, 40, 39);
        assert_eq!(clock.steps_back, 2);
        assert_eq!(clock.complaints(), ["the clock went back 2 times"]);
    }

    #[test]
    fn a_slow_or_coarse_clock_is_named() {
        let slow = Clock { cost_ns: 1_500, resolution_ns: 100, ..Clock::default() };
        assert_eq!(slow.complaints(), ["a reading of the clock takes 1.50us, above 1.00us"]);
        let coarse = Clock { cost_ns: 50, resolution_ns: 4_000_000, ..Clock::default() };
        assert_eq!(coarse.complaints(), ["the clock counts in steps of 4.00ms, above 0.01ms"]);
        let good = Clock { cost_ns: 25, resolution_ns: 1, ..Clock::default() };
        assert_eq!(good.complaints(), [""; 0]);
    }
}
