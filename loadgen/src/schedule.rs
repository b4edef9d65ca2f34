//! When each message ought to leave, whether or not the last one has come back.
//!
//! Latency counts from that moment: a server that stalls is charged for every message it kept
//! waiting, and so are we when we send late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::{Duration, Instant};

use corecast::base::{Key, Rng};

/// The messages to come of all connections of one driver.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    /// What would be due from then on is not sent.
    end: Instant,
    due: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl Schedule {
    /// A schedule in which every connection sends once in `interval` until `end`.
    pub const fn new(interval: Duration, end: Instant) -> Self {
        Self { interval, end, due: BinaryHeap::new() }
    }

    /// Lets `key` send from `start` on; its phase within the interval is drawn from `rng`, so that
    /// the connections do not all speak at once.
    pub fn enter(&mut self, key: Key, start: Instant, rng: &mut Rng) {
        let phase = Duration::from_nanos(rng.below(crate::units::ns(self.interval)));
        let first = start + phase;
        if first < self.end {
            self.due.push(Reverse((first, key)));
        }
    }

    /// The next message that ought to have left by `now`: whose it is, and when it was due.
    ///
    /// The one after it is due an interval later, however late this one is.
    pub fn next(&mut self, now: Instant) -> Option<(Key, Instant)> {
        let mut front = self.due.peek_mut()?;
        let Reverse((intended, key)) = *front;
        if intended > now {
            return None;
        }
        let following = intended + self.interval;
        if following < self.end {
            // The next due time replaces this one in place: one sift instead of two.
            *front = Reverse((following, key));
        } else {
            PeekMut::pop(front);
        }
        Some((key, intended))
    }

    /// When the next message is due; `None` when all have been sent.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn late_messages_are_sent_and_not_skipped() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start + 100 * INTERVAL);
        let key = Key::from_bits(1);
        schedule.enter(key, start, &mut Rng::new(1));
        let first = schedule.deadline().unwrap();
        assert!((start..start + INTERVAL).contains(&first));
        assert_eq!(schedule.next(start).filter(|_| start < first), None);
        let late = first + 3 * INTERVAL;
        let intended: Vec<_> =
            std::iter::from_fn(|| schedule.next(late)).map(|(_, intended)| intended).collect();
        assert_eq!(intended, [0, 1, 2, 3].map(|n| first + n * INTERVAL));
        assert_eq!(schedule.deadline(), Some(first + 4 * INTERVAL));
    }

    #[test]
    fn connections_take_turns() {
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, start + 2 * INTERVAL);
        let mut rng = Rng::new(2);
        for bits in 0..50 {
            schedule.enter(Key::from_bits(bits), start, &mut rng);
        }
        let due: Vec<_> = std::iter::from_fn(|| schedule.next(start + 9 * INTERVAL)).collect();
        assert_eq!((due.len(), schedule.deadline()), (100, None), "exactly two intervals' worth");
        assert!(due.is_sorted_by_key(|(_, intended)| *intended));
        let (first_round, second_round) = due.split_at(50);
        assert!(first_round.iter().zip(second_round).all(|(one, two)| one.0 == two.0));
    }
}
