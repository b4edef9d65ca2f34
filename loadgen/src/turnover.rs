//! Who leaves during a trial by plan, and when each comes back.
//!
//! ```text
//!   open --- storm strikes, or its lifetime is over ---> away --- its wait is over ---> attempt
//!    ^                                                    ^                              |   |
//!    |                                                    +------------ fails -----------+   |
//!    +------------------------------------ opens --------------------------------------------+
//! ```
//!
//! A return is an attempt like any other, timed from when it should have begun. Pure: the time is
//! an argument, and chance follows from the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use corecast::base::{Key, Rng};

use crate::ramp::Attempt;
use crate::schedule::exponential;
use crate::units::parse_duration;

/// How long one whose lifetime is over waits before it comes back, or may wait at most.
const LIFETIME_WAIT: Duration = Duration::from_secs(1);

/// How often a wait with jitter is doubled at most: nobody backs off for hours.
const DOUBLINGS_MAX: u32 = 5;

/// A share of the connections that vanishes at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storm {
    percent: f64,
    /// How long those who have vanished wait, or may wait at most.
    wait: Duration,
}

impl Storm {
    /// The usual one: 30 % within 10 s.
    pub const USUAL: Self = Self { percent: 30.0, wait: Duration::from_secs(10) };
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%/{:?}", self.percent, self.wait)
    }
}

impl FromStr for Storm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (share, wait) = text.split_once("%/").ok_or("expected SHARE%/TIME, such as 30%/10s")?;
        let percent: f64 = share.trim().parse().map_err(|_| format!("`{share}` is no number"))?;
        if percent > 0.0 && percent <= 100.0 {
            Ok(Self { percent, wait: parse_duration(wait)? })
        } else {
            Err("a storm takes more than 0 % and at most 100 %".to_owned())
        }
    }
}

/// How long a connection lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lifetime {
    /// As long as any other.
    Fixed(Duration),
    /// At random with this mean, whatever its age.
    Exponential(Duration),
}

impl Lifetime {
    /// The usual one: ten minutes, whatever its age.
    pub const USUAL: Self = Self::Exponential(Duration::from_secs(600));
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(time) => write!(f, "{time:?}"),
            Self::Exponential(mean) => write!(f, "exp:{mean:?}"),
        }
    }
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (lifetime, time): (fn(Duration) -> Self, _) = match text.strip_prefix("exp:") {
            Some(time) => (Self::Exponential, time),
            None => (Self::Fixed, text),
        };
        match parse_duration(time)? {
            Duration::ZERO => Err("a connection lives longer than 0 s".to_owned()),
            time => Ok(lifetime(time)),
        }
    }
}

/// How those who have left come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Reconnect {
    /// They do not
    None,
    /// Each waits the whole time, also after a failure: all come at once
    Fixed,
    /// Each waits a random part of the time, of twice the time after a failure, and so on
    ExpJitter,
}

impl fmt::Display for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Fixed => "fixed",
            Self::ExpJitter => "exp-jitter",
        })
    }
}

/// Why and how connections leave by plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// Whether some vanish together.
    pub storm: Option<Storm>,
    /// Whether each has its time.
    pub lifetime: Option<Lifetime>,
    /// How they come back.
    pub reconnect: Reconnect,
}

impl Habits {
    /// Whether anybody leaves at all.
    pub const fn is_restless(&self) -> bool {
        self.storm.is_some() || self.lifetime.is_some()
    }

    /// How long one waits that has failed to come back `failures` times.
    fn wait(&self, failures: u32, rng: &mut Rng) -> Option<Duration> {
        let base = self.storm.map_or(LIFETIME_WAIT, |storm| storm.wait);
        match self.reconnect {
            Reconnect::None => None,
            Reconnect::Fixed => Some(base),
            Reconnect::ExpJitter => {
                let most = base * (1 << failures.min(DOUBLINGS_MAX));
                Some(Duration::from_nanos(rng.below(crate::units::ns(most).max(1))))
            }
        }
    }
}

/// What a storm did, as far as it has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Squall {
    /// When it struck, unless it has not.
    pub struck: Option<Instant>,
    /// Connections that vanished.
    pub vanished: u64,
    /// Those of them that are open again.
    pub back: u64,
    /// When the last of these was.
    pub last_back: Option<Instant>,
}

impl Squall {
    /// Adds what it did to other connections.
    pub fn merge(&mut self, other: &Self) {
        self.struck = self.struck.into_iter().chain(other.struck).min();
        self.vanished += other.vanished;
        self.back += other.back;
        self.last_back = self.last_back.max(other.last_back);
    }

    /// How long it took until all who had vanished were open again, if they are.
    pub fn recovery(&self) -> Option<Duration> {
        let took = self.last_back?.saturating_duration_since(self.struck?);
        (self.back == self.vanished).then_some(took)
    }
}

