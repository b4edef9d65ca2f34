//! What all drivers have told, put together.

use crate::accounting::Accounting;
use crate::driver::link::{Progress, Report, Stage};
use crate::latency::Latency;
use crate::tally::Tally;

/// The sums of a run so far.
#[derive(Debug)]
pub struct Books {
    /// What was counted until all were open.
    pub ramp: Tally,
    /// What was counted since. The lag is that of the hold alone: closing is nobody's measure.
    pub hold: Tally,
    /// Connections that were open when the hold began.
    pub held: u64,
    /// From when a publication should have been sent until its first recipient had it.
    pub first_recipient: Latency,
    /// The same for its last recipient.
    pub last_recipient: Latency,
    desks: Vec<Desk>,
}

/// How one driver stands.
#[derive(Clone, Copy, Debug)]
struct Desk {
    open: u64,
    pending: u64,
    progress: Progress,
}

impl Books {
    /// Empty books for so many drivers.
    pub fn new(drivers: u32) -> Self {
        let desk = Desk { open: 0, pending: 0, progress: Progress::Ramping };
        Self {
            ramp: Tally::default(),
            hold: Tally::default(),
            held: 0,
            first_recipient: Latency::default(),
            last_recipient: Latency::default(),
            desks: vec![desk; drivers as usize],
        }
    }

    /// Enters a report.
    pub fn enter(&mut self, mut report: Report) {
        if report.stage == Stage::Drain {
            report.tally.lag = Latency::default();
        }
        match report.stage {
            Stage::Ramp => self.ramp.merge(&report.tally),
            Stage::Hold | Stage::Drain => self.hold.merge(&report.tally),
        }
        if let Some(desk) = self.desks.get_mut(report.driver as usize) {
            *desk = Desk { open: report.open, pending: report.pending, progress: report.progress };
        }
        self.settle_spreads(Some(self.held));
    }

    /// Notes that the hold begins with the connections that are open now.
    pub fn begin_hold(&mut self) {
        self.held = self.open();
    }

    /// Notes that no more messages come.
    pub fn end_hold(&mut self) {
        self.settle_spreads(None);
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.desks.iter().map(|desk| desk.open).sum()
    }

    /// Attempts under way.
    pub fn pending(&self) -> u64 {
        self.desks.iter().map(|desk| desk.pending).sum()
    }

    /// How far the slowest driver has come.
    pub fn progress(&self) -> Progress {
        self.desks.iter().map(|desk| desk.progress).min().unwrap_or(Progress::Left)
    }

    /// Attempts and connections over the whole run.
    pub fn accounting(&self) -> Accounting {
        let mut whole = self.ramp.accounting.clone();
        whole.merge(&self.hold.accounting);
        whole
    }

    /// Whether every attempt is somewhere.
    pub fn is_balanced(&self) -> bool {
        self.accounting().is_balanced(self.pending(), self.open())
    }

    /// How many messages should come for those that were sent in the hold.
    pub fn expected(&self) -> u64 {
        let traffic = &self.hold.traffic;
        let is_broadcast = !traffic.published.is_empty();
        if is_broadcast { traffic.sent * self.held } else { traffic.sent }
    }

    /// Whether every message has come that was sent.
    ///
    /// Only drivers that send nothing more have told all that they sent.
    pub fn is_quiet(&self) -> bool {
        self.progress() >= Progress::Hushed && self.hold.traffic.audit.received >= self.expected()
    }

    fn settle_spreads(&mut self, recipients: Option<u64>) {
        let Self { hold, first_recipient, last_recipient, .. } = self;
        hold.traffic.spreads.settle(recipients, first_recipient, last_recipient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(driver: u32, stage: Stage, tally: Tally, open: u64, pending: u64) -> Report {
        let progress = if stage == Stage::Drain { Progress::Hushed } else { Progress::Ramped };
        Report { driver, stage, tally, open, pending, progress }
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
        books.enter(report(0, Stage::Ramp, opened(3, 2), 2, 1));
        assert_eq!((books.progress(), books.open(), books.pending()), (Progress::Ramping, 2, 1));
        books.enter(report(1, Stage::Ramp, opened(1, 1), 1, 0));
        assert_eq!((books.progress(), books.open()), (Progress::Ramped, 3));
        assert!(books.is_balanced());
    }

    #[test]
    fn a_broadcast_is_expected_once_for_each_connection_held() {
        let mut books = Books::new(1);
        books.enter(report(0, Stage::Ramp, opened(10, 10), 10, 0));
        books.begin_hold();
        let mut tally = Tally::default();
        tally.traffic.sent = 3;
        books.enter(report(0, Stage::Hold, tally.clone(), 10, 0));
        assert_eq!(books.expected(), 3, "an echo comes once");
        tally.traffic.published.insert(0, 3);
        tally.traffic.audit.received = 59;
        books.enter(report(0, Stage::Drain, tally, 10, 0));
        assert_eq!((books.expected(), books.is_quiet()), (60, false));
    }

    #[test]
    fn a_driver_that_may_send_more_is_not_quiet() {
        let mut books = Books::new(1);
        books.enter(report(0, Stage::Hold, Tally::default(), 1, 0));
        assert!(!books.is_quiet(), "it may have sent what it has not told");
        books.enter(report(0, Stage::Drain, Tally::default(), 1, 0));
        assert!(books.is_quiet());
    }

    #[test]
    fn the_lag_of_closing_is_left_out() {
        let mut books = Books::new(1);
        for stage in [Stage::Ramp, Stage::Hold, Stage::Drain] {
            let mut tally = Tally::default();
            tally.lag.record(Duration::from_secs(1));
            books.enter(report(0, stage, tally, 0, 0));
        }
        let counted = |lag: &Latency| lag.summary().map(|summary| summary.n);
        assert_eq!((counted(&books.ramp.lag), counted(&books.hold.lag)), (Some(1), Some(1)));
    }
}
