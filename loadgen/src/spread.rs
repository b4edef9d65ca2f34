//! How a publication spreads: when its first recipient had it, half of them, nearly all, and the
//! last.
//!
//! Each driver counts the recipients it holds; the parts are put together when they are told, and a
//! publication is settled when all recipients have it.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::latency::Latency;
use crate::units;

/// How many publications may wait for their last recipient.
const WAITING_MAX: usize = 1_000;

/// The times of one publication are kept to a hundredth.
const DIGITS: u8 = 2;

/// When publications had their recipients, from when they should have been sent.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    /// The first of each.
    pub first: Latency,
    /// Half of each.
    pub median: Latency,
    /// All but one in a hundred of each.
    pub p99: Latency,
    /// The last of each.
    pub last: Latency,
    /// Publications that all recipients had.
    pub whole: u64,
    /// Publications that some recipients never had.
    pub partial: u64,
}

impl Recipients {
    fn add(&mut self, spread: &Spread, is_whole: bool) {
        let quantile =
            |share| spread.times.value_at_quantile(share).clamp(spread.first_ns, spread.last_ns);
        self.first.record_ns(spread.first_ns);
        self.median.record_ns(quantile(0.5));
        self.p99.record_ns(quantile(0.99));
        self.last.record_ns(spread.last_ns);
        *(if is_whole { &mut self.whole } else { &mut self.partial }) += 1;
    }
}

/// The publications of a broadcast that are on their way.
#[derive(Clone, Debug, Default)]
pub struct Spreads(BTreeMap<(u64, u32), Spread>);

/// How one publication spread so far.
#[derive(Clone, Debug)]
struct Spread {
    first_ns: u64,
    last_ns: u64,
    times: Histogram<u32>,
}

impl Spreads {
    /// Counts one recipient of message `seq` of `publisher`, reached after `time`.
    pub fn reached(&mut self, publisher: u32, seq: u64, time: Duration) {
        let ns = units::ns(time);
        let spread = self.0.entry((seq, publisher)).or_insert_with(Spread::new);
        spread.first_ns = spread.first_ns.min(ns);
        spread.last_ns = spread.last_ns.max(ns);
        // A histogram that resizes itself takes every value.
        let _ = spread.times.record(ns);
    }

    /// Moves the publications that have reached `recipients`, or all if that is `None`, to
    /// `settled`.
    ///
    /// Publications that lost a recipient wait in vain; the oldest of too many count as they are.
    pub fn settle(&mut self, recipients: Option<u64>, settled: &mut Recipients) {
        let is_whole =
            |spread: &Spread| recipients.is_none_or(|recipients| spread.times.len() >= recipients);
        self.0.retain(|_, spread| {
            let is_whole = is_whole(spread);
            if is_whole {
                settled.add(spread, recipients.is_some());
            }
            !is_whole
        });
        while self.0.len() > WAITING_MAX {
            let Some((_, spread)) = self.0.pop_first() else { return };
            settled.add(&spread, false);
        }
    }

    /// Adds the recipients that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (publication, part) in &other.0 {
            let spread = self.0.entry(*publication).or_insert_with(Spread::new);
            spread.first_ns = spread.first_ns.min(part.first_ns);
            spread.last_ns = spread.last_ns.max(part.last_ns);
            let _ = spread.times.add(&part.times);
        }
    }
}

impl Spread {
    fn new() -> Self {
        let times = Histogram::new(DIGITS).expect("two significant digits are within 0 to 5");
        Self { first_ns: u64::MAX, last_ns: 0, times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_settled_when_all_have_it() {
        let (mut here, mut there) = (Spreads::default(), Spreads::default());
        here.reached(0, 7, Duration::from_nanos(30));
        here.reached(0, 7, Duration::from_nanos(10));
        there.reached(0, 7, Duration::from_nanos(99));
        there.reached(0, 8, Duration::from_nanos(5));
        here.merge(&there);
        let mut settled = Recipients::default();
        here.settle(Some(3), &mut settled);
        let ends = |settled: &Recipients| (settled.first.quantile(1.0), settled.last.quantile(1.0));
        assert_eq!(ends(&settled), (Some(10), Some(99)));
        assert_eq!(settled.median.quantile(0.5), Some(30));
        here.settle(None, &mut settled);
        assert_eq!((settled.first.quantile(0.0), settled.last.quantile(0.0)), (Some(5), Some(5)));
        assert_eq!((settled.whole, settled.partial), (1, 1));
    }

    #[test]
    fn publications_do_not_wait_for_ever() {
        let mut spreads = Spreads::default();
        for seq in 0..WAITING_MAX as u64 + 5 {
            spreads.reached(0, seq, Duration::from_nanos(seq));
        }
        let mut settled = Recipients::default();
        spreads.settle(Some(2), &mut settled);
        assert_eq!(settled.last.quantile(1.0), Some(4), "the five oldest are settled");
        assert_eq!((spreads.0.len(), settled.partial), (WAITING_MAX, 5));
    }
}
