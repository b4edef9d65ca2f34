//! When the next connection may begin.
//!
//! At a given rate each has its intended start, and one that begins late is charged for it. The
//! adaptive pace instead keeps a window of attempts in flight: it opens by one for each that
//! succeeds and halves for each that fails, as TCP finds its own rate.
//!
//! A ramp can be lengthened and shortened again and again: a fleet grows and shrinks.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::ValueEnum;

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

/// How a given rate is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Shape {
    /// One by one at equal distances
    #[default]
    Linear,
    /// A second's worth at once, every second
    Step,
    /// Doubling every second from a sixteenth of the rate up to it
    Exp,
}

/// How one driver of several opens its share.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// How fast all together open connections.
    pub pace: Pace,
    /// How a given rate is reached.
    pub shape: Shape,
    /// The most attempts of this driver in flight at an adaptive pace.
    pub window_max: u32,
    /// Which driver it is.
    pub driver: u32,
    /// Of how many.
    pub drivers: u32,
}

impl Tempo {
    /// When the attempt `number` of this driver should begin, counted from the start of the ramp.
    fn offset(&self, number: u32, rate: Rate) -> Duration {
        // The drivers take turns, so that together they keep the pace.
        let place = f64::from(number) * f64::from(self.drivers) + f64::from(self.driver);
        let rate = rate.per_second();
        let linear = place / rate;
        Duration::from_secs_f64(match self.shape {
            Shape::Linear => linear,
            Shape::Step => linear.floor(),
            Shape::Exp => {
                let first = rate / EXP_FRACTION;
                // The sum of a rate that doubles every second, taken backwards.
                let doubling = (1.0 + place * std::f64::consts::LN_2 / first).log2();
                let whole = EXP_FRACTION.log2();
                let reached = first * (EXP_FRACTION - 1.0) / std::f64::consts::LN_2;
                if doubling < whole { doubling } else { whole + (place - reached) / rate }
            }
        })
    }
}

/// The part of its rate with which an exponential ramp begins.
const EXP_FRACTION: f64 = 16.0;

/// One driver's share of the connections, as they are begun.
#[derive(Debug)]
pub struct Ramp {
    tempo: Tempo,
    /// When it was last lengthened.
    start: Instant,
    /// How many first attempts have begun since then.
    begun: u32,
    /// First attempts that have not begun.
    fresh: u32,
    /// The lowest number that no connection has ever had.
    unused: u32,
    /// Numbers whose connection is no more, to be given to others.
    vacant: Vec<u32>,
    /// Numbers that have failed for good, to be tried when the ramp is lengthened.
    given_up: Vec<u32>,
    /// Connections that failed and are to be tried again.
    again: Vec<u32>,
    /// Connections that left by plan and are due to come back: neither window nor pace holds a
    /// storm up, as nothing does in the world.
    returning: VecDeque<Attempt>,
    retries_left: u32,
    failures_in_a_row: u32,
    in_flight: u32,
    window: u32,
    paused_until: Instant,
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
    /// Where the window starts.
    const WINDOW_START: u32 = 32;
    /// How long a failure holds back what follows at an adaptive pace, and its own repetition.
    const PAUSE: Duration = Duration::from_millis(20);
    /// After so many failures without a success between them, the rest is not tried.
    const FAILURES_IN_A_ROW_MAX: u32 = 100;

    /// A ramp without a connection to begin.
    pub fn new(tempo: Tempo, now: Instant) -> Self {
        Self {
            tempo,
            start: now,
            begun: 0,
            fresh: 0,
            unused: 0,
            vacant: Vec::new(),
            given_up: Vec::new(),
            again: Vec::new(),
            returning: VecDeque::new(),
            retries_left: 0,
            failures_in_a_row: 0,
            in_flight: 0,
            window: Self::WINDOW_START.min(tempo.window_max),
            paused_until: now,
        }
    }

    /// Has `more` connections begin from `now` on.
    ///
    /// One failure in twenty, and three more, are tried again; further ones are final.
    pub fn lengthen(&mut self, more: u32, now: Instant) {
        self.start = now;
        self.begun = 0;
        self.fresh = more;
        self.retries_left = more / 20 + 3;
        self.failures_in_a_row = 0;
        self.vacant.append(&mut self.given_up);
    }

    /// Gives the number of a connection that is no more to another one later.
    pub fn vacate(&mut self, number: u32) {
        self.vacant.push(number);
    }

