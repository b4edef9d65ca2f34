//! Time as a loop counts it: in ticks since it began.

use std::time::{Duration, Instant};

/// A moment, in ticks since a [`Clock`] began.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tick(pub u32);

impl Tick {
    /// How long a tick is, in milliseconds: fine enough for deadlines of seconds.
    pub const MS: u64 = 125;

    /// The moment `ms` milliseconds later, rounded up to whole ticks.
    pub fn after_ms(self, ms: u64) -> Self {
        self.after(u32::try_from(ms.div_ceil(Self::MS)).unwrap_or(u32::MAX))
    }

    /// The moment `ticks` ticks later.
    pub const fn after(self, ticks: u32) -> Self {
        Self(self.0.saturating_add(ticks))
    }
}

/// Turns instants into ticks. Four bytes of ticks last for 17 years.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// The clock whose tick 0 is at `start`.
    pub const fn new(start: Instant) -> Self {
        Self { start }
    }

    /// The last tick that had begun at `now`.
    pub fn tick(&self, now: Instant) -> Tick {
        let ms = now.saturating_duration_since(self.start).as_millis();
        Tick(u32::try_from(ms / u128::from(Tick::MS)).unwrap_or(u32::MAX))
    }

    /// When `tick` begins.
    pub fn instant(&self, tick: Tick) -> Instant {
        self.start + Duration::from_millis(u64::from(tick.0) * Tick::MS)
    }
}

/// Some instant to start a test's clock from: it can be had from nowhere else.
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
pub(crate) fn real_now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_lasts_until_the_next_begins() {
        let clock = Clock::new(real_now());
        let begin = clock.instant(Tick(3));
        assert_eq!(clock.tick(begin), Tick(3));
        assert_eq!(clock.tick(begin + Duration::from_millis(Tick::MS - 1)), Tick(3));
        assert_eq!(clock.tick(begin + Duration::from_millis(Tick::MS)), Tick(4));
    }

    #[test]
    fn a_deadline_never_comes_early() {
        assert_eq!(Tick(1).after_ms(1), Tick(2));
        assert_eq!(Tick(1).after_ms(250), Tick(3));
    }
}
