//! What all drivers have told, put together.

use crate::accounting::Accounting;
use crate::driver::link::{Report, Stage};
use crate::latency::Latency;
use crate::spread::Recipients;
use crate::tally::{Phases, Tally};

/// The sums of a fleet so far.
#[derive(Debug)]
pub struct Books {
    /// Attempts and connections since the fleet was launched.
    pub accounting: Accounting,
    /// What was counted since the last trial ended.
    pub between: Tally,
    /// How the connections of the last change of size came to be.
    pub opened: Phases,
    /// What was counted in the trial under way. Its lag is that of the hold alone: closing is
    /// nobody's measure.
    pub trial: Tally,
    /// When publications of the trial had their recipients.
    pub recipients: Recipients,
    /// Connections that were open when the trial began.
    pub held: u64,
    /// What was counted since the last tick.
    pub tick: Tick,
    /// The same as a whole, if somebody wants it.
    pub since_tick: Option<Tally>,
    desks: Vec<Desk>,
}

/// The distributions of one tick.
#[derive(Debug, Default)]
pub struct Tick {
    /// Echoes and deliveries, from when they should have been sent.
    pub latency: Latency,
    /// See [`crate::tally::Traffic::slip`].
    pub slip: Latency,
    /// See [`Tally::lag`].
    pub lag: Latency,
    /// Attempts and connections.
    pub accounting: Accounting,
    /// Messages sent.
    pub sent: u64,
    /// Messages that came.
    pub received: u64,
    /// Pings answered.
    pub pings: u64,
}

/// How one driver stands.
#[derive(Clone, Copy, Debug, Default)]
struct Desk {
    open: u64,
    pending: u64,
    missing: u64,
    done: u32,
}

impl Books {
    /// Empty books for so many drivers.
    pub fn new(drivers: u32) -> Self {
        Self {
            accounting: Accounting::default(),
            between: Tally::default(),
            opened: Phases::default(),
            trial: Tally::default(),
            recipients: Recipients::default(),
            held: 0,
            tick: Tick::default(),
            since_tick: None,
            desks: vec![Desk::default(); drivers as usize],
        }
    }

    /// Enters a report.
    pub fn enter(&mut self, mut report: Report) {
        self.accounting.merge(&report.tally.accounting);
        self.tick.count(&report.tally);
        if let Some(since_tick) = &mut self.since_tick {
            since_tick.merge(&report.tally);
        }
        if report.stage != Stage::Hold && report.stage != Stage::Between {
            report.tally.lag.clear();
        }
        match report.stage {
            Stage::Between => self.between.merge(&report.tally),
            Stage::Warmup | Stage::Hold | Stage::Drain => self.trial.merge(&report.tally),
        }
        if let Some(desk) = self.desks.get_mut(report.driver as usize) {
            let Report { open, pending, missing, done, .. } = report;
            *desk = Desk { open, pending, missing, done };
        }
        self.trial.traffic.spreads.settle(&mut self.recipients);
    }

    /// Notes that a trial begins with the connections that are open now.
    pub fn begin_trial(&mut self) {
        self.trial = Tally::default();
        self.recipients = Recipients::default();
        self.held = self.open();
    }

    /// Notes that no more messages of the trial come.
    pub fn end_trial(&mut self) {
        self.trial.traffic.spreads.settle_all(&mut self.recipients);
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.desks.iter().map(|desk| desk.open).sum()
    }

    /// Attempts under way.
    pub fn pending(&self) -> u64 {
        self.desks.iter().map(|desk| desk.pending).sum()
    }

    /// Messages that had not come when it was last inquired.
    pub fn missing(&self) -> u64 {
        self.desks.iter().map(|desk| desk.missing).sum()
    }

    /// The last command that all drivers have done.
    pub fn done(&self) -> u32 {
        self.desks.iter().map(|desk| desk.done).min().unwrap_or(u32::MAX)
    }

    /// Whether every attempt is somewhere.
    pub fn is_balanced(&self) -> bool {
        self.accounting.is_balanced(self.pending(), self.open())
    }
}

impl Tick {
    fn count(&mut self, tally: &Tally) {
        let traffic = &tally.traffic;
        self.latency.merge(&traffic.echo.corrected);
        self.latency.merge(&traffic.deliver.corrected);
        self.slip.merge(&traffic.slip);
        self.lag.merge(&tally.lag);
        self.accounting.merge(&tally.accounting);
        self.sent += traffic.sent;
        self.received += traffic.audit.received;
        self.pings += traffic.pings;
    }

    /// Begins the next tick.
    pub fn clear(&mut self) {
        for latency in [&mut self.latency, &mut self.slip, &mut self.lag] {
            latency.clear();
        }
        self.accounting = Accounting::default();
        (self.sent, self.received, self.pings) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(driver: u32, stage: Stage, tally: Tally, open: u64, pending: u64) -> Report {
        Report { driver, stage, tally, open, pending, missing: 0, done: 1 }
    }

    fn opened(attempted: u64, opened: u64) -> Tally {
        let mut tally = Tally::default();
        tally.accounting.attempted = attempted;
        tally.accounting.opened = opened;
        tally
    }

    #[test]
    fn the_slowest_driver_counts() {
        let mut books = Books::new(2);
        books.enter(report(0, Stage::Between, opened(3, 2), 2, 1));
        assert_eq!((books.done(), books.open(), books.pending()), (0, 2, 1));
        books.enter(report(1, Stage::Between, opened(1, 1), 1, 0));
        assert_eq!((books.done(), books.open()), (1, 3));
        assert!(books.is_balanced());
    }

    #[test]
    fn the_lag_of_closing_is_left_out() {
        let mut books = Books::new(1);
        for stage in [Stage::Between, Stage::Warmup, Stage::Hold, Stage::Drain] {
            let mut tally = Tally::default();
            tally.lag.record(Duration::from_secs(1));
            books.enter(report(0, stage, tally, 0, 0));
        }
        assert_eq!((books.between.lag.n(), books.trial.lag.n()), (1, 1));
        assert_eq!(books.tick.lag.n(), 4);
        books.tick.clear();
        assert_eq!(books.tick.lag.n(), 0);
    }
}