/// The comings and goings of one driver's connections in a trial.
#[derive(Debug)]
pub struct Turnover {
    habits: Habits,
    squall: Squall,
    /// Who has vanished in the storm and is not back.
    vanished: BTreeSet<u32>,
    rng: Rng,
    /// When the storm strikes, until it has.
    strike: Option<Instant>,
    /// From when on nobody leaves any more.
    end: Instant,
    /// When lifetimes are over.
    ends: BinaryHeap<Reverse<(Instant, Key)>>,
    /// When those who are away come back.
    away: BinaryHeap<Reverse<(Instant, u32)>>,
    /// How often those who are away, or on their way back, have failed.
    failures: BTreeMap<u32, u32>,
}

impl Turnover {
    /// A trial's turnover. The storm strikes when a third of the time from `timed_from` to `end`
    /// is over, so that there is time to see what it leaves behind.
    pub fn new(habits: Habits, timed_from: Instant, end: Instant, rng: Rng) -> Self {
        let third = end.saturating_duration_since(timed_from) / 3;
        Self {
            habits,
            squall: Squall::default(),
            vanished: BTreeSet::new(),
            rng,
            strike: habits.storm.map(|_| timed_from + third),
            end,
            ends: BinaryHeap::new(),
            away: BinaryHeap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// The lifetime of `key` begins.
    pub fn begin(&mut self, key: Key, now: Instant) {
        let lifetime = match self.habits.lifetime {
            None => return,
            Some(Lifetime::Fixed(time)) => time,
            Some(Lifetime::Exponential(mean)) => exponential(mean, &mut self.rng),
        };
        if now + lifetime < self.end {
            self.ends.push(Reverse((now + lifetime, key)));
        }
    }

    /// Those of `open` that leave now. A key of one that is gone already may be among them.
    pub fn leaving(&mut self, now: Instant, open: impl FnOnce() -> Vec<Key>) -> Vec<Key> {
        let mut leaving = Vec::new();
        while let Some(Reverse((_, key))) = self.ends.peek().filter(|it| it.0.0 <= now) {
            leaving.push(*key);
            self.ends.pop();
        }
        if let Some(storm) = self.habits.storm
            && self.strike.take_if(|strike| *strike <= now).is_some()
        {
            self.squall.struck = Some(now);
            leaving.extend(victims(open(), storm.percent, &mut self.rng));
        }
        leaving
    }

    /// Connection `number` has left by plan. Returns whether it comes back.
    ///
    /// Who leaves at the moment at which the storm strikes is taken by it.
    pub fn left(&mut self, number: u32, now: Instant) -> bool {
        if self.squall.struck == Some(now) {
            self.squall.vanished += 1;
            self.vanished.insert(number);
        }
        let Some(wait) = self.habits.wait(0, &mut self.rng) else { return false };
        self.failures.insert(number, 0);
        self.away.push(Reverse((now + wait, number)));
        true
    }

    /// The next one that should be on its way back by `now`.
    pub fn returning(&mut self, now: Instant) -> Option<Attempt> {
        let Reverse((intended, number)) = *self.away.peek().filter(|it| it.0.0 <= now)?;
        self.away.pop();
        Some(Attempt { number, intended })
    }

    /// Connection `number` is open at `now`.
    pub fn opened(&mut self, number: u32, now: Instant) {
        self.failures.remove(&number);
        if self.vanished.remove(&number) {
            self.squall.back += 1;
            self.squall.last_back = Some(now);
        }
    }

    /// What the storm has done so far.
    pub fn squall(&self) -> Squall {
        self.squall
    }

    /// Connection `number` has failed to open. Returns whether it was to come back, and then will
    /// try again.
    pub fn failed(&mut self, number: u32, now: Instant) -> bool {
        let Some(failures) = self.failures.get_mut(&number) else { return false };
        *failures += 1;
        let Some(wait) = self.habits.wait(*failures, &mut self.rng) else { return false };
        self.away.push(Reverse((now + wait, number)));
        true
    }

    /// Ends it. Those who are on their way are attempts like others from now on; the numbers of
    /// those who are away come back from here.
    pub fn into_away(self) -> impl Iterator<Item = u32> {
        self.away.into_iter().map(|Reverse((_, number))| number)
    }

    /// When somebody leaves or comes back next.
    pub fn deadline(&self) -> Option<Instant> {
        let ends = self.ends.peek().map(|it| it.0.0);
        let away = self.away.peek().map(|it| it.0.0);
        [self.strike, ends, away].into_iter().flatten().min()
    }
}

/// A share of `keys`, chosen at random.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn victims(mut keys: Vec<Key>, percent: f64, rng: &mut Rng) -> Vec<Key> {
    // No table of files holds 2^53 connections.
    let count = (keys.len() as f64 * percent / 100.0).round() as usize;
    for chosen in 0..count {
        let other = rng.below((keys.len() - chosen) as u64);
        keys.swap(chosen, chosen + usize::try_from(other).unwrap_or(0));
    }
    keys.truncate(count);
    keys
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn turnover(storm: Option<&str>, reconnect: Reconnect) -> (Turnover, Instant) {
        let storm = storm.map(|text| text.parse().unwrap());
        let lifetime = storm.is_none().then_some(Lifetime::Exponential(10 * SECOND));
        let start = Instant::now();
        let habits = Habits { storm, lifetime, reconnect };
        (Turnover::new(habits, start, start + 30 * SECOND, Rng::new(1)), start)
    }

    fn keys(count: u64) -> Vec<Key> {
        (0..count).map(Key::from_bits).collect()
    }

    #[test]
    fn what_is_written_is_understood_or_refused() {
        let storm: Storm = "2.5%/10s".parse().unwrap();
        assert_eq!(storm, Storm { percent: 2.5, wait: 10 * SECOND });
        for text in ["30", "0%/1s", "101%/1s", "x%/1s", "30%/soon", "NaN%/1s"] {
            assert!(text.parse::<Storm>().is_err(), "{text}");
        }
        assert_eq!("exp:10s".parse(), Ok(Lifetime::Exponential(10 * SECOND)));
        assert_eq!("10s".parse(), Ok(Lifetime::Fixed(10 * SECOND)));
        assert_eq!(
            (storm.to_string(), Lifetime::USUAL.to_string()),
            ("2.5%/10s".to_owned(), "exp:600s".to_owned())
        );
        for text in ["0s", "exp:", "exp:0s", "long"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_storm_takes_its_share_once() {
        let (mut turnover, start) = turnover(Some("30%/5s"), Reconnect::Fixed);
        assert_eq!(turnover.deadline(), Some(start + 10 * SECOND), "a third of the hold");
        assert!(turnover.leaving(start + 9 * SECOND, || keys(1_000)).is_empty());
        let mut victims = turnover.leaving(start + 10 * SECOND, || keys(1_000));
        victims.sort_unstable_by_key(|key| key.to_bits());
        victims.dedup();
        assert_eq!(victims.len(), 300);
        assert!(turnover.leaving(start + 11 * SECOND, || keys(1_000)).is_empty());
    }

    #[test]
    fn without_jitter_all_come_at_once_and_with_it_all_over_the_time() {
        for (reconnect, within_a_tenth) in
            [(Reconnect::Fixed, 1_000..=1_000), (Reconnect::ExpJitter, 60..=140)]
        {
            let (mut turnover, now) = turnover(Some("30%/5s"), reconnect);
            assert!((0..1_000).all(|number| turnover.left(number, now)));
            let due: Vec<_> = std::iter::from_fn(|| turnover.returning(now + 5 * SECOND))
                .map(|attempt| attempt.intended)
                .collect();
            assert_eq!(due.len(), 1_000);
            let late = due.iter().filter(|due| **due > now + SECOND * 9 / 2).count();
            assert!(within_a_tenth.contains(&late), "{reconnect}: {late}");
        }
        let (mut turnover, now) = turnover(Some("30%/5s"), Reconnect::None);
        assert!(!turnover.left(1, now) && turnover.returning(now + 60 * SECOND).is_none());
    }

    #[test]
    fn who_fails_to_come_back_waits_again_and_others_are_none_of_ours() {
        let (mut turnover, now) = turnover(Some("30%/5s"), Reconnect::Fixed);
        assert!(turnover.left(7, now) && !turnover.failed(8, now));
        assert_eq!(turnover.returning(now + 5 * SECOND).unwrap().number, 7);
        assert!(turnover.failed(7, now + 6 * SECOND));
        assert_eq!(turnover.deadline(), Some(now + 10 * SECOND).min(turnover.strike));
        assert_eq!(turnover.returning(now + 11 * SECOND).unwrap().number, 7);
        turnover.opened(7, now);
        assert!(!turnover.failed(7, now), "it is like the others again");
        assert!(turnover.left(9, now));
        assert_eq!(turnover.into_away().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn a_storm_is_over_when_all_it_took_are_back() {
        let (mut turnover, start) = turnover(Some("30%/5s"), Reconnect::Fixed);
        let strike = start + 10 * SECOND;
        assert!(turnover.left(1, start), "before the storm");
        turnover.leaving(strike, || keys(10));
        assert!(turnover.left(2, strike) && turnover.left(3, strike));
        turnover.opened(1, strike + SECOND);
        turnover.opened(2, strike + 2 * SECOND);
        let mut squall = turnover.squall();
        assert_eq!((squall.vanished, squall.back, squall.recovery()), (2, 1, None));
        turnover.opened(3, strike + 7 * SECOND);
        squall = turnover.squall();
        assert_eq!(squall.recovery(), Some(7 * SECOND));
        let elsewhere = Squall { vanished: 1, struck: Some(strike + SECOND), ..Squall::default() };
        squall.merge(&elsewhere);
        assert_eq!((squall.struck, squall.recovery()), (Some(strike), None));
    }

    #[test]
    fn lifetimes_have_their_mean() {
        let (mut turnover, start) = turnover(None, Reconnect::ExpJitter);
        for key in keys(10_000) {
            turnover.begin(key, start);
        }
        // One part in e outlives the mean.
        let dead = turnover.leaving(start + 10 * SECOND, Vec::new).len();
        assert!((6_050..6_600).contains(&dead), "{dead}");
    }
}
