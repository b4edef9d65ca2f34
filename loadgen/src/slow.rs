//! Connections that read slowly, as phones on a bad network do: what a push server must bear
//! without keeping everything for them.
//!
//! What a slow reader gets, and when, is its own doing. So it is audited apart from the others, and
//! that the server gives it up is no fault but an answer, which the report counts by its code.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::sampling::share_takes;
use crate::units::parse_bytes;

/// How often a slow reader reads at most: a rate below ten bytes a second is kept byte by byte.
const READS_PER_SECOND: u64 = 10;

/// The share of a part that reads slowly, and how slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    percent: f64,
    rate: NonZeroU64,
}

impl Slow {
    /// The usual one: 5 % at 256 bytes a second.
    pub const USUAL: Self = Self { percent: 5.0, rate: NonZeroU64::new(256).expect("not zero") };

    /// All of a part.
    pub const fn all(self) -> Self {
        Self { percent: 100.0, ..self }
    }

    /// Whether that is all of a part.
    pub fn is_all(self) -> bool {
        self.percent >= 100.0
    }

    /// Bytes a second.
    pub const fn rate(self) -> u64 {
        self.rate.get()
    }

    /// Whether the one at place `rank` of its part reads slowly. Of the first n ones, for every n,
    /// as many do as the share says.
    pub fn takes(self, rank: u32) -> bool {
        share_takes(self.percent, rank)
    }
}

impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "expected SHARE%:BYTES/s, such as 5%:256B/s";
        let (share, rate) = text.split_once("%:").ok_or(wrong)?;
        let percent: f64 = share.trim().parse().map_err(|_| format!("`{share}` is no number"))?;
        let rate = parse_bytes(rate.trim().strip_suffix("/s").ok_or(wrong)?)?;
        let rate = NonZeroU64::new(rate).ok_or("who reads nothing at all is not slow but gone")?;
        if percent > 0.0 && percent <= 100.0 {
            Ok(Self { percent, rate })
        } else {
            Err("more than 0 % and at most 100 % read slowly".to_owned())
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%:{}B/s", self.percent, self.rate)
    }
}

/// What lets so many bytes of a connection through in a second.
#[derive(Debug)]
pub struct Valve {
    rate: NonZeroU64,
    /// When it opens again.
    due: Instant,
    /// Whether somebody will come back then.
    is_awaited: bool,
}

/// What a valve says to one who wants to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// So many bytes may be read.
    Bytes(usize),
    /// None until then, when somebody must come back.
    Until(Instant),
    /// None, and somebody comes back anyway.
    Awaited,
}

impl Valve {
    /// A valve for `slow`, open from `now` on.
    pub fn new(slow: Slow, now: Instant) -> Self {
        Self { rate: slow.rate, due: now, is_awaited: false }
    }

    /// Whether something may be read at `now`.
    pub fn ask(&mut self, now: Instant) -> Flow {
        if self.due <= now {
            self.is_awaited = false;
            let bytes = (self.rate.get() / READS_PER_SECOND).max(1);
            return Flow::Bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if std::mem::replace(&mut self.is_awaited, true) {
            return Flow::Awaited;
        }
        Flow::Until(self.due)
    }

    /// Takes note that `bytes` were read at `now`: for so long nothing more is.
    pub fn passed(&mut self, bytes: usize, now: Instant) {
        let ns = bytes as u64 * 1_000_000_000 / self.rate.get();
        self.due = now + Duration::from_nanos(ns);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_understood_or_refused() {
        let slow: Slow = "5%:256B/s".parse().unwrap();
        assert_eq!((slow, slow.to_string()), (Slow::USUAL, "5%:256B/s".to_owned()));
        assert_eq!("0.5%:1KiB/s".parse::<Slow>().unwrap().rate(), 1024);
        for text in ["5", "5%", "5%:256B", "0%:1B/s", "101%:1B/s", "5%:0B/s", "x%:1B/s", "NaN%:1/s"]
        {
            assert!(text.parse::<Slow>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_kept_at_every_size() {
        let slow: Slow = "5%:1B/s".parse().unwrap();
        for conns in [0u32, 19, 20, 1_000, 1_010] {
            let taken = (0..conns).filter(|rank| slow.takes(*rank)).count();
            assert_eq!(taken, (conns / 20) as usize, "{conns}");
        }
        assert!((0..100).all(|rank| slow.all().takes(rank)));
    }

    #[test]
    fn a_valve_lets_its_rate_through() {
        for rate in ["1B/s", "7B/s", "256B/s", "10KiB/s"] {
            let slow: Slow = format!("5%:{rate}").parse().unwrap();
            let start = Instant::now();
            let (mut valve, mut now, mut read) = (Valve::new(slow, start), start, 0);
            while now < start + Duration::from_secs(60) {
                match valve.ask(now) {
                    Flow::Bytes(bytes) => {
                        valve.passed(bytes, now);
                        read += bytes as u64;
                    }
                    Flow::Until(due) => {
                        assert_eq!(valve.ask(now), Flow::Awaited, "one comes back, not two");
                        now = due;
                    }
                    Flow::Awaited => unreachable!("nobody asks twice here"),
                }
            }
            let expected = slow.rate() * 60;
            assert!(read.abs_diff(expected) <= expected / 50 + 1, "{rate}: {read}");
        }
    }
}
