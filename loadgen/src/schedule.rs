//! When each message ought to leave, whether or not the last one has come back.
//!
//! Latency counts from that moment: a server that stalls is charged for every message it kept
//! waiting, and so are we when we send late.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use corecast::base::{Key, Rng};

/// How the messages of one connection follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Arrivals {
    /// At equal distances
    Constant,
    /// At random, as those of many independent users do
    Poisson,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        })
    }
}

/// The messages to come of some connections of one driver.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    arrivals: Arrivals,
    /// What would be due from then on is not sent.
    end: Instant,
    due: BinaryHeap<Reverse<(Instant, Key)>>,
    rng: Rng,
}

impl Schedule {
    /// A schedule in which every connection sends once in `interval`, on average, until `end`.
    pub const fn new(interval: Duration, arrivals: Arrivals, end: Instant, rng: Rng) -> Self {
        Self { interval, arrivals, end, due: BinaryHeap::new(), rng }
    }

    /// Lets `key` send from `start` on. The connections do not all speak at once: constant ones
    /// have each their phase within the interval.
    pub fn enter(&mut self, key: Key, start: Instant) {
        let first = start
            + match self.arrivals {
                Arrivals::Constant => {
                    Duration::from_nanos(self.rng.below(crate::units::ns(self.interval)))
                }
                Arrivals::Poisson => self.distance(),
            };
        if first < self.end {
            self.due.push(Reverse((first, key)));
        }
    }

    /// The next message that ought to have left by `now`: whose it is, and when it was due.
    ///
    /// The one after it is due a distance later, however late this one is. Connections that are no
    /// more, by `lives`, are forgotten.
    pub fn next(&mut self, now: Instant, lives: impl Fn(Key) -> bool) -> Option<(Key, Instant)> {
        loop {
            let Reverse((intended, key)) = *self.due.peek()?;
            if intended > now {
                return None;
            }
            let following = intended + self.distance();
            let mut front = self.due.peek_mut()?;
            if following < self.end && lives(key) {
                // The next due time replaces this one in place: one sift instead of two.
                *front = Reverse((following, key));
            } else {
                PeekMut::pop(front);
            }
            if lives(key) {
                return Some((key, intended));
            }
        }
    }

    /// When the next message is due; `None` when all have been sent.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((due, _))| *due)
    }

    /// How long after a message the next one is due.
    fn distance(&mut self) -> Duration {
        match self.arrivals {
            Arrivals::Constant => self.interval,
            Arrivals::Poisson => exponential(self.interval, &mut self.rng),
        }
    }
}

/// A time that knows nothing of how much of it has passed, with this mean.
#[allow(clippy::cast_precision_loss)] // 53 bits of chance are plenty
pub fn exponential(mean: Duration, rng: &mut Rng) -> Duration {
    let chance = (rng.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64;
    mean.mul_f64(-chance.ln())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn schedule(arrivals: Arrivals, intervals: u32) -> (Schedule, Instant) {
        let start = Instant::now();
        (Schedule::new(INTERVAL, arrivals, start + intervals * INTERVAL, Rng::new(1)), start)
    }

    #[test]
    fn late_messages_are_sent_and_not_skipped() {
        let (mut schedule, start) = schedule(Arrivals::Constant, 100);
        let key = Key::from_bits(1);
        schedule.enter(key, start);
        let first = schedule.deadline().unwrap();
        assert!((start..start + INTERVAL).contains(&first));
        assert_eq!(schedule.next(start, |_| true).filter(|_| start < first), None);
        let late = first + 3 * INTERVAL;
        let intended: Vec<_> = std::iter::from_fn(|| schedule.next(late, |_| true))
            .map(|(_, intended)| intended)
            .collect();
        assert_eq!(intended, [0, 1, 2, 3].map(|n| first + n * INTERVAL));
        assert_eq!(schedule.deadline(), Some(first + 4 * INTERVAL));
    }

    #[test]
    fn connections_take_turns() {
        let (mut schedule, start) = schedule(Arrivals::Constant, 2);
        for bits in 0..50 {
            schedule.enter(Key::from_bits(bits), start);
        }
        let due: Vec<_> =
            std::iter::from_fn(|| schedule.next(start + 9 * INTERVAL, |_| true)).collect();
        assert_eq!((due.len(), schedule.deadline()), (100, None), "exactly two intervals' worth");
        assert!(due.is_sorted_by_key(|(_, intended)| *intended));
        let (first_round, second_round) = due.split_at(50);
        assert!(first_round.iter().zip(second_round).all(|(one, two)| one.0 == two.0));
    }

    #[test]
    fn poisson_arrivals_are_as_many_and_bunch() {
        let (mut schedule, start) = schedule(Arrivals::Poisson, 1_000);
        (0..20).for_each(|bits| schedule.enter(Key::from_bits(bits), start));
        let due: Vec<_> =
            std::iter::from_fn(|| schedule.next(start + 1_000 * INTERVAL, |_| true)).collect();
        assert!((19_500..20_500).contains(&due.len()), "{}", due.len());
        let of_one = due.iter().filter(|(key, _)| key.index() == 7).map(|(_, due)| *due);
        let times: Vec<_> = of_one.collect();
        let close = times.windows(2).filter(|pair| pair[1] - pair[0] < INTERVAL / 10).count();
        assert!(close > times.len() / 20, "one in ten follows within a tenth of the interval");
    }

    #[test]
    fn who_is_no_more_is_forgotten() {
        let (mut schedule, start) = schedule(Arrivals::Constant, 10);
        (0..2).for_each(|bits| schedule.enter(Key::from_bits(bits), start));
        let lives = |key: Key| key.index() == 1;
        let due: Vec<_> =
            std::iter::from_fn(|| schedule.next(start + 20 * INTERVAL, lives)).collect();
        assert_eq!((due.len(), due.iter().all(|(key, _)| lives(*key))), (10, true));
    }
}
