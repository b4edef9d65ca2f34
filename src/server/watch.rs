//! Who looks how much memory is used, since a worker does not.

use std::time::Duration;

use crate::reactor::usage::Gauge;
use crate::worker::mesh::Handle;
use crate::worker::{Limits, Pressure};

/// Between two looks. Filling a tenth of a gibibyte takes a core longer than this.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);

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