    /// The next attempt, if one may begin at `now`. It counts as in flight from then on.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        if self.deadline()? > now {
            return None;
        }
        self.in_flight += 1;
        if let Some(attempt) = self.returning.pop_front() {
            return Some(attempt);
        }
        if self.paused_until <= now
            && let Some(number) = self.again.pop()
        {
            return Some(Attempt { number, intended: now });
        }
        let intended = match self.tempo.pace {
            Pace::Adaptive => now,
            Pace::Fixed(_) => self.next_start(),
        };
        self.fresh -= 1;
        self.begun += 1;
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.unused += 1;
            self.unused - 1
        });
        Some(Attempt { number, intended })
    }

    /// When the next attempt may begin; `None` while that depends on those in flight, and when
    /// there is none.
    pub fn deadline(&self) -> Option<Instant> {
        if let Some(attempt) = self.returning.front() {
            return Some(attempt.intended);
        }
        if self.tempo.pace == Pace::Adaptive && self.in_flight >= self.window {
            return None;
        }
        let again = (!self.again.is_empty()).then_some(self.paused_until);
        let fresh = (self.fresh > 0).then(|| self.next_start());
        again.into_iter().chain(fresh).min()
    }

    /// Has a connection begin that left by plan.
    pub fn bring_back(&mut self, attempt: Attempt) {
        self.returning.push_back(attempt);
    }

    /// One in flight has failed, and whoever brought it back will do so again.
    pub fn returned_in_vain(&mut self) {
        self.in_flight -= 1;
    }

    /// One in flight has become open.
    pub fn succeeded(&mut self) {
        self.in_flight -= 1;
        self.failures_in_a_row = 0;
        self.window = (self.window + 1).min(self.tempo.window_max);
    }

    /// Connection `number`, in flight, has failed.
    pub fn failed(&mut self, number: u32, now: Instant) {
        self.in_flight -= 1;
        self.failures_in_a_row += 1;
        self.window = (self.window / 2).max(1);
        self.paused_until = now + Self::PAUSE;
        if self.failures_in_a_row >= Self::FAILURES_IN_A_ROW_MAX {
            self.stop();
        }
        if let Some(left) = self.retries_left.checked_sub(1) {
            self.retries_left = left;
            self.again.push(number);
        } else {
            self.given_up.push(number);
        }
    }

    /// Begins no more attempts.
    pub fn stop(&mut self) {
        self.fresh = 0;
        self.given_up.append(&mut self.again);
        self.given_up.extend(self.returning.drain(..).map(|attempt| attempt.number));
        self.retries_left = 0;
    }

    /// Whether every connection is open or has finally failed.
    pub fn is_done(&self) -> bool {
        self.in_flight == 0 && self.fresh == 0 && self.again.is_empty() && self.returning.is_empty()
    }

    /// When the next first attempt may begin.
    fn next_start(&self) -> Instant {
        match self.tempo.pace {
            Pace::Adaptive => self.paused_until,
            Pace::Fixed(rate) => self.start + self.tempo.offset(self.begun, rate),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    const WINDOW_MAX: u32 = 256;

    fn tempo(pace: Pace, shape: Shape, driver: u32, drivers: u32) -> Tempo {
        Tempo { pace, shape, window_max: WINDOW_MAX, driver, drivers }
    }

    fn adaptive(share: u32) -> (Ramp, Instant) {
        let start = Instant::now();
        let mut ramp = Ramp::new(tempo(Pace::Adaptive, Shape::Linear, 0, 1), start);
        ramp.lengthen(share, start);
        (ramp, start)
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
        assert_eq!(in_flight, WINDOW_MAX);
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
        let mut ramps =
            [0, 1].map(|driver| Ramp::new(tempo(pace, Shape::Linear, driver, 2), start));
        let late = start + Duration::from_millis(55);
        let mut intended = Vec::new();
        for ramp in &mut ramps {
            ramp.lengthen(5, start);
            intended.extend(std::iter::from_fn(|| ramp.next(late)).map(|it| it.intended));
        }
        intended.sort();
        assert_eq!(intended, [0, 10, 20, 30, 40, 50].map(|ms| start + Duration::from_millis(ms)));
        assert_eq!(ramps[0].deadline(), Some(start + Duration::from_millis(60)));
    }

    #[test]
    fn every_shape_comes_to_its_rate() {
        let offsets = |shape, numbers: [u32; 4]| {
            let rate = "16/s".parse().unwrap();
            let tempo = tempo(Pace::Fixed(rate), shape, 0, 1);
            numbers.map(|number| tempo.offset(number, rate).as_millis())
        };
        assert_eq!(offsets(Shape::Linear, [0, 8, 16, 160]), [0, 500, 1_000, 10_000]);
        assert_eq!(offsets(Shape::Step, [0, 15, 16, 47]), [0, 0, 1_000, 2_000]);
        // One in the first 0.76 s, 1.44 in the first second, 2.88 in the second, and so on.
        assert_eq!(offsets(Shape::Exp, [0, 1, 5, 22])[..3], [0, 759, 2_158]);
        let [.., before, after] = offsets(Shape::Exp, [0, 0, 100, 116]);
        assert_eq!(after - before, 1_000, "at full rate at last");
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

    #[test]
    fn a_ramp_that_grows_again_uses_every_number_once() {
        let (mut ramp, now) = adaptive(10);
        let mut numbers = Vec::new();
        while let Some(attempt) = ramp.next(now) {
            ramp.succeeded();
            numbers.push(attempt.number);
        }
        for number in [8, 9] {
            ramp.vacate(number);
            numbers.retain(|it| *it != number);
        }
        ramp.lengthen(4, now);
        while let Some(attempt) = ramp.next(now) {
            ramp.succeeded();
            numbers.push(attempt.number);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..12).collect::<Vec<_>>());
    }
}
