//! How fast peers may send: frames and bytes a second, for each WebSocket.
//!
//! ```text
//!  a read ----> charge -----> paid? ------ yes --> read on
//!                               no ---- not for long --> nothing is read until it is paid, so that
//!                               |                        the peer's own TCP slows it down, and
//!                               |                        then little at a time
//!                               `------ for too long --> closed with 1008
//! ```
//!
//! Invariant: only who has spoken lately has a meter. Where nothing is limited nobody has one, and
//! whoever falls silent loses it with the next heartbeat.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::base::bucket::Bucket;
use crate::base::{Key, Map};

/// How fast one peer may send; `None` is as fast as it likes.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names)] // every limit ends so
pub struct Limits {
    /// Messages and control frames a second. Off by default: what is much depends on the service.
    pub frames_per_second_max: Option<NonZeroU32>,
    /// Bytes a second, as they come from the socket. The longest message has to fit.
    pub bytes_per_second_max: Option<NonZeroU32>,
    /// How long a peer may have more to say than it may send. A burst is over sooner; who goes on
    /// will not stop.
    pub over_ms_max: u64,
}

impl Limits {
    const fn is_off(&self) -> bool {
        self.frames_per_second_max.is_none() && self.bytes_per_second_max.is_none()
    }
}

/// Whether a peer may be read from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    /// It may.
    Free,
    /// Not before so much time has passed.
    Wait(Duration),
    /// It has been told to wait for too long, and still has something to say.
    Over,
}

/// What peers have sent lately.
#[derive(Debug, Default)]
pub(super) struct Meters(Map<Key, Meter>);

#[derive(Clone, Copy, Debug)]
struct Meter {
    frames: Bucket,
    bytes: Bucket,
    /// Since when it has had more to say than it may.
    over_since: Option<Instant>,
}

impl Meters {
    /// Charges `key` for what has been read from it.
    pub(super) fn charge(
        &mut self,
        key: Key,
        (frames, bytes): (u64, u64),
        limits: &Limits,
        now: Instant,
    ) {
        if limits.is_off() {
            return;
        }
        let full = Bucket::full(now);
        let new = Meter { frames: full, bytes: full, over_since: None };
        let meter = self.0.entry(key).or_insert(new);
        if let Some(rate) = limits.frames_per_second_max {
            meter.frames.take(frames, rate.get().into(), now);
        }
        if let Some(rate) = limits.bytes_per_second_max {
            meter.bytes.take(bytes, rate.get().into(), now);
        }
    }

    /// Whether `key` may be read from at `now`.
    pub(super) fn pace(&mut self, key: Key, limits: &Limits, now: Instant) -> Pace {
        let Some(meter) = self.0.get_mut(&key) else { return Pace::Free };
        let owed = meter.owed(now);
        if owed.is_zero() {
            if meter.is_full(now) {
                meter.over_since = None;
            }
            return Pace::Free;
        }
        let since = *meter.over_since.get_or_insert(now);
        let over = now.saturating_duration_since(since);
        let left = Duration::from_millis(limits.over_ms_max).saturating_sub(over);
        if left.is_zero() { Pace::Over } else { Pace::Wait(owed.min(left)) }
    }

    /// Whether `key` has lately had more to say than it may.
    pub(super) fn is_over(&self, key: Key) -> bool {
        !self.0.is_empty() && self.0.get(&key).is_some_and(|meter| meter.over_since.is_some())
    }

    /// Notes that `key` has nothing more to say for the moment.
    pub(super) fn heard_out(&mut self, key: Key, now: Instant) {
        if let Some(meter) = self.0.get_mut(&key)
            && meter.owed(now).is_zero()
        {
            meter.over_since = None;
        }
    }

    /// Forgets what `key` has sent, if that was so long ago that it makes no difference.
    pub(super) fn rest(&mut self, key: Key, now: Instant) {
        if self.0.get(&key).is_some_and(|meter| meter.is_full(now)) {
            self.0.remove(&key);
        }
    }

    /// Forgets `key`, which has gone.
    pub(super) fn forget(&mut self, key: Key) {
        if !self.0.is_empty() {
            self.0.remove(&key);
        }
    }
}

impl Meter {
    /// How long it takes until nothing is owed.
    fn owed(&self, now: Instant) -> Duration {
        self.frames.owed(now).max(self.bytes.owed(now))
    }

    /// Whether it says as much as none.
    fn is_full(&self, now: Instant) -> bool {
        self.frames.is_full(now) && self.bytes.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::real_now;

    const KEY: Key = Key::from_bits(7);

    fn limits(frames: u32, bytes: u32) -> Limits {
        let [frames_per_second_max, bytes_per_second_max] = [frames, bytes].map(NonZeroU32::new);
        Limits { frames_per_second_max, bytes_per_second_max, over_ms_max: 10_000 }
    }

    #[test]
    fn where_nothing_is_limited_nobody_has_a_meter() {
        let (mut meters, now) = (Meters::default(), real_now());
        meters.charge(KEY, (1 << 40, 1 << 40), &limits(0, 0), now);
        assert_eq!((meters.0.len(), meters.pace(KEY, &limits(0, 0), now)), (0, Pace::Free));
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        for (limits, edge) in [(limits(10, 0), (10, 1 << 20)), (limits(0, 500), (1 << 10, 500))] {
            for (more, is_free) in [((0, 0), true), ((1, 1), false)] {
                let (mut meters, now) = (Meters::default(), real_now());
                meters.charge(KEY, (edge.0 + more.0, edge.1 + more.1), &limits, now);
                let pace = meters.pace(KEY, &limits, now);
                assert_eq!(pace == Pace::Free, is_free, "{limits:?} {more:?}: {pace:?}");
            }
        }
    }

    #[test]
    fn who_stays_over_is_told_so_at_its_time_and_not_before() {
        let (mut meters, limits, start) = (Meters::default(), limits(10, 0), real_now());
        let mut now = start;
        loop {
            // As much again, as soon as the last is paid: it always has more to say.
            meters.charge(KEY, (20, 0), &limits, now);
            match meters.pace(KEY, &limits, now) {
                Pace::Free => panic!("20 frames a second are more than 10"),
                Pace::Wait(owed) => now += owed,
                Pace::Over => break,
            }
        }
        let over = now - start;
        assert!((10_000..12_000).contains(&over.as_millis()), "{over:?}");
    }

    #[test]
    fn a_burst_that_ends_leaves_nothing_behind() {
        let (mut meters, limits, mut now) = (Meters::default(), limits(10, 0), real_now());
        for _ in 0..100 {
            meters.charge(KEY, (20, 0), &limits, now);
            let Pace::Wait(owed) = meters.pace(KEY, &limits, now) else { panic!("it is over") };
            now += owed;
            assert_eq!(meters.pace(KEY, &limits, now), Pace::Free);
            meters.heard_out(KEY, now);
            now += Duration::from_secs(1);
        }
        meters.rest(KEY, now);
        assert_eq!(meters.0.len(), 0);
    }

    #[test]
    fn who_goes_is_forgotten() {
        let mut meters = Meters::default();
        meters.charge(KEY, (1, 1), &limits(1, 1), real_now());
        meters.forget(KEY);
        assert_eq!(meters.0.len(), 0);
    }
}
