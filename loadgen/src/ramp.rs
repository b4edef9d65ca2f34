//! When the next connection may begin.
//!
//! At a given rate each has its intended start, and one that begins late is charged for it. The
//! adaptive pace instead keeps a window of attempts in flight: it opens by one for each that
//! succeeds and halves for each that fails, as TCP finds its own rate.

use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::units::Rate;

/// How fast connections are opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the server takes them.
    Adaptive,
    /// So many a second, over all threads.
    Fixed(Rate),
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "adaptive" { Ok(Self::Adaptive) } else { text.parse().map(Self::Fixed) }
    }
}

/// One driver's share of the connections, as they are begun.
#[derive(Debug)]
pub struct Ramp {
    starts: Starts,
    /// First attempts that have not begun.
    fresh: u32,
    /// First attempts that have.
    begun: u32,
    /// Connections that failed and are to be tried again.
    again: Vec<u32>,
    retries_left: u32,
    failures_in_a_row: u32,
    in_flight: u32,
    window: u32,
    paused_until: Instant,
}

/// When first attempts are to start.
#[derive(Clone, Copy, Debug)]
enum Starts {
    /// As soon as the window lets them in.
    Window,
    /// One by one.
    Schedule { first: Instant, interval: Duration },
}

/// An attempt that may begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Which of the driver's connections it is for.
    pub number: u32,
    /// When it should have begun.
    pub intended: Instant,
}

impl Ramp {
    /// The most attempts in flight at an adaptive pace.
    const WINDOW_MAX: u32 = 256;
    /// Where the window starts.
    const WINDOW_START: u32 = 32;
    /// How long a failure holds back what follows at an adaptive pace, and its own repetition.
    const PAUSE: Duration = Duration::from_millis(20);
    /// After so many failures without a success between them, the rest is not tried.
    const FAILURES_IN_A_ROW_MAX: u32 = 100;

    /// The ramp of driver `driver` of `drivers`, with `share` connections to begin from `start` on.
    ///
    /// One failure in twenty, and three more, are tried again; further ones are final.
    pub fn new(pace: Pace, share: u32, start: Instant, driver: u32, drivers: u32) -> Self {
        let starts = match pace {
            Pace::Adaptive => Starts::Window,
            // The drivers take turns, so that together they keep the pace.
            Pace::Fixed(rate) => Starts::Schedule {
                first: start + rate.interval() * driver,
                interval: rate.interval() * drivers,
            },
        };
        Self {
            starts,
            fresh: share,
            begun: 0,
            again: Vec::new(),
            retries_left: share / 20 + 3,
            failures_in_a_row: 0,
            in_flight: 0,
            window: Self::WINDOW_START,
            paused_until: start,
        }
    }

