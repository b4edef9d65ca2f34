//! How a publication spreads: when its first recipient had it, half of them, nearly all, and the
//! last.
//!
//! Each driver counts the recipients it holds, and that of the publisher says how many there were
//! when it was sent. The parts are put together when they are told, and a publication is settled
//! when all have it who were there.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::latency::Latency;
use crate::units;

/// How many publications may wait for their last recipient.
const WAITING_MAX: usize = 8_192;

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
    fn add(&mut self, spread: &Spread) {
        *(if spread.is_whole() { &mut self.whole } else { &mut self.partial }) += 1;
        if spread.times.is_empty() {
            return;
        }
        let quantile =
            |share| spread.times.value_at_quantile(share).clamp(spread.first_ns, spread.last_ns);
        self.first.record_ns(spread.first_ns);
        self.median.record_ns(quantile(0.5));
        self.p99.record_ns(quantile(0.99));
        self.last.record_ns(spread.last_ns);
    }
}

/// The publications of a broadcast that are on their way.
#[derive(Clone, Debug, Default)]
pub struct Spreads(BTreeMap<(u64, u32), Spread>);

/// How one publication spread so far.
#[derive(Clone, Debug)]
struct Spread {
    /// How many listened when it was sent, once its publisher's driver has told.
    audience: Option<u64>,
    first_ns: u64,
    last_ns: u64,
    times: Histogram<u32>,
}

impl Spreads {
    /// Counts message `seq` of `publisher`, sent when so many listened.
    pub fn published(&mut self, publisher: u32, seq: u64, audience: u64) {
        self.entry(publisher, seq).audience = Some(audience);
    }

    /// Counts one recipient of message `seq` of `publisher`, reached after `time`.
    pub fn reached(&mut self, publisher: u32, seq: u64, time: Duration) {
        let ns = units::ns(time);
        let spread = self.entry(publisher, seq);
        spread.first_ns = spread.first_ns.min(ns);
        spread.last_ns = spread.last_ns.max(ns);
        // A histogram that resizes itself takes every value.
        let _ = spread.times.record(ns);
    }

    /// Moves the publications that have reached all who listened to `settled`.
    ///
    /// Publications that lost a recipient wait in vain; the oldest of too many count as they are.
    pub fn settle(&mut self, settled: &mut Recipients) {
        self.0.retain(|_, spread| {
            let is_whole = spread.is_whole();
            if is_whole {
                settled.add(spread);
            }
            !is_whole
        });
        while self.0.len() > WAITING_MAX {
            let Some((_, spread)) = self.0.pop_first() else { return };
            settled.add(&spread);
        }
    }

    /// Moves all publications to `settled`, as they are.
    pub fn settle_all(&mut self, settled: &mut Recipients) {
        for spread in std::mem::take(&mut self.0).values() {
            settled.add(spread);
        }
    }

    /// Adds the recipients that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (publication, part) in &other.0 {
            let spread = self.0.entry(*publication).or_insert_with(Spread::new);
            spread.audience = spread.audience.or(part.audience);
            spread.first_ns = spread.first_ns.min(part.first_ns);
            spread.last_ns = spread.last_ns.max(part.last_ns);
            let _ = spread.times.add(&part.times);
        }
    }

    fn entry(&mut self, publisher: u32, seq: u64) -> &mut Spread {
        self.0.entry((seq, publisher)).or_insert_with(Spread::new)
    }
}

impl Spread {
    fn is_whole(&self) -> bool {
        self.audience.is_some_and(|audience| self.times.len() >= audience)
    }

    fn new() -> Self {
        let times = Histogram::new(DIGITS).expect("two significant digits are within 0 to 5");
        Self { audience: None, first_ns: u64::MAX, last_ns: 0, times }
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
        there.published(0, 7, 3);
        there.published(0, 8, 3);
        there.published(0, 9, 3);
        here.merge(&there);
        let mut settled = Recipients::default();
        here.settle(&mut settled);
        let ends = |settled: &Recipients| (settled.first.quantile(1.0), settled.last.quantile(1.0));
        assert_eq!(ends(&settled), (Some(10), Some(99)));
        assert_eq!(settled.median.quantile(0.5), Some(30));
        here.settle_all(&mut settled);
        assert_eq!((settled.first.quantile(0.0), settled.last.quantile(0.0)), (Some(5), Some(5)));
        assert_eq!((settled.whole, settled.partial), (1, 2), "one reached nobody");
    }

    #[test]
    fn publications_do_not_wait_for_ever() {
        let mut spreads = Spreads::default();
        for seq in 0..WAITING_MAX as u64 + 5 {
            spreads.reached(0, seq, Duration::from_nanos(seq));
        }
        let mut settled = Recipients::default();
        spreads.settle(&mut settled);
        assert_eq!(settled.last.quantile(1.0), Some(4), "the five oldest are settled");
        assert_eq!((spreads.0.len(), settled.partial), (WAITING_MAX, 5));
    }
}
