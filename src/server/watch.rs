//! Who looks how much memory is used, since a worker does not, and has some given back.

use std::time::Duration;

use super::Server;
use crate::reactor::usage::Gauge;
use crate::worker::mesh::Handle;
use crate::worker::{Limits, Pressure};

impl Server {
    /// Watches how much memory is used: [`Limits::memory_stop_percent`] and
    /// [`Limits::memory_shed_percent`] say what follows. Nobody watches if nothing is said.
    pub fn memory(mut self, gauge: Gauge) -> Self {
        self.memory = Some(gauge);
        self
    }

    /// Calls `relief` every two seconds, on a thread that serves nobody, to have the program's
    /// allocator give back what a crowd that has left had taken, such as
    /// [`give_back`](crate::reactor::memory::give_back).
    pub fn relief(mut self, relief: fn()) -> Self {
        self.relief = Some(relief);
        self
    }
}

/// Between two looks. Filling a tenth of a gibibyte takes a core longer than this.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);

/// Between two times that memory is given back: a crowd comes and goes more slowly.
const RELIEF_INTERVAL: Duration = Duration::from_secs(2);

/// Has memory given back now and then.
#[derive(Clone, Copy)]
pub(super) struct Relief {
    give_back: fn(),
    /// How long it is until it is done again.
    left: Duration,
}

impl Relief {
    pub(super) const fn new(give_back: fn()) -> Self {
        Self { give_back, left: RELIEF_INTERVAL }
    }

    /// Notes that so much time has passed.
    pub(super) fn pass(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
        if self.left.is_zero() {
            (self.give_back)();
            self.left = RELIEF_INTERVAL;
        }
    }
}

/// Looks how much memory is used, and tells the workers what that means.
pub(super) struct Watch {
    gauge: Gauge,
    limits: Limits,
    handle: Handle,
    pressure: Pressure,
    /// Whether every worker has heard of it.
    is_told: bool,
}

impl Watch {
    pub(super) fn new(gauge: Gauge, limits: Limits, handle: Handle) -> Self {
        Self { gauge, limits, handle, pressure: Pressure::Low, is_told: true }
    }

    /// Looks, and tells: of a change once, of a severe lack again and again, since each time some
    /// more is given back.
    pub(super) fn look(&mut self) {
        let Some(used) = self.gauge.used() else { return };
        let pressure = Pressure::of(used, self.gauge.max(), &self.limits);
        if pressure != self.pressure {
            self.say(used, pressure);
        }
        if pressure != self.pressure || pressure == Pressure::Severe || !self.is_told {
            self.pressure = pressure;
            self.is_told = self.handle.press(pressure).is_ok();
        }
    }

    fn say(&self, used: u64, pressure: Pressure) {
        let [used, max] = [used, self.gauge.max()].map(|bytes| bytes >> 20);
        match pressure {
            Pressure::Low => log::info!("memory: {used} of {max} MiB used; taking callers again"),
            Pressure::High => log::warn!("memory: {used} of {max} MiB used; taking nobody new"),
            Pressure::Severe => {
                log::error!("memory: {used} of {max} MiB used; sending the slowest readers away");
            }
        }
    }
}
