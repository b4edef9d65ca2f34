//! Keeps an eye on the generator itself while it measures.
//!
//! A generator that is short of CPU measures its own queue. So once a second of the hold the CPU
//! time of each driver is read, and the seconds in which one was too busy are counted.

use std::time::{Duration, Instant};

use crate::cost::{self, TaskCpu};
use crate::units;

/// The front of every driver's thread name.
pub const DRIVER_NAME: &str = "driver-";

/// How often to look.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What the drivers' CPU time was, second by second.
#[derive(Debug)]
pub struct Watch {
    percent_max: u64,
    last: Vec<TaskCpu>,
    at: Instant,
    looks: u32,
    too_busy: u32,
    busiest_percent: u64,
}

/// What the watch has seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// How many seconds were looked at.
    pub looks: u32,
    /// In how many of them some driver was busier than it may be.
    pub too_busy: u32,
    /// The largest share of a core that a driver took in one of them, in per cent.
    pub busiest_percent: u64,
}

impl Watch {
    /// A watch that begins at `now` and minds drivers above `percent_max` of a core.
    pub fn new(percent_max: u64, now: Instant) -> Self {
        let last = drivers();
        Self { percent_max, last, at: now, looks: 0, too_busy: 0, busiest_percent: 0 }
    }

    /// When to look next.
    pub fn due(&self) -> Instant {
        self.at + INTERVAL
    }

    /// Looks.
    pub fn look(&mut self, now: Instant) {
        self.note(drivers(), now);
    }

    /// What has been seen.
    pub fn seen(&self) -> Seen {
        let Self { looks, too_busy, busiest_percent, .. } = *self;
        Seen { looks, too_busy, busiest_percent }
    }

    fn note(&mut self, tasks: Vec<TaskCpu>, now: Instant) {
        let elapsed_ns = units::ns(now.saturating_duration_since(self.at)).max(1);
        let before = |id| self.last.iter().find(|task| task.id == id).map(|task| task.ns);
        let ran = tasks.iter().filter_map(|task| Some(task.ns.saturating_sub(before(task.id)?)));
        let percent = ran.max().unwrap_or(0).saturating_mul(100) / elapsed_ns;
        self.looks += 1;
        self.too_busy += u32::from(percent > self.percent_max);
        self.busiest_percent = self.busiest_percent.max(percent);
        self.last = tasks;
        self.at = now;
    }
}

fn drivers() -> Vec<TaskCpu> {
    let mut tasks = cost::tasks("self");
    tasks.retain(|task| task.name.starts_with(DRIVER_NAME));
    tasks
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;

    fn ran(ms: u64) -> Vec<TaskCpu> {
        vec![TaskCpu { name: "driver-0".to_owned(), id: 7, ns: ms * 1_000_000 }]
    }

    #[test]
    fn a_busy_second_is_counted() {
        let start = Instant::now();
        let mut watch = Watch::new(85, start);
        watch.last = ran(0);
        for (second, ms) in [(1, 100), (2, 1_000), (3, 1_800)] {
            watch.note(ran(ms), start + second * INTERVAL);
        }
        assert_eq!(watch.seen(), Seen { looks: 3, too_busy: 1, busiest_percent: 90 });
    }

    #[test]
    fn a_thread_that_is_new_is_not_charged_for_its_past() {
        let start = Instant::now();
        let mut watch = Watch::new(85, start);
        watch.note(ran(50_000), start + INTERVAL);
        assert_eq!(watch.seen().busiest_percent, 0);
    }
}
