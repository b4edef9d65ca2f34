//! The largest rate of echoes that one driver keeps, by trying.
//!
//! A rate is kept if every message came back and no more than one in a hundred left later than it
//! may. The rate grows until it is not kept, and the border is then found by halving.

use serde::Serialize;

use crate::cost::Sample;
use crate::fleet::Trial;
use crate::run::Refusal;
use crate::watch::DRIVER_NAME;

/// The first rate that is tried.
const START: u64 = 20_000;

/// A driver that keeps more has nothing to prove; schedules are made of times, which have an end.
const MOST: u64 = 20_000_000;

/// How near the border is found: the part of it that may be left, such as one in 20.
const PART: u64 = 20;

/// How a driver fared at one rate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Pace {
    /// Messages that should have left in a second.
    pub per_second: u64,
    /// Messages that left.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
    /// How much later than intended they left, at the 99th percentile.
    pub slip_p99_ns: u64,
    /// Messages that came back for a second of the driver's CPU time, by the system's ticks.
    pub per_cpu_second: Option<u64>,
}

impl Pace {
    /// What came of `trial` at a rate of `per_second`.
    pub fn of(per_second: u64, trial: &Trial) -> Self {
        let traffic = &trial.tally.traffic;
        Self {
            per_second,
            sent: traffic.sent,
            received: traffic.audit.received,
            slip_p99_ns: traffic.slip.quantile(0.99).unwrap_or(0),
            per_cpu_second: per_second_of(traffic.audit.received, driver_cpu_ns(trial)),
        }
    }

    /// Whether it kept the pace, if messages may leave late by `slip_max_ns`.
    pub fn is_kept(&self, slip_max_ns: u64) -> bool {
        self.sent > 0 && self.received == self.sent && self.slip_p99_ns <= slip_max_ns
    }
}

/// How much a driver got done that had more to do than it could.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct FlatOut {
    /// Messages that left.
    pub sent: u64,
    /// Messages that came back.
    pub received: u64,
    /// CPU time that this took.
    pub cpu_ns: u64,
    /// Messages for a second of it.
    pub per_second: u64,
}

impl FlatOut {
    /// What came of `trial`, which took `cpu_ns` of CPU time.
    pub fn new(trial: &Trial, cpu_ns: u64) -> Self {
        let (sent, received) = (trial.tally.traffic.sent, trial.tally.traffic.audit.received);
        Self { sent, received, cpu_ns, per_second: per_second_of(received, cpu_ns).unwrap_or(0) }
    }
}

/// CPU time of the drivers in the hold of `trial`.
fn driver_cpu_ns(trial: &Trial) -> u64 {
    let of = |sample: &Option<Sample>| -> u64 {
        let tasks = sample.iter().flat_map(|sample| &sample.generator_cpu);
        tasks.filter(|task| task.name.starts_with(DRIVER_NAME)).map(|task| task.ns).sum()
    };
    of(&trial.end).saturating_sub(of(&trial.begin))
}

fn per_second_of(count: u64, ns: u64) -> Option<u64> {
    let per_second = (u128::from(count) * 1_000_000_000).checked_div(u128::from(ns))?;
    u64::try_from(per_second).ok()
}

/// The largest rate that is kept, by `attempt`; `None` if not even the first one is.
///
/// # Errors
///
/// Why an attempt could not be made.
pub fn largest(
    slip_max_ns: u64,
    mut attempt: impl FnMut(u64) -> Result<Pace, Refusal>,
) -> Result<Option<Pace>, Refusal> {
    let mut kept: Option<Pace> = None;
    let mut rate = START;
    let mut lost = None;
    loop {
        let pace = attempt(rate)?;
        log::debug!("{pace:?}");
        if pace.is_kept(slip_max_ns) {
            kept = Some(pace);
        } else {
            lost = Some(rate);
        }
        let low = kept.map_or(0, |pace| pace.per_second);
        rate = match lost {
            None if low >= MOST => return Ok(kept),
            None => low * 3 / 2,
            Some(high) if high - low <= high / PART => return Ok(kept),
            Some(high) => low + (high - low) / 2,
        };
        if rate < START / PART {
            return Ok(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches with a driver that keeps rates up to `border`; how often it was asked, too.
    fn search(border: u64) -> (Option<u64>, u32) {
        let mut attempts = 0;
        let found = largest(5, |per_second| {
            attempts += 1;
            let slip_p99_ns = if per_second <= border { 5 } else { 6 };
            Ok(Pace { per_second, sent: 10, received: 10, slip_p99_ns, ..Pace::default() })
        });
        (found.unwrap().map(|pace| pace.per_second), attempts)
    }

    #[test]
    fn the_border_is_found_to_one_part_in_twenty() {
        for border in [1_500, 19_999, 20_000, 123_456, 250_000, 1_000_000] {
            let (found, attempts) = search(border);
            let found = found.unwrap();
            assert!(found <= border && found >= border - border / 15, "{found} of {border}");
            assert!(attempts <= 20, "{attempts} attempts for {border}");
        }
        assert_eq!(search(0).0, None);
        assert!(search(u64::MAX).0.unwrap() >= MOST);
    }

    #[test]
    fn a_message_that_did_not_come_back_is_no_pace_kept() {
        let pace = Pace { sent: 10, received: 10, slip_p99_ns: 1, ..Pace::default() };
        assert!(pace.is_kept(1) && !pace.is_kept(0));
        assert!(!Pace { received: 9, ..pace }.is_kept(1));
        assert!(!Pace { sent: 0, received: 0, ..pace }.is_kept(1));
    }
}