    /// The next attempt, if one may begin at `now`. It counts as in flight from then on.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        if self.deadline()? > now {
            return None;
        }
        self.in_flight += 1;
        if self.paused_until <= now
            && let Some(number) = self.again.pop()
        {
            return Some(Attempt { number, intended: now });
        }
        let intended = match self.starts {
            Starts::Window => now,
            Starts::Schedule { .. } => self.next_start(),
        };
        let number = self.begun;
        self.fresh -= 1;
        self.begun += 1;
        Some(Attempt { number, intended })
    }

    /// When the next attempt may begin; `None` while that depends on those in flight, and when
    /// there is none.
    pub fn deadline(&self) -> Option<Instant> {
        if matches!(self.starts, Starts::Window) && self.in_flight >= self.window {
            return None;
        }
        let again = (!self.again.is_empty()).then_some(self.paused_until);
        let fresh = (self.fresh > 0).then(|| self.next_start());
        again.into_iter().chain(fresh).min()
    }

    /// One in flight has become open.
    pub fn succeeded(&mut self) {
        self.in_flight -= 1;
        self.failures_in_a_row = 0;
        self.window = (self.window + 1).min(Self::WINDOW_MAX);
    }

    /// Connection `number`, in flight, has failed.
    pub fn failed(&mut self, number: u32, now: Instant) {
        self.in_flight -= 1;
        self.failures_in_a_row += 1;
        self.window = (self.window / 2).max(1);
        self.paused_until = now + Self::PAUSE;
        if self.failures_in_a_row >= Self::FAILURES_IN_A_ROW_MAX {
            self.stop();
        } else if let Some(left) = self.retries_left.checked_sub(1) {
            self.retries_left = left;
            self.again.push(number);
        }
    }

    /// Begins no more attempts.
    pub fn stop(&mut self) {
        self.fresh = 0;
        self.again.clear();
        self.retries_left = 0;
    }

    /// Whether every connection is open or has finally failed.
    pub fn is_done(&self) -> bool {
        self.in_flight == 0 && self.fresh == 0 && self.again.is_empty()
    }

    /// When the next first attempt may begin.
    fn next_start(&self) -> Instant {
        match self.starts {
            Starts::Window => self.paused_until,
            Starts::Schedule { first, interval } => first + interval * self.begun,
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    fn adaptive(share: u32) -> (Ramp, Instant) {
        let start = Instant::now();
        (Ramp::new(Pace::Adaptive, share, start, 0, 1), start)
    }

    fn begin_all(ramp: &mut Ramp, now: Instant) -> u32 {
        u32::try_from(std::iter::from_fn(|| ramp.next(now)).count()).unwrap()
    }

    #[test]
    fn the_window_opens_with_success_and_halves_with_failure() {
        let (mut ramp, mut now) = adaptive(100_000);
        let mut in_flight = begin_all(&mut ramp, now);
        assert_eq!(in_flight, Ramp::WINDOW_START);
        for _ in 0..1_000 {
            ramp.succeeded();
            in_flight += begin_all(&mut ramp, now);
            in_flight -= 1;
        }
        assert_eq!(in_flight, Ramp::WINDOW_MAX);
        ramp.failed(0, now);
        assert_eq!(begin_all(&mut ramp, now + Ramp::PAUSE), 0, "the window has halved");
        for _ in 0..200 {
            ramp.succeeded();
        }
        now += Ramp::PAUSE;
        assert!(ramp.next(now).is_some_and(|attempt| attempt.number == 0), "it is tried again");
    }

    #[test]
    fn a_fixed_pace_is_shared_and_charged_from_the_intended_start() {
        let start = Instant::now();
        let pace = "100/s".parse().unwrap();
        let mut ramps = [0, 1].map(|driver| Ramp::new(pace, 5, start, driver, 2));
        let late = start + Duration::from_millis(55);
        let mut intended = Vec::new();
        for ramp in &mut ramps {
            intended.extend(std::iter::from_fn(|| ramp.next(late)).map(|it| it.intended));
        }
        intended.sort();
        assert_eq!(intended, [0, 10, 20, 30, 40, 50].map(|ms| start + Duration::from_millis(ms)));
        assert_eq!(ramps[0].deadline(), Some(start + Duration::from_millis(60)));
    }

    #[test]
    fn a_server_that_refuses_everybody_is_left_alone() {
        let (mut ramp, mut now) = adaptive(100_000);
        let mut failures = 0;
        while !ramp.is_done() {
            while let Some(attempt) = ramp.next(now) {
                ramp.failed(attempt.number, now);
                failures += 1;
            }
            now += Ramp::PAUSE;
        }
        assert_eq!(failures, Ramp::FAILURES_IN_A_ROW_MAX);
    }

    #[test]
    fn retries_come_to_an_end() {
        let (mut ramp, mut now) = adaptive(40);
        let mut failed = 0;
        while !ramp.is_done() {
            while let Some(attempt) = ramp.next(now) {
                // Every connection fails for good but number 7, so that no row grows long.
                if attempt.number == 7 {
                    ramp.succeeded();
                } else {
                    ramp.failed(attempt.number, now);
                    failed += 1;
                }
            }
            now += Ramp::PAUSE;
        }
        assert_eq!(failed, 39 + 40 / 20 + 3);
    }
}
