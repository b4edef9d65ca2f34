//! How short memory is, and what a core does about it: first it takes nobody new, then it sends
//! those away for whom most is kept.
//!
//! Who measures is not here. A worker is told, and between two times it assumes no change.

use super::CloseReason;
use super::breach::Breach;
use super::limits::Limits;
use super::world::World;
use crate::base::Key;
use crate::ws::CloseCode;

/// How short memory is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pressure {
    /// There is enough.
    #[default]
    Low,
    /// Nobody new gets in.
    High,
    /// Those for whom most waits are sent away.
    Severe,
}

impl Pressure {
    /// What `used` bytes of `max` mean.
    pub fn of(used: u64, max: u64, limits: &Limits) -> Self {
        let is_beyond =
            |percent: u8| u128::from(used) * 100 >= u128::from(max) * u128::from(percent);
        if is_beyond(limits.memory_shed_percent) {
            Self::Severe
        } else if is_beyond(limits.memory_stop_percent) {
            Self::High
        } else {
            Self::Low
        }
    }
}

impl<T> World<T> {
    /// Takes note of how short memory is, and gives some back if it is very short.
    pub(super) fn press(&mut self, pressure: Pressure) {
        self.pressure = pressure;
        if pressure == Pressure::Severe {
            self.relieve();
        }
    }

    /// Sends away those for whom most waits, until half of what waits for all is gone. If that was
    /// not enough, the next measurement asks for half of the rest.
    fn relieve(&mut self) {
        let waits = |(key, connection): (Key, &super::connection::Connection<T>)| {
            let bytes = connection.outbox.bytes();
            (bytes > 0 && connection.session.is_established()).then_some((bytes, key))
        };
        let mut waiting: Vec<_> = self.connections.iter().filter_map(waits).collect();
        waiting.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let all: usize = waiting.iter().map(|(bytes, _)| bytes).sum();
        let mut freed = 0;
        for (bytes, key) in waiting.into_iter().take(self.limits.closes_per_turn_max) {
            if 2 * freed >= all {
                break;
            }
            freed += bytes;
            self.dispossess(key);
        }
    }

    /// Takes what waits for a peer away, and tells it so; a stream has no words for that, and must
    /// not seem to have ended well.
    fn dispossess(&mut self, key: Key) {
        self.reached(Breach::MemoryShed);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.session.is_open() {
            return self.bury(key, CloseReason::Memory);
        }
        connection.outbox.clear();
        let text = "the server is short of memory";
        self.close(key, CloseCode::TRY_AGAIN_LATER, text, CloseReason::Memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_rises_at_each_limit_and_not_a_byte_before() {
        let limits =
            Limits { memory_stop_percent: 85, memory_shed_percent: 95, ..Limits::default() };
        let rows = [
            (0, Pressure::Low),
            (849_999, Pressure::Low),
            (850_000, Pressure::High),
            (850_001, Pressure::High),
            (949_999, Pressure::High),
            (950_000, Pressure::Severe),
            (u64::MAX, Pressure::Severe),
        ];
        for (used, pressure) in rows {
            assert_eq!(Pressure::of(used, 1_000_000, &limits), pressure, "{used}");
        }
    }
}
